import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import {
  listDurable,
  makeStateDirectory,
  readDurable,
  removeDurable,
  removeTemporary,
  writeDurable,
} from './durable-file.ts';

const NOBODY = 65_534;

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

test('who has no descriptor left is told of the file and of the limit', () => {
  const program = `
    import { openSync } from 'node:fs';
    import { writeDurable } from ${JSON.stringify(join(import.meta.dirname, 'durable-file.ts'))};
    try {
      for (;;) openSync('/dev/null', 'r');
    } catch {}
    await writeDurable('/tmp/leases.json', '1').catch(({ code, message, hint }) => console.log([code, message, hint].join('\\n')));`;
  // Node.js makes the soft limit the hard one.
  const said = execFileSync('sh', [
    '-c',
    'ulimit -n 64; exec "$0" --input-type=module -e "$1"',
    process.execPath,
    program,
  ]);
  assert.deepEqual(String(said).trim().split('\n'), [
    'exhausted',
    '/tmp/leases.json cannot be written: all descriptors that this process may open are in use (64)',
    'raise its limit: `ulimit -n` where vmlan is started, LimitNOFILE= in its unit',
  ]);
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
    assert.equal(readFileSync(damaged!.path!, 'utf8'), text);
  }
  assert.equal(readdirSync(directory).filter((name) => name.startsWith('c.json.damaged-')).length, 3);
});

describe('what stands in the place of a file', () => {
  const cases: Record<string, { make: (path: string) => void; reason: RegExp }> = {
    'a directory': { make: (path) => mkdirSync(join(path, 'x'), { recursive: true }), reason: /is a directory/ },
    'a symbolic link': { make: (path) => symlinkSync('/etc/hostname', path), reason: /is a symbolic link/ },
    'a link to nowhere': { make: (path) => symlinkSync('/nowhere', path), reason: /is a symbolic link/ },
    'a pipe': { make: (path) => execFileSync('mkfifo', [path]), reason: /is no file/ },
  };
  for (const [name, { make, reason }] of Object.entries(cases)) {
    test(`${name} is set aside, without waiting for it`, async () => {
      const path = at(`${name.replaceAll(' ', '-')}.json`);
      make(path);
      const { value, damaged } = await readDurable(path, JSON.parse);
      assert.equal(value, null);
      assert.match(damaged!.reason, reason);
      assert.ok(lstatSync(damaged!.path!, { throwIfNoEntry: false }) !== undefined);
      await writeDurable(path, '1');
      assert.equal((await readDurable(path, JSON.parse)).value, 1);
    });
  }
});

test('what a crash left is no hindrance, whatever it is', async () => {
  for (const make of [
    (path: string): void => writeFileSync(path, '{"half', { mode: 0o444 }),
    (path: string): void => symlinkSync('/etc/hostname', path),
    (path: string): void => void execFileSync('mkfifo', [path]),
  ]) {
    make(at('left.json.tmp'));
    await writeDurable(at('left.json'), '1');
  }
  writeFileSync(at('other.tmp'), '');
  await removeTemporary(directory);
  assert.ok(!readdirSync(directory).some((name) => name.endsWith('.tmp')));
});

test('a mode that a copy made too wide is made narrow', async () => {
  writeFileSync(at('wide.json'), '1', { mode: 0o644 });
  assert.equal((await readDurable(at('wide.json'), JSON.parse)).value, 1);
  assert.equal(statSync(at('wide.json')).mode & 0o777, 0o600);
});

test('a file that may not be read is set aside', { skip: process.getuid!() !== 0 }, async () => {
  const path = at('foreign/x.json');
  mkdirSync(at('foreign'));
  writeFileSync(path, '1', { mode: 0o600 });
  chmodSync(directory, 0o711);
  chownSync(at('foreign'), NOBODY, NOBODY);
  process.seteuid!(NOBODY);
  try {
    const { value, damaged } = await readDurable(path, JSON.parse);
    assert.deepEqual([value, damaged?.reason], [null, 'permission denied']);
    assert.match(damaged?.path ?? '', /x\.json\.damaged-/);
  } finally {
    process.seteuid!(0);
  }
});

test('a file that says it is to stay is left alone', async () => {
  writeFileSync(at('later.json'), '1');
  const refuse = (): never => {
    throw new VmlanError('unsupported', 'of a newer vmlan');
  };
  await assert.rejects(readDurable(at('later.json'), refuse), { code: 'unsupported' });
  assert.equal(readFileSync(at('later.json'), 'utf8'), '1');
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
  await removeDurable(at('none/x'));
});

test('errors of the disk name the file and the reason', async () => {
  writeFileSync(at('plain'), '');
  await assert.rejects(writeDurable(at('plain/x'), ''), {
    message: /plain\/x cannot be written: a part of the path is no directory/,
  });
  await assert.rejects(makeStateDirectory(at('plain/x')), { message: /cannot be made/ });
  await assert.rejects(listDurable(at('plain'), '.json'), { message: /cannot be read/ });
  await assert.rejects(readDurable(at('plain/x'), JSON.parse), { message: /cannot be read/ });
  await assert.rejects(removeDurable(at('plain/x')), { message: /cannot be removed/ });
  await assert.rejects(writeDurable('/dev/full/x', ''), { code: 'unavailable' });
});
