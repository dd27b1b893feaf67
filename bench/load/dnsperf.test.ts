import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latenciesOf, rateOf } from './dnsperf.ts';

const SUMMARY = `
Statistics:

  Queries sent:         1000
  Queries completed:    990 (99.00%)
  Queries lost:         10 (1.00%)

  Response codes:       NOERROR 980 (98.99%), SERVFAIL 10 (1.01%)
  Queries per second:   12345.678900
`;

test('rates come from the summary', () => {
  const { perSecond, failedShare } = rateOf(SUMMARY);
  assert.equal(perSecond, 12345.6789);
  assert.ok(Math.abs(failedShare - 0.02) < 1e-9);
});

test('latencies come from the lines of answers', () => {
  const text = '[Status] Sending\n> NOERROR a.test A 0.000300\n> NOERROR b.test A 0.000100\n[Status] done\n';
  assert.deepEqual(latenciesOf(text), [0.0001, 0.0003]);
});
