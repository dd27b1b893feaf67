import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadIdentity } from './identity.ts';

const directory = mkdtempSync('/tmp/vmlan-identity-');
after(() => rmSync(directory, { recursive: true }));

test('a machine is told by its machine-id, which nobody sees', async () => {
  const file = join(directory, 'id');
  writeFileSync(file, `${'a'.repeat(32)}\n`);
  const { identify } = await loadIdentity(directory, [file]);
  assert.deepEqual(identify('x'), (await loadIdentity(directory, [file])).identify('x'));
  assert.notDeepEqual(identify('x'), identify('y'));
  assert.equal(identify('x').length, 32);
  assert.deepEqual(readdirSync(directory), ['id']);
});

test('a machine without one gets one of our own, that stays and comes first', async () => {
  const empty = join(directory, 'empty');
  writeFileSync(empty, '\n');
  const first = await loadIdentity(directory, [empty, join(directory, 'none')]);
  assert.deepEqual(first.identify('x'), (await loadIdentity(directory, [])).identify('x'));
  assert.match(first.id, /^[0-9a-f]{32}$/);
  assert.equal((await loadIdentity(directory, [join(directory, 'id')])).id, first.id);
});

test('one of our own that is damaged is kept aside and reported', async () => {
  writeFileSync(join(directory, 'identity.json'), '{"version":2,"checksum":"00000000","data":"no"}');
  const { id, warning } = await loadIdentity(directory, [join(directory, 'id')]);
  assert.equal(id, 'a'.repeat(32));
  assert.match(
    warning ?? '',
    /identity\.json was damaged and is kept as .*identity\.json\.damaged-.*checksum is wrong/,
  );
});

test('one that the first version wrote is kept', async () => {
  writeFileSync(join(directory, 'machine-id'), `${'b'.repeat(32)}\n`);
  assert.equal((await loadIdentity(directory, [])).id, 'b'.repeat(32));
});
