import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { TokenBucket } from './token-bucket.ts';

const takeAll = (bucket: TokenBucket, nowMs: number): number => {
  let count = 0;
  while (bucket.take(nowMs)) count++;
  return count;
};

test('gives the burst at once, then one for each interval', () => {
  const bucket = new TokenBucket(100, 5); // one in 10 ms
  assert.equal(takeAll(bucket, 1000), 5);
  assert.equal(bucket.take(1009), false);
  assert.equal(bucket.take(1010), true);
  assert.equal(bucket.take(1010), false);
  assert.equal(takeAll(bucket, 1040), 3);
});

test('fills up to the burst and no further', () => {
  const bucket = new TokenBucket(1000, 3);
  assert.equal(takeAll(bucket, 0), 3);
  assert.equal(takeAll(bucket, 3_600_000), 3);
});

test('a clock that stands or runs back gives nothing', () => {
  const bucket = new TokenBucket(1000, 1);
  assert.equal(bucket.take(500), true);
  assert.equal(bucket.take(500), false);
  assert.equal(bucket.take(0), false);
  assert.equal(bucket.take(501), true);
});

test('fractions add up: asking often earns no less', () => {
  const bucket = new TokenBucket(3, 1);
  assert.equal(bucket.take(0), true);
  let given = 0;
  for (let ms = 1; ms <= 10_000; ms++) if (bucket.take(ms)) given++;
  assert.ok(given >= 29 && given <= 30, `${given}`);
});

test('over any time the rate and the burst hold', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.nat(30), { maxLength: 300 }),
      (perSecond, burst, steps) => {
        const bucket = new TokenBucket(perSecond, burst);
        let nowMs = 0;
        let given = 0;
        for (const step of steps) {
          nowMs += step;
          if (bucket.take(nowMs)) given++;
        }
        assert.ok(given <= burst + (nowMs * perSecond) / 1000 + 1e-6);
      },
    ),
  );
});
