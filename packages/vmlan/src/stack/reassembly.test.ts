import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { Packet } from './packet.ts';
import { MAPPED, type GuestPort } from './path.ts';
import { MAX_CONTEXTS, MAX_PER_PORT, Reassembler, TIMEOUT_MS } from './reassembly.ts';

interface Fragment {
  readonly at: number;
  readonly data: Uint8Array;
  readonly more: boolean;
}
interface Whose {
  readonly id?: number;
  readonly port?: number;
  readonly protocol?: number;
  readonly source?: number;
  readonly nowMs?: number;
}

const headerLen = (family: number): number => (family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN);
const stream = (len: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => (i * 13 + seed) & 0xff);

class Bench {
  readonly counters: Counters = new Counters();
  readonly reassembler: Reassembler;
  readonly #arena = new Arena(new ArrayBuffer(8 << 20));
  readonly #packet = new Packet();
  readonly #frame = this.#arena.alloc(1 << 17) + 64;
  readonly #family: 4 | 6;

  constructor(family: 4 | 6) {
    this.#family = family;
    this.reassembler = new Reassembler(this.#arena, this.counters);
  }

  /** Hands in a fragment; the data of the datagram that it completes, or null. */
  add({ at, data, more }: Fragment, whose: Whose = {}): Uint8Array | null {
    const { id = 7, port = 1, protocol = ipv4.PROTO_UDP, source = 2, nowMs = 0 } = whose;
    const { view: v, u8 } = this.#arena;
    const p = this.#packet;
    const family = this.#family;
    p.port = { id: port, nicKey: '', guest: '', room: () => 0 } satisfies GuestPort;
    p.family = family;
    p.frame = this.#frame;
    p.ip = p.frame + ethernet.HEADER_LEN;
    p.hopLimit = 63;
    if (family === 4) {
      p.setGuest(0, 0, MAPPED, 0x0a00_0000 + source);
      p.setRemote(0, 0, MAPPED, 0x0a00_00ff);
      ethernet.emit(v, p.frame, 1, 2, 3, 4, ethernet.TYPE_IPV4);
      ipv4.emit(v, p.ip, 20 + data.length, id, ipv4.FLAG_MF, 63, protocol, 0x0a00_0000 + source, 0x0a00_00ff);
    } else {
      p.setGuest(0xfd00_0000, 0, 0, source);
      p.setRemote(0xfd00_0000, 0, 0, 0xff);
      ethernet.emit(v, p.frame, 1, 2, 3, 4, ethernet.TYPE_IPV6);
      ipv6.emit(v, p.ip, 8 + data.length, 44, 63, 0xfd00_0000, 0, 0, source, 0xfd00_0000, 0, 0, 0xff);
    }
    const dataOff = p.ip + headerLen(family) + 8;
    u8.set(data, dataOff);
    const frame = this.reassembler.add(p, id, protocol, dataOff, data.length, at, more, nowMs);
    return frame < 0 ? null : this.#finished(frame, protocol);
  }

  /** Checks the headers of a finished frame and returns its data. */
  #finished(frame: number, protocol: number): Uint8Array {
    const { view: v, u8 } = this.#arena;
    const ip = frame + ethernet.HEADER_LEN;
    const len = this.reassembler.frameLen - ethernet.HEADER_LEN;
    assert.equal(vnetHdr.flags(v, frame - vnetHdr.LEN), 0, 'nobody vouches for its checksum');
    assert.deepEqual([ethernet.dstHi(v, frame), ethernet.srcLo(v, frame)], [1, 4]);
    if (this.#family === 4) {
      assert.equal(ipv4.check(v, ip, len), 0);
      assert.equal(ipv4.totalLen(v, ip), len);
      assert.equal(ipv4.isFragment(v, ip), false);
      assert.deepEqual([ipv4.protocol(v, ip), ipv4.ttl(v, ip)], [protocol, 63]);
    } else {
      assert.equal(ipv6.check(v, ip, len), 0);
      assert.equal(ipv6.payloadLen(v, ip), len - ipv6.HEADER_LEN);
      assert.deepEqual([ipv6.nextHeader(v, ip), ipv6.hopLimit(v, ip)], [protocol, 63]);
    }
    return u8.slice(ip + headerLen(this.#family), frame + this.reassembler.frameLen);
  }
}

/** `len` bytes cut at the given places, in multiples of 8. */
function cut(data: Uint8Array, places: readonly number[]): Fragment[] {
  const ends = [...new Set(places.map((place) => place & ~7))].filter((at) => at > 0 && at < data.length);
  const edges = [0, ...ends.sort((a, b) => a - b), data.length];
  return edges.slice(1).map((end, i) => ({ at: edges[i]!, data: data.slice(edges[i], end), more: end < data.length }));
}

for (const family of [4, 6] as const) {
  const most = 65_535 - headerLen(family);

  test(`any datagram in any pieces in any order, some of them twice, IPv${family}`, () => {
    const bench = new Bench(family);
    const len = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 60_000, max: most }), fc.constant(most));
    fc.assert(
      fc.property(
        len,
        fc.array(fc.nat(most), { maxLength: 20 }),
        fc.integer(),
        fc.nat(0xffff),
        (n, places, seed, id) => {
          const data = stream(n, seed);
          const pieces = cut(data, places);
          const order = pieces.flatMap((piece, i) => (((seed >> (i % 31)) & 1) === 1 ? [piece, piece] : [piece]));
          order.sort((a, b) => Math.imul(a.at + 1, seed | 1) - Math.imul(b.at + 1, seed | 1));
          const finished = order.map((piece) => bench.add(piece, { id })).filter((whole) => whole !== null);
          assert.ok(finished.length >= 1);
          for (const whole of finished) assert.ok(Buffer.from(whole).equals(data));
          bench.reassembler.poll(TIMEOUT_MS);
          assert.equal(bench.reassembler.pending, 0);
          assert.equal(bench.counters.get('drop_fragment_overlap'), 0);
        },
      ),
    );
  });

  describe(`pieces that do not fit together, IPv${family}`, () => {
    const bytes = stream(4000);
    const piece = (at: number, end: number, more: boolean, from = bytes): Fragment => ({
      at,
      data: from.slice(at, end),
      more,
    });
    const table: { name: string; pieces: Fragment[]; counter: string }[] = [
      { name: 'overlap by one unit', pieces: [piece(0, 16, true), piece(8, 24, false)], counter: 'overlap' },
      {
        name: 'a second piece over the first',
        pieces: [piece(0, 64, true), piece(8, 16, true, stream(16, 9))],
        counter: 'overlap',
      },
      {
        name: 'the same place with other bytes',
        pieces: [piece(0, 16, true), piece(0, 16, true, stream(16, 9))],
        counter: 'overlap',
      },
      { name: 'two ends', pieces: [piece(16, 24, false), piece(24, 32, false)], counter: 'too_long' },
      {
        name: 'two ends, the shorter one later',
        pieces: [piece(24, 32, false), piece(8, 16, false)],
        counter: 'overlap',
      },
      { name: 'data behind the end', pieces: [piece(8, 16, false), piece(16, 24, true)], counter: 'too_long' },
      {
        name: 'the end before data that is there',
        pieces: [piece(24, 32, true), piece(8, 16, false)],
        counter: 'overlap',
      },
      { name: 'no data', pieces: [piece(8, 8, true)], counter: 'too_long' },
      { name: 'no data at the end', pieces: [piece(8, 8, false)], counter: 'too_long' },
      { name: 'not a multiple of 8', pieces: [piece(0, 13, true)], counter: 'too_long' },
      { name: 'past 64 KiB', pieces: [{ at: 65_528, data: stream(8), more: false }], counter: 'too_long' },
    ];
    for (const { name, pieces, counter } of table) {
      test(name, () => {
        const bench = new Bench(family);
        for (const each of pieces) assert.equal(bench.add(each), null);
        assert.equal(bench.counters.get(`drop_fragment_${counter}`), 1);
        assert.equal(bench.reassembler.pending, 0);
      });
    }

    test('a hole is never filled with what another datagram left in the buffer', () => {
      const bench = new Bench(family);
      for (const each of cut(stream(64, 77), [32])) bench.add(each, { port: 2 });
      assert.equal(bench.add(piece(24, 32, true)), null);
      assert.equal(bench.add(piece(8, 16, false)), null);
    });
  });

  describe(`what belongs together, IPv${family}`, () => {
    const [first, last] = cut(stream(32), [16]) as [Fragment, Fragment];
    const table: { name: string; a: Whose; b: Whose; together: boolean }[] = [
      { name: 'the same', a: {}, b: {}, together: true },
      { name: 'another identification', a: { id: 1 }, b: { id: 2 }, together: false },
      { name: 'another source', a: { source: 3 }, b: { source: 4 }, together: false },
      { name: 'another port', a: { port: 1 }, b: { port: 2 }, together: false },
    ];
    // RFC 8200 §4.5 leaves the protocol out: the first fragment names it.
    if (family === 4)
      table.push({ name: 'another protocol', a: { protocol: 17 }, b: { protocol: 6 }, together: false });
    for (const { name, a, b, together } of table) {
      test(name, () => {
        const bench = new Bench(family);
        bench.add(first, a);
        assert.equal(bench.add(last, b) !== null, together);
        assert.equal(bench.reassembler.pending, together ? 0 : 2);
      });
    }
  });
}

describe('limits', () => {
  const half: Fragment = { at: 0, data: stream(8), more: true };

  test('a datagram waits only so long', () => {
    const bench = new Bench(4);
    bench.add(half, { nowMs: 1000 });
    bench.reassembler.poll(1000 + TIMEOUT_MS - 1);
    assert.equal(bench.reassembler.pending, 1);
    bench.reassembler.poll(1000 + TIMEOUT_MS);
    assert.equal(bench.reassembler.pending, 0);
    assert.equal(bench.counters.get('drop_fragment_timeout'), 1);
  });

  test('a guest with too many loses its own oldest, and nobody else any', () => {
    const bench = new Bench(4);
    bench.add(half, { port: 2 });
    for (let id = 0; id < 3 * MAX_PER_PORT; id++) bench.add(half, { id, nowMs: id });
    assert.equal(bench.reassembler.pending, MAX_PER_PORT + 1);
    assert.equal(bench.counters.get('drop_fragment_table_full'), 2 * MAX_PER_PORT);
    assert.notEqual(bench.add({ at: 8, data: stream(8), more: false }, { port: 2 }), null);
    assert.notEqual(bench.add({ at: 8, data: stream(8), more: false }, { id: 3 * MAX_PER_PORT - 1 }), null);
    assert.equal(bench.add({ at: 8, data: stream(8), more: false }, { id: 0 }), null);
  });

  test('many guests: the oldest of all goes, timed out ones first', () => {
    const bench = new Bench(4);
    for (let port = 0; port < MAX_CONTEXTS + 5; port++) bench.add(half, { port, nowMs: port });
    assert.equal(bench.reassembler.pending, MAX_CONTEXTS);
    assert.equal(bench.counters.get('drop_fragment_table_full'), 5);
    bench.add(half, { port: 999, nowMs: TIMEOUT_MS + 20 });
    assert.equal(bench.counters.get('drop_fragment_timeout'), 16, 'those of ports 5 to 20');
    assert.equal(bench.counters.get('drop_fragment_table_full'), 5);
  });
});
