import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { removeResolver, writeResolver } from './netns-resolver.ts';

let parent = '';
let root = '';
const file = (): string => join(root, 'c1', 'resolv.conf');
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'vmlan-resolver-'));
  root = join(parent, 'netns');
});
afterEach(() => rmSync(parent, { recursive: true }));

test('written, written again, and removed without a trace', () => {
  assert.equal(writeResolver('c1', { dns: '10.0.0.1', searchDomains: [] }, root), true);
  assert.match(readFileSync(file(), 'utf8'), /^# written by vmlan.*\nnameserver 10\.0\.0\.1\n$/);
  assert.equal(writeResolver('c1', { dns: '10.0.0.2', searchDomains: ['lab.internal', 'x.internal'] }, root), true);
  assert.match(readFileSync(file(), 'utf8'), /\nsearch lab\.internal x\.internal\nnameserver 10\.0\.0\.2\n$/);
  removeResolver('c1', root);
  assert.equal(existsSync(root), false);
});

test("somebody else's file stays", () => {
  mkdirSync(join(root, 'c1'), { recursive: true });
  writeFileSync(file(), 'nameserver 9.9.9.9\n');
  assert.equal(writeResolver('c1', { dns: '10.0.0.1', searchDomains: [] }, root), false);
  removeResolver('c1', root);
  assert.equal(readFileSync(file(), 'utf8'), 'nameserver 9.9.9.9\n');
});

test('folders that hold more stay', () => {
  writeResolver('c1', { dns: '10.0.0.1', searchDomains: [] }, root);
  writeResolver('c2', { dns: '10.0.0.1', searchDomains: [] }, root);
  writeFileSync(join(root, 'c1', 'hosts'), '');
  removeResolver('c1', root);
  assert.equal(existsSync(file()), false);
  assert.ok(existsSync(join(root, 'c1', 'hosts')) && existsSync(join(root, 'c2', 'resolv.conf')));
  removeResolver('never', root);
});
