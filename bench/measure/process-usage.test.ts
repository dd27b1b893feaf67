import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuSeconds, cpuSecondsOf, fieldBytes, residentBytes } from './process-usage.ts';

test('CPU time stands behind the name, whatever the name is', () => {
  const rest = 'S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 99';
  assert.equal(cpuSecondsOf(`12 (node) ${rest}`), 2);
  assert.equal(cpuSecondsOf(`12 (a b) c (x) 1) ${rest}`), 2);
});

test('status lines are in kB', () => {
  assert.equal(fieldBytes('VmPeak:\t  900 kB\nVmRSS:\t  20 kB\n', 'VmRSS'), 20 * 1024);
  assert.ok(Number.isNaN(fieldBytes('', 'VmRSS')));
});

test('this process has used something', () => {
  assert.ok(cpuSeconds([process.pid]) > 0);
  assert.ok(residentBytes(process.pid) > 1 << 20);
});
