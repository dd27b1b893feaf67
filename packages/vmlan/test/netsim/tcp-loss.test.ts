/**
 * How fast a guest gets its data over a bad wire, in virtual time: floors well below what is reached, so that a change
 * which breaks recovery shows, and one that only shifts it does not. Every seed must deliver every byte.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliver, type WireFaults } from './lossy-path.ts';

const BYTES = 4 << 20;
const SEEDS = [1, 2, 3, 4, 5];
const usual = { loss: 0.01, duplicate: 0.01, reorder: 0.05 };

/** `extra`: segments sent for each one that was needed, at most. */
const TABLE: { name: string; faults: WireFaults; mbit: number; extra: number }[] = [
  { name: 'nothing wrong', faults: { delayMs: 20 }, mbit: 150, extra: 1.01 },
  { name: 'the usual faults', faults: usual, mbit: 300, extra: 1.3 },
  { name: 'the usual faults, 1 ms', faults: { ...usual, delayMs: 1 }, mbit: 250, extra: 1.3 },
  { name: 'the usual faults, 10 ms', faults: { ...usual, delayMs: 10 }, mbit: 150, extra: 1.3 },
  { name: 'the usual faults, 20 ms', faults: { ...usual, delayMs: 20 }, mbit: 90, extra: 1.3 },
  { name: 'the usual faults, 100 ms', faults: { ...usual, delayMs: 100 }, mbit: 20, extra: 1.3 },
  { name: 'jitter that reorders everything', faults: { loss: 0.01, delayMs: 20, jitterMs: 10 }, mbit: 70, extra: 2.2 },
  { name: 'a third out of order', faults: { reorder: 0.3, delayMs: 20 }, mbit: 120, extra: 1.8 },
  { name: 'one in twenty lost', faults: { ...usual, loss: 0.05, delayMs: 20 }, mbit: 45, extra: 1.8 },
  { name: 'one in ten lost', faults: { loss: 0.1, delayMs: 20 }, mbit: 30, extra: 2.5 },
  { name: 'three in ten lost', faults: { loss: 0.3, delayMs: 5 }, mbit: 1, extra: 5 },
];

for (const { name, faults, mbit, extra } of TABLE) {
  test(`${name}: at least ${mbit} Mbit/s`, (t) => {
    const runs = SEEDS.map((seed) => deliver(BYTES, faults, seed));
    const slowest = Math.min(...runs.map(({ mbitPerSecond }) => mbitPerSecond));
    const needed = Math.ceil(BYTES / 1460) * SEEDS.length;
    const sent = runs.reduce((sum, { segments }) => sum + segments, 0) / needed;
    t.diagnostic(`${Math.round(slowest)} Mbit/s, ${sent.toFixed(2)} segments sent for each`);
    assert.ok(slowest >= mbit, `${slowest} Mbit/s`);
    assert.ok(sent <= extra, `${sent} segments sent for each`);
  });
}
