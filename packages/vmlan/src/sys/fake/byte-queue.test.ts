import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ByteQueue } from './byte-queue.ts';

const CAPACITY = 10_000;

type Model = { bytes: number[]; next: number };
const size = fc.integer({ min: 0, max: 6000 });

/** The same command on the queue and on a plain array. */
const commands = fc.oneof(
  size.map((n) => (queue: ByteQueue, model: Model) => {
    const bytes = Uint8Array.from({ length: n + 1 }, (_, i) => model.next + i);
    const count = queue.push(bytes, 1, n);
    assert.equal(count, Math.min(n, CAPACITY - model.bytes.length));
    model.bytes.push(...bytes.subarray(1, 1 + count));
    model.next = (model.next + 7) & 255;
  }),
  size.map((n) => (queue: ByteQueue, model: Model) => {
    assert.equal(queue.drop(n), model.bytes.splice(0, n).length);
  }),
  fc.tuple(size, size).map(([skip, n]) => (queue: ByteQueue, model: Model) => {
    const into = new Uint8Array(n + 3);
    const count = queue.copy(skip, into, 3, n);
    assert.deepEqual([...into.subarray(3, 3 + count)], model.bytes.slice(skip, skip + n));
  }),
  size.map((n) => (queue: ByteQueue, model: Model) => {
    queue.truncate(n);
    model.bytes.length = Math.min(model.bytes.length, n);
  }),
  size.map((n) => (queue: ByteQueue, model: Model) => {
    const target = new ByteQueue(n);
    assert.equal(target.moveFrom(queue, 3000), Math.min(n, 3000, model.bytes.length));
    const moved = new Uint8Array(target.length);
    target.copy(0, moved, 0, moved.length);
    assert.deepEqual([...moved], model.bytes.splice(0, moved.length));
  }),
);

describe('byte queue', () => {
  test('behaves as an array of bytes with a limit', () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 40 }), (list) => {
        const queue = new ByteQueue(CAPACITY);
        const model: Model = { bytes: [], next: 0 };
        for (const command of list) {
          command(queue, model);
          assert.equal(queue.length, model.bytes.length);
          assert.equal(queue.free, CAPACITY - model.bytes.length);
        }
        queue.clear();
        assert.equal(queue.length, 0);
      }),
    );
  });

  test('a capacity below the length takes nothing', () => {
    const queue = new ByteQueue(10);
    queue.push(new Uint8Array(8), 0, 8);
    queue.capacity = 4;
    assert.equal(queue.free, 0);
    assert.equal(queue.push(new Uint8Array(1), 0, 1), 0);
    queue.drop(5);
    assert.equal(queue.free, 1);
  });
});
