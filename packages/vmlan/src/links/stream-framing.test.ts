import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import { MAX_FRAME_LEN } from './link.ts';
import { MAX_QUEUES, QUEUE_LEN, StreamBuffers, StreamDecoder, StreamQueue } from './stream-framing.ts';

const arenaOf = (mib: number): Arena => new Arena(new ArrayBuffer(mib << 20));
const stream = (len: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => (i * 13 + seed) & 0xff);

function framed(frames: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(
    Buffer.concat(
      frames.flatMap((frame) => {
        const length = new Uint8Array(4);
        new DataView(length.buffer).setUint32(0, frame.length);
        return [length, frame];
      }),
    ),
  );
}

/** A decoder that reads from memory, as a link reads from a socket. */
class Reader {
  readonly frames: Uint8Array[] = [];
  readonly decoder: StreamDecoder;
  readonly #shared: StreamBuffers;
  onFrame: () => void = () => {};

  constructor(shared: StreamBuffers) {
    this.#shared = shared;
    this.decoder = new StreamDecoder(shared);
  }

  /** False when the link must be closed. */
  reads(chunk: Uint8Array): boolean {
    const { arena } = this.#shared;
    this.decoder.prepare();
    assert.ok(chunk.length <= this.decoder.readLen);
    arena.u8.set(chunk, this.decoder.readOffset);
    return this.decoder.onBytes(chunk.length, 5, (off, len, nowMs) => {
      assert.equal(nowMs, 5);
      assert.ok(off >= this.#shared.rx + 4, 'room for an offload header');
      this.frames.push(arena.u8.slice(off, off + len));
      this.onFrame();
    });
  }
}

describe('a byte stream', () => {
  test('gives the same frames however it is cut', () => {
    const shared = new StreamBuffers(arenaOf(2));
    const frame = fc.nat(300).chain((len) => fc.nat(255).map((seed) => stream(len, seed)));
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 30 }),
        (frames, sizes) => {
          const reader = new Reader(shared);
          const bytes = framed(frames);
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length]!;
            assert.equal(reader.reads(bytes.subarray(at, at + size)), true);
            at += size;
          }
          assert.deepEqual(reader.frames, frames);
          assert.equal(shared.partials.inUse, 0, 'nothing is kept at the end of a frame');
        },
      ),
    );
  });

  test('byte by byte', () => {
    const reader = new Reader(new StreamBuffers(arenaOf(2)));
    const frames = [stream(60), stream(0), stream(1), stream(1514)];
    for (const byte of framed(frames)) assert.equal(reader.reads(Uint8Array.of(byte)), true);
    assert.deepEqual(reader.frames, frames);
  });

  test('all at once, with a piece at the end', () => {
    const shared = new StreamBuffers(arenaOf(2));
    const reader = new Reader(shared);
    const frames = Array.from({ length: 80 }, (_, i) => stream(1514, i));
    const bytes = framed(frames);
    reader.reads(bytes.subarray(0, bytes.length - 7));
    assert.equal(reader.frames.length, 79);
    assert.equal(shared.partials.inUse, 1);
    reader.reads(bytes.subarray(bytes.length - 7));
    assert.deepEqual(reader.frames, frames);
  });

  test('the longest frame in two pieces', () => {
    const reader = new Reader(new StreamBuffers(arenaOf(2)));
    const longest = stream(MAX_FRAME_LEN);
    const bytes = framed([longest, stream(60)]);
    reader.reads(bytes.subarray(0, 40_001));
    reader.reads(bytes.subarray(40_001));
    assert.ok(Buffer.from(reader.frames[0]!).equals(longest));
    assert.deepEqual(reader.frames[1], stream(60));
  });

  test('several links read through one buffer, each keeps its piece', () => {
    const shared = new StreamBuffers(arenaOf(2));
    const readers = [1, 2, 3].map(() => new Reader(shared));
    const bytes = readers.map((_, i) => framed([stream(500, i), stream(501, i)]));
    for (const [from, to] of [
      [0, 2],
      [2, 400],
      [400, 700],
      [700, 1009],
    ] as const) {
      for (const [i, reader] of readers.entries()) reader.reads(bytes[i]!.subarray(from, to));
    }
    for (const [i, reader] of readers.entries()) assert.deepEqual(reader.frames, [stream(500, i), stream(501, i)]);
  });
});

describe('a peer that does not speak this framing', () => {
  test('a length beyond the longest frame closes', () => {
    for (const length of [MAX_FRAME_LEN + 1, 0x8000_0000, 0xffff_ffff, 0x4745_5420 /* "GET " */]) {
      const reader = new Reader(new StreamBuffers(arenaOf(2)));
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setUint32(0, length);
      assert.equal(reader.reads(bytes), false);
      assert.deepEqual(reader.frames, []);
    }
  });

  test('the frames before it are still taken', () => {
    const reader = new Reader(new StreamBuffers(arenaOf(2)));
    assert.equal(reader.reads(new Uint8Array([...framed([stream(60)]), 0xff, 0xff, 0xff, 0xff])), false);
    assert.equal(reader.frames.length, 1);
  });

  test('no buffer is left for its piece', () => {
    const shared = new StreamBuffers(arenaOf(80));
    while (shared.partials.take() !== 0);
    const reader = new Reader(shared);
    assert.equal(reader.reads(framed([stream(60)])), true, 'whole frames need none');
    assert.equal(reader.reads(Uint8Array.of(0, 0)), false);
  });
});

describe('a link that is closed', () => {
  test('keeps nothing', () => {
    const shared = new StreamBuffers(arenaOf(2));
    const reader = new Reader(shared);
    reader.reads(framed([stream(60)]).subarray(0, 30));
    assert.equal(shared.partials.inUse, 1);
    reader.decoder.stop();
    reader.decoder.stop();
    assert.equal(shared.partials.inUse, 0);
  });

  test('by what one of its frames led to: no more frames, and nothing kept', () => {
    const shared = new StreamBuffers(arenaOf(2));
    const reader = new Reader(shared);
    reader.onFrame = () => reader.decoder.stop();
    assert.equal(reader.reads(framed([stream(60), stream(61), stream(62)]).subarray(0, 150)), true);
    assert.deepEqual(reader.frames, [stream(60)]);
    assert.equal(shared.partials.inUse, 0);
  });
});

describe('the transmit queue', () => {
  const setup = (): {
    queue: StreamQueue;
    shared: StreamBuffers;
    counters: Counters;
    put: (frame: Uint8Array) => boolean;
  } => {
    const shared = new StreamBuffers(arenaOf(4));
    const counters = new Counters();
    const queue = new StreamQueue(shared, counters);
    const put = (frame: Uint8Array): boolean => {
      const at = queue.reserve(frame.length);
      if (at < 0) return false;
      shared.arena.u8.set(frame, at);
      queue.commit(frame.length);
      return true;
    };
    return { queue, shared, counters, put };
  };

  test('holds frames as they go out, and no buffer when it is empty', () => {
    const { queue, shared, put } = setup();
    assert.equal(shared.queues.inUse, 0);
    put(stream(60));
    put(stream(61));
    assert.equal(shared.queues.inUse, 1);
    const bytes = framed([stream(60), stream(61)]);
    assert.deepEqual(shared.arena.u8.slice(queue.offset, queue.offset + queue.length), bytes);
    queue.consume(70);
    assert.deepEqual(shared.arena.u8.slice(queue.offset, queue.offset + queue.length), bytes.subarray(70));
    queue.consume(bytes.length - 70);
    assert.deepEqual([queue.length, shared.queues.inUse], [0, 0]);
  });

  test('refuses what does not fit, and counts it', () => {
    const { queue, counters, put } = setup();
    while (put(stream(1514)));
    assert.ok(queue.free < 1518);
    assert.equal(counters.get('drop_link_queue_full'), 1);
    assert.equal(put(stream(queue.free - 4)), true, 'a smaller one may still fit');
    assert.equal(queue.free, 0);
    assert.equal(put(stream(0)), false);
  });

  test('TCP that plans with what it is told leaves room for the longest datagram in fragments', () => {
    const { queue, put } = setup();
    const segment = 1460 + 54;
    for (let planned = queue.plannable; planned >= 1460; planned = queue.plannable)
      for (let sent = 0; sent < Math.min(planned, 65_000); sent += 1460) assert.ok(put(stream(segment)));
    assert.ok(queue.length > QUEUE_LEN / 2);
    for (let sent = 0; sent < 65_507; sent += 1480) assert.ok(put(stream(1514)), `fragment at ${sent}`);
    assert.equal(queue.plannable, 0);
  });

  test('moves to the front when the end of its buffer is reached', () => {
    const { queue, shared, put } = setup();
    const first = Array.from({ length: 4 }, (_, i) => stream(60_000, i));
    for (const frame of first) put(frame);
    queue.consume(60_004 * 3 + 10_000);
    assert.equal(put(stream(50_000)), true);
    const rest = framed([first[3]!, stream(50_000)]).subarray(10_000);
    assert.ok(Buffer.from(shared.arena.u8.subarray(queue.offset, queue.offset + queue.length)).equals(rest));
  });

  test('refuses when all buffers are in use', () => {
    const shared = new StreamBuffers(arenaOf(400));
    const counters = new Counters();
    while (shared.queues.take() !== 0);
    assert.equal(shared.queues.inUse, MAX_QUEUES);
    assert.equal(new StreamQueue(shared, counters).reserve(60), -1);
    assert.equal(counters.get('drop_link_queue_full'), 1);
  });

  test('is emptied at once', () => {
    const { queue, shared, put } = setup();
    put(stream(60));
    queue.reset();
    queue.reset();
    assert.deepEqual([queue.length, queue.free, shared.queues.inUse], [0, QUEUE_LEN, 0]);
  });

  test('is a queue, whatever is put in and taken out', () => {
    const { queue, shared, put } = setup();
    const step = fc.tuple(fc.nat(9000), fc.nat(60_000));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        queue.reset();
        let waiting = Buffer.alloc(0);
        for (const [i, [len, taken]] of steps.entries()) {
          const frame = stream(len, i);
          if (put(frame)) waiting = Buffer.concat([waiting, framed([frame])]);
          else assert.ok(waiting.length + 4 + len > QUEUE_LEN);
          assert.equal(queue.length, waiting.length);
          const n = i % 3 === 0 ? Math.min(taken, waiting.length) : 0;
          assert.ok(waiting.subarray(0, n).equals(shared.arena.u8.subarray(queue.offset, queue.offset + n)));
          if (n > 0) queue.consume(n);
          waiting = waiting.subarray(n);
        }
        assert.ok(waiting.equals(shared.arena.u8.subarray(queue.offset, queue.offset + queue.length)));
      }),
      { numRuns: 30 },
    );
  });
});
