import assert from 'node:assert/strict';
import { test } from 'node:test';
import { iperfClientArgv, rateOf } from './iperf.ts';

const REPORT = {
  intervals: [{ sum: { bytes: 1e9 } }, { sum: { bytes: 3e9 } }],
  end: { sum_sent: { retransmits: 7 }, sum_received: { bits_per_second: 24e9 } },
};

test('the rate is the receiver`s, the volume that of all intervals', () => {
  assert.deepEqual(rateOf(REPORT), { gbitPerSecond: 24, gbit: 32, retransmits: 7 });
});

test('an error is an error', () => {
  assert.throws(() => rateOf({ ...REPORT, error: 'unable to connect' }), /unable to connect/);
});

test('reverse is asked for by the client', () => {
  const load = { server: '192.0.2.1', streams: 8, seconds: 2, reverse: true };
  assert.ok(iperfClientArgv(load).includes('--reverse'));
  assert.ok(!iperfClientArgv({ ...load, reverse: false }).includes('--reverse'));
});
