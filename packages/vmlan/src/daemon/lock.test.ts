import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { networkPaths } from '../drivers/network-paths.ts';
import { writeProcessFile } from '../drivers/userspace/process-file.ts';
import { DaemonLock, clearSocketPath } from './lock.ts';
import type { LockedDirectories } from './lock.ts';

/** State and runtime in one: the state has no lock of its own. */
const at = (directory: string): LockedDirectories => ({ runtime: directory, state: directory });

function folder(t: TestContext): string {
  const directory = mkdtempSync('/tmp/vmlan-lock-');
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('one at a time', (t) => {
  const directory = folder(t);
  const lock = DaemonLock.acquire(at(directory));
  assert.throws(() => DaemonLock.acquire(at(directory)), {
    code: 'already-running',
    message: new RegExp(`pid ${process.pid}`),
  });
  lock.release();
  DaemonLock.acquire(at(directory)).release();
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
    DaemonLock.acquire(at(directory)).release();
    assert.deepEqual(readdirSync(directory), []);
  });
}

test("another's lock is not released", (t) => {
  const directory = folder(t);
  const lock = DaemonLock.acquire(at(directory));
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
    DaemonLock.acquire(at(directory)).release();
    assert.deepEqual(readdirSync(directory), []);
  }
});

describe('the state directory', () => {
  const folders = (t: TestContext): { state: string; one: LockedDirectories; other: LockedDirectories } => {
    const directory = folder(t);
    const make = (name: string): string => {
      mkdirSync(join(directory, name));
      return join(directory, name);
    };
    const [state, one, other] = [make('state'), make('one'), make('other')];
    return { state, one: { state, runtime: one }, other: { state, runtime: other } };
  };

  test('has one daemon, whatever the runtime directory', (t) => {
    const { state, one, other } = folders(t);
    const lock = DaemonLock.acquire(one);
    assert.throws(() => DaemonLock.acquire(other), {
      code: 'already-running',
      message: `a daemon works with ${state} already (pid ${process.pid})`,
      hint: new RegExp(`VMLAN_RUNTIME_DIR=${one.runtime} vmlan status`),
    });
    assert.deepEqual(readdirSync(other.runtime), [], 'nothing is left of the attempt');
    lock.release();
    assert.deepEqual(readdirSync(state), []);
    DaemonLock.acquire(other).release();
  });

  test('is not given to another while networks of the last one run', (t) => {
    const { state, one, other } = folders(t);
    DaemonLock.acquire(one).release();
    const lock = DaemonLock.acquire(one);
    const network = networkPaths(one.runtime, state, 'lab');
    mkdirSync(network.directory, { recursive: true });
    // As one that is starting looks: it is known by its last argument.
    const child = spawn('sh', ['-c', 'read _', 'sh', network.directory], { stdio: ['pipe', 'ignore', 'ignore'] });
    t.after(() => child.kill());
    writeProcessFile(network.process, child.pid!);
    lock.release();
    assert.throws(() => DaemonLock.acquire(other), {
      code: 'already-running',
      message: new RegExp(`networks of ${state} run already, with the runtime directory ${one.runtime}: lab`),
      hint: new RegExp(`VMLAN_RUNTIME_DIR=${one.runtime}`),
    });
    DaemonLock.acquire(one).release();
    rmSync(network.process);
    DaemonLock.acquire(other).release();
    assert.deepEqual(readdirSync(state), []);
  });

  test('is free after a reboot, whoever has the pid then', (t) => {
    const { state, one, other } = folders(t);
    DaemonLock.acquire(one);
    const path = join(state, 'daemon.pid');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"boot":"[^"]*"/, '"boot":"before"'));
    DaemonLock.acquire(other).release();
  });

  test('needs no lock where none can be written', (t) => {
    const { one } = folders(t);
    const missing = { ...one, state: join(one.state, 'gone') };
    const lock = DaemonLock.acquire(missing);
    lock.release();
    assert.deepEqual(readdirSync(one.runtime), []);
  });
});
