import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { silentLogger } from '../core/logger.ts';
import { AccessToken } from './access-token.ts';

const directory = mkdtempSync('/tmp/vmlan-token-');
after(() => rmSync(directory, { recursive: true }));
const make = (): AccessToken => new AccessToken(directory, silentLogger);

test('is made once, for its owner alone, with 256 bits', async () => {
  const token = make();
  const [first, second] = await Promise.all([token.text(), token.text()]);
  assert.match(first, /^[\w-]{43}$/);
  assert.equal(first, second);
  const kept = readFileSync(make().file, 'utf8').trim();
  assert.equal(await make().text(), kept);
  assert.equal(statSync(make().file).mode & 0o777, 0o600);
});

test('is another after it was rotated', async () => {
  const token = make();
  const before = await token.text();
  const rotated = await token.rotate();
  assert.notEqual(rotated, before);
  assert.equal(await token.text(), rotated);
  assert.equal(await make().text(), rotated);
});

test('that others could read is replaced', async () => {
  const before = await make().text();
  chmodSync(make().file, 0o644);
  assert.notEqual(await make().text(), before);
  assert.equal(statSync(make().file).mode & 0o777, 0o600);
});

test('that is damaged is set aside', async () => {
  writeFileSync(make().file, 'x', { mode: 0o600 });
  assert.match(await make().text(), /^[\w-]{43}$/);
  assert.ok(readdirSync(directory).some((name) => name.startsWith('token.damaged-')));
});
