import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import type { ForwardSpec } from '../engine/control-messages.ts';
import { resolveNetwork } from '../model/resolve.ts';
import { afterSteps } from './applied-state.ts';
import type { AppliedState, Observed, Step, WantedNetwork } from './driver.ts';
import { NOTHING, planNetwork, settingsOf } from './plan.ts';

const NETWORK = resolveNetwork(
  'lab',
  { mode: 'user-v2', subnet: '10.67.0.0/24' },
  { identify: () => new Uint8Array(16), pickSubnet: () => null },
);

const forward = (id: string, port: number): ForwardSpec => ({
  id,
  protocol: 'tcp',
  direction: 'host',
  listen: { host: '127.0.0.1', port: 8000 },
  target: { host: 'web', port },
});

const wanted = (forwards: readonly ForwardSpec[]): WantedNetwork => ({
  ...{ network: NETWORK, closed: [], reservations: [], nics: [], links: [], records: [], shapes: [] },
  forwards,
});

function observed(forwards: readonly ForwardSpec[]): Observed {
  const applied: AppliedState = { ...NOTHING, settings: settingsOf(wanted([])), forwards };
  return { network: 'lab', pid: 1, startedMs: 0, applied, trouble: null, warnings: [], notices: [] };
}

const nameOf = (step: Step): string => ('forward' in step ? `${step.action} ${step.forward.id}` : step.action);
const stepsFrom = (before: readonly ForwardSpec[], after: readonly ForwardSpec[]): readonly Step[] =>
  planNetwork('lab', wanted(after), observed(before)).steps;

/** Forwards in any order, some with another target than elsewhere. */
const someForwards = fc
  .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'))
  .chain((ids) => fc.tuple(...ids.map((id) => fc.constantFrom(1, 2).map((port) => forward(id, port)))));

const sorted = (forwards: readonly ForwardSpec[]): readonly ForwardSpec[] =>
  forwards.toSorted((a, b) => (a.id < b.id ? -1 : 1));

test('a plan makes of what is there what is wanted, and touches nothing else', () => {
  fc.assert(
    fc.property(someForwards, someForwards, (before, after) => {
      const steps = stepsFrom(before, after);
      let state = observed(before).applied!;
      for (const step of steps) state = afterSteps(state, [step]);
      assert.deepEqual(sorted(state.forwards), sorted(after));
      const kept = before.filter((one) => after.some((other) => isDeepStrictEqual(one, other)));
      for (const { id } of kept) assert.ok(!steps.some((step) => 'forward' in step && step.forward.id === id), id);
    }),
  );
});

test('of thousands, the one that came and the one that went are the plan', () => {
  const many = Array.from({ length: 5000 }, (_, i) => forward(`f${i}`, 80));
  assert.deepEqual(stepsFrom(many, many.with(2500, forward('new', 80))).map(nameOf), [
    'remove-forward f2500',
    'add-forward new',
  ]);
  assert.deepEqual(stepsFrom(many, [...many, forward('new', 80)]).map(nameOf), ['add-forward new']);
  assert.deepEqual(stepsFrom(many, many.slice(1)).map(nameOf), ['remove-forward f0']);
  assert.deepEqual(stepsFrom(many, structuredClone(many)), [], 'equal is enough');
});
