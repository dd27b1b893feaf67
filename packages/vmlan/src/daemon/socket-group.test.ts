import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { problem } from './daemon.fixture.ts';
import { groupId, openDirectoryTo } from './socket-group.ts';

const directory = mkdtempSync('/tmp/vmlan-group-');
after(() => rmSync(directory, { recursive: true }));

test('groups by number, file and name service', () => {
  const file = join(directory, 'group');
  writeFileSync(file, 'root:x:0:\nvmlan:x:4711:ann,bob\nbroken:x:abc:\n');
  assert.equal(groupId('77', file), 77);
  assert.equal(groupId('vmlan', file), 4711);
  assert.equal(groupId('root', join(directory, 'missing')), 0);
  for (const name of ['broken', 'nobody-has-this', '', '-x', 'a b', '../x']) {
    assert.throws(() => groupId(name, file), problem('not-found', /there is no group/, /groupadd/), name);
  }
});

test('a closed directory is opened for searching, an open one left alone', () => {
  const socket = join(directory, 'vmlan.sock');
  const gid = process.getgid!();
  chmodSync(directory, 0o700);
  openDirectoryTo(gid, socket);
  assert.deepEqual([statSync(directory).mode & 0o777, statSync(directory).gid], [0o710, gid]);
  chmodSync(directory, 0o700);
  assert.throws(
    () => openDirectoryTo(2 ** 33, socket),
    problem('not-permitted', /cannot be opened to group/, /member of/),
  );
  chmodSync(directory, 0o711);
  openDirectoryTo(gid, socket);
  assert.equal(statSync(directory).mode & 0o777, 0o711);
});
