import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BenchResult, Goal } from '../results.ts';
import { losses } from './losses.ts';
import { agree, compareRuns, repeatText } from './repeat.ts';

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

describe('two runs', () => {
  const first = run({ 'vmlan/1500': [10, 12, 11], 'pasta/1500': [5, 6, 5.5] });

  test('agree though the machine was twice as fast', () => {
    const { ratios, figures } = compareRuns(first, run({ 'vmlan/1500': [20, 24, 22], 'pasta/1500': [10, 12, 11] }));
    assert.deepEqual([ratios.length, figures.length], [1, 2]);
    assert.equal(ratios.filter((pair) => !agree(pair)).length, 0);
    assert.equal(figures.filter((pair) => !agree(pair)).length, 2);
  });

  test('disagree when a ratio has moved', () => {
    const { text, ok } = repeatText(compareRuns(first, run({ 'vmlan/1500': [20, 24, 22], 'pasta/1500': [5, 6, 5] })));
    assert.equal(ok, false);
    assert.match(text, /✗ 1\. guest → host: vmlan\/1500 : pasta\/1500/);
  });

  test('of nothing in common show nothing', () => {
    assert.equal(repeatText(compareRuns(first, { ...first, scenarios: [] })).ok, false);
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
