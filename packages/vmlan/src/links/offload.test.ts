import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Arena } from '../core/arena.ts';
import { fold } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import { hex, view } from '../wire/frames.fixture.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { $upper } from '../wire/ipv6.ts';
import {
  etherFrame,
  fragmentHeader,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  raw,
  tcpOf,
  udpOf,
  type Upper,
} from '../wire/packets.fixture.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { MAX_FRAME_LEN } from './link.ts';
import { type FrameSink, sendPlain } from './offload.ts';

const stream = (len: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => (i * 13 + seed) & 0xff);
const OPTIONS = hex('0101 080a 0000 0001 0000 0002'); // NOP, NOP, timestamps
const TYPES = { 4: vnetHdr.GSO_TCPV4, 6: vnetHdr.GSO_TCPV6 } as const;

function frameOf(family: 4 | 6, upper: Upper): Uint8Array {
  return family === 4
    ? ipv4Frame({ src: '192.0.2.1', dst: '192.0.2.2', id: 0xfffe }, upper)
    : ipv6Frame({ src: '2001:db8::1', dst: '2001:db8::2' }, upper);
}

/** What a link sends for a frame; `take` is how many plain frames there is room for. */
class Bench implements FrameSink {
  readonly arena: Arena = new Arena(new ArrayBuffer(1 << 19));
  readonly plain: Uint8Array[] = [];
  readonly #tx: number;
  readonly #rx: number;
  #reserved = 0;
  take: number = Infinity;

  constructor() {
    this.#tx = this.arena.alloc(1 << 17) + 64;
    this.#rx = this.arena.alloc(1 << 17) + 64;
  }

  /** True when all of it was sent. The frame itself and what lies behind a reservation stay untouched. */
  sends(frame: Uint8Array, header: (v: DataView, o: number) => void): boolean {
    const { view: v, u8 } = this.arena;
    u8.set(frame, this.#rx);
    vnetHdr.clear(v, this.#rx - vnetHdr.LEN);
    header(v, this.#rx - vnetHdr.LEN);
    const before = u8.slice(this.#rx - vnetHdr.LEN, this.#rx + frame.length);
    const whole = sendPlain(v, u8, this.#rx, frame.length, this);
    assert.ok(Buffer.from(u8.subarray(this.#rx - vnetHdr.LEN, this.#rx + frame.length)).equals(before));
    return whole;
  }

  reserve(len: number): number {
    if (this.plain.length >= this.take || len > MAX_FRAME_LEN) return -1;
    this.#reserved = len;
    this.arena.u8.fill(0xee, this.#tx - 64, this.#tx + len + 64);
    return this.#tx;
  }

  commit(len: number): void {
    assert.ok(len <= this.#reserved);
    const { u8 } = this.arena;
    for (let i = 0; i < 64; i++) {
      assert.equal(u8[this.#tx - 64 + i], 0xee, 'nothing is written before');
      assert.equal(u8[this.#tx + this.#reserved + i], 0xee, 'nor behind what was reserved');
    }
    this.plain.push(u8.slice(this.#tx, this.#tx + len));
  }
}

/** Checks a plain frame by the codecs; where its transport header is, and its sum. */
function transportOf(frame: Uint8Array): { v: DataView; l4: number; len: number; pseudo: number } {
  const v = view(frame);
  const ip = ethernet.HEADER_LEN;
  const avail = frame.length - ip;
  if (ethernet.etherType(v, 0) === ethernet.TYPE_IPV4) {
    assert.equal(ipv4.check(v, ip, avail), 0);
    assert.equal(ipv4.totalLen(v, ip), avail);
    const pseudo = ipv4.pseudo(v, ip, ipv4.protocol(v, ip));
    return { v, l4: ipv4.payload(v, ip), len: ipv4.payloadLen(v, ip), pseudo };
  }
  assert.equal(ipv6.check(v, ip, avail), 0);
  assert.equal(ipv6.HEADER_LEN + ipv6.payloadLen(v, ip), avail);
  assert.equal(ipv6.upper(v, ip), 0);
  return { v, l4: $upper.offset, len: $upper.length, pseudo: ipv6.pseudo(v, ip, $upper.protocol) };
}

/** A frame whose checksum field holds the sum of the pseudo header only. */
function partial(family: 4 | 6, frame: Uint8Array, field: number): Uint8Array {
  const { v, l4, len, pseudo } = transportOf(frame);
  const copy = frame.slice();
  view(copy).setUint16(l4 + field, fold(pseudo + len));
  assert.equal(v.byteLength, copy.length);
  return copy;
}

describe('completion', () => {
  for (const family of [4, 6] as const) {
    const start = ethernet.HEADER_LEN + (family === 4 ? 20 : 40);
    for (const [name, upper, field] of [
      ['TCP', tcpOf({ flags: tcp.ACK }, stream(33)), tcp.CHECKSUM_OFFSET],
      ['UDP', udpOf(5, 6, stream(33)), udp.CHECKSUM_OFFSET],
    ] as const) {
      test(`${name} over IPv${family}`, () => {
        const whole = frameOf(family, upper);
        const bench = new Bench();
        const needs = (v: DataView, o: number): void => vnetHdr.emit(v, o, vnetHdr.NEEDS_CSUM, 0, 0, 0, start, field);
        assert.equal(bench.sends(partial(family, whole, field), needs), true);
        assert.deepEqual(bench.plain, [whole]);
      });
    }
  }

  test('a UDP checksum of zero goes out as all ones (RFC 768)', () => {
    // Ports chosen so that everything sums to 0xffff.
    const base = frameOf(4, udpOf(5, 0));
    const { v, l4, len, pseudo } = transportOf(base);
    const rest = fold(pseudo + 2 * len + 5);
    const whole = frameOf(4, udpOf(5, 0xffff - rest));
    assert.equal(v.byteLength, whole.length);
    assert.equal(view(whole).getUint16(l4 + 6), 0xffff);
    const bench = new Bench();
    bench.sends(partial(4, whole, 6), (v, o) => vnetHdr.emit(v, o, vnetHdr.NEEDS_CSUM, 0, 0, 0, 34, 6));
    assert.deepEqual(bench.plain, [whole]);
  });

  test('a frame that asks for nothing goes as it is', () => {
    const bench = new Bench();
    const frame = etherFrame('52:54:00:00:00:0a', 'ff:ff:ff:ff:ff:ff', 0x88b5, stream(50));
    assert.equal(
      bench.sends(frame, () => {}),
      true,
    );
    assert.equal(
      bench.sends(frame, (v, o) => vnetHdr.setFlags(v, o, vnetHdr.DATA_VALID)),
      true,
    );
    assert.deepEqual(bench.plain, [frame, frame]);
  });

  test('no room: nothing is sent', () => {
    const bench = new Bench();
    bench.take = 0;
    assert.equal(
      bench.sends(frameOf(4, icmpOf(8, 0, 1)), () => {}),
      false,
    );
    assert.deepEqual(bench.plain, []);
  });
});

describe('TCP segmentation', () => {
  const needs =
    (family: 4 | 6, mss: number, extra = 0) =>
    (v: DataView, o: number): void =>
      vnetHdr.emit(v, o, vnetHdr.NEEDS_CSUM, TYPES[family] | extra, 54, mss, family === 4 ? 34 : 54, 16);

  for (const family of [4, 6] as const) {
    test(`any payload by any MSS is the same stream, IPv${family}`, () => {
      const cuts = fc.tuple(
        fc.integer({ min: 1, max: 65_000 }),
        fc.integer({ min: 48, max: 9000 }),
        fc.integer(),
        fc.boolean(),
      );
      fc.assert(
        fc.property(cuts, ([bytes, mss, seq, withOptions]) => {
          const payload = stream(bytes, seq);
          const bench = new Bench();
          const flags = tcp.ACK | tcp.PSH | tcp.FIN | tcp.CWR;
          const fields = { seq, ack: 77, flags, ...(withOptions ? { options: OPTIONS } : {}) };
          assert.equal(bench.sends(frameOf(family, tcpOf(fields, payload)), needs(family, mss)), true);
          assert.equal(bench.plain.length, Math.ceil(bytes / mss));
          let at = 0;
          for (const [i, frame] of bench.plain.entries()) {
            const { v, l4, len, pseudo } = transportOf(frame);
            const last = i === bench.plain.length - 1;
            assert.equal(tcp.check(v, l4, len, pseudo), 0);
            assert.equal(tcp.seq(v, l4), (seq + at) | 0);
            assert.equal(tcp.ack(v, l4), 77);
            assert.equal((tcp.flags(v, l4) & (tcp.FIN | tcp.PSH)) !== 0, last, 'FIN and PSH on the last one only');
            assert.equal((tcp.flags(v, l4) & tcp.CWR) !== 0, i === 0, 'CWR on the first one only (RFC 3168)');
            assert.ok((tcp.flags(v, l4) & tcp.ACK) !== 0);
            if (withOptions) assert.deepEqual(frame.subarray(l4 + 20, l4 + 32), OPTIONS);
            const part = frame.subarray(l4 + tcp.dataOffset(v, l4));
            assert.equal(part.length, last ? bytes - at : mss);
            assert.ok(Buffer.from(part).equals(payload.subarray(at, at + part.length)));
            if (family === 4) assert.equal(ipv4.id(v, 14), (0xfffe + i) & 0xffff);
            at += part.length;
          }
          assert.equal(at, bytes);
        }),
        { numRuns: 60 },
      );
    });
  }

  test('behind IPv4 options and IPv6 extension headers', () => {
    const upper = tcpOf({ flags: tcp.ACK }, stream(3000));
    const four = ipv4Frame({ src: '192.0.2.1', dst: '192.0.2.2', options: hex('94 04 0000') }, upper);
    const extensions = { first: 60, bytes: hex('06 00 0104 00000000') };
    const six = ipv6Frame({ src: '2001:db8::1', dst: '2001:db8::2', extensions }, upper);
    for (const [family, frame] of [
      [4, four],
      [6, six],
    ] as const) {
      const bench = new Bench();
      assert.equal(bench.sends(frame, needs(family, 1000)), true);
      assert.equal(bench.plain.length, 3);
      for (const plain of bench.plain) {
        const { v, l4, len, pseudo } = transportOf(plain);
        assert.equal(tcp.check(v, l4, len, pseudo), 0);
      }
    }
  });

  test('the ECN flag beside the type changes nothing', () => {
    const bench = new Bench();
    assert.equal(
      bench.sends(frameOf(4, tcpOf({ flags: tcp.ACK }, stream(2000))), needs(4, 1000, vnetHdr.GSO_ECN)),
      true,
    );
    assert.equal(bench.plain.length, 2);
  });

  test('room for a part: the rest is lost, and said to be', () => {
    const bench = new Bench();
    bench.take = 2;
    assert.equal(bench.sends(frameOf(4, tcpOf({ flags: tcp.ACK }, stream(3000))), needs(4, 1000)), false);
    assert.equal(bench.plain.length, 2);
  });

  const broken: { name: string; frame: Uint8Array; family?: 4 | 6; mss?: number }[] = [
    { name: 'no payload', frame: frameOf(4, tcpOf({ flags: tcp.ACK })) },
    { name: 'a TCP header of no length', frame: frameOf(4, raw(6, new Uint8Array(40))) },
    { name: 'a TCP header longer than the frame', frame: frameOf(4, raw(6, new Uint8Array(24).fill(0xf0, 12, 13))) },
    { name: 'no whole TCP header', frame: frameOf(4, raw(6, stream(19))) },
    { name: 'an IPv4 header of no length', frame: frameOf(4, tcpOf({ flags: 0 }, stream(2000))).with(14, 0x40) },
    { name: 'another protocol', frame: frameOf(4, udpOf(5, 6, stream(2000))) },
    { name: 'another protocol over IPv6', frame: frameOf(6, udpOf(5, 6, stream(2000))), family: 6 },
    { name: 'a fragment', frame: ipv4Frame({ src: '1.2.3.4', dst: '1.2.3.5', fragment: 9 }, raw(6, stream(2000))) },
    {
      name: 'a fragment over IPv6',
      frame: ipv6Frame(
        { src: '2001:db8::1', dst: '2001:db8::2', extensions: { first: 44, bytes: fragmentHeader(6, 8, false) } },
        raw(6, stream(2000)),
      ),
      family: 6,
    },
    { name: 'IPv6 that is cut short', frame: frameOf(6, tcpOf({ flags: 0 }, stream(2000))).slice(0, 1000), family: 6 },
    { name: 'no IP', frame: etherFrame('52:54:00:00:00:0a', 'ff:ff:ff:ff:ff:ff', 0x88b5, stream(2000)) },
    { name: 'nothing but Ethernet', frame: etherFrame('52:54:00:00:00:0a', 'ff:ff:ff:ff:ff:ff', 0x0800, stream(0)) },
    { name: 'an MSS of zero', frame: frameOf(4, tcpOf({ flags: 0 }, stream(2000))), mss: 0 },
    {
      name: 'so small an MSS that a frame becomes thousands',
      frame: frameOf(4, tcpOf({ flags: 0 }, stream(60_000))),
      mss: 1,
    },
  ];
  for (const { name, frame, family = 4, mss = 1000 } of broken) {
    test(`not cut: ${name}`, () => {
      const bench = new Bench();
      assert.equal(bench.sends(frame, needs(family, mss)), false);
      assert.deepEqual(bench.plain, []);
    });
  }
});

describe('UDP segmentation', () => {
  const needs =
    (family: 4 | 6, size: number) =>
    (v: DataView, o: number): void =>
      vnetHdr.emit(v, o, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_UDP_L4, 42, size, family === 4 ? 34 : 54, 6);

  for (const family of [4, 6] as const) {
    test(`each piece is a datagram, IPv${family}`, () => {
      const bench = new Bench();
      const payload = stream(2500);
      assert.equal(bench.sends(frameOf(family, udpOf(5, 6, payload)), needs(family, 1000)), true);
      const parts = bench.plain.map((frame) => {
        const { v, l4, len, pseudo } = transportOf(frame);
        assert.equal(udp.check(v, l4, len, pseudo, false), 0);
        assert.deepEqual([udp.srcPort(v, l4), udp.dstPort(v, l4), udp.length(v, l4)], [5, 6, len]);
        return frame.subarray(l4 + udp.HEADER_LEN);
      });
      assert.deepEqual(
        parts.map((part) => part.length),
        [1000, 1000, 500],
      );
      assert.ok(Buffer.concat(parts).equals(payload));
    });
  }

  test('not cut: no payload, no size, no room, another protocol', () => {
    const bench = new Bench();
    assert.equal(bench.sends(frameOf(4, udpOf(5, 6)), needs(4, 1000)), false);
    assert.equal(bench.sends(frameOf(4, udpOf(5, 6, stream(10))), needs(4, 0)), false);
    assert.equal(bench.sends(frameOf(4, tcpOf({ flags: 0 }, stream(10))), needs(4, 5)), false);
    assert.equal(bench.sends(frameOf(4, udpOf(5, 6, stream(129))), needs(4, 1)), false, 'more than any kernel makes');
    bench.take = 0;
    assert.equal(bench.sends(frameOf(4, udpOf(5, 6, stream(10))), needs(4, 5)), false);
    assert.deepEqual(bench.plain, []);
  });

  test('bytes behind the IP packet are no datagram', () => {
    for (const family of [4, 6] as const) {
      const bench = new Bench();
      const frame = frameOf(family, udpOf(5, 6, stream(10)));
      const padded = new Uint8Array(frame.length + 20);
      padded.set(frame);
      assert.equal(bench.sends(padded, needs(family, 5)), true);
      assert.deepEqual(
        bench.plain.map((plain) => plain.length),
        [frame.length - 5, frame.length - 5],
      );
    }
  });
});

test('segmentation that nobody does any more (UFO) is not sent', () => {
  const bench = new Bench();
  const header = (v: DataView, o: number): void =>
    vnetHdr.emit(v, o, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_UDP, 42, 1000, 34, 6);
  assert.equal(bench.sends(frameOf(4, udpOf(5, 6, stream(3000))), header), false);
});

test('whatever header a frame has, nothing is written but what was reserved', () => {
  const frames = [4, 6].flatMap((family) => [
    frameOf(family as 4 | 6, tcpOf({ flags: 0x1f, options: OPTIONS }, stream(300))),
    frameOf(family as 4 | 6, udpOf(5, 6, stream(300))),
  ]);
  const mutant = fc
    .tuple(
      fc.constantFrom(...frames),
      fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 3 }),
      fc.integer({ min: 14, max: 400 }),
    )
    .map(([frame, changes, length]) => {
      const bytes = frame.slice(0, length);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    });
  const header = fc.tuple(fc.constantFrom(0, 1, 3, 4, 5, 0x81), fc.nat(2000), fc.nat(200), fc.nat(40));
  fc.assert(
    fc.property(mutant, header, (frame, [type, size, start, offset]) => {
      const emit = (v: DataView, o: number): void =>
        vnetHdr.emit(v, o, vnetHdr.NEEDS_CSUM, type, 0, size, start, offset);
      const bench = new Bench();
      const probe = new DataView(new ArrayBuffer(vnetHdr.LEN));
      emit(probe, 0);
      if (vnetHdr.check(probe, 0, frame.length) === 0) bench.sends(frame, emit);
    }),
    { numRuns: 1000 },
  );
});
