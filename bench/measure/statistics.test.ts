import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pairedRatios, percentile, summarize } from './statistics.ts';

describe('summarize', () => {
  const cases: { name: string; in: number[]; want: ReturnType<typeof summarize> }[] = [
    { name: 'nothing', in: [], want: null },
    { name: 'only gaps', in: [NaN, Infinity], want: null },
    { name: 'one', in: [3], want: { count: 1, median: 3, min: 3, max: 3 } },
    { name: 'odd', in: [9, 1, 5], want: { count: 3, median: 5, min: 1, max: 9 } },
    { name: 'even', in: [4, 1, 3, 2], want: { count: 4, median: 2.5, min: 1, max: 4 } },
    { name: 'an outlier moves no median', in: [5, 5, 5, 5, 500], want: { count: 5, median: 5, min: 5, max: 500 } },
    { name: 'a gap is absent', in: [1, NaN, 3], want: { count: 2, median: 2, min: 1, max: 3 } },
  ];
  for (const { name, in: values, want } of cases) {
    test(name, () => assert.deepEqual(summarize(values), want));
  }
});

test('percentile takes the nearest rank', () => {
  const ascending = Float64Array.from({ length: 100 }, (_, i) => i + 1);
  for (const [p, want] of [
    [0, 1],
    [0.5, 50],
    [0.99, 99],
    [0.991, 100],
    [1, 100],
  ] as const)
    assert.equal(percentile(ascending, p), want);
  assert.equal(percentile([7], 0.99), 7);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

test('ratios are of the same round', () => {
  const ours = new Map([
    [1, 10],
    [2, 30],
    [3, 8],
  ]);
  const theirs = new Map([
    [1, 5],
    [2, 10],
    [4, 1],
  ]);
  assert.deepEqual(pairedRatios(ours, theirs), { count: 2, median: 2.5, min: 2, max: 3 });
  assert.equal(pairedRatios(ours, new Map()), null);
});
