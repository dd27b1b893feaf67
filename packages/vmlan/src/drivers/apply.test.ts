import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_TOGETHER, applySteps } from './apply.ts';
import type { RunSteps } from './apply.ts';
import type { Step } from './driver.ts';

const nic = (key: string): Step => ({
  action: 'set-nic',
  nic: { key, guest: key, mac: null, connected: true, ip: null },
  before: null,
});
const forward = (id: string): Step => ({
  action: 'add-forward',
  forward: {
    id,
    protocol: 'tcp',
    direction: 'host',
    listen: { host: '127.0.0.1', port: 80 },
    target: { host: id, port: 80 },
  },
});
const records: Step = { action: 'set-records', records: [], before: [] };

const nameOf = (step: Step): string =>
  'forward' in step ? step.forward.id : 'nic' in step ? step.nic.key : step.action;

/** Writes down what it is given, and refuses what is named. */
function recorder(...refused: readonly string[]): { readonly runs: string[]; readonly run: RunSteps } {
  const runs: string[] = [];
  const run: RunSteps = (steps) => {
    runs.push(`${steps[0]!.action}: ${steps.map(nameOf).join(' ')}`);
    return Promise.resolve(
      steps.map((step) => (refused.includes(nameOf(step)) ? new Error(`no ${nameOf(step)}`) : null)),
    );
  };
  return { runs, run };
}

describe('a plan', () => {
  test('is carried out in its order, like steps together', async () => {
    const { runs, run } = recorder();
    const steps = [nic('a/0'), nic('b/0'), records, records, forward('f1'), forward('f2'), nic('c/0')];
    assert.deepEqual(await applySteps({ network: 'lab', steps }, run), []);
    assert.deepEqual(runs, [
      'set-nic: a/0 b/0',
      'set-records: set-records',
      'set-records: set-records',
      'add-forward: f1 f2',
      'set-nic: c/0',
    ]);
  });

  test('of thousands of steps is cut into pieces', async () => {
    const { runs, run } = recorder();
    const steps = Array.from({ length: 2 * MAX_TOGETHER + 1 }, (_, i) => forward(`f${i}`));
    await applySteps({ network: 'lab', steps }, run);
    assert.equal(runs.length, 3);
    assert.equal(runs.at(-1), `add-forward: f${2 * MAX_TOGETHER}`);
  });

  test('is taken back whole, in the opposite order, when one step of many fails', async () => {
    const { runs, run } = recorder('f2');
    const steps = [nic('a/0'), forward('f1'), forward('f2'), forward('f3'), records];
    await assert.rejects(applySteps({ network: 'lab', steps }, run), /no f2/);
    assert.deepEqual(runs, ['set-nic: a/0', 'add-forward: f1 f2 f3', 'remove-forward: f3 f1', 'remove-nic: a/0']);
  });

  test('keeps what can be had when that is wanted, and says what could not', async () => {
    const { runs, run } = recorder('f2');
    const failed = await applySteps(
      { network: 'lab', steps: [forward('f1'), forward('f2'), forward('f3'), records] },
      run,
      {
        onFailure: 'keep',
      },
    );
    assert.deepEqual(
      failed.map(({ step, error }) => [nameOf(step), error.message]),
      [['f2', 'no f2']],
    );
    assert.deepEqual(runs, ['add-forward: f1 f2 f3', 'set-records: set-records']);
    const { run: refusing } = recorder('a/0');
    const guests = { network: 'lab', steps: [nic('a/0')] };
    await assert.rejects(
      applySteps(guests, refusing, { onFailure: 'keep' }),
      /no a\/0/,
      'a guest is no part to go without',
    );
  });

  test('that is given up is taken back', async () => {
    const { runs, run } = recorder();
    const abort = new AbortController();
    const once: RunSteps = async (steps) => {
      abort.abort(new Error('enough'));
      return run(steps);
    };
    const plan = { network: 'lab', steps: [nic('a/0'), records] };
    await assert.rejects(applySteps(plan, once, { signal: abort.signal }), /enough/);
    assert.deepEqual(runs, ['set-nic: a/0', 'remove-nic: a/0']);
  });
});
