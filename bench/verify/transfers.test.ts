import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { knownDigest } from '../../packages/vmlan/test/support/peer-stream.ts';
import { sizes, wrongOnes } from './transfers.ts';

describe('sizes', () => {
  test('begin with the hard ones and stay within bounds', () => {
    const found = sizes({ count: 50, maxBytes: 100_000, seed: 7 });
    assert.equal(found.length, 50);
    assert.deepEqual(found.slice(0, 3), [0, 1, 1459]);
    assert.ok(found.every((size) => Number.isInteger(size) && size >= 0 && size <= 100_000));
  });

  test('are made from the seed', () => {
    const plan = { count: 30, maxBytes: 1 << 20 };
    assert.deepEqual(sizes({ ...plan, seed: 9 }), sizes({ ...plan, seed: 9 }));
    assert.notDeepEqual(sizes({ ...plan, seed: 9 }), sizes({ ...plan, seed: 10 }));
  });
});

describe('a transfer is wrong', () => {
  const right = knownDigest(70_000);
  const cases = [
    { name: 'not when every byte is right', got: [right], want: 0 },
    { name: 'when bytes are missing', got: [knownDigest(69_999)], want: 1 },
    { name: 'when a byte differs', got: [{ ...right, sha256: '00' }], want: 1 },
    { name: 'when nothing came', got: [], want: 1 },
  ];
  for (const { name, got, want } of cases) {
    test(name, () => assert.equal(wrongOnes('download', [70_000], got).length, want));
  }
});
