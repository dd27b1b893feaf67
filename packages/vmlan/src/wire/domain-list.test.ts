import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeDomainList, splitDomainName } from './domain-list.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('names are written one after the other', () => {
  const want = [
    '03 6c6162 08 696e7465726e616c 00', // lab.internal
    '05 766d6c616e 08 696e7465726e616c 00', // vmlan.internal
  ].join('');
  assert.equal(hex(encodeDomainList(['lab.internal', 'VMLAN.internal.'], false)), want.replaceAll(' ', ''));
});

test('RFC 3397 §2: the example, with pointers into the list itself', () => {
  const want = [
    '03 656e67 05 6170706c65 03 636f6d 00', // eng.apple.com
    '09 6d61726b6574696e67 c004', // marketing + pointer to offset 4, apple.com
  ].join('');
  assert.equal(hex(encodeDomainList(['eng.apple.com', 'marketing.apple.com'], true)), want.replaceAll(' ', ''));
});

test('a repeated name is a pointer alone', () => {
  assert.equal(hex(encodeDomainList(['a.b', 'a.b'], true)), '0161016200c000');
});

test('names that RFC 1035 does not allow are left out', () => {
  const bad = ['', '.', 'a..b', `${'x'.repeat(64)}.y`, 'sp ace', 'ünï', Array(128).fill('ab').join('.')];
  for (const name of bad) assert.equal(splitDomainName(name), null, name);
  assert.equal(hex(encodeDomainList([...bad, 'ok'], true)), '026f6b00');
});
