/**
 * The engine as a whole: what the control plane asks of it, DNS upstream, the IPv6 route, segments, the end.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as C from '../sys/constants.ts';
import { FakeKernel } from '../sys/fake/kernel.ts';
import { udpEcho } from '../sys/fake/services.ts';
import { TYPE } from '../wire/dns.ts';
import { makeQuery, makeReply, showReply } from '../wire/dns.fixture.ts';
import { EngineBench, USER_MODE } from './bench.fixture.ts';
import { CONFIG } from './config.fixture.ts';
import type { AllocatedAddress } from './control-messages.ts';
import { MAX_DNS_STREAMS } from './dns-stream.ts';
import { lineOf } from './guest.fixture.ts';
import { NetworkEngine } from './network-engine.ts';
import { TcpBench } from './tcp-bench.fixture.ts';
import { MAX_QUESTIONS, UpstreamQuestions } from './upstream-questions.ts';

const GATEWAY = '192.168.104.1';
const MAC = '52:54:00:00:00:77';

describe('allocate', () => {
  const allocate = (bench: EngineBench, nic = 'ns/0', mac = MAC): AllocatedAddress =>
    bench.request({ type: 'allocate', nic, mac }) as AllocatedAddress;

  test('gives a NIC its address and what else a namespace needs, the same each time', () => {
    const bench = new EngineBench();
    bench.setNic('ns/0', MAC);
    const first = allocate(bench);
    assert.deepEqual(first, {
      address4: '192.168.104.100',
      prefix4: 24,
      gateway4: GATEWAY,
      dns: GATEWAY,
      gateway6: 'fd00:1:2:3::1',
      prefix6: 'fd00:1:2:3::/64',
      mtu: 1500,
      searchDomains: ['lab.internal'],
    });
    assert.deepEqual(allocate(bench), first);
    assert.equal(allocate(bench, 'other/0', '52:54:00:00:00:78').address4, '192.168.104.101');
  });

  test('answers when the lease is stored, not before', () => {
    const bench = new EngineBench();
    bench.holdsLeases = true;
    const id = bench.post({ type: 'allocate', nic: 'ns/0', mac: MAC });
    bench.passes(1000);
    assert.equal(bench.hasAnswered(id), false);
    bench.storesLeases();
    assert.equal((bench.answer(id) as AllocatedAddress).address4, '192.168.104.100');
  });

  test('keeps to the address that a NIC was given', () => {
    const bench = new EngineBench();
    const nic = { key: 'ns/0', guest: 'ns', mac: MAC, connected: true, ip: '192.168.104.20' };
    bench.request({ type: 'set-nic', nic });
    assert.equal(allocate(bench).address4, '192.168.104.20');
  });

  test('without IPv4, or where the gateway routes nothing', () => {
    const none = allocate(new EngineBench({ config: { ipv4: null } }));
    assert.deepEqual([none.address4, none.gateway4, none.dns], [null, null, null]);
    assert.equal(none.prefix6, 'fd00:1:2:3::/64');
    const closed = { ...CONFIG.ipv4!, announceRouter: false };
    const own = allocate(new EngineBench({ config: { ipv4: closed, ipv6: null } }));
    assert.deepEqual([own.address4, own.gateway4, own.gateway6], ['192.168.104.100', null, null]);
  });

  test('says when there is none left, when the MAC is none, when nothing is stored', () => {
    const two = { ...CONFIG.ipv4!, poolEnd: '192.168.104.101' };
    const bench = new EngineBench({ config: { ipv4: two } });
    for (const i of [1, 2]) bench.guest(`g${i}`).obtainsLease();
    assert.throws(() => allocate(bench), { code: 'exhausted' });
    assert.throws(() => allocate(bench, 'ns/0', 'no MAC'), { code: 'internal' });
  });
});

describe('names', () => {
  test('of the world are asked upstream once, and remembered until the resolver changes', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    let asked = 0;
    bench.resolver = (query) => {
      asked++;
      return makeReply(query, [`example.com A 300 203.0.113.${asked}`]);
    };
    assert.deepEqual(web.addressesOf('example.com'), ['203.0.113.1']);
    assert.deepEqual(web.addressesOf('example.com'), ['203.0.113.1']);
    assert.equal(asked, 1);
    bench.engine.handle({ type: 'dns-changed' });
    assert.deepEqual(web.addressesOf('example.com'), ['203.0.113.2']);
  });

  test('answer later, and to who asked, or fail after ten seconds', () => {
    const bench = new EngineBench();
    const guests = [bench.guest('a'), bench.guest('b')];
    bench.resolver = () => undefined;
    for (const [i, guest] of guests.entries()) {
      guest.says(guest.udp(GATEWAY, 53, makeQuery(`n${i}.example`, TYPE.A), 5300 + i));
    }
    const asked = bench.messages.filter((message) => message.type === 'dns-query');
    assert.equal(asked.length, 2);
    const { queryId, query } = asked[1]!;
    bench.engine.handle({ type: 'dns-reply', queryId, reply: makeReply(query, []) });
    bench.engine.handle({ type: 'dns-reply', queryId, reply: makeReply(query, []) }); // twice is once
    bench.engine.handle({ type: 'dns-reply', queryId: 9999, reply: null });
    assert.equal(guests[1]!.payloads(5301).length, 1);
    assert.deepEqual(guests[0]!.payloads(5300), []);
    bench.passes(10_100);
    assert.match(showReply(guests[0]!.payloads(5300)[0]), /^SERVFAIL/);
  });

  test('by TCP, at every address of the gateway', () => {
    const lab = new TcpBench();
    lab.bench.resolver = (query) => makeReply(query, ['example.com A 300 203.0.113.7']);
    for (const gateway of [GATEWAY, 'fd00:1:2:3::1']) {
      const connection = lab.connect(gateway, 53);
      let heard = new Uint8Array(0);
      connection.onData = (bytes) => (heard = new Uint8Array(Buffer.concat([heard, bytes])));
      const query = makeQuery('example.com', TYPE.A);
      connection.write(Uint8Array.from([query.length >> 8, query.length, ...query]));
      connection.end();
      lab.run(() => connection.ended);
      assert.match(showReply(heard.subarray(2)), / A 300 203\.0\.113\.7$/);
    }
    lab.passes(15_000);
    assert.deepEqual(lab.bench.openFds(), []);
  });

  test('by TCP, too many at once: further ones are closed', () => {
    const lab = new TcpBench();
    const connections = Array.from({ length: MAX_DNS_STREAMS + 3 }, () => lab.connect(GATEWAY, 53));
    lab.run(() => connections.filter(({ ended }) => ended).length === 3);
    assert.equal(connections.filter(({ ended }) => !ended).length, MAX_DNS_STREAMS);
    for (const connection of connections) connection.abort();
    lab.passes(100);
    const next = lab.connect(GATEWAY, 53);
    lab.passes(1000);
    assert.equal(next.ended, false, 'there is room again');
  });

  test('of the user hold at once, for all segments', () => {
    for (const config of [{}, USER_MODE]) {
      const bench = new EngineBench({ config });
      const early = bench.guest('early');
      const set = (value: string): void =>
        void bench.request({ type: 'set-records', records: [{ name: 'db.example', type: 'A', value }] });
      set('10.0.0.1');
      const late = bench.guest('late');
      for (const guest of [early, late]) assert.deepEqual(guest.addressesOf('db.example'), ['10.0.0.1']);
      assert.throws(() => set('junk'), { name: 'VmlanError' });
      for (const guest of [early, late]) assert.deepEqual(guest.addressesOf('db.example'), ['10.0.0.1']);
    }
  });

  test('without upstream are refused', () => {
    const dns = { ...CONFIG.dns, upstream: 'none' as const };
    const web = new EngineBench({ config: { dns } }).guest('web');
    assert.match(web.resolves('example.com'), /^REFUSED/);
    assert.deepEqual(web.addressesOf('web'), ['192.168.104.2']);
  });

  test('upstream has a bound', () => {
    const sent: number[] = [];
    const failed: number[] = [];
    const questions = new UpstreamQuestions((message) => {
      if (message.type === 'dns-query') sent.push(message.queryId);
    });
    const onUpstreamReply = (id: number, reply: Uint8Array | null): void => {
      assert.equal(reply, null);
      failed.push(id);
    };
    const host = { dns: { onUpstreamReply } } as unknown as Parameters<UpstreamQuestions['ask']>[0];
    for (let i = 0; i < MAX_QUESTIONS + 2; i++) questions.ask(host, i, new Uint8Array(0), 0);
    assert.equal(sent.length, MAX_QUESTIONS);
    assert.deepEqual(failed, [MAX_QUESTIONS, MAX_QUESTIONS + 1]);
    questions.onReply(sent[0]!, null, 0);
    questions.ask(host, 7, new Uint8Array(0), 0);
    assert.equal(sent.length, MAX_QUESTIONS + 1);
  });
});

describe('the host’s way out over IPv6', () => {
  test('comes and goes: guests hear within two seconds', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    bench.passes(20_000);
    assert.equal(web.routerLifetimes().at(-1), 1800);
    assert.equal(bench.snapshot().ipv6Reachable, true);
    for (const isThere of [false, true, false]) {
      bench.passes(20_000);
      web.frames = [];
      bench.events();
      bench.kernel.setRoute('ipv6', isThere);
      bench.passes(2_100);
      assert.equal(web.routerLifetimes().at(-1), isThere ? 1800 : 0);
      assert.deepEqual(bench.events(), [{ kind: 'ipv6-reachable', reachable: isThere }]);
    }
  });

  test('a guest that solicits is answered at once, a new one hears unasked', () => {
    const bench = new EngineBench();
    bench.passes(20_000);
    const web = bench.guest('web');
    web.says(web.routerSolicit());
    assert.deepEqual(web.routerLifetimes(), [1800]);
  });

  test('is none of the guests’ where nothing leads outward', () => {
    const bench = new EngineBench({ config: { outward: false } });
    const web = bench.guest('web');
    web.says(web.routerSolicit());
    assert.ok(web.routerLifetimes().every((lifetime) => lifetime === 0));
  });

  test('is not looked for in a network without IPv6', () => {
    const bench = new EngineBench({ config: { ipv6: null } });
    bench.passes(10_000);
    assert.equal(bench.snapshot().ipv6Reachable, false);
    assert.deepEqual(bench.events(), []);
  });
});

describe('mode user: a segment for each guest', () => {
  test('all have one address, and none hears another', () => {
    const bench = new EngineBench({ config: USER_MODE });
    bench.kernel.host('198.51.100.7').listenUdp(7, udpEcho());
    const [a, b] = [bench.guest('a'), bench.guest('b')];
    assert.deepEqual([a.obtainsLease(), b.obtainsLease()], ['192.168.5.15', '192.168.5.15']);
    for (const guest of [a, b]) guest.announces();
    a.says(a.udp('198.51.100.7', 7, 'from a'));
    b.says(b.udp('198.51.100.7', 7, 'from b'));
    bench.passes(10);
    assert.deepEqual([a.texts(), b.texts()], [['from a'], ['from b']]);
    a.says(a.arp('192.168.5.15'));
    assert.deepEqual(b.hears(), []);
    assert.deepEqual(a.addressesOf('b'), [], 'nor has it a name there');
  });

  test('the second address answers DNS and nothing else', () => {
    const bench = new EngineBench({ config: USER_MODE });
    const web = bench.guest('web');
    web.says(web.udp('192.168.5.3', 53, makeQuery('web', TYPE.A)));
    assert.equal(web.payloads().length, 1);
    web.says(web.udp('192.168.5.3', 54, 'hello'));
    assert.match(web.hears()[0] ?? '', / icmp type 3 code 3 /);
  });

  test('is the same segment within the grace, another after it', () => {
    const bench = new EngineBench({ config: USER_MODE });
    const web = bench.guest('web');
    const segment = (): number => bench.engine.guests.hostOf(web.port!)!.id;
    const first = segment();
    web.unplug();
    bench.passes(4_000);
    web.plug();
    assert.equal(segment(), first);
    bench.passes(10_000);
    web.announces();
    web.says(web.echo('192.168.5.2'));
    assert.equal(web.hears().length, 1, 'and it outlives the port that went');
    web.unplug();
    bench.passes(6_000);
    web.plug();
    assert.notEqual(segment(), first);
  });

  test('guests that nobody registered have theirs, too, and leave nothing', () => {
    const bench = new EngineBench({ config: USER_MODE });
    for (let i = 0; i < 20; i++) {
      const guest = bench.stranger();
      assert.equal(guest.obtainsLease(), '192.168.5.15');
      guest.unplug();
      bench.passes(300);
    }
    bench.passes(6_000);
    assert.equal(bench.engine.guests.portCount, 0);
    assert.equal(bench.engine.pollAt(bench.kernel.now) - bench.kernel.now <= 2_000, true);
  });

  test('the IPv6 route holds for segments that come later', () => {
    const bench = new EngineBench({ config: USER_MODE });
    bench.kernel.setRoute('ipv6', false);
    bench.passes(2_100);
    const web = bench.guest('web');
    web.says(web.routerSolicit());
    assert.ok(web.routerLifetimes().every((lifetime) => lifetime === 0));
    bench.kernel.setRoute('ipv6', true);
    bench.passes(6_000);
    assert.equal(web.routerLifetimes().at(-1), 1800);
  });
});

describe('other modes', () => {
  test('isolated: addresses and each other, nothing of the gateway', () => {
    const bench = new EngineBench({ config: { mode: 'isolated', outward: false, hostAccess: 'none' } });
    const [a, b] = [bench.guest('a'), bench.guest('b')];
    assert.equal(a.obtainsLease(), '192.168.104.100');
    a.announces();
    b.frames = [];
    a.says(a.arp('192.168.104.3'));
    assert.deepEqual(b.hears(), ['ARP who-has 192.168.104.3 tell 192.168.104.100']);
    a.says(a.echo('198.51.100.7'), a.echo(GATEWAY), a.udp(GATEWAY, 53, makeQuery('b', TYPE.A)));
    assert.deepEqual(a.hears(), []);
  });

  test('isolated without addresses: a switch', () => {
    const bench = new EngineBench({ config: { mode: 'isolated', ipv4: null, ipv6: null, guards: false } });
    const [a, b] = [bench.guest('a'), bench.guest('b')];
    a.address4 = '10.0.0.1';
    a.says(a.arp('10.0.0.2'));
    assert.deepEqual(b.hears(), ['ARP who-has 10.0.0.2 tell 10.0.0.1']);
    assert.deepEqual(a.hears(), []);
    a.unplug();
    bench.passes(6_000);
  });

  test('isolation of guests', () => {
    const bench = new EngineBench({ config: { isolation: { guests: true } } });
    const [a, b] = [bench.guest('a'), bench.guest('b')];
    a.says(a.arp('192.168.104.3'));
    assert.deepEqual(b.hears(), []);
  });
});

describe('the end', () => {
  test('guests hear that the router goes, links and forwards end, nothing is left', () => {
    const bench = new EngineBench();
    const { client } = bench;
    bench.setNic('web/0', MAC);
    const address = { host: '127.0.0.1', port: 10_001 };
    bench.request({ type: 'add-link', linkId: 'l', link: { kind: 'stream-listen', address, nic: 'web/0' } });
    const listen = { host: '127.0.0.1', port: 8080 };
    const forward = { id: 'f', protocol: 'tcp', direction: 'host', listen, target: { host: 'web', port: 80 } } as const;
    bench.request({ type: 'add-forward', forward });
    const machine = client.dial('127.0.0.1', 10_001);
    bench.passes(10_000);
    client.recv(machine);
    assert.equal(bench.engine.stopped, false);
    bench.request({ type: 'stop' });
    assert.equal(bench.engine.stopped, true);
    const last = client.recv(machine);
    assert.ok(typeof last !== 'number' && last.length > 4, 'the last word left before the link did');
    assert.match(lineOf(last.subarray(4)), /router advert/);
    assert.equal(new DataView(last.buffer, last.byteOffset).getUint16(4 + 14 + 40 + 6), 0, 'with no lifetime');
    assert.equal((client.recv(machine) as Uint8Array).length, 0);
    client.sys.close(machine);
    assert.deepEqual(bench.openFds(), []);
  });

  test('run comes back', () => {
    const bench = new EngineBench();
    bench.kernel.after(5_000, () => bench.engine.handle({ type: 'stop', id: 1 }));
    bench.engine.run();
    assert.equal(bench.engine.stopped, true);
  });

  test('a network that cannot watch sockets is not built', () => {
    const kernel = new FakeKernel({ maxFds: 3, arenaBytes: 32 << 20 });
    const build = (): NetworkEngine =>
      new NetworkEngine(
        kernel.sys,
        CONFIG,
        () => {},
        () => 1,
      );
    assert.throws(build, { code: 'exhausted' });
  });
});

test('a command that cannot be done is answered, and the network goes on', () => {
  const bench = new EngineBench();
  const web = bench.guest('web');
  const nic = { key: 'bad/0', guest: 'bad', mac: 'no MAC', connected: true };
  assert.throws(() => bench.request({ type: 'set-nic', nic }), { code: 'internal' });
  assert.equal(bench.snapshot().guests.length, 1, 'nothing was changed');
  bench.kernel.fail('socket', { errno: C.EMFILE, times: 3 });
  bench.passes(6_000);
  web.frames = [];
  web.says(web.echo(GATEWAY));
  assert.equal(web.hears().length, 1);
});

test('lost fragments of guests are forgotten', () => {
  const bench = new EngineBench();
  const web = bench.guest('web');
  const frame = web.udp('198.51.100.7', 9, 'x'.repeat(64));
  frame[20] = 0x20; // more fragments
  const v = new DataView(frame.buffer);
  v.setUint16(24, 0);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += v.getUint16(at);
  v.setUint16(24, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  web.says(frame);
  bench.passes(70_000);
  assert.ok(Object.keys(bench.snapshot().counters).some((name) => /reassembly|fragment/.test(name)));
});
