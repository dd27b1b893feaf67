import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { watchProcess } from './netns-watch.ts';

/** Watching does not keep this process alive; a test must. */
async function ended(pid: number): Promise<void> {
  const alive = setInterval(() => undefined, 1000);
  await new Promise<void>((resolve) => watchProcess(pid, resolve));
  clearInterval(alive);
}

test('the end of a process is seen', async () => {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  await once(child, 'spawn');
  const seen = ended(child.pid ?? 0);
  child.stdin.end();
  await seen;
});

test('a process that was never there has ended, but not at once', async () => {
  let called = false;
  using _watch = watchProcess(0x7fffffff, () => (called = true));
  assert.equal(called, false);
  await ended(0x7fffffff);
  assert.equal(called, true);
});

test('a watch that is disposed says nothing', async () => {
  let called = false;
  const watch = watchProcess(0x7fffffff, () => (called = true));
  watch[Symbol.dispose]();
  await ended(0x7fffffff);
  assert.equal(called, false);
});
