import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { networkPaths } from '../network-paths.ts';
import type { NetworkPaths } from '../network-paths.ts';
import { clearDirectory, clearForgotten } from './network-directory.ts';

function bed(t: TestContext): { runtime: string; paths: NetworkPaths } {
  const runtime = mkdtempSync('/tmp/vmlan-directory-');
  t.after(() => rmSync(runtime, { recursive: true }));
  const paths = networkPaths(runtime, runtime, 'lab');
  mkdirSync(paths.guests, { recursive: true });
  return { runtime, paths };
}

test('a socket that a VMM holds stays, everything else goes', async (t) => {
  const { paths } = bed(t);
  const [held, dead] = [join(paths.guests, 'web.peer'), join(paths.guests, 'old.peer')];
  const server = createServer();
  await once(server.listen(held), 'listening');
  const gone = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen('${dead}', () => process.kill(process.pid, 9))`,
  ]);
  await once(gone, 'exit');
  for (const path of [paths.process, paths.control, join(paths.guests, 'web.dgram'), join(paths.guests, 'file.peer')])
    writeFileSync(path, '');
  assert.ok(existsSync(dead));
  await clearDirectory(paths);
  assert.deepEqual([readdirSync(paths.directory), readdirSync(paths.guests)], [['guests'], ['web.peer']]);
  server.close();
  await once(server, 'close');
  await clearDirectory(paths);
  assert.ok(!existsSync(paths.directory));
});

test('what nothing tells of any more is taken away, and a network that may run is not', async (t) => {
  const { runtime, paths } = bed(t);
  writeFileSync(paths.process, '{}');
  const forgotten = networkPaths(runtime, runtime, 'old');
  mkdirSync(forgotten.guests, { recursive: true });
  await clearForgotten(runtime);
  assert.deepEqual(readdirSync(join(runtime, 'networks')), ['lab']);
  rmSync(paths.process);
  await clearForgotten(runtime);
  assert.deepEqual(readdirSync(runtime), []);
  await clearForgotten(runtime);
});
