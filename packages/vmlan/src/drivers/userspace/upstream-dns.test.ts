import assert from 'node:assert/strict';
import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { RCODE, TYPE, readUint16 } from '../../wire/dns.ts';
import { makeQuery, makeReply, showReply } from '../../wire/dns.fixture.ts';
import { NameServer, type Handler, type SeenQuery } from './name-server.fixture.ts';
import { BOTH, Bench, answerWith, failWith, silence, startServers } from './upstream-bench.fixture.ts';
import type { UpstreamDnsOptions } from './upstream-dns.ts';

test('a query goes out as it is and its reply comes back as it is, under other IDs and ports', async () => {
  await using server = await NameServer.start(({ bytes }) => [
    makeReply(bytes, ['example.com TYPE4711 60 00ff'], { edns: true, flags: 0xa5b0 }),
  ]);
  using bench = new Bench(server.port);
  const query = makeQuery('eXample.com', 4711, { id: 77, dnssecOk: true, udp: 1400 });
  for (let i = 0; i < 40; i++) {
    const reply = await bench.upstream.resolve(query);
    assert.deepEqual(reply, makeReply(query, ['example.com TYPE4711 60 00ff'], { edns: true, flags: 0xa5b0 }));
  }
  const ids = new Set(server.seen.map(({ bytes }) => readUint16(bytes, 0)));
  const ports = new Set(server.seen.map(({ port }) => port));
  assert.ok(ids.size > 35 && ports.size === 8, `${ids.size} ids, ${ports.size} ports`);
  for (const { bytes } of server.seen) assert.deepEqual(bytes.subarray(2), query.subarray(2));
  assert.deepEqual(bench.upstream.status().counters.fromServers, 40);
});

test('the hosts file comes first, for addresses and their names', async () => {
  await using server = await NameServer.start(answerWith());
  const hosts = '10.0.0.5 db.corp.example db\nfd00::5 db.corp.example\n10.0.0.6 four.example\n127.0.1.1 myhost.example';
  using bench = new Bench(server.port, { files: { hosts } });
  assert.equal(await bench.ask('DB.corp.example'), 'NOERROR | ra | DB.corp.example. A 5 10.0.0.5');
  assert.equal(await bench.ask('db.corp.example', TYPE.AAAA), 'NOERROR | ra | db.corp.example. AAAA 5 fd00::5');
  assert.equal(await bench.ask('db'), 'NOERROR | ra | db. A 5 10.0.0.5');
  assert.equal(await bench.ask('four.example', TYPE.AAAA), 'NOERROR | ra');
  assert.equal(
    await bench.ask('5.0.0.10.in-addr.arpa', TYPE.PTR),
    'NOERROR | ra | 5.0.0.10.in-addr.arpa. PTR 5 db.corp.example.',
  );
  const reply = await bench.upstream.resolve(makeQuery('db', TYPE.A, { edns: true }));
  assert.equal(showReply(reply), 'NOERROR | ra | db. A 5 10.0.0.5 | OPT');
  assert.equal(server.seen.length, 0);
  await bench.ask('db.corp.example', TYPE.MX); // not a matter of the hosts file
  await bench.ask('myhost.example'); // the host's own loopback is nothing to a guest
  await bench.upstream.resolve(makeQuery('db.corp.example', TYPE.A, { class: 3 }));
  assert.equal(server.seen.length, 3);
  assert.equal(bench.upstream.status().counters.fromHosts, 6);
});

test('what is loopback to the host is the stand-in to guests', async () => {
  const files = { hosts: '127.0.1.1 myhost app.test\n::1 myhost\n127.0.0.1 four.test\n10.0.0.9 four.test' };
  using bench = new Bench(9, { files, loopback: { address4: '192.168.105.1', address6: 'fd00::1' } });
  assert.equal(await bench.ask('app.test'), 'NOERROR | ra | app.test. A 5 192.168.105.1');
  assert.equal(await bench.ask('myhost', TYPE.AAAA), 'NOERROR | ra | myhost. AAAA 5 fd00::1');
  assert.equal(await bench.ask('four.test'), 'NOERROR | ra | four.test. A 5 192.168.105.1 | four.test. A 5 10.0.0.9');
});

test('a truncated answer is fetched by TCP', async () => {
  const records = Array.from({ length: 200 }, (_, i) => `big.example TXT 60 ${i} ${'x'.repeat(100)}`);
  await using server = await NameServer.start(({ bytes, transport }) =>
    transport === 'udp' ? [makeReply(bytes, [], { flags: 0x8380 })] : [makeReply(bytes, records)],
  );
  using bench = new Bench(server.port);
  const query = makeQuery('big.example', TYPE.TXT, { id: 5 });
  assert.deepEqual(await bench.upstream.resolve(query), makeReply(query, records));
  assert.equal(bench.upstream.status().counters.tcp, 1);
});

test('if TCP fails the truncated answer is better than none', async () => {
  const nonsense: Handler = ({ bytes, transport }) => [
    makeReply(transport === 'udp' ? bytes : makeQuery('other'), [], { flags: 0x8380 }),
  ];
  await using server = await NameServer.start(nonsense);
  using bench = new Bench(server.port, { files: { 'resolv.conf': 'nameserver 127.0.0.1\noptions attempts:1' } });
  assert.equal(await bench.ask('big.example'), 'NOERROR | tc ra');
});

test('a large query goes by TCP from the start', async () => {
  await using server = await NameServer.start(answerWith('example.com A 60 10.0.0.1'));
  using bench = new Bench(server.port);
  const padded = Uint8Array.from([
    ...makeQuery('example.com', TYPE.A, { edns: true }).subarray(0, -2),
    0x05,
    0x00,
    0,
    12,
    0x04,
    0xfc,
    ...new Uint8Array(1276),
  ]);
  assert.equal(showReply(await bench.upstream.resolve(padded)), 'NOERROR | ra | example.com. A 60 10.0.0.1');
  assert.deepEqual(
    server.seen.map(({ transport }) => transport),
    ['tcp'],
  );
});

test('a server in trouble is passed over at once', async () => {
  for (const rcode of [RCODE.SERVFAIL, RCODE.REFUSED, RCODE.NOTIMP, RCODE.FORMERR]) {
    await using servers = await startServers(failWith(rcode), answerWith('example.com A 60 10.0.0.2'));
    using bench = new Bench(servers[0]!.port, { files: { 'resolv.conf': BOTH } });
    assert.equal(await bench.ask('example.com'), 'NOERROR | ra | example.com. A 60 10.0.0.2');
  }
});

test('if all are in trouble the first one’s word is passed on, and nobody is asked twice', async () => {
  await using servers = await startServers(failWith(RCODE.REFUSED), failWith(RCODE.SERVFAIL));
  using bench = new Bench(servers[0]!.port, { files: { 'resolv.conf': BOTH } });
  assert.equal(await bench.ask('example.com'), 'REFUSED | ra');
  assert.deepEqual(
    servers.map(({ seen }) => seen.length),
    [1, 1],
  );
});

test('NXDOMAIN and empty answers are answers', async () => {
  await using servers = await startServers(
    ({ bytes }) => [makeReply(bytes, ['example SOA 60 . . 1 2 3 4 5'], { rcode: RCODE.NXDOMAIN })],
    silence,
  );
  using bench = new Bench(servers[0]!.port, { files: { 'resolv.conf': BOTH } });
  assert.equal(await bench.ask('no.example'), 'NXDOMAIN | ra | example. SOA 60');
  assert.equal(servers[1]!.seen.length, 0);
});

test('a silent server is passed over after a while, then tried last, until it speaks again', async () => {
  let speaks = false;
  const first: Handler = ({ bytes }) => (speaks ? [makeReply(bytes, ['example.com A 60 10.0.0.1'])] : []);
  await using servers = await startServers(first, answerWith('example.com A 60 10.0.0.2'));
  using bench = new Bench(servers[0]!.port, { timeoutMs: 30, files: { 'resolv.conf': BOTH } });
  const second = 'NOERROR | ra | example.com. A 60 10.0.0.2';
  assert.equal(await bench.ask('example.com'), second);
  assert.equal(await bench.ask('example.com'), second);
  assert.deepEqual([servers[0]!.seen.length, bench.upstream.status().counters.silent], [1, 1]);
  speaks = true;
  bench.nowMs += 31_000;
  assert.equal(await bench.ask('example.com'), 'NOERROR | ra | example.com. A 60 10.0.0.1');
});

test('a late answer still counts', async () => {
  // The first server answers only when the second has been asked.
  let release = (): void => {};
  const slow: Handler = ({ bytes, port }) => {
    release = () => servers[0]!.send(makeReply(bytes, ['example.com A 60 10.0.0.1']), port);
    return [];
  };
  const mute: Handler = () => {
    release();
    return [];
  };
  await using servers = await startServers(slow, mute);
  using bench = new Bench(servers[0]!.port, { timeoutMs: 20, files: { 'resolv.conf': BOTH } });
  assert.equal(await bench.ask('example.com'), 'NOERROR | ra | example.com. A 60 10.0.0.1');
  assert.equal(servers[1]!.seen.length, 1);
});

test('nobody answers: over at the deadline, after as many attempts as the file wants', async () => {
  await using server = await NameServer.start(silence);
  using bench = new Bench(server.port, { timeoutMs: 20, deadlineMs: 100 });
  assert.equal(await bench.ask('example.com'), 'nothing');
  assert.equal(server.seen.length, 2);
});

test('nobody listens: told at once by ICMP', async () => {
  const server = await NameServer.start(silence);
  await server[Symbol.asyncDispose]();
  using bench = new Bench(server.port, { deadlineMs: 60_000 });
  assert.equal(await bench.ask('example.com'), 'nothing');
  assert.equal(bench.upstream.status().counters.failed, 1);
});

test('after a pause the ports are others', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  await using server = await NameServer.start(answerWith('example.com A 60 10.0.0.1'));
  using bench = new Bench(server.port);
  await bench.ask('example.com');
  t.mock.timers.tick(5000); // used since the last look
  t.mock.timers.tick(5000);
  for (let i = 0; i < 8; i++) await bench.ask('example.com');
  const [before, ...after] = server.seen.map(({ port }) => port);
  assert.ok(!after.includes(before!));
});

test('forged replies are not taken', async () => {
  await using server = await NameServer.start(({ bytes }) => {
    const good = makeReply(bytes, ['example.com A 60 10.0.0.1']);
    const evil = makeReply(bytes, ['example.com A 60 6.6.6.6']);
    const patched = (offset: number, value: number): Uint8Array => {
      const copy = evil.slice();
      copy[offset] = value;
      return copy;
    };
    const otherName = makeReply(makeQuery('example.net', TYPE.A, { id: readUint16(bytes, 0) }), []);
    const otherType = makeReply(makeQuery('example.com', TYPE.MX, { id: readUint16(bytes, 0) }), []);
    return [
      patched(0, evil[0]! ^ 1),
      patched(1, evil[1]! ^ 1),
      patched(2, 1),
      patched(5, 2),
      patched(5, 0),
      otherName,
      otherType,
      evil.subarray(0, 11),
      evil.subarray(0, 1),
      good,
    ];
  });
  using bench = new Bench(server.port);
  assert.equal(await bench.ask('Example.com'), 'NOERROR | ra | Example.com. A 60 10.0.0.1');
});

test('an error without question is believed: old servers answer EDNS so', async () => {
  await using server = await NameServer.start(({ bytes }) => [
    Uint8Array.from([...bytes.subarray(0, 2), 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]),
  ]);
  using bench = new Bench(server.port);
  assert.equal(await bench.ask('example.com'), 'FORMERR | ra');
});

test('IPv6 name servers', async (t) => {
  await using server = await NameServer.start(answerWith('example.com A 60 10.0.0.6'), '::1').catch(() => null);
  if (server === null) return t.skip('no IPv6 loopback here');
  using bench = new Bench(server.port, { files: { 'resolv.conf': 'nameserver ::1' } });
  assert.equal(await bench.ask('example.com'), 'NOERROR | ra | example.com. A 60 10.0.0.6');
});

test('rotate spreads the questions', async () => {
  await using servers = await startServers(answerWith(), answerWith());
  using bench = new Bench(servers[0]!.port, { files: { 'resolv.conf': `${BOTH}\noptions rotate` } });
  for (let i = 0; i < 6; i++) await bench.ask(`n${i}.example`);
  assert.deepEqual(
    servers.map(({ seen }) => seen.length),
    [3, 3],
  );
});

test('changes of resolv.conf are followed: other, gone, back, by symbolic link', async () => {
  await using servers = await startServers(
    answerWith('example.com A 60 10.0.0.1'),
    answerWith('example.com A 60 10.0.0.2'),
  );
  using bench = new Bench(servers[0]!.port);
  const ask = async (): Promise<string> => {
    bench.later();
    return (await bench.ask('example.com')).replace(/.* /, '');
  };
  assert.equal(await ask(), '10.0.0.1');
  bench.write('resolv.conf', 'nameserver 127.0.0.2');
  assert.equal((await bench.ask('example.com')).replace(/.* /, ''), '10.0.0.1'); // not looked at so soon
  assert.equal(await ask(), '10.0.0.2');
  rmSync(bench.path('resolv.conf'));
  assert.equal(await ask(), 'nothing');
  assert.deepEqual(bench.upstream.status().servers, []);
  bench.write('one.conf', 'search corp.example\nnameserver 127.0.0.1');
  bench.write('two.conf', 'nameserver 127.0.0.2');
  symlinkSync('one.conf', bench.path('resolv.conf'));
  assert.equal(await ask(), '10.0.0.1');
  assert.deepEqual(bench.upstream.status().search, ['corp.example']);
  symlinkSync('two.conf', bench.path('new'));
  renameSync(bench.path('new'), bench.path('resolv.conf'));
  assert.equal(await ask(), '10.0.0.2');
  bench.write('two.conf', 'nameserver 127.0.0.1'); // the target changes, not the link
  assert.equal(await ask(), '10.0.0.1');
  assert.equal(bench.changes, 5);
  bench.write('hosts', '10.0.0.99 example.com');
  assert.equal(await ask(), '10.0.0.99');
  assert.equal(bench.changes, 6);
});

test('no servers, no files, own address, a folder instead of a file: no answer, and nobody asked', async () => {
  await using server = await NameServer.start(answerWith('example.com A 60 10.0.0.1'));
  const table: UpstreamDnsOptions[] = [
    {
      resolvConfPath: '/nonexistent/resolv.conf',
      hostsPath: '/nonexistent/hosts',
      nsswitchPath: '/nonexistent/nsswitch',
    },
    { resolvConfPath: tmpdir() },
    { ownAddresses: ['127.0.0.1'] },
  ];
  for (const options of table) {
    using bench = new Bench(server.port, options);
    assert.equal(await bench.ask('example.com'), 'nothing');
  }
  assert.equal(server.seen.length, 0);
});

test('what is on its way is bounded, can be given up, and ends with the whole', async () => {
  await using server = await NameServer.start(silence);
  using bench = new Bench(server.port, { maxInFlight: 3 });
  const query = makeQuery('example.com');
  const controller = new AbortController();
  const given = bench.upstream.resolve(query, controller.signal);
  const held = [bench.upstream.resolve(query), bench.upstream.resolve(query)];
  assert.equal(await bench.upstream.resolve(query), null);
  const { inFlight, counters } = bench.upstream.status();
  assert.deepEqual([inFlight, counters.overLimit], [3, 1]);
  controller.abort();
  assert.equal(await given, null);
  assert.equal(await bench.upstream.resolve(query, controller.signal), null);
  bench.upstream.close();
  assert.deepEqual(await Promise.all(held), [null, null]);
  assert.equal(await bench.upstream.resolve(query), null);
  assert.equal(bench.upstream.status().inFlight, 0);
});

test('what is no query is not sent', async () => {
  await using server = await NameServer.start(answerWith());
  using bench = new Bench(server.port);
  for (const bytes of [
    new Uint8Array(0),
    new Uint8Array(12),
    makeQuery('a.b').subarray(0, -1),
    makeReply(makeQuery('a.b'), []),
  ]) {
    assert.equal(await bench.upstream.resolve(bytes), null);
  }
  assert.equal(server.seen.length, 0);
});

test('a server removed while it is asked makes way for the next', async () => {
  await using servers = await startServers(silence, answerWith('example.com A 60 10.0.0.2'));
  using bench = new Bench(servers[0]!.port, { files: { 'resolv.conf': BOTH } });
  const waiting = bench.ask('example.com');
  bench.write('resolv.conf', 'nameserver 127.0.0.2');
  bench.later();
  assert.equal(await bench.ask('example.com'), 'NOERROR | ra | example.com. A 60 10.0.0.2');
  assert.equal(await waiting, 'NOERROR | ra | example.com. A 60 10.0.0.2');
});

test('TCP: chunks are joined, nonsense and early ends are no answer, connections are bounded', async () => {
  const reply = (query: SeenQuery): Uint8Array => makeReply(query.bytes, ['big.example TXT 60 hello']);
  await using udp = await NameServer.start((query) =>
    query.transport === 'udp' ? [makeReply(query.bytes, [], { flags: 0x8380 })] : [],
  );
  const port = udp.port;
  using bench = new Bench(port, {
    timeoutMs: 100,
    deadlineMs: 200,
    files: { 'resolv.conf': 'nameserver 127.0.0.1\noptions attempts:1' },
  });
  const many = await Promise.all(Array.from({ length: 40 }, (_, i) => bench.ask(`n${i}.example`)));
  assert.deepEqual(new Set(many), new Set(['NOERROR | tc ra']));
  assert.deepEqual([bench.upstream.status().counters.tcp, bench.upstream.status().counters.overLimit], [32, 8]);
  udp.replaceTcp((connection) => {
    connection.once('data', (chunk) => {
      const bytes = reply({ bytes: Uint8Array.from(chunk.subarray(2)), transport: 'tcp', port: 0 });
      connection.write(Uint8Array.of(0));
      setImmediate(() => connection.write(Uint8Array.of(bytes.length, ...bytes.subarray(0, 20))));
      setImmediate(() => setImmediate(() => connection.write(bytes.subarray(20))));
    });
  });
  bench.nowMs += 31_000;
  assert.equal(await bench.ask('big.example', TYPE.TXT), 'NOERROR | ra | big.example. TXT 60 "hello"');
  udp.replaceTcp((connection) => connection.destroy());
  assert.equal(await bench.ask('big.example', TYPE.TXT), 'NOERROR | tc ra');
});

test('thousands of queries need few sockets', async () => {
  await using server = await NameServer.start(answerWith('example.com A 60 10.0.0.1'));
  using bench = new Bench(server.port);
  let left = 4000;
  const worker = async (): Promise<void> => {
    while (left-- > 0) assert.equal(await bench.ask(`n${left}.example`), 'NOERROR | ra | example.com. A 60 10.0.0.1');
  };
  await Promise.all(Array.from({ length: 100 }, worker));
  const ports = new Set(server.seen.map(({ port }) => port));
  assert.ok(ports.size >= 8 && ports.size <= 4000 / 64 + 8, `${ports.size} ports`);
  assert.equal(bench.upstream.status().counters.silent, 0);
});

test('an unreadable address of a server is passed over', async () => {
  await using server = await NameServer.start(answerWith('example.com A 60 10.0.0.1'));
  const files = { 'resolv.conf': 'nameserver fe80::1%nosuchif\nnameserver 127.0.0.1' };
  using bench = new Bench(server.port, { files });
  assert.equal(await bench.ask('example.com'), 'NOERROR | ra | example.com. A 60 10.0.0.1');
});
