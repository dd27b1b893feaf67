import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { growth, type Point } from './slope.ts';

const points = (cost: (size: number) => number): Point[] =>
  [1, 10, 100, 1000].map((size) => ({ size, cost: cost(size) }));

describe('growth', () => {
  const cases: { name: string; in: Point[]; exponent: number; factor: number }[] = [
    { name: 'constant', in: points(() => 7), exponent: 0, factor: 1 },
    { name: 'linear', in: points((n) => 3 * n), exponent: 1, factor: 1000 },
    { name: 'quadratic', in: points((n) => n * n), exponent: 2, factor: 1e6 },
    { name: 'falling', in: points((n) => 5 / n), exponent: -1, factor: 1e-3 },
    { name: 'in any order', in: points((n) => 3 * n).toReversed(), exponent: 1, factor: 1000 },
  ];
  for (const { name, in: given, exponent, factor } of cases) {
    test(name, () => {
      const found = growth(given);
      assert.ok(found !== null);
      assert.ok(Math.abs(found.exponent - exponent) < 1e-9, String(found.exponent));
      assert.ok(Math.abs(found.factor / factor - 1) < 1e-9, String(found.factor));
    });
  }

  test('needs two sizes', () => {
    assert.equal(growth([]), null);
    assert.equal(growth([{ size: 1, cost: 1 }]), null);
    assert.equal(
      growth([
        { size: 5, cost: 1 },
        { size: 5, cost: 2 },
      ]),
      null,
    );
  });
});
