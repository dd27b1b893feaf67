import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { summarize, type Summary } from '../measure/statistics.ts';
import type { BenchResult, Goal } from '../results.ts';
import { losses } from './losses.ts';
import { agree, chanceOfDisagreeing, compareRuns, repeatText } from './repeat.ts';

const TEST = 'guest → host';
const goal: Goal = {
  ...{ text: '≥ 1 × pasta', test: TEST, metric: 'throughput', ours: ['vmlan/1500'], against: ['pasta/1500'] },
  ...{ factor: 1, sense: 'at least' },
};

function run(rates: Readonly<Record<string, readonly number[]>>): BenchResult {
  const samples = Object.entries(rates).flatMap(([contender, values]) =>
    values.map((throughput, index) => ({ test: TEST, contender, round: index + 1, values: { throughput } })),
  );
  const conditions = {} as BenchResult['conditions'];
  const scenario = {
    ...{ id: 1, name: 'bulk', title: 'Bulk', conditions: '', contenders: Object.keys(rates), samples },
    tests: [{ name: TEST, metrics: [{ name: 'throughput', unit: 'Gbit/s', better: 'higher' } as const] }],
    ...{ failures: [], skipped: [], verified: [], series: [], goals: [goal] },
  };
  return { conditions, scenarios: [scenario] };
}

const of = (median: number, min: number, max: number) => ({ count: 5, median, min, max });

describe('two figures agree', () => {
  const cases = [
    { name: 'when a median lies within the other spread', first: of(5, 4, 6), second: of(5.5, 5.2, 9), want: true },
    { name: 'when that is so for one of them', first: of(5, 4, 9), second: of(8, 7.9, 8.1), want: true },
    { name: 'when they differ by next to nothing', first: of(100, 100, 100), second: of(101, 101, 101), want: true },
    { name: 'not when both lie outside', first: of(5, 4, 6), second: of(8, 5.5, 9), want: false },
  ];
  for (const { name, first, second, want } of cases) {
    test(name, () => assert.equal(agree({ what: '', first, second }), want));
  }
});

describe('chance lets samples of the same disagree', () => {
  const cases = [
    { first: 5, second: 5, want: 12 / 252 },
    { first: 3, second: 3, want: 4 / 20 },
    { first: 5, second: 3, want: 6 / 56 },
    { first: 1, second: 1, want: 1 },
  ];
  for (const { first, second, want } of cases) {
    test(`${first} and ${second}`, () => assert.equal(chanceOfDisagreeing(first, second), want));
  }

  test('as often as all orders of the values say', () => {
    const orders = (places: number): number[][] =>
      places === 0
        ? [[]]
        : orders(places - 1).flatMap((order) => [
            [...order, 0],
            [...order, 1],
          ]);
    const summary = (values: number[]): Summary => summarize(values) as Summary;
    const samples = orders(8).filter((order) => order.filter((side) => side === 0).length === 5);
    const apart = samples.filter((order) => {
      const side = (which: number): number[] => order.flatMap((of, index) => (of === which ? [100 + 100 * index] : []));
      return !agree({ what: '', first: summary(side(0)), second: summary(side(1)) });
    });
    assert.equal(apart.length / samples.length, chanceOfDisagreeing(5, 3));
  });
});

describe('two runs', () => {
  const first = run({ 'vmlan/1500': [10, 12, 11, 10, 12], 'pasta/1500': [5, 6, 5.5, 5, 6] });

  test('agree though the machine was twice as fast', () => {
    const faster = run({ 'vmlan/1500': [20, 24, 22, 20, 24], 'pasta/1500': [10, 12, 11, 10, 12] });
    const { ratios, figures } = compareRuns(first, faster);
    assert.deepEqual([ratios.length, figures.length], [1, 2]);
    assert.equal(ratios.filter((pair) => !agree(pair)).length, 0);
    assert.equal(figures.filter((pair) => !agree(pair)).length, 2);
  });

  test('disagree when a ratio has moved', () => {
    const moved = run({ 'vmlan/1500': [20, 24, 22, 20, 24], 'pasta/1500': [5, 6, 5, 5, 6] });
    const { text, ok } = repeatText(compareRuns(first, moved));
    assert.equal(ok, false);
    assert.match(text, /✗ 1\. guest → host: vmlan\/1500 : pasta\/1500/);
  });

  test('of nothing in common show nothing', () => {
    assert.equal(repeatText(compareRuns(first, { ...first, scenarios: [] })).ok, false);
  });

  test('of one round each are not compared', () => {
    const quick = run({ 'vmlan/1500': [10], 'pasta/1500': [5] });
    const { text, ok } = repeatText(compareRuns(quick, quick));
    assert.equal(ok, false);
    assert.match(text, /nothing to compare/);
  });
});

describe('losses', () => {
  test('are against the same variant, the worst first', () => {
    const found = losses(
      run({
        'vmlan/1500': [10, 10],
        'vmlan/65520': [40, 40],
        'pasta/1500': [15, 30],
        'slow/1500': [1, 1],
        dnsmasq: [80, 80],
      }),
    );
    assert.deepEqual(
      found.map(({ ours, theirs, factor }) => [ours, theirs, Math.round(factor * 100) / 100]),
      [
        ['vmlan/1500', 'pasta/1500', 2],
        ['vmlan/65520', 'dnsmasq', 2],
      ],
    );
  });

  test('say when a round was otherwise', () => {
    const [loss] = losses(run({ 'vmlan/1500': [10, 10, 10], 'pasta/1500': [15, 9, 30] }));
    assert.equal(loss?.unsure, true);
  });
});
