import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { DaemonLock, clearSocketPath } from './lock.ts';

function folder(t: TestContext): string {
  const directory = mkdtempSync('/tmp/vmlan-lock-');
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('one at a time', (t) => {
  const directory = folder(t);
  const lock = DaemonLock.acquire(directory);
  assert.throws(() => DaemonLock.acquire(directory), {
    code: 'already-running',
    message: new RegExp(`pid ${process.pid}`),
  });
  lock.release();
  DaemonLock.acquire(directory).release();
  assert.deepEqual(readdirSync(directory), []);
});

for (const [name, text] of [
  ['a dead daemon', '{"pid":4194305,"startTime":"1"}'],
  ['a daemon whose pid is another process now', `{"pid":${process.pid},"startTime":"1"}`],
  ['a crash while writing', '{"pi'],
  ['nobody', '{}'],
] as const) {
  test(`what ${name} left is replaced`, (t) => {
    const directory = folder(t);
    writeFileSync(join(directory, 'daemon.pid'), text);
    DaemonLock.acquire(directory).release();
    assert.deepEqual(readdirSync(directory), []);
  });
}

test("another's lock is not released", (t) => {
  const directory = folder(t);
  const lock = DaemonLock.acquire(directory);
  writeFileSync(join(directory, 'daemon.pid'), '{"pid":1,"startTime":"1"}');
  lock.release();
  assert.ok(existsSync(join(directory, 'daemon.pid')));
});

test('a socket that answers belongs to another daemon', async (t) => {
  const path = join(folder(t), 'vmlan.sock');
  await clearSocketPath(path);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await assert.rejects(clearSocketPath(path), { code: 'already-running' });
  server.close();
});

test('what is no file at all is replaced, and not waited for', (t) => {
  const makers: ((path: string) => void)[] = [
    (path) => mkdirSync(join(path, 'x'), { recursive: true }),
    (path) => symlinkSync('/nowhere', path),
    (path) => void execFileSync('mkfifo', [path]),
  ];
  for (const make of makers) {
    const directory = folder(t);
    make(join(directory, 'daemon.pid'));
    DaemonLock.acquire(directory).release();
    assert.deepEqual(readdirSync(directory), []);
  }
});
