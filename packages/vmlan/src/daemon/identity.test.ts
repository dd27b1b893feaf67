import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadIdentity } from './identity.ts';

const directory = mkdtempSync('/tmp/vmlan-identity-');
after(() => rmSync(directory, { recursive: true }));

test('a machine is told by its machine-id, which nobody sees', async () => {
  const file = join(directory, 'id');
  writeFileSync(file, `${'a'.repeat(32)}\n`);
  const identify = await loadIdentity(directory, [file]);
  assert.deepEqual(identify('x'), (await loadIdentity(directory, [file]))('x'));
  assert.notDeepEqual(identify('x'), identify('y'));
  assert.equal(identify('x').length, 32);
});

test('a machine without one gets one of our own, that stays', async () => {
  const empty = join(directory, 'empty');
  writeFileSync(empty, '\n');
  const first = await loadIdentity(directory, [empty, join(directory, 'none')]);
  assert.deepEqual(first('x'), (await loadIdentity(directory, []))('x'));
  assert.match(readFileSync(join(directory, 'machine-id'), 'utf8'), /^[0-9a-f]{32}\n$/);
});
