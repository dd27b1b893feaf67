import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { silentLogger } from './logger.ts';
import { add, before, beforeOrAt, distance } from './sequence.ts';

const int32 = fc.integer();
const ahead = fc.integer({ min: 1, max: 0x7fff_ffff });

test('order is by distance around the circle, at every place of it', () => {
  fc.assert(
    fc.property(int32, ahead, (a, n) => {
      const b = add(a, n);
      assert.equal(before(a, b), true);
      assert.equal(before(b, a), n === 0x8000_0000);
      assert.equal(beforeOrAt(a, b), true);
      assert.equal(beforeOrAt(b, a), false);
      assert.equal(distance(b, a), n);
      assert.equal(distance(a, b), -n);
    }),
  );
});

test('a number is at itself and not before', () => {
  for (const a of [0, -1, 0x7fff_ffff, -0x8000_0000]) {
    assert.equal(before(a, a), false);
    assert.equal(beforeOrAt(a, a), true);
    assert.equal(distance(a, a), 0);
  }
});

test('sums stay int32', () => {
  assert.equal(add(0x7fff_ffff, 1), -0x8000_0000);
  assert.equal(add(-1, 1), 0);
  assert.equal(before(0x7fff_fff0, add(0x7fff_fff0, 0x20)), true);
});

test('the silent logger says nothing to anything', () => {
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    assert.equal(silentLogger[level]('x', { a: 1 }), undefined);
  }
});
