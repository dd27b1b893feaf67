import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { Counters } from '../core/counters.ts';
import { OutboundPolicy } from '../nat/policy.ts';
import { TcpFlow } from '../stack/tcp/flow.ts';
import * as C from '../sys/constants.ts';
import { FakeKernel } from '../sys/fake/kernel.ts';
import {
  answersAfterEnd,
  closesAfter,
  echo,
  pattern,
  resetsAfter,
  sink,
  slowReader,
  source,
  speaksFirst,
} from '../sys/fake/services.ts';
import { HostStreamIo } from './host-streams.ts';
import { EventLoop } from './loop.ts';
import { TcpBench } from './tcp-bench.fixture.ts';

const REMOTE = '198.51.100.7';
const BYTES = 300_000;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const PATTERN = sha256(pattern(BYTES));

for (const peekOffset of [true, false]) {
  describe(peekOffset ? 'with the kernel’s peek offset' : 'without it, as before Linux 6.9', () => {
    const lab = (): TcpBench => new TcpBench({ peekOffset });
    const LOSS = { lossPercent: 3, reorderPercent: 2, duplicatePercent: 1 };

    test('what the probe says is what is used', () => {
      assert.equal(lab().bench.engine.capabilities.peekOffset, peekOffset);
    });

    for (const remote of [REMOTE, '2001:db8::7']) {
      test(`a lossy link: from ${remote} to the guest, and back`, () => {
        const made = lab();
        const host = made.bench.kernel.host(remote);
        host.listenTcp(80, source(BYTES));
        const listener = host.listenTcp(81, sink());
        made.station().guest.suffers({ ...LOSS, seed: 1 }, { ...LOSS, seed: 2 });
        const down = made.connect(remote, 80);
        down.end();
        const up = made.connect(remote, 81);
        up.write(pattern(BYTES));
        up.end();
        made.run(() => down.state === 'closed' && up.state === 'closed');
        assert.equal(down.sha256(), PATTERN);
        assert.equal(listener.connections[0]?.sha256(), PATTERN);
        assert.ok(made.bench.counter('tcp_segments_retransmitted') > 0, 'the peek offset went back');
        made.passes(15_000);
        assert.deepEqual(made.bench.openFds(), []);
        assert.equal(made.bench.engine.tcp.size, 0);
      });
    }

    test('both ways at once', () => {
      const made = lab();
      made.bench.kernel.host(REMOTE).listenTcp(7, echo());
      const connection = made.connect(REMOTE, 7);
      connection.write(pattern(BYTES));
      connection.end();
      made.run(() => connection.state === 'closed');
      assert.equal(connection.sha256(), PATTERN);
    });

    test('a guest that stops reading holds the host up, and has everything later', () => {
      const made = lab();
      const total = 3_000_000; // more than all buffers together
      const listener = made.bench.kernel.host(REMOTE).listenTcp(80, source(total));
      const connection = made.connect(REMOTE, 80);
      connection.paused = true;
      made.passes(120_000);
      assert.ok(listener.connections[0]!.sent < total);
      assert.equal(connection.received, 0);
      connection.resume();
      connection.end();
      made.run(() => connection.state === 'closed');
      assert.equal(connection.sha256(), sha256(pattern(total)));
    });

    test('a host that reads slowly holds the guest up', () => {
      const made = lab();
      const listener = made.bench.kernel.host(REMOTE).listenTcp(80, slowReader(20_000, 50));
      const connection = made.connect(REMOTE, 80);
      connection.write(pattern(1_000_000));
      connection.end();
      made.run(() => listener.connections[0]?.closed === true);
      assert.equal(listener.connections[0]!.sha256(), sha256(pattern(1_000_000)));
    });

    test('the guest ends first, and still hears the answer', () => {
      const made = lab();
      made.bench.kernel.host(REMOTE).listenTcp(80, answersAfterEnd(BYTES));
      const connection = made.connect(REMOTE, 80);
      connection.write(pattern(1000));
      connection.end();
      made.run(() => connection.ended);
      assert.equal(connection.sha256(), PATTERN);
    });

    test('the host ends first, and still hears the guest', () => {
      const made = lab();
      const listener = made.bench.kernel.host(REMOTE).listenTcp(80, speaksFirst('220 ready\r\n'));
      const connection = made.connect(REMOTE, 80);
      made.run(() => connection.received === 11);
      listener.connections[0]!.end();
      made.run(() => connection.ended);
      connection.write(pattern(BYTES));
      connection.end();
      made.run(() => listener.connections[0]!.closed);
      assert.equal(listener.connections[0]!.sha256(), PATTERN);
    });

    test('the host resets: the guest has what was said before, then a reset and no end', () => {
      const made = lab();
      made.bench.kernel.host(REMOTE).listenTcp(80, (connection) => {
        connection.write(pattern(50_000));
        connection.after(5, () => connection.reset());
        return () => {};
      });
      const connection = made.connect(REMOTE, 80);
      made.run(() => connection.state === 'closed');
      assert.equal(connection.received, 50_000);
      assert.deepEqual([connection.reset, connection.ended], [true, false]);
    });

    test('the host closes with data unread: a reset, whatever the guest still sends', () => {
      for (const service of [closesAfter(1000), resetsAfter(1000)]) {
        const made = lab();
        made.bench.kernel.host(REMOTE).listenTcp(80, service);
        const connection = made.connect(REMOTE, 80);
        connection.write(pattern(BYTES));
        made.run(() => connection.state === 'closed');
        assert.equal(connection.reset, true);
        assert.equal(made.bench.engine.tcp.size, 0);
      }
    });

    test('the guest resets: so does the host’s connection', () => {
      const made = lab();
      const listener = made.bench.kernel.host(REMOTE).listenTcp(80, echo());
      const connection = made.connect(REMOTE, 80);
      connection.write(pattern(1000));
      made.run(() => connection.received === 1000);
      connection.abort();
      made.passes(100);
      assert.equal(listener.connections[0]!.error, C.ECONNRESET);
      assert.deepEqual(made.bench.openFds(), []);
    });

    test('a unix socket behind a port of the gateway', () => {
      const made = lab();
      const { sys, addr } = made.bench.client;
      const listening = sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_NONBLOCK, 0);
      addr.setUnix('/run/app.sock');
      sys.bind(listening, addr.off, addr.len);
      sys.listen(listening, 8);
      const target = { unix: '/run/app.sock' };
      made.bench.request({
        type: 'add-forward',
        forward: { id: 'r', protocol: 'tcp', direction: 'reverse', listen: { host: 'gateway', port: 2375 }, target },
      });
      made.station().guest.suffers({ ...LOSS, seed: 7 }, { ...LOSS, seed: 8 });
      const connection = made.connect('192.168.104.1', 2375);
      connection.write(pattern(BYTES));
      connection.end();
      made.run(() => connection.state === 'open');
      const fd = sys.accept(listening, 0);
      assert.ok(fd >= 0);
      // The server sends back what it gets, through buffers smaller than that.
      let heard = new Uint8Array(0);
      let sent = 0;
      let [hasEnded, hasShut] = [false, false];
      made.run(() => {
        const got = made.bench.client.recv(fd);
        if (typeof got !== 'number') heard = new Uint8Array(Buffer.concat([heard, got]));
        if (typeof got !== 'number' && got.length === 0) hasEnded = true;
        const n = sent < heard.length ? made.bench.client.send(fd, heard.subarray(sent, sent + 65_000)) : 0;
        sent += Math.max(n, 0);
        if (hasEnded && sent === heard.length && !hasShut) {
          hasShut = true;
          sys.shutdown(fd, C.SHUT_WR);
        }
        return connection.ended;
      });
      assert.equal(connection.sha256(), PATTERN);
    });
  });
}

describe('opening', () => {
  const outcomes = [
    { name: 'refused', reach: 'up', outcome: 'reset' },
    { name: 'host unreachable', reach: 'host-unreachable', outcome: 'icmp type 3 code 1' },
    { name: 'network unreachable', reach: 'net-unreachable', outcome: 'icmp type 3 code 0' },
  ] as const;
  for (const { name, reach, outcome } of outcomes) {
    test(`${name}: the guest hears it at once`, () => {
      const lab = new TcpBench();
      lab.bench.kernel.host(REMOTE).reach = reach;
      const connection = lab.connect(REMOTE, 80);
      lab.passes(50);
      if (outcome === 'reset') assert.equal(connection.reset, true);
      else assert.match(lab.stations[0]!.guest.hears()[0] ?? '', new RegExp(`^192\\.168\\.104\\.1 > .* ${outcome} `));
      assert.equal(lab.bench.engine.tcp.size, 0);
      assert.deepEqual(lab.bench.openFds(), []);
    });
  }

  test('over IPv6: address unreachable', () => {
    const lab = new TcpBench();
    lab.bench.kernel.host('2001:db8::7').reach = 'host-unreachable';
    lab.connect('2001:db8::7', 80);
    lab.passes(50);
    assert.match(lab.stations[0]!.guest.hears()[0] ?? '', /^fd00:1:2:3::1 > .* icmp6 type 1 code 3 /);
  });

  test('no route on the host: network unreachable, both families', () => {
    const lab = new TcpBench();
    lab.bench.kernel.setRoute('ipv4', false);
    lab.bench.kernel.setRoute('ipv6', false);
    lab.connect(REMOTE, 80);
    lab.connect('2001:db8::7', 80);
    lab.passes(50);
    const [four = '', six = ''] = lab.stations[0]!.guest.hears();
    assert.match(four, / icmp type 3 code 0 /);
    assert.match(six, / icmp6 type 1 code 0 /);
  });

  test('closed by policy: administratively prohibited', () => {
    const lab = new TcpBench({ config: { closed: ['198.51.100.0/24', '2001:db8::/32'] } });
    lab.connect(REMOTE, 80);
    lab.connect('2001:db8::7', 80);
    lab.passes(50);
    const [four = '', six = ''] = lab.stations[0]!.guest.hears();
    assert.match(four, / icmp type 3 code 13 /);
    assert.match(six, / icmp6 type 1 code 1 /);
  });

  test('silence is silence: the guest tries again by itself, over one socket', () => {
    const lab = new TcpBench();
    lab.bench.kernel.host(REMOTE).reach = 'silent';
    const connection = lab.connect(REMOTE, 80);
    lab.passes(20_000);
    assert.equal(connection.state, 'syn-sent');
    assert.ok(connection.timeouts >= 3);
    assert.equal(lab.bench.openFds().length, 1);
    lab.passes(200_000);
    assert.equal(lab.bench.engine.tcp.size, 1, 'of a later attempt');
  });

  test('out of descriptors: silence, then it works', () => {
    const lab = new TcpBench({ kernel: { maxFds: 64 } });
    lab.bench.kernel.host(REMOTE).listenTcp(80, echo());
    lab.station();
    lab.bench.kernel.maxFds = lab.bench.kernel.openCount;
    const connection = lab.connect(REMOTE, 80);
    lab.passes(500);
    assert.equal(connection.state, 'syn-sent');
    assert.equal(lab.bench.engine.tcp.size, 0);
    assert.equal(lab.bench.counter('drop_tcp_no_descriptor'), 1);
    lab.bench.kernel.maxFds = 64;
    lab.run(() => connection.state === 'open');
  });

  test('out of descriptors on the way to the host itself: silence as well', () => {
    const lab = new TcpBench({ kernel: { maxFds: 64 } });
    lab.bench.kernel.host('127.0.0.1').listenTcp(80, echo());
    lab.station();
    lab.bench.kernel.maxFds = lab.bench.kernel.openCount;
    const connection = lab.connect('192.168.104.1', 80);
    lab.passes(500);
    assert.equal(connection.state, 'syn-sent');
    assert.equal(lab.bench.counter('drop_tcp_no_descriptor'), 1);
    lab.bench.kernel.maxFds = 64;
    lab.run(() => connection.state === 'open');
  });

  test('epoll takes no more: the socket is closed again', () => {
    const lab = new TcpBench();
    lab.bench.kernel.host(REMOTE).listenTcp(80, echo());
    lab.station();
    lab.bench.kernel.fail('epollCtl', { errno: C.ENOMEM });
    const connection = lab.connect(REMOTE, 80);
    lab.passes(500);
    assert.equal(connection.state, 'syn-sent');
    assert.equal(lab.bench.counter('tcp_host_failures'), 1);
    assert.deepEqual(lab.bench.openFds(), []);
  });
});

describe('the gateway’s address stands for the host’s loopback', () => {
  const GATEWAYS = ['192.168.104.1', 'fd00:1:2:3::1'];
  for (const gateway of GATEWAYS) {
    for (const loopback of ['127.0.0.1', '::1']) {
      test(`${gateway} reaches who listens on ${loopback} alone`, () => {
        const lab = new TcpBench();
        lab.bench.kernel.host(loopback).listenTcp(8080, echo());
        const connection = lab.connect(gateway, 8080);
        connection.write(pattern(1000));
        connection.end();
        lab.run(() => connection.ended);
        assert.equal(connection.received, 1000);
        lab.passes(15_000);
        assert.deepEqual(lab.bench.openFds(), []);
      });
    }

    test(`${gateway}, nobody listens on either: refused`, () => {
      const lab = new TcpBench();
      const connection = lab.connect(gateway, 8080);
      lab.run(() => connection.state === 'closed');
      assert.equal(connection.reset, true);
      assert.deepEqual(lab.bench.openFds(), []);
    });

    test(`${gateway} on a host without IPv6: refused`, () => {
      const lab = new TcpBench({ kernel: { addresses: ['192.0.2.10'] } });
      lab.bench.kernel.fail('socket', { errno: C.EAFNOSUPPORT, nth: gateway.includes(':') ? 1 : 2 });
      const connection = lab.connect(gateway, 8080);
      lab.run(() => connection.state === 'closed');
      assert.equal(connection.reset, true);
    });
  }
});

/** HostStreamIo by itself, with one connection to a scripted host. */
class IoBench {
  readonly kernel: FakeKernel = new FakeKernel();
  readonly streams: HostStreamIo;
  readonly flow: TcpFlow = new TcpFlow();
  readonly #at: number;

  constructor(kernelOffset: boolean, service: Parameters<ReturnType<FakeKernel['host']>['listenTcp']>[1]) {
    const { sys } = this.kernel;
    const loop = new EventLoop(sys, sys.epollCreate(), new Counters());
    this.#at = sys.arena.alloc(1 << 17);
    const policy = new OutboundPolicy(
      {
        gateway4: 0,
        dns4: 0,
        gateway6: null,
        gatewayLinkLocal: new Uint32Array(4),
        outward: true,
        hostAccess: 'all',
        closed: [],
      },
      () => false,
    );
    this.streams = new HostStreamIo(
      sys,
      loop,
      () => policy,
      () => {},
      kernelOffset,
    );
    this.kernel.host(REMOTE).listenTcp(80, service);
    this.flow.id = 0;
    this.flow.segment = { id: 1, sendTo: () => {}, flood: () => {} };
    this.flow.setRemote(0, 0, 0xffff, 0xc633_6407);
    this.flow.remotePort = 80;
    assert.equal(this.streams.open(this.flow), 0);
    this.kernel.advance(10);
  }

  /** What `count` pieces of `len` bytes get, put together. */
  peekRun(len: number, stride: number, count: number): Uint8Array {
    const n = this.streams.peekRun(this.flow.fd, this.#at, len, stride, count);
    const { u8 } = this.kernel.sys.arena;
    return Uint8Array.from({ length: n }, (_, i) => u8[this.#at + Math.floor(i / len) * stride + (i % len)]!);
  }

  peek(len = 1 << 16): number {
    return this.streams.peek(this.flow.fd, this.#at, len);
  }
}

test('many pieces in one peek, each in its place, and on from there', () => {
  const bench = new IoBench(true, source(1000));
  assert.equal(bench.streams.peeksFar, true);
  assert.deepEqual(bench.peekRun(100, 160, 4), pattern(1000).slice(0, 400));
  assert.deepEqual(bench.peekRun(300, 310, 3), pattern(1000).slice(400), 'the last one is short');
  assert.equal(bench.peek(), 0, 'the end');
  assert.equal(new IoBench(false, source(1)).streams.peeksFar, false);
});

for (const kernelOffset of [true, false]) {
  describe(`peeking, ${kernelOffset ? 'with' : 'without'} the kernel’s offset`, () => {
    test('reads on, goes back, and forgets what is discarded', () => {
      const bench = new IoBench(kernelOffset, source(1000));
      const { streams, flow } = bench;
      assert.equal(bench.peek(300), 300);
      assert.equal(bench.peek(300), 300);
      streams.discard(flow.fd, 200);
      assert.equal(bench.peek(300), 300);
      streams.setPeekOffset(flow.fd, 100);
      assert.equal(bench.peek(1000), 700);
      assert.equal(bench.peek(), 0, 'the end');
      streams.discard(flow.fd, 800);
      assert.equal(bench.peek(), 0, 'still');
    });

    test('nothing yet is not the end', () => {
      const bench = new IoBench(kernelOffset, (connection) => {
        connection.write(pattern(100));
        return () => {};
      });
      assert.equal(bench.peek(), 100);
      assert.equal(bench.peek(), -C.EAGAIN);
      bench.streams.discard(bench.flow.fd, 100);
      assert.equal(bench.peek(), -C.EAGAIN);
    });

    test('a reset behind what was read is a reset, not the end', () => {
      const bench = new IoBench(kernelOffset, (connection) => {
        connection.write(pattern(100));
        connection.after(50, () => connection.reset());
        return () => {};
      });
      assert.equal(bench.peek(), 100);
      bench.kernel.advance(100);
      assert.equal(bench.peek(), -C.ECONNRESET);
    });

    test('far behind what was seen', () => {
      const bench = new IoBench(kernelOffset, source(200_000));
      let seen = 0;
      for (let n = bench.peek(30_000); n > 0; n = bench.peek(30_000)) seen += n;
      assert.ok(seen > 100_000);
    });
  });
}
