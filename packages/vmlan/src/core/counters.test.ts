import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters, MAX_COUNTERS, counter } from './counters.ts';

test('a name has one index, whoever defines it first', () => {
  const index = counter('test_counter_one');
  assert.equal(counter('test_counter_one'), index);
  assert.notEqual(counter('test_counter_two'), index);
});

test('counts are kept apart by counter and by instance, and the snapshot has what is not zero', () => {
  const index = counter('test_counter_three');
  const big = counter('test_counter_four');
  const mine = new Counters();
  const other = new Counters();
  mine.count(index);
  mine.count(index);
  mine.add(big, 2 ** 40);
  mine.add(counter('test_counter_five'), 0);
  assert.equal(mine.get('test_counter_three'), 2);
  assert.equal(other.get('test_counter_three'), 0);
  assert.deepEqual(mine.snapshot(), { test_counter_three: 2, test_counter_four: 2 ** 40 });
  assert.deepEqual(other.snapshot(), {});
});

test('a counter that nobody defined reads as zero', () => {
  assert.equal(new Counters().get('never_defined'), 0);
});

test('more counters than there is room for is a mistake in the program', () => {
  assert.throws(() => {
    for (let i = 0; i <= MAX_COUNTERS; i++) counter(`test_flood_${i}`);
  }, /more than 256 counters: test_flood_/);
});
