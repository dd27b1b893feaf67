import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { listDurable, makeStateDirectory, readDurable, removeDurable, writeDurable } from './durable-file.ts';

const directory = mkdtempSync('/tmp/vmlan-durable-');
after(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);

test('what is written is read back, private, and without a trace of the writing', async () => {
  await writeDurable(at('a.json'), '{"a":1}');
  await writeDurable(at('a.json'), '{"a":2}');
  assert.deepEqual(await readDurable(at('a.json'), JSON.parse), { value: { a: 2 }, damaged: null });
  assert.equal(statSync(at('a.json')).mode & 0o777, 0o600);
  assert.ok(!readdirSync(directory).some((name) => name.endsWith('.tmp')));
});

test('a file that is not there is no damage', async () => {
  assert.deepEqual(await readDurable(at('none'), JSON.parse), { value: null, damaged: null });
});

test('a write that was cut off leaves the old file', async () => {
  await writeDurable(at('b.json'), '1');
  writeFileSync(at('b.json.tmp'), '{"half');
  assert.equal((await readDurable(at('b.json'), JSON.parse)).value, 1);
});

test('a damaged file is set aside, never overwritten', async () => {
  for (const text of ['{', '[', '(']) {
    writeFileSync(at('c.json'), text);
    const { value, damaged } = await readDurable(at('c.json'), JSON.parse);
    assert.equal(value, null);
    assert.equal(readFileSync(damaged!.path, 'utf8'), text);
  }
  assert.equal(readdirSync(directory).filter((name) => name.startsWith('c.json.damaged-')).length, 3);
});

test('only whole files are listed', async () => {
  mkdirSync(at('list'));
  for (const name of ['b.json', 'a.json', 'c.json.tmp', 'd.json.damaged-1', 'e.txt'])
    writeFileSync(at(`list/${name}`), '');
  assert.deepEqual(await listDurable(at('list'), '.json'), ['a', 'b']);
  assert.deepEqual(await listDurable(at('nowhere'), '.json'), []);
});

test('removing what is not there is no error', async () => {
  await removeDurable(at('a.json'));
  await removeDurable(at('a.json'));
});

test('errors of the disk name the file and the reason', async () => {
  writeFileSync(at('plain'), '');
  await assert.rejects(writeDurable(at('plain/x'), ''), {
    message: /plain\/x cannot be written: a part of the path is no directory/,
  });
  await assert.rejects(makeStateDirectory(at('plain/x')), { message: /cannot be made/ });
  await assert.rejects(listDurable(at('plain'), '.json'), { message: /cannot be read/ });
  await assert.rejects(readDurable(at('plain/x'), JSON.parse), { message: /cannot be read/ });
  await assert.rejects(removeDurable(at('none/x')), { message: /cannot be removed/ });
  await assert.rejects(writeDurable('/dev/full/x', ''), { code: 'unavailable' });
});
