import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BenchResult, Goal, ScenarioResult } from '../results.ts';
import { best, figure, judge, ratio } from './figures.ts';
import { markdown } from './markdown.ts';
import { number, percent, spread } from './numbers.ts';
import { barChart } from './svg.ts';

const TEST = 'guest → host';
const RATE = { name: 'throughput', unit: 'Gbit/s', better: 'higher' } as const;
const CPU = { name: 'CPU', unit: '%', better: 'lower' } as const;

/** Rates per contender, a round each; CPU is ten times the rate. */
function scenario(
  rates: Readonly<Record<string, readonly number[]>>,
  more: Partial<ScenarioResult> = {},
): ScenarioResult {
  const samples = Object.entries(rates).flatMap(([contender, values]) =>
    values.map((rate, index) => {
      return { test: TEST, contender, round: index + 1, values: { [RATE.name]: rate, [CPU.name]: rate * 10 } };
    }),
  );
  return {
    ...{ id: 1, name: 'tcp-bulk', title: 'TCP bulk', conditions: 'In a test.' },
    tests: [{ name: TEST, metrics: [RATE, CPU] }],
    contenders: Object.keys(rates),
    ...{ samples, failures: [], skipped: [], verified: [], series: [], goals: [] },
    ...more,
  };
}

const RATES = { 'vmlan/1500': [8, 10, 9], 'vmlan/65520': [18, 20, 40], 'pasta/65520': [10, 10, 10] };

describe('figures', () => {
  const result = scenario(RATES);

  test('are medians with their spread', () => {
    assert.deepEqual(figure(result, TEST, 'throughput', 'vmlan/1500'), { count: 3, median: 9, min: 8, max: 10 });
    assert.equal(figure(result, TEST, 'throughput', 'nobody'), null);
  });

  test('the best is the highest, or the lowest where less is better', () => {
    const ours = ['vmlan/1500', 'vmlan/65520'];
    assert.equal(best(result, TEST, 'throughput', ours), 'vmlan/65520');
    assert.equal(best(result, TEST, 'CPU', ours), 'vmlan/1500');
    assert.equal(best(result, TEST, 'throughput', ['nobody']), null);
  });

  test('ratios are taken within rounds', () => {
    const found = ratio(result, TEST, 'throughput', 'vmlan/65520', 'pasta/65520');
    assert.deepEqual(found, { count: 3, median: 2, min: 1.8, max: 4 });
  });
});

describe('goals', () => {
  const result = scenario(RATES);
  const goal: Goal = {
    ...{ text: '≥ 1.3 × pasta', test: TEST, metric: 'throughput', ours: ['vmlan/1500', 'vmlan/65520'] },
    ...{ against: ['pasta/1500', 'pasta/65520'], factor: 1.3, sense: 'at least' },
  };
  const { against: _, ...absolute } = goal;

  const cases: { name: string; goal: Goal; met: boolean | null; value: number | undefined }[] = [
    { name: 'reached by the better of ours', goal, met: true, value: 2 },
    { name: 'missed', goal: { ...goal, factor: 2.1 }, met: false, value: 2 },
    { name: 'at most', goal: { ...goal, sense: 'at most' }, met: false, value: 2 },
    { name: 'absolute', goal: { ...absolute, factor: 20 }, met: true, value: 20 },
    { name: 'without the other side', goal: { ...goal, against: ['passt'] }, met: null, value: undefined },
    { name: 'without us', goal: { ...goal, ours: ['vmlan/9000'] }, met: null, value: undefined },
  ];
  for (const { name, goal: given, met, value } of cases) {
    test(name, () => {
      const found = judge(result, given);
      assert.equal(found.met, met);
      assert.equal(found.value?.median, value);
    });
  }
});

test('numbers have three digits', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [0.01234, '0.0123'],
    [1.234, '1.23'],
    [12.34, '12.3'],
    [123.4, '123'],
    [12_345, '12\u202f300'],
    [1_234_567, '1.23 M'],
    [NaN, '–'],
  ];
  for (const [value, text] of cases) assert.equal(number(value), text);
  assert.equal(percent(0.0234), '+2.34 %');
  assert.equal(percent(-0.5), '−50.0 %');
  assert.equal(spread(null), '–');
  assert.equal(spread({ count: 1, median: 2, min: 2, max: 2 }), '2.00');
  assert.equal(spread({ count: 2, median: 2, min: 1, max: 3 }), '2.00 [1.00–3.00]');
});

describe('charts', () => {
  const summary = { count: 3, median: 5, min: 1, max: 10 };

  test('have a bar for each, ours in its own colour', () => {
    const svg = barChart({
      title: 'a < b',
      unit: 'Gbit/s',
      bars: [
        { label: 'vmlan', summary, ours: true },
        { label: 'pasta', summary: { ...summary, median: 10 }, ours: false },
      ],
    });
    assert.match(svg, /^<svg [^>]*width="640"/);
    assert.match(svg, /a &lt; b, Gbit\/s/);
    assert.equal(svg.match(/<rect /g)?.length, 2);
    assert.match(svg, /width="200" height="14" fill="#d9480f"/);
    assert.match(svg, /width="400" height="14" fill="#748ffc"/);
  });

  test('of nothing are nothing', () => {
    assert.equal(barChart({ title: 'a', unit: 'b', bars: [] }), '');
  });

  test('of zeros divide by nothing', () => {
    const zero = { count: 1, median: 0, min: 0, max: 0 };
    const svg = barChart({ title: 'a', unit: 'b', bars: [{ label: 'x', summary: zero, ours: true }] });
    assert.doesNotMatch(svg, /NaN|Infinity/);
  });
});

describe('the report', () => {
  const conditions: BenchResult['conditions'] = {
    ...{ started: '2030-01-01T00:00:00Z', commit: 'abc', cpu: 'CPU', cores: 2, memoryGib: 24, kernel: '6.18' },
    ...{ node: 'v24', congestionControl: 'reno', rounds: 3, seconds: 2, servers: 'near', foreignLoad: 0.031 },
    versions: { passt: '1' },
  };
  const full = scenario(RATES, {
    failures: [{ contender: 'pasta/1500', what: 'start', message: 'a b c\n\nno such device: /dev/net/tun\n' }],
    skipped: [{ what: 'gvproxy', why: 'no program' }],
    verified: [{ contender: 'vmlan/1500', transfers: 2, bytes: 5e6, wrong: ['download of 7 bytes: 6 bytes came'] }],
    series: [
      {
        ...{ contender: 'vmlan/1500', test: TEST, metric: 'CPU', over: 'idle flows' },
        points: [
          { size: 1, cost: 2 },
          { size: 100, cost: 2 },
        ],
      },
    ],
    goals: [
      {
        ...{ text: '≥ 1.3 × pasta', test: TEST, metric: 'throughput', ours: ['vmlan/65520'] },
        ...{ against: ['pasta/65520'], factor: 1.3, sense: 'at least' },
      },
    ],
  });
  const text = markdown({ conditions, scenarios: [full] }, new Map([[`tcp-bulk/${TEST}`, 'charts/a.svg']]));

  const lines: { name: string; want: string }[] = [
    { name: 'conditions', want: '| machine | 2 cores of CPU, 24.0 GiB, Linux 6.18 |' },
    { name: 'foreign load', want: '| others used before the run | 3.10 % of all cores |' },
    {
      name: 'goals',
      want: `| ✓ | ${TEST} | ≥ 1.3 × pasta | 2.00 [1.80–4.00] | vmlan/65520 : pasta/65520 |`,
    },
    {
      name: 'figures, the best in bold',
      want:
        `| ${TEST} | throughput, Gbit/s ↑ | 9.00 [8.00–10.0] | **20.0 [18.0–40.0]** | 10.0 [10.0–10.0] ` +
        '| 2.00 [1.80–4.00] × pasta/65520 |',
    },
    { name: 'growth', want: `| vmlan/1500 | ${TEST} | CPU | idle flows | 1.00: 2.00, 100: 2.00 | ~ n^0.00 (× 1.00) |` },
    { name: 'wrong transfers', want: '| vmlan/1500 | 2 | 5.00 MB | **1: download of 7 bytes: 6 bytes came** |' },
    { name: 'failures, by their last line', want: '- **pasta/1500 failed**: start: no such device: tun' },
    { name: 'what was skipped', want: '- skipped: gvproxy: no program' },
    { name: 'charts', want: `![${TEST}](charts/a.svg)` },
  ];
  for (const { name, want } of lines) {
    test(name, () => assert.ok(text.split('\n').includes(want), `${want}\n\n${text}`));
  }

  test('of nothing is its conditions', () => {
    assert.match(markdown({ conditions, scenarios: [] }), /^# Bench\n\n\| condition/);
  });
});
