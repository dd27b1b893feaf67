import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lock } from './lock.ts';
import { parseOptions } from './options.ts';
import { SCENARIOS, selected } from './scenarios/all.ts';

describe('options', () => {
  test('without any', () => {
    const { scenarios, rounds, seconds, quick, servers, install } = parseOptions([]);
    assert.deepEqual(
      { scenarios, rounds, seconds, quick, servers, install },
      { scenarios: [], rounds: 5, seconds: 1, quick: false, servers: 'near', install: false },
    );
  });

  test('quick is short unless told', () => {
    assert.equal(parseOptions(['--quick']).rounds, 1);
    assert.equal(parseOptions(['--quick', '--rounds', '3']).rounds, 3);
  });

  test('peers and results', () => {
    assert.deepEqual(parseOptions(['1', '--only', 'kernel,pasta']).only, ['kernel', 'pasta']);
    assert.deepEqual(parseOptions(['--compare', 'a', 'b']).compare, ['a', 'b']);
    assert.throws(() => parseOptions(['--compare', 'a']));
  });

  for (const bad of [['--rounds', '0'], ['--seconds', 'x'], ['--rounds', '1.5'], ['--nonsense']]) {
    test(`refuses ${bad.join(' ')}`, () => assert.throws(() => parseOptions(bad)));
  }
});

describe('scenarios', () => {
  test('have numbers and names of their own', () => {
    assert.equal(new Set(SCENARIOS.map(({ id }) => id)).size, SCENARIOS.length);
    assert.equal(new Set(SCENARIOS.map(({ name }) => name)).size, SCENARIOS.length);
  });

  test('are chosen by number and by name', () => {
    assert.deepEqual(
      selected(['tcp-rr', '1']).map(({ id }) => id),
      [1, 3],
    );
    assert.equal(selected([]).length, SCENARIOS.length);
    assert.throws(() => selected(['nonsense']), /--list/);
  });
});

test('only one holds the lock', async () => {
  const name = `\0vmlan-bench-test-${process.pid}`;
  const held = await lock(name);
  await assert.rejects(lock(name), /another bench/);
  await new Promise((resolve) => held.close(resolve));
  await using _again = await lock(name);
});
