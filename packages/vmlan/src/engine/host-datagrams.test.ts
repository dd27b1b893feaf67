import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters } from '../core/counters.ts';
import { newSocketError } from '../nat/datagrams.ts';
import * as C from '../sys/constants.ts';
import { FakeKernel } from '../sys/fake/kernel.ts';
import { udpEcho, udpSink } from '../sys/fake/services.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import { EngineBench } from './bench.fixture.ts';
import { l4Of, lineOf } from './guest.fixture.ts';
import { HostDatagrams } from './host-datagrams.ts';
import { EventLoop } from './loop.ts';

const REMOTE_4 = '198.51.100.7';
const REMOTE_6 = '2001:db8::7';
const GATEWAY_4 = '192.168.104.1';
const GATEWAY_6 = 'fd00:1:2:3::1';

for (const [family, remote, guest, gateway] of [
  [4, REMOTE_4, '192.168.104.2', GATEWAY_4],
  [6, REMOTE_6, 'fd00:1:2:3::2', GATEWAY_6],
] as const) {
  const [icmp, unreachable, port, exceeded] = family === 4 ? ['icmp', 3, 3, 11] : ['icmp6', 1, 4, 3];
  const quoted = family === 4 ? 36 : 56;

  describe(`UDP over IPv${family}`, () => {
    test('a question and its answer', () => {
      const bench = new EngineBench();
      const web = bench.guest('web');
      bench.kernel.host(remote).listenUdp(53, udpEcho());
      web.says(web.udp(remote, 53, 'hello'));
      bench.passes(10);
      assert.deepEqual(web.hears(), [`${remote}.53 > ${guest}.4000 udp length 5`]);
      bench.passes(11_000);
      assert.deepEqual(bench.openFds(), []);
    });

    test('nobody listens: port unreachable, from the host itself, about the guest’s datagram', () => {
      const bench = new EngineBench();
      const web = bench.guest('web');
      bench.kernel.host(remote);
      web.says(web.udp(remote, 9, 'hello'));
      bench.passes(10);
      const [frame = new Uint8Array()] = web.frames;
      assert.deepEqual(web.hears(), [
        `${remote} > ${guest} ${icmp} type ${unreachable} code ${port} rest 0 length ${quoted}`,
      ]);
      const quote = Uint8Array.from([...frame.subarray(0, 14), ...frame.subarray(l4Of(frame) + icmpv4.HEADER_LEN)]);
      assert.ok(lineOf(quote).startsWith(`${guest}.4000 > ${remote}.9 udp`), lineOf(quote));
      web.says(web.udp(remote, 9, 'again'));
      bench.passes(10);
      assert.equal(web.hears().length, 1, 'and again for the next');
      assert.equal(bench.counter('drop_udp_send_failed'), 0);
    });

    test('traceroute: each router answers in its turn', () => {
      const bench = new EngineBench();
      const web = bench.guest('web');
      const routers = family === 4 ? ['203.0.113.1', '203.0.113.2'] : ['2001:db8:1::1', '2001:db8:1::2'];
      bench.kernel.host(remote).behind(...routers);
      for (const hops of [1, 2, 3, 4]) {
        web.says(web.udp(remote, 33_434 + hops, 'probe', 4000, hops));
        bench.passes(10);
      }
      assert.deepEqual(
        web.hears().map((line) => line.replace(/ rest.*/, '')),
        [
          `${gateway} > ${guest} ${icmp} type ${exceeded} code 0`,
          ...routers.map((router) => `${router} > ${guest} ${icmp} type ${exceeded} code 0`),
          `${remote} > ${guest} ${icmp} type ${unreachable} code ${port}`,
        ],
      );
    });

    test('on the host’s loopback: by the gateway’s address, and its errors too', () => {
      const bench = new EngineBench();
      const web = bench.guest('web');
      bench.kernel.host(family === 4 ? '127.0.0.1' : '::1').listenUdp(5353, udpEcho());
      web.says(web.udp(gateway, 5353, 'hello'));
      bench.passes(10);
      assert.deepEqual(web.hears(), [`${gateway}.5353 > ${guest}.4000 udp length 5`]);
      web.says(web.udp(gateway, 5354, 'hello'));
      bench.passes(10);
      assert.match(
        web.hears()[0] ?? '',
        new RegExp(`^${gateway} > ${guest} ${icmp} type ${unreachable} code ${port} `),
      );
    });

    test('one host port for all that a guest port speaks to', () => {
      const bench = new EngineBench();
      const web = bench.guest('web');
      const peers = family === 4 ? ['198.51.100.1', '198.51.100.2'] : ['2001:db8::1', '2001:db8::2'];
      const ports = new Set<number>();
      for (const peer of peers) {
        bench.kernel.host(peer).listenUdp(3478, (datagram) => {
          ports.add(datagram.from.port);
          datagram.reply(datagram.payload);
        });
        web.says(web.udp(peer, 3478, 'bind'));
      }
      bench.passes(10);
      assert.equal(ports.size, 1);
      assert.deepEqual(
        web.hears().map((line) => line.split('.3478')[0]),
        peers,
      );
    });

    test('only who was spoken to is heard', () => {
      const bench = new EngineBench();
      const web = bench.guest('web');
      let hostPort = 0;
      bench.kernel.host(remote).listenUdp(53, (datagram) => {
        hostPort = datagram.from.port;
        datagram.replyFrom(54, datagram.payload);
      });
      web.says(web.udp(remote, 53, 'hello'));
      bench.passes(10);
      const stranger = family === 4 ? '203.0.113.66' : '2001:db8::66';
      bench.kernel.sendUdp(stranger, 53, family === 4 ? '192.0.2.10' : '2001:db8::10', hostPort, new Uint8Array(4));
      bench.passes(10);
      assert.deepEqual(web.hears(), []);
    });

    test('a guest’s big datagram, whole and in fragments of the answer', () => {
      const bench = new EngineBench({ config: { mtu: 1500 } });
      const web = bench.guest('web');
      bench.kernel.host(remote).listenUdp(7, (datagram) => datagram.reply(new Uint8Array(5000)));
      bench.kernel.host(remote).mtu = 1000; // on the host's way: the kernel fragments, it does not refuse
      web.says(web.udp(remote, 7, 'x'.repeat(1400)));
      bench.passes(10);
      assert.equal(web.hears().length, 4);
    });

    test('no way on the host: network unreachable from the gateway', () => {
      const bench = new EngineBench();
      const web = bench.guest('web');
      bench.kernel.setRoute(family === 4 ? 'ipv4' : 'ipv6', false);
      web.says(web.udp(remote, 53, 'hello'));
      assert.match(web.hears()[0] ?? '', new RegExp(`^${gateway} > ${guest} ${icmp} type ${unreachable} code 0 `));
      assert.deepEqual(bench.openFds(), []);
    });

    test('an echo and its reply, its errors, its hop limits', () => {
      const bench = new EngineBench();
      const web = bench.guest('web');
      const router = family === 4 ? '203.0.113.1' : '2001:db8:1::1';
      const host = bench.kernel.host(remote).behind(router);
      web.says(web.echo(remote, 5));
      bench.passes(10);
      assert.deepEqual(web.hears(), [`${remote} > ${guest} ${icmp} echo reply id 77 seq 5 length 12`]);
      web.says(web.echo(remote, 6, 2));
      bench.passes(10);
      const [frame = new Uint8Array()] = web.frames;
      assert.match(web.hears()[0] ?? '', new RegExp(`^${router} > ${guest} ${icmp} type ${exceeded} code 0 `));
      const quote = Uint8Array.from([...frame.subarray(0, 14), ...frame.subarray(l4Of(frame) + icmpv4.HEADER_LEN)]);
      assert.match(lineOf(quote), new RegExp(`^${guest} > ${remote} ${icmp}.* echo request id 77 seq 6 length 8$`));
      host.reach = 'host-unreachable';
      web.says(web.echo(remote, 7));
      bench.passes(10);
      assert.match(web.hears()[0] ?? '', new RegExp(` type ${unreachable} code ${family === 4 ? 1 : 3} `));
      host.reach = 'up';
      web.says(web.echo(remote, 8));
      bench.passes(10);
      assert.match(web.hears()[0] ?? '', / echo reply id 77 seq 8 /);
    });
  });
}

describe('in the engine', () => {
  test('ping sockets are not allowed: the status says why, and so does the log, once', () => {
    const bench = new EngineBench({ kernel: { pingAllowed: false } });
    assert.match(String(bench.snapshot().capabilities.ping), /ping_group_range/);
    const web = bench.guest('web');
    web.says(web.echo(REMOTE_4), web.echo(REMOTE_4, 2));
    assert.match(web.hears()[0] ?? '', / type 3 code 13 /);
    assert.equal(bench.counter('drop_echo_not_allowed'), 2);
    assert.equal(bench.messages.filter(({ type }) => type === 'log').length, 1);
    web.says(web.echo(GATEWAY_4));
    assert.equal(web.hears().length, 1, 'the gateway is none of theirs');
  });

  test('host access none: the host’s own addresses are closed, others are not', () => {
    const bench = new EngineBench({ config: { hostAccess: 'none' } });
    const web = bench.guest('web');
    bench.kernel.host('192.0.2.10').listenUdp(53, udpEcho());
    bench.kernel.host('192.0.2.11').listenUdp(53, udpEcho());
    for (const dst of ['192.0.2.10', '2001:db8::10', '192.0.2.11']) web.says(web.udp(dst, 53, 'hello'));
    bench.passes(10);
    assert.deepEqual(
      web.hears().map((line) => line.replace(/ rest.*/, '')),
      [
        `${GATEWAY_4} > 192.168.104.2 icmp type 3 code 13`,
        `${GATEWAY_6} > fd00:1:2:3::2 icmp6 type 1 code 1`,
        '192.0.2.11.53 > 192.168.104.2.4000 udp length 5',
      ],
    );
  });

  test('a guest that comes back within its grace is heard again, and hears', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    let reply: (payload: Uint8Array) => void = () => {};
    bench.kernel.host(REMOTE_4).listenUdp(53, (datagram) => (reply = (payload) => datagram.reply(payload)));
    web.says(web.udp(REMOTE_4, 53, 'hello'));
    bench.passes(10);
    web.unplug();
    bench.passes(1000);
    web.plug();
    web.announces();
    reply(new Uint8Array(3)); // before it has said anything itself
    bench.passes(10);
    assert.deepEqual(web.texts(), ['\0\0\0']);
    bench.passes(6000);
    assert.equal(bench.engine.udp.size, 1, 'the flow outlives the port it began on');
  });

  test('the flows of a guest that stays away end after its grace', () => {
    const bench = new EngineBench();
    const web = bench.guest('web');
    bench.kernel.host(REMOTE_4).listenUdp(9000, udpSink());
    web.says(web.udp(REMOTE_4, 9000, 'hello'), web.echo(REMOTE_4));
    web.unplug();
    bench.passes(4_900);
    assert.deepEqual(bench.snapshot().flows, { tcp: 0, udp: 1, icmp: 1 });
    bench.passes(200);
    assert.deepEqual(bench.snapshot().flows, { tcp: 0, udp: 0, icmp: 0 });
    assert.deepEqual(bench.openFds(), []);
  });
});

describe('the sockets', () => {
  const $bench = (): { kernel: FakeKernel; sockets: HostDatagrams; loop: EventLoop } => {
    const kernel = new FakeKernel({ arenaBytes: 8 << 20 });
    const loop = new EventLoop(kernel.sys, kernel.sys.epollCreate(), new Counters());
    return { kernel, loop, sockets: new HostDatagrams(kernel.sys, loop, true) };
  };
  const MAPPED = 0xffff;

  test('what cannot be opened leaves no descriptor', () => {
    for (const call of ['socket', 'bind', 'connect'] as const) {
      const { kernel, sockets } = $bench();
      kernel.fail(call, { errno: C.ENOBUFS });
      assert.equal(sockets.openUdp(0, 0, MAPPED, 0x7f00_0001, 53, 0), -C.ENOBUFS);
      kernel.fail(call, { errno: C.ENOBUFS });
      assert.equal(sockets.openEcho(0, 0, 0, 1) < 0, call !== 'bind', 'echo sockets are not bound');
      assert.equal(kernel.openCount, call === 'bind' ? 2 : 1);
    }
  });

  test('whether an address is the host’s', () => {
    const { kernel, sockets } = $bench();
    assert.equal(sockets.isHostAddress(0, 0, MAPPED, 0xc000_020a), true);
    assert.equal(sockets.isHostAddress(0, 0, MAPPED, 0xc000_020b), false);
    assert.equal(sockets.isHostAddress(0x2001_0db8, 0, 0, 0x10), true);
    assert.equal(sockets.isHostAddress(0x2001_0db8, 0, 0, 0x11), false);
    kernel.setRoute('ipv4', false);
    assert.equal(sockets.isHostAddress(0, 0, MAPPED, 0xc633_6407), false);
    assert.equal(kernel.openCount, 1);
  });

  test('the port of a socket, 0 when it has none', () => {
    const { kernel, sockets } = $bench();
    const fd = sockets.openUdp(0, 0, MAPPED, 0xc633_6407, 53, 40_404);
    assert.equal(sockets.localPort(fd), 40_404);
    kernel.fail('getsockname', { errno: C.ENOBUFS });
    assert.equal(sockets.localPort(fd), 0);
  });

  test('an error that no queue explains is taken off the socket', () => {
    const { kernel, loop, sockets } = $bench();
    kernel.host(REMOTE_4);
    const fd = sockets.openUdp(0, 0, MAPPED, 0xc633_6407, 9, 0);
    let errors = 0;
    const error = newSocketError();
    sockets.watch(fd, { onReadable: () => {}, onError: () => void errors++ });
    const turns = { pollAt: () => Infinity, poll: () => {} };
    sockets.send(fd, 64, 4);
    kernel.advance(10);
    loop.turn(turns, 0);
    assert.equal(errors, 1);
    assert.equal(sockets.takeError(fd, error), true);
    assert.deepEqual([error.icmp, error.type, error.code, error.payloadLen], [true, 3, 3, 4]);
    assert.deepEqual([...error.offender], [0, 0, MAPPED, 0xc633_6407 | 0]);
    assert.equal(sockets.takeError(fd, error), false);
    loop.turn(turns, 0);
    assert.equal(errors, 1, 'told once');
  });
});
