import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { silentLogger } from '../core/logger.ts';
import { RESTART_DELAYS_MS, RETRY_DELAY_MS, Supervisor } from './supervise.ts';

interface Bed {
  readonly supervisor: Supervisor;
  readonly restarts: string[];
  readonly retries: string[];
  fails: boolean;
  complete: boolean;
  /** Lets time pass, and everything that follows from it happen. */
  readonly pass: (ms: number) => Promise<void>;
}

function setUp(t: TestContext): Bed {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const [restarts, retries]: [string[], string[]] = [[], []];
  const bed: Bed = {
    restarts,
    retries,
    fails: false,
    complete: true,
    pass: async (ms) => {
      t.mock.timers.tick(ms);
      for (let i = 0; i < 5; i++) await Promise.resolve();
    },
    supervisor: new Supervisor(
      {
        restart: (network) => {
          restarts.push(network);
          return bed.fails ? Promise.reject(new Error('no')) : Promise.resolve();
        },
        retry: (network) => {
          retries.push(network);
          return Promise.resolve(bed.complete);
        },
      },
      silentLogger,
    ),
  };
  return bed;
}

test('a network that dies starts again at once, and is counted', async (t) => {
  const { supervisor, restarts, pass } = setUp(t);
  supervisor.onStarted('lab');
  supervisor.onExited('lab');
  await pass(RESTART_DELAYS_MS[0]!);
  assert.deepEqual(restarts, ['lab']);
  assert.equal(supervisor.restarts('lab'), 1);
});

test('one that keeps dying starts ever more slowly', async (t) => {
  const bed = setUp(t);
  bed.fails = true;
  bed.supervisor.onExited('lab');
  for (const [i, delayMs] of [...RESTART_DELAYS_MS, RESTART_DELAYS_MS.at(-1)!].entries()) {
    await bed.pass(delayMs - 1);
    assert.equal(bed.restarts.length, i, `not before ${delayMs} ms`);
    await bed.pass(1);
    assert.equal(bed.restarts.length, i + 1);
  }
});

test('one that ran for long starts at once again', async (t) => {
  const { supervisor, restarts, pass } = setUp(t);
  for (let i = 1; i <= 3; i++) {
    supervisor.onExited('lab');
    await pass(RESTART_DELAYS_MS[0]!);
    assert.equal(restarts.length, i);
    await pass(60_000);
  }
});

test('one that was stopped stays so', async (t) => {
  const { supervisor, restarts, pass } = setUp(t);
  supervisor.onExited('lab');
  supervisor.forget('lab');
  await pass(100_000);
  assert.deepEqual([restarts, supervisor.restarts('lab')], [[], 0]);
});

test('what is missing is tried until it is there', async (t) => {
  const bed = setUp(t);
  bed.complete = false;
  bed.supervisor.onIncomplete('lab');
  bed.supervisor.onIncomplete('lab');
  await bed.pass(RETRY_DELAY_MS);
  assert.equal(bed.retries.length, 1);
  bed.complete = true;
  await bed.pass(RETRY_DELAY_MS);
  await bed.pass(RETRY_DELAY_MS);
  assert.equal(bed.retries.length, 2);
});

test('nothing happens after the end', async (t) => {
  const { supervisor, restarts, retries, pass } = setUp(t);
  supervisor.onExited('a');
  supervisor.onIncomplete('b');
  supervisor[Symbol.dispose]();
  await pass(100_000);
  assert.deepEqual([restarts, retries], [[], []]);
});
