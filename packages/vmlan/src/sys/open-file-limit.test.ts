import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFileLimit } from './open-file-limit.ts';

test('the limit of this process', () => {
  assert.ok(openFileLimit() >= 64);
  const directory = mkdtempSync('/tmp/vmlan-limit-');
  const file = join(directory, 'limits');
  writeFileSync(file, 'Max processes  1  1 processes\nMax open files            512                  4096 files\n');
  assert.equal(openFileLimit(file), 512);
  writeFileSync(file, 'Max open files            unlimited            unlimited            files\n');
  assert.equal(openFileLimit(file), Number.MAX_SAFE_INTEGER);
  rmSync(directory, { recursive: true });
  assert.equal(openFileLimit(file), 256);
});
