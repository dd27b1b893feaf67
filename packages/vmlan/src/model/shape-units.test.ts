/**
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shapeInputSchema, type ShapeInput, type ShapeSettings } from './shape.ts';
import { describeShape, formatRate, parseDelayMs, parsePercent, parseRateBps, parseSizeBytes } from './shape-units.ts';

describe('quantities as tc writes them', () => {
  const table: [parse: (text: string) => number | null, cases: Record<string, number | null>][] = [
    [
      parseDelayMs,
      {
        '50ms': 50,
        '1.5s': 1500,
        '200us': 0.2,
        '0.1ms': 0.1,
        '2sec': 2000,
        '50 ms': 50,
        '50MS': 50,
        '50': null,
        '-5ms': null,
        '5m': null,
        ms: null,
        '': null,
      },
    ],
    [parsePercent, { '1%': 1, '0.1%': 0.1, '100%': 100, '1': null, '1%%': null, '0.01': null }],
    [
      parseRateBps,
      {
        '10mbit': 10e6,
        '64kbit': 64e3,
        '2.5gbit': 2.5e9,
        '9600bit': 9600,
        '1tbit': 1e12,
        '10mbps': null,
        '10': null,
        '10m': null,
        '10Mbit': 10e6,
      },
    ],
    [
      parseSizeBytes,
      { '64kb': 65_536, '64k': 65_536, '1mb': 1_048_576, '1500': 1500, '1500b': 1500, '1gb': null, '1kbit': null },
    ],
  ];
  for (const [parse, cases] of table) {
    for (const [text, expected] of Object.entries(cases)) {
      test(`${parse.name} ${JSON.stringify(text)}`, () => assert.equal(parse(text), expected));
    }
  }

  test('rates are written as they are read', () => {
    for (const text of ['10mbit', '64kbit', '2.5gbit', '9600bit', '1.5mbit', '1001bit'])
      assert.equal(parseRateBps(formatRate(parseRateBps(text)!)), parseRateBps(text));
    assert.deepEqual([10e6, 1.5e6, 64_000, 9600, 1e9].map(formatRate), [
      '10mbit',
      '1.5mbit',
      '64kbit',
      '9.6kbit',
      '1gbit',
    ]);
  });
});

test('a shape in words', () => {
  const table: [ShapeSettings, string][] = [
    [{ delayMs: 50 }, 'delay 50ms'],
    [{ delayMs: 0.2, jitterMs: 0.05, distribution: 'normal' }, 'delay 200us jitter 50us normal'],
    [{ lossPercent: 1, lossBurst: 5 }, 'loss 1% in bursts of 5'],
    [{ rateBps: 10e6, limitBytes: 65_536 }, 'rate 10mbit limit 64kb'],
    [{ limitBytes: 3000, rateBps: 1e3 }, 'rate 1kbit limit 3000b'],
    [
      { duplicatePercent: 1, reorderPercent: 2, corruptPercent: 0.5, seed: 7 },
      'duplicate 1%, reorder 2%, corrupt 0.5%, seed 7',
    ],
    [{ partition: true }, 'partition'],
  ];
  for (const [settings, words] of table) assert.equal(describeShape(settings), words);
});

describe('what a shape may be', () => {
  const problemOf = (input: Partial<ShapeInput>): string | null => {
    const result = shapeInputSchema.safeParse({ guest: 'web', ...input });
    return result.success ? null : `${result.error.issues[0]!.path.join('.')}: ${result.error.issues[0]!.message}`;
  };
  const cases: [Partial<ShapeInput>, RegExp | null][] = [
    [{ delayMs: 50, jitterMs: 10, distribution: 'pareto', lossPercent: 1, lossBurst: 3 }, null],
    [{ partition: true, direction: 'from', peer: 'db' }, null],
    [{ partition: false, delayMs: 1 }, null],
    [{}, /nothing to shape/],
    [{ partition: false }, /nothing to shape/],
    [{ seed: 5 }, /nothing to shape/],
    [{ jitterMs: 10, lossPercent: 1 }, /^jitterMs: .*give the delay/],
    [{ delayMs: 1, distribution: 'normal' }, /^distribution: /],
    [{ delayMs: 1, lossBurst: 2 }, /^lossBurst: /],
    [{ delayMs: 1, limitBytes: 5000 }, /^limitBytes: /],
    [{ partition: true, delayMs: 1 }, /delayMs has no meaning beside it/],
    [{ delayMs: -1 }, /^delayMs: a delay is not negative/],
    [{ delayMs: 60_001 }, /at most 60000 ms/],
    [{ lossPercent: 101 }, /0 to 100 percent/],
    [{ rateBps: 10 }, /at least 1000 bits/],
    [{ rateBps: 1e12 }, /at most 100 gigabits/],
    [{ rateBps: 1e6, limitBytes: 100 }, /at least 2000 bytes/],
    [{ delayMs: 1, seed: -1 }, /^seed: /],
    [{ delayMs: Number.NaN }, /delayMs/],
  ];
  for (const [input, message] of cases) {
    test(JSON.stringify(input), () => {
      const problem = problemOf(input);
      if (message === null) assert.equal(problem, null);
      else assert.match(problem ?? 'accepted', message);
    });
  }
});
