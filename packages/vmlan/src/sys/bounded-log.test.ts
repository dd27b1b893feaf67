import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { boundLog, boundOwnOutput, openLog } from './bounded-log.ts';

function place(t: TestContext): string {
  const directory = mkdtempSync('/tmp/vmlan-log-');
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'network.log');
}

test('a log is put aside when it is too long, and written on by who has it open', (t) => {
  const path = place(t);
  const fd = openLog(path);
  for (const [i, letter] of ['a', 'b', 'c', 'd'].entries()) {
    writeSync(fd, letter.repeat(10));
    boundLog(path, 10);
    assert.equal(statSync(path).size, 10, `${i}: not too long yet`);
    writeSync(fd, '+');
    boundLog(path, 10);
    assert.equal(statSync(path).size, 0);
  }
  closeSync(fd);
  assert.deepEqual(
    [readFileSync(`${path}.1`, 'utf8'), readFileSync(`${path}.2`, 'utf8'), existsSync(`${path}.3`)],
    ['ddddddddd+', 'ccccccccc+', false],
  );
});

test('no link is followed', (t) => {
  const path = place(t);
  const victim = `${path}.victim`;
  writeFileSync(victim, 'x'.repeat(100));
  symlinkSync(victim, path);
  boundLog(path, 10);
  assert.throws(() => openLog(path), { code: 'ELOOP' });
  rmSync(path);
  writeFileSync(path, 'y'.repeat(100));
  symlinkSync(victim, `${path}.1`);
  boundLog(path, 10);
  assert.equal(readFileSync(victim, 'utf8'), 'x'.repeat(100));
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'y'.repeat(10));
  boundLog(`${path}.none`, 10);
});

test('what nobody puts aside is emptied at last', (t) => {
  const path = place(t);
  const fd = openLog(path);
  writeSync(fd, 'x'.repeat(100));
  boundOwnOutput(fd, 100);
  assert.equal(statSync(path).size, 100);
  boundOwnOutput(fd, 99);
  assert.equal(statSync(path).size, 0);
  closeSync(fd);
});
