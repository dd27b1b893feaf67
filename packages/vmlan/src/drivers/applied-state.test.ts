import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ForwardSpec, NicConfig, ShapeSpec } from '../engine/control-messages.ts';
import { afterSteps } from './applied-state.ts';
import type { AppliedState, Step, WantedLink } from './driver.ts';
import { NOTHING } from './plan.ts';

const EMPTY: AppliedState = { ...NOTHING, settings: '' };
const KEYS = Array.from({ length: 5 }, (_, i) => `k${i}`);

const nic = (key: string): NicConfig => ({ key, guest: key, mac: null, connected: true, ip: null });
const link = (id: string): WantedLink => ({ id, link: { kind: 'dgram', path: `/${id}`, peer: null, nic: null } });
const forward = (id: string): ForwardSpec => ({
  id,
  protocol: 'udp',
  direction: 'host',
  listen: { host: '127.0.0.1', port: 53 },
  target: { host: 'dns', port: 53 },
});
const shape = (id: string): ShapeSpec => ({ id, nic: id, peer: null, fromGuest: null, toGuest: null });

const STEPS: Readonly<Record<string, (key: string) => Step>> = {
  'set-nic': (key) => ({ action: 'set-nic', nic: nic(key), before: null }),
  'remove-nic': (key) => ({ action: 'remove-nic', nic: nic(key) }),
  'add-link': (key) => ({ action: 'add-link', link: link(key) }),
  'remove-link': (key) => ({ action: 'remove-link', link: link(key) }),
  'add-forward': (key) => ({ action: 'add-forward', forward: forward(key) }),
  'remove-forward': (key) => ({ action: 'remove-forward', forward: forward(key) }),
  'set-shape': (key) => ({ action: 'set-shape', shape: shape(key), before: null }),
  'remove-shape': (key) => ({ action: 'remove-shape', shape: shape(key) }),
};

const runs = fc.array(
  fc.record({ action: fc.constantFrom(...Object.keys(STEPS)), keys: fc.uniqueArray(fc.constantFrom(...KEYS)) }),
);

test('steps that were carried out together leave what they leave one by one', () => {
  fc.assert(
    fc.property(runs, (batches) => {
      let [together, alone] = [EMPTY, EMPTY];
      for (const { action, keys } of batches) {
        const steps = keys.map(STEPS[action]!);
        together = afterSteps(together, steps);
        for (const step of steps) alone = afterSteps(alone, [step]);
      }
      assert.deepEqual(together, alone);
    }),
  );
});

test('lists that are set whole are what the step says', () => {
  const records = [{ name: 'a.lab', type: 'A', value: '10.0.0.1' }];
  const reservations = [{ nic: 'web/0', address: '10.0.0.9' }] as unknown as AppliedState['reservations'];
  assert.deepEqual(afterSteps(EMPTY, [{ action: 'set-records', records, before: [] }]).records, records);
  assert.deepEqual(afterSteps(EMPTY, [{ action: 'set-closed', closed: ['10.0.0.0/8'], before: [] }]).closed, [
    '10.0.0.0/8',
  ]);
  const after = afterSteps(EMPTY, [{ action: 'set-reservations', reservations, before: [] }]);
  assert.deepEqual(after.reservations, reservations);
  assert.equal(afterSteps(EMPTY, [{ action: 'stop' }]), EMPTY);
});
