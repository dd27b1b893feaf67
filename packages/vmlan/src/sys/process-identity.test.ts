import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { isRunning, ownIdentity } from './process-identity.ts';

test('this process runs', () => assert.ok(isRunning(ownIdentity())));

test('another one with our pid does not', () => {
  assert.ok(!isRunning({ pid: process.pid, startTime: '1' }));
  assert.ok(!isRunning({ pid: 4_194_305, startTime: '1' }));
});

test('without a start time the pid alone counts', () => {
  assert.ok(isRunning({ pid: process.pid, startTime: '' }));
  assert.ok(!isRunning({ pid: 4_194_305, startTime: '' }));
});

test('a process that has ended does not run, reaped or not', async () => {
  const child = spawn('true');
  await once(child, 'exit');
  assert.ok(!isRunning({ pid: child.pid!, startTime: '' }));
});
