import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { resolvePaths } from '../model/paths.ts';
import type { Paths } from '../model/paths.ts';
import { prepareDirectories } from './directories.ts';

const uid = process.getuid!();
const isRoot = uid === 0;

function pathsIn(t: TestContext): Paths {
  const directory = mkdtempSync('/tmp/vmlan-directories-');
  t.after(() => rmSync(directory, { recursive: true }));
  const env = { VMLAN_STATE_DIR: join(directory, 'state'), VMLAN_RUNTIME_DIR: join(directory, 'run') };
  return resolvePaths(env, { uid: 1000, home: directory });
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('are made for their owner, and for root so that others pass through', (t) => {
  const paths = pathsIn(t);
  prepareDirectories(paths, uid);
  assert.equal(modeOf(paths.state), isRoot ? 0o711 : 0o700);
  assert.equal(modeOf(paths.runtime), isRoot ? 0o711 : 0o700);
});

test('that others may write lose that', (t) => {
  const paths = pathsIn(t);
  mkdirSync(paths.runtime);
  chmodSync(paths.runtime, 0o777);
  prepareDirectories(paths, uid);
  assert.equal(modeOf(paths.runtime), 0o755);
});

test("of root's that were private become passable", { skip: !isRoot }, (t) => {
  const paths = pathsIn(t);
  mkdirSync(paths.runtime, { mode: 0o700 });
  prepareDirectories(paths, 0);
  assert.equal(modeOf(paths.runtime), 0o711);
});

test("of somebody else's are refused", { skip: !isRoot }, (t) => {
  const paths = pathsIn(t);
  mkdirSync(paths.runtime);
  chownSync(paths.runtime, 4711, 4711);
  assert.throws(() => prepareDirectories(paths, 1000), { code: 'not-permitted', message: /belongs to another user/ });
});

test('that cannot be made are named', (t) => {
  const paths = pathsIn(t);
  writeFileSync(paths.state, '');
  assert.throws(() => prepareDirectories(paths, uid), { code: 'not-permitted', message: /state cannot be used/ });
});
