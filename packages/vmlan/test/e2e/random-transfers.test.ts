/**
 * Transfers of random sizes and every shape, several at once, compared at both ends: a short run of
 * `npm run transfers`, with another seed each time.
 *
 *   VMLAN_LONG=1                 the thousand of it
 *   VMLAN_TRANSFERS_SEED=N       the same ones again
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LONG } from '../support/needs.ts';
import { carryOut } from '../transfers/carry-out.ts';
import { plan } from '../transfers/plan.ts';
import { ready } from './engine-bed.ts';

const SIZE = LONG ? { count: 1000, maxBytes: 64 << 20 } : { count: 160, maxBytes: 4 << 20 };

test(`${SIZE.count} transfers of random sizes`, async (t) => {
  if (!ready(t)) return;
  const seed = Number(process.env['VMLAN_TRANSFERS_SEED'] ?? 1 + Math.floor(Math.random() * 0x7fff_fffe));
  t.diagnostic(`VMLAN_TRANSFERS_SEED=${seed}`);
  assert.deepEqual(await carryOut(plan({ ...SIZE, seed })), [], `VMLAN_TRANSFERS_SEED=${seed}`);
});
