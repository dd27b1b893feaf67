import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Arena } from '../../core/arena.ts';
import { add, distance } from '../../core/sequence.ts';
import { MAX_QUEUES, QUEUE_LEN, ReceiveQueues } from './receive-queue.ts';

const setup = (): { queues: ReceiveQueues; arena: Arena; source: number } => {
  const arena = new Arena(new ArrayBuffer(4 << 20));
  const source = arena.alloc(QUEUE_LEN + 4096);
  return { queues: new ReceiveQueues(arena), arena, source };
};

/** The byte of the guest's stream at a distance from its beginning. */
const byteAt = (position: number): number => (position * 37 + (position >>> 9)) & 0xff;

describe('the pool', () => {
  test('lends a bounded number of queues and takes them back', () => {
    const queues = new ReceiveQueues(new Arena(new ArrayBuffer((MAX_QUEUES + 1) * QUEUE_LEN)));
    const ids = Array.from({ length: MAX_QUEUES }, (_, i) => queues.open(i));
    assert.equal(new Set(ids).size, MAX_QUEUES);
    assert.equal(queues.open(0), -1);
    assert.equal(queues.inUse, MAX_QUEUES);
    queues.close(ids[3]!);
    assert.equal(queues.inUse, MAX_QUEUES - 1);
    assert.equal(queues.open(99), ids[3]);
    assert.equal(queues.next(ids[3]!), 99);
    assert.equal(queues.isEmpty(ids[3]!), true);
  });

  test('a queue starts empty, whatever its last user left', () => {
    const { queues, source } = setup();
    const id = queues.open(0);
    queues.insert(id, 0, source, 10);
    queues.insert(id, 20, source, 10);
    queues.close(id);
    assert.equal(queues.open(500), id);
    assert.deepEqual([queues.pending(id), queues.hasLater(id), queues.next(id)], [0, false, 500]);
  });
});

test('bytes at the end of the ring go on at its beginning', () => {
  const { queues, arena, source } = setup();
  const first = QUEUE_LEN - 3;
  const id = queues.open(first);
  arena.u8.set([1, 2, 3, 4, 5], source);
  queues.insert(id, first, source, 5);
  assert.equal(queues.pending(id), 5);
  assert.equal(queues.contiguous(id), 3);
  assert.deepEqual([...arena.u8.subarray(queues.pendingOffset(id), queues.pendingOffset(id) + 3)], [1, 2, 3]);
  queues.consume(id, 3);
  assert.equal(queues.contiguous(id), 2);
  assert.deepEqual([...arena.u8.subarray(queues.pendingOffset(id), queues.pendingOffset(id) + 2)], [4, 5]);
});

test('what lies beyond the ring is cut off', () => {
  const { queues, source } = setup();
  const id = queues.open(0);
  queues.insert(id, 0, source, QUEUE_LEN + 100);
  assert.equal(queues.pending(id), QUEUE_LEN);
  queues.insert(id, QUEUE_LEN, source, 10);
  assert.equal(queues.next(id), QUEUE_LEN);
  queues.consume(id, 4);
  queues.insert(id, QUEUE_LEN, source, 10);
  assert.equal(queues.next(id), QUEUE_LEN + 4);
});

describe('SACK blocks', () => {
  const table: { name: string; inserts: [number, number][]; max: number; want: [number, number][] }[] = [
    { name: 'none', inserts: [], max: 3, want: [] },
    {
      name: 'the latest first',
      inserts: [
        [10, 5],
        [30, 5],
        [20, 5],
      ],
      max: 3,
      want: [
        [20, 25],
        [10, 15],
        [30, 35],
      ],
    },
    {
      name: 'no more than asked for',
      inserts: [
        [10, 5],
        [20, 5],
        [30, 5],
        [40, 5],
      ],
      max: 3,
      want: [
        [40, 45],
        [10, 15],
        [20, 25],
      ],
    },
    {
      name: 'merged ones count once',
      inserts: [
        [10, 5],
        [20, 5],
        [15, 5],
      ],
      max: 3,
      want: [[10, 25]],
    },
    {
      name: 'a repeated one is the latest',
      inserts: [
        [10, 5],
        [30, 5],
        [10, 5],
      ],
      max: 2,
      want: [
        [10, 15],
        [30, 35],
      ],
    },
  ];
  for (const { name, inserts, max, want } of table) {
    test(name, () => {
      const { queues, source } = setup();
      const id = queues.open(0);
      for (const [seq, len] of inserts) queues.insert(id, seq, source, len);
      const blocks = new Int32Array(2 * max);
      const n = queues.sackBlocks(id, blocks, max);
      assert.deepEqual(
        Array.from({ length: n }, (_, i) => [blocks[2 * i], blocks[2 * i + 1]]),
        want,
      );
    });
  }

  test('the latest may have been joined meanwhile', () => {
    const { queues, source } = setup();
    const id = queues.open(0);
    queues.insert(id, 10, source, 5);
    queues.insert(id, 30, source, 5);
    queues.insert(id, 5, source, 5);
    queues.insert(id, 0, source, 5);
    const blocks = new Int32Array(6);
    assert.equal(queues.sackBlocks(id, blocks, 3), 1);
    assert.deepEqual([...blocks.subarray(0, 2)], [30, 35]);
  });
});

test('skipTo: bytes that went past the queue join what was kept behind them', () => {
  const { queues, arena, source } = setup();
  const id = queues.open(0);
  for (let i = 0; i < 40; i++) arena.u8[source + i] = byteAt(i);
  queues.insert(id, 20, source + 20, 10);
  queues.skipTo(id, 15);
  assert.deepEqual([queues.next(id), queues.pending(id), queues.hasLater(id)], [15, 0, true]);
  queues.skipTo(id, 20);
  assert.deepEqual([queues.next(id), queues.pending(id), queues.hasLater(id)], [30, 10, false]);
  assert.equal(arena.u8[queues.pendingOffset(id)], byteAt(20));
  queues.insert(id, 40, source, 5);
  queues.skipTo(id, 42);
  assert.deepEqual([queues.next(id), queues.pending(id)], [45, 3], 'from within a kept block');
});

// ---- against a plain array of bytes

type Step = { readonly at: number; readonly len: number } | { readonly take: number };

test('any segments in any order come out as the stream they were cut from', () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ at: fc.nat(400), len: fc.integer({ min: 40, max: 120 }) }) },
    { weight: 1, arbitrary: fc.nat(300).map((take) => ({ take })) },
  );
  const { queues, arena, source } = setup(); // one for all runs: a queue must not care who had it before
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 60 }), (first, steps) => {
      const id = queues.open(first);
      const has = new Set<number>();
      let taken = 0;
      let next = 0;
      for (const action of steps) {
        if ('take' in action) {
          const n = Math.min(action.take, queues.contiguous(id));
          const from = queues.pendingOffset(id);
          for (let i = 0; i < n; i++) assert.equal(arena.u8[from + i], byteAt(taken + i));
          queues.consume(id, n);
          taken += n;
        } else if (action.at >= taken) {
          for (let i = 0; i < action.len; i++) arena.u8[source + i] = byteAt(action.at + i);
          queues.insert(id, add(first, action.at), source, action.len);
          for (let i = 0; i < action.len; i++) has.add(action.at + i);
        }
        while (has.has(next)) next++;
        assert.equal(distance(queues.next(id), first), next);
        assert.equal(queues.pending(id), next - taken);
        assert.equal(queues.isEmpty(id), next === taken && [...has].every((at) => at < next));
      }
      queues.close(id);
    }),
  );
});
