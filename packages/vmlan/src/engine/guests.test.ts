import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LoopbackLink } from '../links/loopback.ts';
import { echo, pattern, sink } from '../sys/fake/services.ts';
import { TYPE } from '../wire/dns.ts';
import { EngineBench, USER_MODE } from './bench.fixture.ts';
import type { BenchGuest } from './guest.fixture.ts';
import { MAX_PORTS } from './guests.ts';
import { TcpBench } from './tcp-bench.fixture.ts';

const MAC = '52:54:00:aa:bb:cc';

/** Names of guests with their NICs, as the snapshot has them. */
const names = (bench: EngineBench): string[] => bench.snapshot().guests.map(({ guest, nic }) => `${guest} ${nic}`);
const kinds = (bench: EngineBench): string[] => bench.events().map(({ kind }) => kind);

describe('a registered guest', () => {
  test('has its names while it is there', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const other = bench.guest('other');
    for (const name of ['web', 'web.lab.internal', 'web.vmlan.internal', 'lima-web.internal']) {
      assert.deepEqual(other.addressesOf(name), ['192.168.104.2'], name);
      assert.deepEqual(other.addressesOf(name, TYPE.AAAA), ['fd00:1:2:3::2'], name);
    }
    assert.match(other.resolves('2.104.168.192.in-addr.arpa', TYPE.PTR), / PTR \d+ web\.lab\.internal\.?$/);
    web.unplug();
    assert.match(other.resolves('web'), /^(SERVFAIL|NXDOMAIN|REFUSED|$)/);
    assert.match(other.resolves('web.lab.internal'), /^NXDOMAIN/);
    web.plug();
    assert.match(other.resolves('web.lab.internal'), /^NXDOMAIN/, 'until it is seen');
    web.announces();
    assert.deepEqual(other.addressesOf('web'), ['192.168.104.2']);
  });

  test('is told of: up, changed, down', () => {
    const bench = new EngineBench();
    bench.events();
    const web = bench.guest('web');
    assert.deepEqual(kinds(bench), ['guest-up', 'guest-changed', 'guest-changed']);
    const snapshot = bench.guestOf('web')!;
    assert.equal(snapshot.state, 'connected');
    assert.deepEqual(snapshot.address4, ['192.168.104.2']);
    assert.deepEqual(snapshot.address6, ['fd00:1:2:3::2']);
    assert.equal(snapshot.mac, web.mac);
    assert.equal(snapshot.link, 'none', 'a loopback link is none that has a name');
    web.unplug();
    const [down, ...more] = bench.events();
    assert.equal(down?.kind === 'guest-down' && down.guest.state, 'waiting');
    assert.deepEqual(more, []);
    assert.deepEqual(bench.guestOf('web')?.state, 'waiting');
  });

  test('its lease comes first among its addresses, and is known while it is away', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const other = bench.guest('other');
    assert.equal(web.obtainsLease(), '192.168.104.100');
    web.announces();
    assert.deepEqual(other.addressesOf('web'), ['192.168.104.100', '192.168.104.2']);
    web.unplug();
    assert.deepEqual(bench.guestOf('web')?.address4, ['192.168.104.100']);
    web.plug();
    web.announces();
    assert.deepEqual(other.addressesOf('web'), ['192.168.104.100']);
  });

  test('of another name: the old one is nobody’s, and its forwards wait', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const other = bench.guest('other');
    const forwards = [
      { id: 'old', port: 8001, host: 'web' },
      { id: 'new', port: 8002, host: 'www' },
    ];
    for (const { id, port, host } of forwards) {
      const listen = { host: '127.0.0.1', port };
      const target = { host, port: 80 };
      bench.request({ type: 'add-forward', forward: { id, protocol: 'tcp', direction: 'host', listen, target } });
    }
    const states = (): string[] => bench.snapshot().forwards.map(({ state }) => state);
    assert.deepEqual(states(), ['listening', 'waiting-for-guest']);
    bench.request({ type: 'set-nic', nic: { key: 'web/0', guest: 'www', mac: web.mac, connected: true } });
    assert.deepEqual(other.addressesOf('www'), ['192.168.104.2']);
    assert.match(other.resolves('web.lab.internal'), /^NXDOMAIN/);
    assert.deepEqual(states(), ['waiting-for-guest', 'listening']);
  });

  test('on a shared socket is known by its MAC', () => {
    const bench = new EngineBench();
    bench.setNic('db/0', MAC);
    const guest = bench.stranger({ mac: MAC });
    guest.announces();
    assert.deepEqual(names(bench), ['db db/0']);
    assert.equal(bench.guestOf('db')?.state, 'connected');
    guest.unplug();
    guest.plug();
    guest.announces();
    assert.deepEqual(names(bench), ['db db/0'], 'again');
  });

  test('removed while its link is up, and registered again, is that guest again', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    bench.request({ type: 'remove-nic', key: 'web/0' });
    assert.deepEqual(names(bench), []);
    bench.setNic('web/0', web.mac);
    assert.equal(bench.guestOf('web')?.state, 'connected');
    web.announces();
    assert.deepEqual(bench.guestOf('web')?.address4, ['192.168.104.2']);
    bench.request({ type: 'remove-nic', key: 'nobody/0' });
  });
});

describe('a guest with two NICs on the network', () => {
  function twofold(): { bench: EngineBench; first: BenchGuest; second: BenchGuest; other: BenchGuest } {
    const bench = new EngineBench();
    const first = bench.guest('web');
    const second = bench.guest('web', { nic: 'web/1' });
    return { bench, first, second, other: bench.guest('other') };
  }

  test('has the addresses of both under its name', () => {
    const { other } = twofold();
    assert.deepEqual(other.addressesOf('web').sort(), ['192.168.104.2', '192.168.104.3']);
    assert.deepEqual(other.addressesOf('web', TYPE.AAAA).sort(), ['fd00:1:2:3::2', 'fd00:1:2:3::3']);
  });

  test('that loses one keeps the other’s', () => {
    const { bench, first, second, other } = twofold();
    second.unplug();
    assert.deepEqual(other.addressesOf('web'), ['192.168.104.2']);
    second.plug();
    second.announces();
    first.unplug();
    assert.deepEqual(other.addressesOf('web'), ['192.168.104.3']);
    bench.request({ type: 'remove-nic', key: 'web/0' });
    assert.deepEqual(other.addressesOf('web'), ['192.168.104.3']);
    bench.setNic('web/1', second.mac, false);
    assert.deepEqual(other.addressesOf('web'), []);
  });

  test('is reached by a forward over the one that is there', () => {
    const { bench, first } = twofold();
    const listen = { host: '127.0.0.1', port: 8001 };
    const target = { host: 'web', port: 80 };
    bench.request({ type: 'add-forward', forward: { id: 'f', protocol: 'tcp', direction: 'host', listen, target } });
    first.unplug();
    assert.equal(bench.snapshot().forwards[0]?.state, 'listening');
  });
});

describe('a guest that nobody registered', () => {
  test('is called by its MAC, then as it calls itself', () => {
    const bench = new EngineBench();
    const guest = bench.stranger({ mac: MAC });
    assert.deepEqual(names(bench), [], 'nobody yet');
    guest.announces();
    assert.deepEqual(names(bench), ['guest-525400aabbcc mac:52:54:00:aa:bb:cc']);
    guest.obtainsLease({ hostname: 'Laptop' });
    assert.deepEqual(names(bench), ['laptop mac:52:54:00:aa:bb:cc']);
    const other = bench.guest('other');
    assert.deepEqual(other.addressesOf('laptop')[0], '192.168.104.100');
    assert.match(other.resolves('guest-525400aabbcc.lab.internal'), /^NXDOMAIN/);
    guest.unplug();
    assert.deepEqual(names(bench), ['other other/0'], 'and forgotten when it goes');
  });

  test('does not take the name of another', () => {
    const bench = new EngineBench();
    bench.guest('db');
    const first = bench.stranger();
    const second = bench.stranger();
    first.obtainsLease({ hostname: 'db' });
    second.obtainsLease({ hostname: 'laptop' });
    const third = bench.stranger();
    third.obtainsLease({ hostname: 'laptop' });
    assert.deepEqual(
      bench.snapshot().guests.map(({ guest, hostname }) => `${guest} ${hostname}`),
      ['db null', 'guest-525400000003 db', 'laptop laptop', 'guest-525400000005 laptop'],
    );
    assert.deepEqual(first.addressesOf('db'), ['192.168.104.2']);
  });

  test('gives a name up when it is registered for somebody else', () => {
    const bench = new EngineBench();
    const thief = bench.stranger({ mac: MAC });
    thief.obtainsLease({ hostname: 'db' });
    assert.equal(bench.guestOf('db')?.nic, `mac:${MAC}`);
    const db = bench.guest('db', { address4: '192.168.104.20' });
    assert.deepEqual(names(bench), [`guest-525400aabbcc mac:${MAC}`, 'db db/0']);
    assert.deepEqual(thief.addressesOf('db'), ['192.168.104.20']);
    thief.announces();
    thief.obtainsLease({ hostname: 'db' });
    assert.deepEqual(db.addressesOf('db'), ['192.168.104.20'], 'and does not get it back');
    assert.deepEqual(db.addressesOf('guest-525400aabbcc'), [thief.address4]);
  });

  test('nor keeps the one that is made of another’s MAC', () => {
    const bench = new EngineBench();
    const thief = bench.stranger();
    thief.obtainsLease({ hostname: 'guest-525400aabbcc' });
    const owner = bench.stranger({ mac: MAC });
    owner.announces();
    assert.equal(bench.guestOf('guest-525400aabbcc')?.nic, `mac:${MAC}`);
    assert.deepEqual(thief.addressesOf('guest-525400aabbcc'), [owner.address4]);
  });
});

describe('two guests with one MAC', () => {
  test('are told apart: each has its lease, its name and its traffic', () => {
    const bench = new EngineBench();
    bench.kernel.host('198.51.100.7').listenUdp(7, (datagram) => datagram.reply(datagram.payload));
    const twins = [bench.stranger({ mac: MAC }), bench.stranger({ mac: MAC })];
    const leases = twins.map((twin, i) => twin.obtainsLease({ hostname: `twin${i}` }));
    assert.deepEqual(leases, ['192.168.104.100', '192.168.104.101']);
    for (const twin of twins) twin.announces();
    const [first, second] = bench.snapshot().guests;
    assert.deepEqual([first?.guest, second?.guest], ['twin0', 'twin1']);
    assert.deepEqual([first?.mac, second?.mac], [MAC, MAC]);
    assert.equal(first?.aliasMac, null);
    assert.match(second?.aliasMac ?? '', /^02:76:6c:/);
    for (const [i, twin] of twins.entries()) {
      twin.says(twin.udp('198.51.100.7', 7, `I am ${i}`));
      bench.passes(10);
      assert.deepEqual(twin.texts(), [`I am ${i}`]);
    }
    for (const twin of twins) twin.unplug();
    for (const twin of twins.toReversed()) {
      twin.plug();
      assert.notEqual(twin.obtainsLease(), null);
    }
  });

  test('registered: each by its own socket', () => {
    const bench = new EngineBench();
    const a = bench.guest('a', { mac: MAC });
    const b = bench.guest('b', { mac: MAC });
    assert.deepEqual([a.obtainsLease(), b.obtainsLease()], ['192.168.104.100', '192.168.104.101']);
    assert.deepEqual(a.addressesOf('b')[0], '192.168.104.101');
  });

  test('one registered, one not: who comes by its own MAC is the registered one', () => {
    const bench = new EngineBench();
    bench.setNic('db/0', MAC);
    const first = bench.stranger({ mac: MAC });
    const second = bench.stranger({ mac: MAC });
    first.obtainsLease();
    second.obtainsLease();
    const keys = bench.snapshot().guests.map(({ nic }) => nic);
    assert.equal(keys[0], 'db/0');
    assert.match(keys[1] ?? '', /^mac:02:76:6c:/);
  });
});

describe('stations bridged behind one port', () => {
  test('have leases of their own, the NIC keeps its own', () => {
    const bench = new EngineBench();
    const outer = bench.guest('outer');
    const inner = ['52:54:00:00:01:01', '52:54:00:00:01:02'];
    assert.equal(outer.obtainsLease(), '192.168.104.100');
    assert.equal(outer.obtainsLease({ mac: inner[0]! }), '192.168.104.101');
    assert.equal(outer.obtainsLease({ mac: inner[1]! }), '192.168.104.102');
    assert.equal(outer.obtainsLease({ mac: inner[0]! }), '192.168.104.101');
    assert.equal(outer.obtainsLease(), '192.168.104.100');
    const leases = bench.snapshot().leases as { nic: string }[];
    assert.deepEqual(
      leases.map(({ nic }) => nic),
      ['outer/0', ...inner.map((mac) => `outer/0+${mac}`)],
    );
    outer.unplug();
    const gone = bench.snapshot().leases as { goneMs: number | null }[];
    assert.ok(gone.every(({ goneMs }) => goneMs !== null));
  });

  test('are a bounded number', () => {
    const bench = new EngineBench();
    const outer = bench.guest('outer');
    for (let i = 0; i < 200; i++) {
      const mac = `52:54:00:00:02:${i.toString(16).padStart(2, '0')}`;
      outer.says(outer.dhcpFrame(1, [], mac));
      bench.passes(1000);
    }
    assert.ok(bench.engine.guests.nicByKey('outer/0')!.stations.size <= 64);
    assert.ok((bench.snapshot().leases as unknown[]).length <= 101, 'no more than the pool');
  });
});

describe('a NIC whose cable is pulled', () => {
  test('neither sends nor receives, at once', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    const other = bench.guest('other');
    web.frames = [];
    web.says(web.echo('192.168.104.1'));
    assert.equal(web.hears().length, 1);
    bench.setNic('web/0', web.mac, false);
    assert.equal(bench.guestOf('web')?.state, 'disconnected');
    assert.match(other.resolves('web.lab.internal'), /^NXDOMAIN/);
    web.says(web.echo('192.168.104.1'), web.arp('192.168.104.1'));
    other.says(other.arp('192.168.104.2'));
    assert.deepEqual(web.hears(), []);
    assert.equal(bench.counter('drop_nic_disconnected'), 2);
    bench.setNic('web/0', web.mac, true);
    assert.deepEqual(other.addressesOf('web.lab.internal'), ['192.168.104.2']);
    web.says(web.echo('192.168.104.1'));
    assert.equal(web.hears().length, 1);
  });

  test('comes up pulled when it was registered so', () => {
    const bench = new EngineBench();
    bench.setNic('web/0', MAC, false);
    const guest = bench.stranger({ mac: MAC });
    guest.announces();
    guest.says(guest.echo('192.168.104.1'));
    assert.deepEqual(guest.hears(), []);
  });

  test('lets its conversations wait, and go on', () => {
    const lab = new TcpBench();
    const bytes = 400_000;
    lab.bench.kernel.host('198.51.100.7').listenTcp(7, echo());
    const { guest } = lab.station();
    const connection = lab.connect('198.51.100.7', 7);
    connection.write(pattern(bytes));
    connection.end();
    lab.run(() => connection.received > 20_000);
    lab.bench.setNic('web/0', guest.mac, false);
    const turns = lab.bench.counter('loop_turns');
    const { received } = connection;
    lab.passes(20_000);
    assert.equal(connection.received, received);
    const cost = lab.bench.counter('loop_turns') - turns;
    assert.ok(cost < 1_000, `and costs next to nothing meanwhile: ${cost} turns`);
    lab.bench.setNic('web/0', guest.mac, true);
    lab.run(() => connection.ended);
    assert.equal(connection.received, bytes);
  });
});

describe('a guest that goes', () => {
  test('for longer than its grace: the host’s connections are reset', () => {
    const lab = new TcpBench();
    const listener = lab.bench.kernel.host('198.51.100.7').listenTcp(80, sink());
    const { guest } = lab.station();
    const connection = lab.connect('198.51.100.7', 80);
    connection.write(pattern(1000));
    lab.run(() => listener.connections[0]?.received === 1000);
    guest.unplug();
    lab.passes(4_900);
    assert.equal(lab.bench.engine.tcp.size, 1);
    lab.passes(200);
    assert.equal(lab.bench.engine.tcp.size, 0);
    assert.notEqual(listener.connections[0]!.error, 0);
    assert.deepEqual(lab.bench.openFds(), []);
  });

  test('and comes back twice within a moment is the same guest', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    for (let i = 0; i < 20; i++) {
      web.unplug();
      web.plug();
    }
    web.announces();
    assert.equal(bench.guestOf('web')?.state, 'connected');
    bench.passes(10_000);
    assert.equal(bench.guestOf('web')?.state, 'connected');
    web.says(web.echo('192.168.104.1'));
    assert.equal(web.hears().length, 1);
  });

  test('without having said a word is nobody', () => {
    const bench = new EngineBench();
    const guest = bench.stranger();
    guest.unplug();
    bench.passes(6_000);
    assert.deepEqual(bench.snapshot().guests, []);
    assert.equal(bench.engine.guests.portCount, 0);
  });
});

describe('limits', () => {
  test('links beyond the bound carry nothing, and a place that is free again is taken', () => {
    for (const config of [{}, USER_MODE]) {
      const bench = new EngineBench({ config, arenaBytes: 300 << 20 });
      const input = { onFrame: () => {}, restMs: () => 0, onUp: () => {}, onDown: () => {} };
      const link = new LoopbackLink(bench.sys.arena, input, () => {});
      const add = (i: number) => bench.engine.addPort(link, `g${i}/0`, false);
      const ports = Array.from({ length: MAX_PORTS }, (_, i) => add(i)!);
      assert.ok(ports.every((port) => port !== null));
      assert.equal(add(5000), null);
      bench.engine.removePort(ports[7]!);
      bench.engine.removePort(ports[7]!); // twice is once
      assert.notEqual(add(5001), null);
      assert.equal(bench.engine.guests.portCount, MAX_PORTS);
    }
  });

  test('addresses of a NIC', () => {
    const bench = new EngineBench({ config: { guards: false } });
    const web = bench.guest('web');
    for (let i = 0; i < 200; i++) {
      web.address4 = `192.168.104.${2 + i}`;
      web.announces();
    }
    const { address4, address6 } = bench.guestOf('web')!;
    assert.ok(address4.length + address6.length <= 16);
    assert.ok(bench.counter('guest_addresses_not_noticed') > 100);
  });
});
