import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RCODE, TYPE } from '../../wire/dns.ts';
import { makeReply } from '../../wire/dns.fixture.ts';
import { NameServer } from './name-server.fixture.ts';
import { Bench, answerWith } from './upstream-bench.fixture.ts';
import { SystemNames } from './upstream-dns-system.ts';

test('names of one label are no business of name servers', async () => {
  await using server = await NameServer.start(answerWith());
  using bench = new Bench(server.port);
  assert.equal(await bench.ask('printer'), 'NXDOMAIN | ra');
  assert.equal(await bench.ask('printer', TYPE.AAAA), 'NXDOMAIN | ra');
  assert.equal(server.seen.length, 0);
  await bench.ask('com', TYPE.NS);
  await bench.ask('.', TYPE.A);
  await bench.ask('printer.local');
  assert.equal(server.seen.length, 3);
});

/** A name service that knows a few names. */
function fakeSystem(known: Record<string, string[] | null>): { asked: string[]; ask: SystemNames['ask'] } {
  const asked: string[] = [];
  return {
    asked,
    ask(key, onAddresses) {
      asked.push(key);
      setImmediate(() => onAddresses(known[key] === undefined ? [] : known[key]));
    },
  };
}

test('the system’s other sources are asked where they may know more', async () => {
  await using server = await NameServer.start(({ bytes }) => [makeReply(bytes, [], { rcode: RCODE.NXDOMAIN })]);
  const system = fakeSystem({
    nas: ['192.168.1.9', 'fe80::9%eth0'],
    'nas.local': ['192.168.1.9', 'fd00::9'],
    'vm.libvirt': ['192.168.122.5'],
    myhost: ['127.0.0.2'],
    busy: null,
    'busy.example': null,
  });
  using bench = new Bench(server.port, {
    system,
    loopback: { address4: '192.168.105.1' },
    files: { 'nsswitch.conf': 'hosts: files mdns4_minimal [NOTFOUND=return] libvirt dns myhostname' },
  });
  const table: [string, number, string][] = [
    ['nas', TYPE.A, 'NOERROR | ra | nas. A 5 192.168.1.9'],
    ['nas', TYPE.AAAA, 'NOERROR | ra'],
    ['nas.local', TYPE.AAAA, 'NOERROR | ra | nas.local. AAAA 5 fd00::9'],
    ['none.local', TYPE.A, 'NXDOMAIN | ra'],
    ['vm.libvirt', TYPE.A, 'NOERROR | ra | vm.libvirt. A 5 192.168.122.5'],
    ['none.example', TYPE.A, 'NXDOMAIN | ra'],
    ['busy.example', TYPE.A, 'NXDOMAIN | ra'],
    ['myhost', TYPE.A, 'NOERROR | ra | myhost. A 5 192.168.105.1'],
    ['none', TYPE.A, 'NXDOMAIN | ra'],
    ['busy', TYPE.A, 'nothing'],
  ];
  for (const [name, type, want] of table) assert.equal(await bench.ask(name, type), want, name);
  assert.equal(server.seen.length, 3); // those of more than one label outside of .local
  await bench.ask('nas.local', TYPE.MX);
  assert.equal(server.seen.length, 4);
});

test('multicast names alone do not send other names to the system', async () => {
  await using server = await NameServer.start(({ bytes }) => [makeReply(bytes, [], { rcode: RCODE.NXDOMAIN })]);
  const system = fakeSystem({ 'nas.local': ['192.168.1.9'] });
  using bench = new Bench(server.port, {
    system,
    files: { 'nsswitch.conf': 'hosts: files mdns4_minimal [NOTFOUND=return] dns' },
  });
  assert.equal(await bench.ask('nas.local'), 'NOERROR | ra | nas.local. A 5 192.168.1.9');
  assert.equal(await bench.ask('nas'), 'NXDOMAIN | ra');
  assert.equal(await bench.ask('no.example'), 'NXDOMAIN | ra');
  assert.deepEqual(system.asked, ['nas.local']);
});

test('a system that does not answer is given up at the deadline', async () => {
  using bench = new Bench(9, {
    system: { ask: () => {} },
    deadlineMs: 20,
    files: { 'nsswitch.conf': 'hosts: files resolve' },
  });
  assert.equal(await bench.ask('nas'), 'nothing');
});

test('the real name service: names, no names, and what only looks like one', async () => {
  const system = new SystemNames();
  const ask = (key: string): Promise<readonly string[] | null> => new Promise((resolve) => system.ask(key, resolve));
  const addresses = await ask('localhost');
  assert.ok(addresses !== null && addresses.some((address) => address === '127.0.0.1' || address === '::1'));
  for (const key of ['1234', '127.1', '0x7f000001', 'a.0x1', String.raw`a\046b`, 'a..b', ''])
    assert.deepEqual(await ask(key), [], key);
  const many = await Promise.all(Array.from({ length: 40 }, () => ask('localhost')));
  assert.equal(many.filter((found) => found === null).length, 40 - 16);
});
