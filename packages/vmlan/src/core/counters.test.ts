import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters, MAX_COUNTERS, counter, dropReasons } from './counters.ts';

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

test('the last reason to drop is known, whatever is counted after it', () => {
  const reason = counter('drop_test_reason');
  const other = counter('test_counter_other');
  const mine = new Counters();
  assert.equal(mine.lastDrop, -1);
  mine.count(other);
  assert.equal(mine.lastDrop, -1);
  mine.add(reason, 2);
  mine.count(other);
  assert.equal(dropReasons().get(mine.lastDrop), 'drop_test_reason');
  assert.deepEqual(mine.snapshot(), { test_counter_other: 2, drop_test_reason: 2 });
});

test('a counter that nobody defined reads as zero', () => {
  assert.equal(new Counters().get('never_defined'), 0);
});

test('more counters than there is room for is a mistake in the program', () => {
  assert.throws(() => {
    for (let i = 0; i <= MAX_COUNTERS; i++) counter(`test_flood_${i}`);
  }, /more than 256 counters: test_flood_/);
});
