import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AsyncQueue } from './async-queue.ts';

async function all<T>(queue: AsyncQueue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

describe('a queue between a caller and a reader', () => {
  test('gives what was pushed before and after the reader came, in order', async () => {
    const queue = new AsyncQueue<number>({ limit: 10 });
    queue.push(1);
    const read = all(queue);
    await Promise.resolve();
    queue.push(2);
    queue.push(3);
    queue.end();
    assert.deepEqual(await read, [1, 2, 3]);
  });

  for (const [whenFull, kept] of [
    ['drop-oldest', [3, 4]],
    ['drop-newest', [1, 2]],
  ] as const) {
    test(`that is full: ${whenFull}`, async () => {
      const queue = new AsyncQueue<number>({ limit: 2, whenFull });
      const taken = [1, 2, 3, 4].map((n) => queue.push(n));
      assert.deepEqual(taken, [true, true, whenFull === 'drop-oldest', whenFull === 'drop-oldest']);
      assert.equal(queue.dropped, 2);
      assert.equal(queue.length, 2);
      queue.end();
      assert.deepEqual(await all(queue), kept);
    });
  }

  test('tells its error once, after what waited', async () => {
    const queue = new AsyncQueue<number>({ limit: 2 });
    queue.push(1);
    queue.end(new Error('gone'));
    assert.deepEqual(await queue.next(), { done: false, value: 1 });
    await assert.rejects(queue.next(), { message: 'gone' });
    assert.equal((await queue.next()).done, true);
    assert.equal(queue.push(2), false);
  });

  test('ends when its reader leaves, and says so once', async () => {
    let ends = 0;
    const queue = new AsyncQueue<number>({ limit: 2, onEnd: () => void ends++ });
    queue.push(1);
    for await (const item of queue) if (item === 1) break;
    queue.end();
    assert.equal(queue.ended, true);
    assert.equal(ends, 1);
  });

  test('lets several wait, first come first served', async () => {
    const queue = new AsyncQueue<number>({ limit: 2 });
    const waiting = Promise.all([queue.next(), queue.next(), queue.next()]);
    queue.push(1);
    queue.push(2);
    queue.end();
    assert.deepEqual(
      (await waiting).map(({ value }) => value),
      [1, 2, undefined],
    );
  });
});
