import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { add, distance } from '../../core/sequence.ts';
import { MAX_RANGES, Scoreboard } from './scoreboard.ts';

const rangesOf = (board: Scoreboard, base = 0): [number, number][] =>
  Array.from({ length: board.count }, (_, i) => [
    distance(board.ranges[2 * i]!, base),
    distance(board.ranges[2 * i + 1]!, base),
  ]);

describe('add', () => {
  const table: { name: string; added: [number, number][]; want: [number, number][] }[] = [
    {
      name: 'in order',
      added: [
        [10, 20],
        [30, 40],
      ],
      want: [
        [10, 20],
        [30, 40],
      ],
    },
    {
      name: 'out of order',
      added: [
        [30, 40],
        [10, 20],
      ],
      want: [
        [10, 20],
        [30, 40],
      ],
    },
    {
      name: 'touching from the left',
      added: [
        [20, 30],
        [10, 20],
      ],
      want: [[10, 30]],
    },
    {
      name: 'touching from the right',
      added: [
        [10, 20],
        [20, 30],
      ],
      want: [[10, 30]],
    },
    {
      name: 'filling a gap exactly',
      added: [
        [10, 20],
        [30, 40],
        [20, 30],
      ],
      want: [[10, 40]],
    },
    {
      name: 'inside',
      added: [
        [10, 40],
        [20, 30],
      ],
      want: [[10, 40]],
    },
    {
      name: 'around',
      added: [
        [20, 30],
        [10, 40],
      ],
      want: [[10, 40]],
    },
    {
      name: 'over several',
      added: [
        [10, 20],
        [30, 40],
        [50, 60],
        [15, 55],
      ],
      want: [[10, 60]],
    },
    {
      name: 'between, touching none',
      added: [
        [10, 20],
        [50, 60],
        [30, 40],
      ],
      want: [
        [10, 20],
        [30, 40],
        [50, 60],
      ],
    },
    {
      name: 'twice the same',
      added: [
        [10, 20],
        [10, 20],
      ],
      want: [[10, 20]],
    },
    {
      name: 'empty and backwards: nothing',
      added: [
        [10, 10],
        [20, 15],
      ],
      want: [],
    },
  ];
  for (const { name, added, want } of table) {
    for (const base of [0, -15, 0x7fff_fff0, -0x8000_0000]) {
      test(`${name}, at ${base}`, () => {
        const board = new Scoreboard();
        for (const [from, to] of added) board.add(add(base, from), add(base, to));
        assert.deepEqual(rangesOf(board, base), want);
        if (want.length > 0) assert.equal(distance(board.highest, base), want.at(-1)![1]);
      });
    }
  }
});

test('when there are too many the highest is forgotten', () => {
  const board = new Scoreboard();
  for (let i = 0; i < MAX_RANGES; i++) board.add(100 * i, 100 * i + 10);
  board.add(50, 60);
  assert.equal(board.count, MAX_RANGES);
  assert.equal(board.highest, 100 * (MAX_RANGES - 2) + 10);
  board.add(100_000, 100_010);
  assert.equal(board.count, MAX_RANGES);
  assert.equal(board.highest, 100 * (MAX_RANGES - 2) + 10);
  board.add(0, 100_010);
  assert.deepEqual(rangesOf(board), [[0, 100_010]]);
  board.clear();
  assert.equal(board.count, 0);
  assert.equal(board.bytes(), 0);
});

// ---- against a set of numbers

const LEN = 60;
type Step = { add: [number, number] } | { advance: number };

test('any additions and advances leave what a set of bytes would have', () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.nat(LEN), fc.nat(LEN)).map((pair) => ({ add: pair })) },
    { weight: 1, arbitrary: fc.nat(LEN).map((advance) => ({ advance })) },
  );
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 40 }), (base, steps) => {
      const board = new Scoreboard();
      const model = new Set<number>();
      for (const next of steps) {
        if ('add' in next) {
          const [from, to] = next.add;
          board.add(add(base, from), add(base, to));
          for (let i = from; i < to; i++) model.add(i);
        } else {
          board.advance(add(base, next.advance));
          for (const i of model) if (i < next.advance) model.delete(i);
        }
        check(board, model, base);
      }
    }),
  );
});

function check(board: Scoreboard, model: ReadonlySet<number>, base: number): void {
  const ranges = rangesOf(board, base);
  if (ranges.length === MAX_RANGES) return; // may have forgotten
  const bytes = new Set(ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i)));
  assert.deepEqual(
    [...bytes].sort((a, b) => a - b),
    [...model].sort((a, b) => a - b),
  );
  assert.equal(board.bytes(), model.size);
  for (const [i, [from, to]] of ranges.entries()) {
    assert.ok(from < to);
    if (i > 0) assert.ok(ranges[i - 1]![1] < from, 'sorted and apart');
  }
  for (let seq = 0; seq <= LEN; seq++) {
    let hole = seq;
    while (model.has(hole)) hole++;
    assert.equal(distance(board.nextHole(add(base, seq)), base), hole);
    if (model.has(seq)) continue;
    let end = seq;
    while (end < LEN && !model.has(end)) end++;
    assert.equal(distance(board.holeEnd(add(base, seq), add(base, LEN)), base), end);
  }
}

test('a hole never ends behind the limit', () => {
  const board = new Scoreboard();
  board.add(50, 60);
  assert.equal(board.holeEnd(0, 30), 30);
  assert.equal(board.holeEnd(0, 50), 50);
  assert.equal(board.holeEnd(70, 80), 80);
});
