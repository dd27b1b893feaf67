/**
 * Forwards through the whole engine: from the host's clients to guests and from guests to the host.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';
import * as C from '../sys/constants.ts';
import { echo, pattern, speaksFirst, udpEcho } from '../sys/fake/services.ts';
import type { ScriptedConnection } from '../sys/fake/scripted-stream.ts';
import { EngineBench, USER_MODE } from './bench.fixture.ts';
import type { ForwardSpec, SocketAddress } from './control-messages.ts';
import { withSocketPath } from './socket-path.fixture.ts';
import { TcpBench, type TcpStation } from './tcp-bench.fixture.ts';

const CLIENT = '192.0.2.77';

interface Way {
  readonly id?: string;
  readonly protocol?: 'tcp' | 'udp';
  readonly direction?: 'host' | 'reverse';
}

const forward = (listen: SocketAddress, target: SocketAddress, way: Way = {}): ForwardSpec => ({
  id: 'f',
  protocol: 'tcp',
  direction: 'host',
  listen,
  target,
  ...way,
});
const at = (port: number, host = '0.0.0.0'): SocketAddress => ({ host, port });
const add = (bench: EngineBench, spec: ForwardSpec): void => void bench.request({ type: 'add-forward', forward: spec });
const remove = (bench: EngineBench, forwardId: string): void =>
  void bench.request({ type: 'remove-forward', forwardId });
const states = (bench: EngineBench): string[] => bench.snapshot().forwards.map(({ state }) => state);

/** A server in the guest that sends back what it gets. */
function serves(station: TcpStation, port: number): void {
  station.tcp.listen(port, (connection) => {
    connection.onData = (bytes) => connection.write(bytes);
    connection.onEnd = () => connection.end();
  });
}

/** A client of the host that says something, and hears until the end. */
function dials(lab: TcpBench, port: number, to = '192.0.2.10'): ScriptedConnection {
  const from = to.includes(':') ? '2001:db8::77' : to.startsWith('127.') ? '127.0.0.1' : CLIENT;
  return lab.bench.kernel.connectTcp({ from, to, port }, speaksFirst('hello'));
}

function hears(lab: TcpBench, client: ScriptedConnection): void {
  lab.run(() => client.received === 5 || client.closed, 5_000);
  assert.equal(client.error, 0);
  assert.equal(client.received, 5);
  client.end();
}

describe('a TCP forward', () => {
  test('by name: refused while the guest is away, there when it comes, gone when it goes', () => {
    const lab = new TcpBench();
    add(lab.bench, forward(at(8080), { host: 'web', port: 80 }));
    assert.deepEqual(states(lab.bench), ['waiting-for-guest']);
    const early = dials(lab, 8080);
    lab.passes(50);
    assert.equal(early.error, C.ECONNREFUSED);

    const station = lab.station();
    serves(station, 80);
    assert.deepEqual(states(lab.bench), ['listening']);
    hears(lab, dials(lab, 8080));
    assert.equal(lab.bench.snapshot().forwards[0]?.connections, 1);

    station.guest.unplug();
    assert.deepEqual(states(lab.bench), ['waiting-for-guest']);
    const late = dials(lab, 8080);
    lab.passes(50);
    assert.equal(late.error, C.ECONNREFUSED);
    station.guest.plug();
    station.guest.announces();
    hears(lab, dials(lab, 8080));
  });

  for (const [name, listen, to] of [
    ['any address', '0.0.0.0', '127.0.0.1'],
    ['loopback', '127.0.0.1', '127.0.0.1'],
    ['any address of IPv6, by IPv6', '::', '2001:db8::10'],
    ['any address of IPv6, by IPv4', '::', '192.0.2.10'],
    ['an IPv6 address', '2001:db8::10', '2001:db8::10'],
  ] as const) {
    test(`listening on ${name}`, () => {
      const lab = new TcpBench();
      serves(lab.station(), 80);
      add(lab.bench, forward(at(8080, listen), { host: 'web', port: 80 }));
      hears(lab, dials(lab, 8080, to));
    });
  }

  test('listening on an IPv6 address alone leaves IPv4 to others', () => {
    const lab = new TcpBench();
    serves(lab.station(), 80);
    add(lab.bench, forward(at(8080, '::1'), { host: 'web', port: 80 }));
    add(lab.bench, forward(at(8080, '127.0.0.1'), { host: 'web', port: 80 }, { id: 'g' }));
    hears(lab, dials(lab, 8080, '127.0.0.1'));
  });

  test('by address: of a guest that is known, of one that is asked for, of nobody', () => {
    const lab = new TcpBench();
    const station = lab.station();
    serves(station, 80);
    for (const [i, host] of ['192.168.104.2', 'fd00:1:2:3::2', '192.168.104.222'].entries()) {
      add(lab.bench, forward(at(8080 + i), { host, port: 80 }, { id: host }));
    }
    assert.deepEqual(states(lab.bench), ['listening', 'listening', 'listening']);
    hears(lab, dials(lab, 8080));
    hears(lab, dials(lab, 8081));
    const nobody = dials(lab, 8082);
    lab.run(() => nobody.closed, 5_000);
    assert.equal(nobody.error, C.ECONNRESET);
    assert.equal(lab.bench.counter('drop_neighbor_unresolved'), 1);
  });

  test('by the address of a guest whose link is down: asked for, then reset', () => {
    const lab = new TcpBench();
    const guest = lab.bench.guest('web');
    guest.obtainsLease();
    add(lab.bench, forward(at(8080), { host: guest.address4, port: 80 }));
    guest.unplug();
    const client = dials(lab, 8080);
    lab.run(() => client.closed, 5_000);
    assert.equal(client.error, C.ECONNRESET);
  });

  test('to a port where nobody listens: reset', () => {
    const lab = new TcpBench();
    lab.station();
    add(lab.bench, forward(at(8080), { host: 'web', port: 81 }));
    const client = dials(lab, 8080);
    lab.run(() => client.closed, 5_000);
    assert.equal(client.error, C.ECONNRESET);
    assert.equal(lab.bench.engine.tcp.size, 0);
  });

  test('finds its guest at its new address', () => {
    const lab = new TcpBench();
    const guest = lab.bench.guest('web');
    add(lab.bench, forward(at(8080), { host: 'web', port: 80 }));
    dials(lab, 8080);
    lab.passes(5);
    assert.match(guest.hears()[0] ?? '', / > 192\.168\.104\.2\.80 tcp \[S\]/);
    assert.equal(guest.obtainsLease(), '192.168.104.100');
    guest.announces();
    dials(lab, 8080);
    lab.passes(5);
    assert.match(guest.hears()[0] ?? '', / > 192\.168\.104\.100\.80 tcp \[S\]/);
  });

  test('to a guest alone on its segment, by name; by address there is nobody to mean', () => {
    const lab = new TcpBench({ config: USER_MODE });
    serves(lab.station('a'), 80);
    serves(lab.station('b'), 80);
    add(lab.bench, forward(at(8080), { host: 'a', port: 80 }, { id: 'a' }));
    add(lab.bench, forward(at(8081), { host: 'b', port: 80 }, { id: 'b' }));
    add(lab.bench, forward(at(8082), { host: '192.168.5.99', port: 80 }, { id: 'c' }));
    hears(lab, dials(lab, 8080));
    hears(lab, dials(lab, 8081));
    assert.deepEqual(states(lab.bench), ['listening', 'listening', 'waiting-for-guest']);
  });

  test('that is removed leaves its conversations, and its port is free', () => {
    const lab = new TcpBench();
    serves(lab.station(), 80);
    add(lab.bench, forward(at(8080), { host: 'web', port: 80 }));
    const client = dials(lab, 8080);
    lab.run(() => client.received === 5);
    remove(lab.bench, 'f');
    assert.deepEqual(lab.bench.snapshot().forwards, []);
    client.write(pattern(1000));
    lab.run(() => client.received === 1005);
    add(lab.bench, forward(at(8080), { host: 'web', port: 80 }));
  });
});

describe('a UDP forward', () => {
  test('maps clients both ways, and is refused while its guest is away', () => {
    const bench = new EngineBench();
    add(bench, forward(at(5353), { host: 'dns', port: 53 }, { protocol: 'udp' }));
    assert.deepEqual(states(bench), ['waiting-for-guest']);
    assert.equal(bench.kernel.sendUdp(CLIENT, 7000, '192.0.2.10', 5353, new Uint8Array(1)), false);
    const dns = bench.guest('dns');
    assert.deepEqual(states(bench), ['listening']);
    const heard: string[] = [];
    bench.kernel.host(CLIENT).listenUdp(7000, ({ payload, from }) => {
      heard.push(`${from.port} ${new TextDecoder().decode(payload)}`);
    });
    const say = (text: string): boolean =>
      bench.kernel.sendUdp(CLIENT, 7000, '192.0.2.10', 5353, new TextEncoder().encode(text));
    assert.equal(say('question'), true);
    bench.passes(5);
    const [line = ''] = dns.hears();
    const [, port = ''] = /^192\.168\.104\.1\.(\d+) > 192\.168\.104\.2\.53 udp length 8$/.exec(line) ?? [];
    dns.says(dns.udp('192.168.104.1', Number(port), 'answer', 53));
    bench.passes(5);
    assert.deepEqual(heard, ['5353 answer']);
    dns.unplug();
    assert.equal(say('again'), false);
    dns.plug();
    dns.announces();
    assert.equal(say('and again'), true);
    bench.passes(5);
    assert.match(dns.hears()[0] ?? '', / udp length 9$/);
    remove(bench, 'f');
    assert.equal(say('nobody'), false);
    assert.deepEqual(bench.openFds(), []);
  });

  test('over IPv6, for clients of both families', () => {
    const bench = new EngineBench();
    const dns = bench.guest('dns');
    add(bench, forward(at(5353, '::'), { host: 'fd00:1:2:3::2', port: 53 }, { protocol: 'udp' }));
    const answers: string[] = [];
    for (const [client, host] of [
      [CLIENT, '192.0.2.10'],
      ['2001:db8::77', '2001:db8::10'],
    ] as const) {
      bench.kernel.host(client).listenUdp(7000, ({ payload }) => {
        answers.push(`${client} ${new TextDecoder().decode(payload)}`);
      });
      bench.kernel.sendUdp(client, 7000, host, 5353, new TextEncoder().encode(client));
    }
    bench.passes(5);
    for (const frame of dns.frames.splice(0)) {
      const port = (frame[54]! << 8) | frame[55]!; // behind Ethernet and IPv6
      dns.says(dns.udp('fd00:1:2:3::1', port, frame.subarray(62), 53));
    }
    bench.passes(5);
    assert.deepEqual(answers, [`${CLIENT} ${CLIENT}`, '2001:db8::77 2001:db8::77']);
  });

  test('an error that comes to its socket does not stop it', () => {
    const bench = new EngineBench();
    const dns = bench.guest('dns');
    add(bench, forward(at(5353), { host: 'dns', port: 53 }, { protocol: 'udp' }));
    bench.kernel.sendUdp(CLIENT, 7000, '192.0.2.10', 5353, new Uint8Array(2));
    bench.passes(5);
    bench.kernel.fail('recvfrom', { errno: C.ECONNREFUSED });
    bench.kernel.sendUdp(CLIENT, 7001, '192.0.2.10', 5353, new Uint8Array(3));
    bench.passes(5);
    bench.kernel.sendUdp(CLIENT, 7002, '192.0.2.10', 5353, new Uint8Array(4));
    bench.passes(5);
    assert.deepEqual(
      dns.hears().map((line) => line.slice(-1)),
      ['2', '3', '4'],
    );
  });
});

describe('a unix socket', () => {
  test('is private, carries streams, closes those that come while the guest is away, and is removed', () => {
    withSocketPath((path) => {
      const lab = new TcpBench();
      const { client } = lab.bench;
      const dial = (): number => {
        const fd = client.sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_NONBLOCK, 0);
        client.addr.setUnix(path);
        return client.sys.connect(fd, client.addr.off, client.addr.len) < 0 ? -1 : fd;
      };
      add(lab.bench, forward({ unix: path }, { host: 'web', port: 80 }));
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.equal(dial(), -1, 'not before its guest has come');
      const station = lab.station();
      serves(station, 80);
      const fd = dial();
      client.send(fd, 'hello');
      let heard = '';
      lab.run(() => {
        const got = client.recv(fd);
        if (typeof got !== 'number') heard += new TextDecoder().decode(got);
        return heard === 'hello';
      }, 5_000);
      station.guest.unplug();
      const late = dial();
      assert.ok(late >= 0);
      lab.passes(10);
      assert.equal((client.recv(late) as Uint8Array).length, 0, 'the end at once');
      remove(lab.bench, 'f');
      assert.equal(existsSync(path), false);
    });
  });

  test('whose folder may not be written to: nothing is left', () => {
    const bench = new EngineBench();
    const spec = forward({ unix: '/nonexistent/web.sock' }, { host: 'web', port: 80 });
    assert.throws(() => add(bench, spec), { code: 'unavailable' });
    assert.deepEqual(bench.openFds(), []);
    assert.deepEqual(bench.snapshot().forwards, []);
  });

  test('whose path is too long: nothing is left', () => {
    const bench = new EngineBench();
    const unix = `/tmp/${'x'.repeat(120)}`;
    assert.throws(() => add(bench, forward({ unix }, { host: 'web', port: 80 })), { code: 'invalid' });
    assert.deepEqual(bench.openFds(), []);
  });
});

describe('a reverse forward', () => {
  const reverse = (port: number, target: SocketAddress, id = 'r'): ForwardSpec =>
    forward({ host: 'gateway', port }, target, { id, direction: 'reverse' });

  test('leads a port of the gateway to the host, until it is removed', () => {
    const lab = new TcpBench({ config: { hostAccess: 'none' } });
    lab.bench.kernel.host('127.0.0.1').listenTcp(15_432, echo());
    const refused = lab.connect('192.168.104.1', 5432);
    lab.run(() => refused.state === 'closed');
    add(lab.bench, reverse(5432, { host: '127.0.0.1', port: 15_432 }));
    assert.deepEqual(states(lab.bench), ['listening']);
    for (const gateway of ['192.168.104.1', 'fd00:1:2:3::1']) {
      const connection = lab.connect(gateway, 5432);
      connection.write(pattern(100));
      lab.run(() => connection.received === 100);
      connection.abort();
    }
    remove(lab.bench, 'r');
    const gone = lab.connect('192.168.104.1', 5432);
    lab.run(() => gone.state === 'closed');
    assert.equal(gone.reset, true);
  });

  test('of UDP', () => {
    const bench = new EngineBench({ config: { hostAccess: 'none' } });
    bench.kernel.host('10.9.8.7').listenUdp(53, udpEcho());
    add(bench, { ...reverse(5353, { host: '10.9.8.7', port: 53 }), protocol: 'udp' });
    const web = bench.guest('web');
    web.says(web.udp('192.168.104.1', 5353, 'hello'));
    bench.passes(10);
    assert.deepEqual(web.texts(), ['hello']);
  });

  test('holds for guests that come later, on segments of their own', () => {
    const lab = new TcpBench({ config: { ...USER_MODE, hostAccess: 'none' } });
    lab.bench.kernel.host('127.0.0.1').listenTcp(15_432, echo());
    add(lab.bench, reverse(5432, { host: '127.0.0.1', port: 15_432 }));
    const connection = lab.connect('192.168.5.2', 5432);
    lab.run(() => connection.state === 'open');
  });

  test('to a unix socket that is not there: refused', () => {
    const lab = new TcpBench();
    add(lab.bench, reverse(2375, { unix: '/run/absent.sock' }));
    const connection = lab.connect('192.168.104.1', 2375);
    lab.run(() => connection.state === 'closed');
    assert.equal(connection.reset, true);
    assert.deepEqual(lab.bench.openFds(), []);
  });
});

describe('what cannot be done is said, and changes nothing', () => {
  const web: SocketAddress = { host: 'web', port: 80 };
  const cases: readonly {
    readonly name: string;
    readonly spec: ForwardSpec;
    readonly code: string;
    readonly prepare?: (bench: EngineBench) => void;
  }[] = [
    {
      name: 'the id is taken',
      spec: forward(at(8081), web),
      code: 'conflict',
      prepare: (bench) => add(bench, forward(at(8080), web)),
    },
    {
      name: 'the port is in use',
      spec: forward(at(8080), web),
      code: 'address-in-use',
      prepare: (bench) => void bench.client.listen('0.0.0.0', 8080),
    },
    {
      name: 'another forward has the port',
      spec: forward(at(8080), web),
      code: 'address-in-use',
      prepare: (bench) => add(bench, forward(at(8080), web, { id: 'other' })),
    },
    {
      name: 'the same for UDP',
      spec: forward(at(8080), web, { protocol: 'udp' }),
      code: 'address-in-use',
      prepare: (bench) => add(bench, forward(at(8080), web, { id: 'other', protocol: 'udp' })),
    },
    { name: 'not an address of the host', spec: forward(at(8080, '203.0.113.9'), web), code: 'invalid' },
    { name: 'not an address', spec: forward(at(8080, 'localhost'), web), code: 'invalid' },
    {
      name: 'a privileged port',
      spec: forward(at(80), web),
      code: 'not-permitted',
    },
    {
      name: 'no descriptor left',
      spec: forward(at(8080), web),
      code: 'exhausted',
      prepare: (bench) => (bench.kernel.maxFds = bench.kernel.openCount),
    },
    { name: 'a unix socket in a guest', spec: forward(at(8080), { unix: '/run/x' }), code: 'invalid' },
    {
      name: 'a unix socket at the gateway',
      spec: forward({ unix: '/run/x' }, at(80), { direction: 'reverse' }),
      code: 'invalid',
    },
    {
      name: 'a unix socket of datagrams',
      spec: forward({ unix: '/run/x' }, web, { protocol: 'udp' }),
      code: 'invalid',
    },
    { name: 'a name on the host', spec: forward(at(80), web, { direction: 'reverse' }), code: 'invalid' },
    {
      name: 'something else',
      spec: forward(at(8080), web),
      code: 'unavailable',
      prepare: (bench) => bench.kernel.fail('socket', { errno: C.ENOBUFS }),
    },
  ];
  for (const { name, spec, code, prepare } of cases) {
    test(name, () => {
      const bench = new EngineBench({ kernel: { unprivilegedPortStart: 1024 } });
      prepare?.(bench);
      const before = [bench.openFds(), bench.snapshot().forwards];
      assert.throws(() => add(bench, spec), { name: 'VmlanError', code });
      assert.deepEqual([bench.openFds(), bench.snapshot().forwards], before);
    });
  }

  test('no such forward', () => {
    assert.throws(() => remove(new EngineBench(), 'f'), { code: 'not-found' });
  });
});
