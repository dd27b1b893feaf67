import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TurnList } from './turn-list.ts';

function takeAll<T>(list: TurnList<T>, onItem: (item: T) => void = () => {}): T[] {
  const taken: T[] = [];
  const count = list.begin();
  for (let i = 0; i < count; i++) {
    const item = list.take(i);
    taken.push(item);
    onItem(item);
  }
  return taken;
}

test('gives what was added, in order, once', () => {
  const list = new TurnList<string>();
  for (const item of ['a', 'b', 'c']) list.add(item);
  assert.equal(list.length, 3);
  assert.deepEqual(takeAll(list), ['a', 'b', 'c']);
  assert.equal(list.length, 0);
  assert.deepEqual(takeAll(list), []);
});

test('what is added meanwhile waits for the next time', () => {
  const list = new TurnList<number>();
  list.add(1);
  list.add(2);
  assert.deepEqual(
    takeAll(list, (item) => list.add(10 * item)),
    [1, 2],
  );
  assert.equal(list.length, 2);
  assert.deepEqual(takeAll(list), [10, 20]);
});

test('a shorter turn gives nothing of a longer one before', () => {
  const list = new TurnList<number>();
  for (const count of [5, 1, 3, 0, 2]) {
    const items = Array.from({ length: count }, (_, i) => 100 * count + i);
    for (const item of items) list.add(item);
    assert.deepEqual(takeAll(list), items);
  }
});
