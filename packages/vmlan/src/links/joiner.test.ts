import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import * as ethernet from '../wire/ethernet.ts';
import { hex, view } from '../wire/frames.fixture.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { ipv4Frame, ipv6Frame, type TcpFields, tcpOf, udpOf } from '../wire/packets.fixture.ts';
import * as tcp from '../wire/tcp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { Joiner } from './joiner.ts';
import { type LinkInput, MAX_FRAME_LEN } from './link.ts';
import { sendPlain } from './offload.ts';

const MSS = 1000;
const IP4 = { src: '192.0.2.1', dst: '192.0.2.2', fragment: ipv4.FLAG_DF };
const STAMPS = hex('0101 080a 0000 0001 0000 0002'); // NOP, NOP, timestamps

const bytesOf = (len: number, seed: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => i * 7 + seed);

function segment(seq: number, len: number, fields: Partial<TcpFields> = {}, ip: object = {}): Uint8Array {
  return ipv4Frame({ ...IP4, ...ip }, tcpOf({ seq, flags: tcp.ACK, ...fields }, bytesOf(len, seq)));
}

function segment6(seq: number, len: number, fields: Partial<TcpFields> = {}): Uint8Array {
  const ends = { src: '2001:db8::1', dst: '2001:db8::2' };
  return ipv6Frame(ends, tcpOf({ seq, flags: tcp.ACK, ...fields }, bytesOf(len, seq)));
}

/** Reads frames as a link does: one behind the other, a length field between them. */
class Bench implements LinkInput {
  readonly arena: Arena = new Arena(new ArrayBuffer(1 << 21));
  readonly counters: Counters = new Counters();
  readonly #rx = this.arena.alloc(1 << 20) + 64;
  readonly #tx = this.arena.alloc(1 << 17) + 64;
  readonly #room = this.arena.alloc(64 + MAX_FRAME_LEN) + 64;
  readonly joiner: Joiner = new Joiner(this.arena.view, this.arena.u8, this.#room, this, this.counters);
  /** Frames as they came out, and the plain frames that they become again. */
  readonly out: { readonly frame: Uint8Array; readonly gsoSize: number }[] = [];
  readonly plain: Uint8Array[] = [];
  react: () => void = () => {};

  reads(...frames: readonly Uint8Array[]): void {
    const { u8 } = this.arena;
    let at = this.#rx;
    for (const frame of frames) {
      u8.set(frame, at + 4);
      at += 4 + frame.length;
    }
    at = this.#rx;
    for (const frame of frames) {
      this.joiner.onFrame(at + 4, frame.length, 5);
      at += 4 + frame.length;
    }
    this.joiner.flush(5);
  }

  onFrame(off: number, len: number, nowMs: number): void {
    const { view: v, u8 } = this.arena;
    assert.equal(nowMs, 5);
    assert.equal(vnetHdr.check(v, off - vnetHdr.LEN, len), 0);
    this.out.push({ frame: u8.slice(off, off + len), gsoSize: vnetHdr.gsoSize(v, off - vnetHdr.LEN) });
    assert.ok(sendPlain(v, u8, off, len, this));
    this.react();
  }

  restMs(): number {
    return 0;
  }

  onUp(): void {}
  onDown(): void {}
  reserve = (): number => this.#tx;
  commit(len: number): void {
    this.plain.push(this.arena.u8.slice(this.#tx, this.#tx + len));
  }

  get lengths(): number[] {
    return this.out.map(({ frame }) => frame.length - ethernet.HEADER_LEN - 40);
  }
}

let bench = new Bench();
beforeEach(() => {
  bench = new Bench();
});

function assertSame(got: readonly Uint8Array[], wanted: readonly Uint8Array[]): void {
  assert.equal(got.length, wanted.length);
  got.forEach((frame, i) => assert.equal(Buffer.from(frame).toString('hex'), Buffer.from(wanted[i]!).toString('hex')));
}

describe('segments of one flow', () => {
  for (const [family, of] of [
    ['IPv4', segment],
    ['IPv6', segment6],
  ] as const) {
    test(`${family}: become one frame that can be cut into them again`, () => {
      // The identification of what is cut counts on from the first one's.
      const id = (i: number): object => (family === 'IPv4' ? { id: 7 + i } : {});
      const frames = [0, 1, 2, 3].map((i) => of(i * MSS, i === 3 ? 300 : MSS, { options: STAMPS }, id(i)));
      bench.reads(...frames);
      assert.equal(bench.out.length, 1);
      assert.equal(bench.out[0]!.gsoSize, MSS);
      assertSame(bench.plain, frames);
      assert.equal(bench.counters.get('link_segments_joined'), 4);
    });
  }

  test('a short segment ends the frame', () => {
    bench.reads(segment(0, MSS), segment(MSS, 500), segment(MSS + 500, MSS), segment(2 * MSS + 500, MSS));
    assert.deepEqual(bench.lengths, [1500, 2000]);
  });

  test('PSH ends no frame, and is kept by the last segment', () => {
    const pushed = { flags: tcp.ACK | tcp.PSH };
    bench.reads(segment(0, MSS, pushed), segment(MSS, MSS, pushed), segment(2 * MSS, MSS));
    bench.reads(segment(3 * MSS, MSS, pushed));
    bench.reads(segment(4 * MSS, MSS), segment(5 * MSS, MSS));
    assert.deepEqual(bench.lengths, [3000, 1000, 2000]);
    const flags = bench.plain.map((frame) => tcp.flags(view(frame), 34) & tcp.PSH);
    assert.deepEqual(flags, [0, 0, tcp.PSH, tcp.PSH, 0, 0]);
  });

  test('never more than an IP packet holds', () => {
    bench.reads(...Array.from({ length: 100 }, (_, i) => segment(i * 1460, 1460)));
    assert.deepEqual(bench.lengths, [44 * 1460, 44 * 1460, 12 * 1460]);
    assert.equal(bench.plain.length, 100);
  });

  test('sequence numbers wrap', () => {
    bench.reads(segment(-MSS, MSS), segment(0, MSS));
    assert.deepEqual(bench.lengths, [2 * MSS]);
  });

  test('a padding of Ethernet is left out', () => {
    const padded = new Uint8Array([...segment(0, MSS), 0, 0, 0, 0]);
    bench.reads(padded, segment(MSS, MSS));
    assertSame(bench.plain, [segment(0, MSS), segment(MSS, MSS, {}, { id: 1 })]);
  });

  test('a frame alone is not touched', () => {
    bench.reads(segment(0, MSS));
    assertSame(bench.plain, [segment(0, MSS)]);
    assert.equal(bench.counters.get('link_segments_joined'), 0);
  });
});

describe('what does not fit goes after, in order', () => {
  const first = segment(0, MSS);
  const wrongSum = segment(MSS, MSS);
  wrongSum[wrongSum.length - 1]! ^= 1;
  const wrongHead = segment(MSS, MSS);
  wrongHead[24]! ^= 1;
  const others: Record<string, Uint8Array> = {
    'a gap': segment(MSS + 1, MSS),
    'what came already': segment(0, MSS),
    'a longer segment': segment(MSS, MSS + 1),
    'another acknowledgement': segment(MSS, MSS, { ack: 1 }),
    'another flow': segment(MSS, MSS, { srcPort: 1 }),
    'another destination port': segment(MSS, MSS, { dstPort: 1 }),
    'other options': segment(MSS, MSS, { options: STAMPS }),
    'another source': segment(MSS, MSS, {}, { src: '192.0.2.9' }),
    'another destination': segment(MSS, MSS, {}, { dst: '192.0.2.9' }),
    'another card': segment(MSS, MSS, {}, { to: '02:00:00:00:00:09' }),
    'another hop limit': segment(MSS, MSS, {}, { ttl: 9 }),
    'another fragment flag': segment(MSS, MSS, {}, { fragment: 0 }),
    'IP options': segment(MSS, MSS, {}, { options: hex('0101 0101') }),
    'a fragment': segment(MSS, MSS, {}, { fragment: ipv4.FLAG_MF }),
    'the end': segment(MSS, MSS, { flags: tcp.ACK | tcp.FIN }),
    'urgent data': segment(MSS, MSS, { flags: tcp.ACK | tcp.URG }),
    'a congestion mark': segment(MSS, MSS, { flags: tcp.ACK | tcp.ECE }),
    'no acknowledgement': segment(MSS, MSS, { flags: 0 }),
    'a pure acknowledgement': segment(MSS, 0),
    'next to nothing': segment(MSS, 10),
    'a bad checksum': wrongSum,
    'a bad header checksum': wrongHead,
    'IPv6 in its place': segment6(MSS, MSS),
    'a datagram': ipv4Frame(IP4, udpOf(1, 2, bytesOf(100, 1))),
    'a short frame': bytesOf(10, 1),
  };
  for (const [what, other] of Object.entries(others)) {
    test(what, () => {
      bench.reads(first, other, first, segment(MSS, MSS));
      assertSame(bench.out.map(({ frame }) => frame).slice(0, 2), [first, other]);
      assert.deepEqual(bench.lengths.slice(2), [2 * MSS]);
    });
  }

  test('a bad first segment, too', () => {
    const bad = segment(0, MSS);
    bad[100]! ^= 1;
    bench.reads(bad, segment(MSS, MSS), segment(2 * MSS, MSS));
    assert.deepEqual(bench.lengths, [MSS, 2 * MSS]);
    assertSame([bench.out[0]!.frame], [bad]);
  });

  test('where packets may be fragmented, an identification that does not count on', () => {
    const of = (seq: number, id: number): Uint8Array => segment(seq, MSS, {}, { fragment: 0, id });
    bench.reads(of(0, 0xffff), of(MSS, 0), of(2 * MSS, 2));
    assert.deepEqual(bench.lengths, [2 * MSS, MSS]);
  });
});

test('a link that a frame has closed hands on nothing more', () => {
  bench.react = () => bench.joiner.stop();
  bench.reads(segment(0, MSS), segment(5 * MSS, MSS), bytesOf(10, 1));
  assert.equal(bench.out.length, 1);
  bench.reads(bytesOf(10, 1));
  bench.reads(segment(0, MSS));
  assert.equal(bench.out.length, 1);
});

const TCP6 = ethernet.HEADER_LEN + 40;
const isPushed = (frame: Uint8Array): boolean => (tcp.flags(view(frame), TCP6) & tcp.PSH) !== 0;

/** Without PSH, and without the checksum that covers it. */
function unpushed(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  copy[TCP6 + tcp.FLAGS_OFFSET]! &= ~tcp.PSH;
  copy.fill(0, TCP6 + tcp.CHECKSUM_OFFSET, TCP6 + tcp.CHECKSUM_OFFSET + 2);
  return copy;
}

test('any stream of segments comes out as it went in, but for PSH, which may come later', () => {
  const one = fc.record({
    flow: fc.nat(1),
    len: fc.constantFrom(0, 1, 64, 100, 100, 100, 100, 200),
    push: fc.boolean(),
    gap: fc.constantFrom(0, 0, 0, 0, 1),
    ack: fc.constantFrom(0, 0, 0, 0, 1),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 60 }), (segments) => {
      bench = new Bench();
      const next = [0, 0];
      const frames = segments.map(({ flow, len, push, gap, ack }) => {
        const seq = next[flow]! + gap;
        next[flow] = seq + len;
        return segment6(seq, len, { srcPort: 1 + flow, ack, flags: tcp.ACK | (push ? tcp.PSH : 0) });
      });
      bench.reads(...frames);
      assertSame(bench.plain.map(unpushed), frames.map(unpushed));
      assert.ok(bench.plain.findLastIndex(isPushed) >= frames.findLastIndex(isPushed));
    }),
  );
});

test('garbage is handed on as it came', () => {
  const template = segment(0, 100);
  const mutations = fc.array(fc.tuple(fc.nat(template.length - 1), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(mutations, fc.nat(template.length)), { maxLength: 10 }), (all) => {
      bench = new Bench();
      const frames = all.map(([changes, cut], i) => {
        const frame = segment(i * 100, 100, {}, { id: i });
        for (const [at, value] of changes) frame[at] = value;
        return cut % 3 === 0 ? frame.slice(0, cut) : frame;
      });
      bench.reads(...frames);
      assert.ok(bench.plain.length <= frames.length);
      const bytes = (list: readonly Uint8Array[]): number => list.reduce((total, { length }) => total + length, 0);
      assert.ok(bytes(bench.plain) <= bytes(frames));
    }),
  );
});
