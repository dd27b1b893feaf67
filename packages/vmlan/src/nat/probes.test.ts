import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  GATEWAY_MAC,
  GUEST_MAC,
  arpFrame,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  udpOf,
} from '../wire/packets.fixture.ts';
import * as tcp from '../wire/tcp.ts';
import { GATEWAY_4, GATEWAY_6, GUEST_4, GUEST_6 } from './bench.fixture.ts';
import { ForwardBench } from './forward-bench.fixture.ts';
import { Probes, TCP_PATIENCE_MS, UDP_PATIENCE_MS } from './probes.ts';
import type { ProbeSockets, ProbeState } from './probes.ts';

const { ACK, FIN, RST, SYN } = tcp;
const SECOND = 1000;
const EMFILE = -24;

/** Probes beside the guest of a forward's bench; what they found, and which descriptors they closed. */
class ProbeBench extends ForwardBench {
  readonly found: ProbeState[] = [];
  readonly closedFds: number[] = [];
  failPair = 0;
  readonly #sockets: ProbeSockets = {
    openPair: () => (this.failPair < 0 ? this.failPair : this.host.sockets.length),
    second: () => SECOND,
    close: (fd) => void this.closedFds.push(fd),
    adopt: (flow, fd) => {
      this.host.adopt(flow);
      assert.equal(flow.fd, fd);
    },
  };
  readonly probes: Probes = new Probes({ tcp: this.tcp, udp: this.udp, sockets: this.#sockets, view: this.arena.view });

  constructor() {
    super();
    this.onUnreachable = (packet) => this.probes.onUnreachable(packet);
  }

  tries(protocol: 'tcp' | 'udp', target = this.target!): void {
    this.probes[protocol](target, 80, this.nowMs, (state) => this.found.push(state));
  }

  override passes(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end;) {
      super.passes(Math.min(10, end - this.nowMs));
      this.probes.poll(this.nowMs);
    }
  }

  /** The gateway's port in the datagram that the guest was sent. */
  asked(): { readonly port: number; readonly frame: Uint8Array } {
    const { frame } = this.frames.at(-1)!;
    const [line = ''] = this.says().slice(-1);
    const [, port = ''] = /\.(\d+) > \S+\.80 udp length 0$/.exec(line) ?? assert.fail(line);
    return { port: Number(port), frame };
  }
}

const answersArp = (bench: ProbeBench): void =>
  bench.hears(arpFrame({ op: 2, to: GATEWAY_MAC, sender: GUEST_4, target: GATEWAY_4, targetMac: GATEWAY_MAC }));

describe('TCP', () => {
  test('an open port is opened and ended without a byte', () => {
    const bench = new ProbeBench();
    bench.tries('tcp');
    assert.equal(bench.probes.size, 1);
    const { fromPort } = bench.syns()[0]!;
    bench.segment(GATEWAY_4, 80, fromPort, SYN | ACK);
    bench.passes(20);
    assert.deepEqual([bench.found, bench.closedFds, bench.probes.size], [['open'], [SECOND], 0]);
    assert.equal(bench.probes.pollAt(), Infinity);
  });

  test('one that refuses is closed', () => {
    const bench = new ProbeBench();
    bench.tries('tcp');
    bench.segment(GATEWAY_4, 80, bench.syns()[0]!.fromPort, RST | ACK);
    bench.passes(20);
    assert.deepEqual([bench.found, bench.tcp.size], [['closed'], 0]);
  });

  test('one that ends at once was open', () => {
    const bench = new ProbeBench();
    bench.tries('tcp');
    const { fromPort } = bench.syns()[0]!;
    bench.segment(GATEWAY_4, 80, fromPort, SYN | ACK);
    bench.segment(GATEWAY_4, 80, fromPort, FIN | ACK, 1);
    bench.passes(20);
    assert.deepEqual(bench.found, ['open']);
  });

  test('silence of a guest that is there, and nothing is left of it', () => {
    const bench = new ProbeBench();
    bench.tries('tcp');
    assert.equal(bench.probes.pollAt(), bench.nowMs + TCP_PATIENCE_MS);
    bench.passes(TCP_PATIENCE_MS + 20);
    assert.deepEqual([bench.found, bench.tcp.size], [['silent'], 0]);
  });

  test('a guest is asked for first where its place is not known; one that is not there is absent', () => {
    const there = new ProbeBench();
    there.tries('tcp', there.at(GUEST_4, null));
    assert.equal(there.syns().length, 0);
    answersArp(there);
    assert.equal(there.syns()[0]?.to, `${GUEST_4}.80`);
    const absent = new ProbeBench();
    absent.tries('tcp', absent.at(GUEST_4, null));
    absent.passes(TCP_PATIENCE_MS + 20);
    assert.deepEqual([absent.found, absent.tcp.size], [['absent'], 0]);
  });

  test('without descriptors nothing can be said', () => {
    const bench = new ProbeBench();
    bench.failPair = EMFILE;
    bench.tries('tcp');
    assert.deepEqual([bench.found, bench.closedFds, bench.probes.size], [['silent'], [], 0]);
  });
});

describe('UDP', () => {
  const answer = (bench: ProbeBench, port: number): void =>
    bench.hears(ipv4Frame({ from: GUEST_MAC, src: GUEST_4, dst: GATEWAY_4 }, udpOf(80, port)));
  const refusal = (bench: ProbeBench, quoted: Uint8Array): void =>
    bench.hears(ipv4Frame({ from: GUEST_MAC, src: GUEST_4, dst: GATEWAY_4 }, icmpOf(3, 3, 0, quoted)));

  test('an answer', () => {
    const bench = new ProbeBench();
    bench.tries('udp');
    answer(bench, bench.asked().port);
    bench.passes(20);
    assert.deepEqual([bench.found, bench.udp.size], [['open'], 0]);
  });

  test('a refusal, and quotes that are of something else', () => {
    const bench = new ProbeBench();
    bench.tries('udp');
    const quoted = bench.asked().frame.subarray(14);
    const other = quoted.slice();
    other[21]! ^= 1; // the source port
    for (const wrong of [other, quoted.subarray(0, 19), quoted.subarray(0, 24)]) refusal(bench, wrong);
    bench.passes(20);
    assert.deepEqual(bench.found, []);
    refusal(bench, quoted);
    bench.passes(20);
    assert.deepEqual(bench.found, ['closed']);
    refusal(bench, quoted); // nobody asks any more
  });

  test('a refusal over IPv6', () => {
    const bench = new ProbeBench();
    bench.tries('udp', bench.at(GUEST_6));
    const { frame } = bench.asked();
    const ends = { from: GUEST_MAC, src: GUEST_6, dst: GATEWAY_6 };
    bench.hears(ipv6Frame(ends, icmp6Of(1, 4, 0, frame.subarray(14, 40))));
    bench.passes(20);
    assert.deepEqual(bench.found, []);
    bench.hears(ipv6Frame(ends, icmp6Of(1, 4, 0, frame.subarray(14))));
    bench.passes(20);
    assert.deepEqual(bench.found, ['closed']);
  });

  test('silence, and absence', () => {
    const bench = new ProbeBench();
    bench.tries('udp');
    bench.passes(UDP_PATIENCE_MS + 20);
    bench.tries('udp', bench.at(GUEST_4, null));
    bench.passes(UDP_PATIENCE_MS + 20);
    assert.deepEqual([bench.found, bench.udp.size], [['silent', 'absent'], 0]);
  });

  test('a guest whose place is found is asked', () => {
    const bench = new ProbeBench();
    bench.tries('udp', bench.at(GUEST_4, null));
    answersArp(bench);
    answer(bench, bench.asked().port);
    bench.passes(20);
    assert.deepEqual(bench.found, ['open']);
  });
});
