import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  MAX_NAME_OCTETS,
  expandName,
  nameKey,
  nameOctets,
  nameText,
  parseName,
  sameOctets,
  skipName,
} from './dns-name.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/[^0-9a-f]/g, ''), 'hex'));
const toHex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'));

const anyLabel = fc.uint8Array({ minLength: 1, maxLength: 63 });
const anyName = fc
  .array(anyLabel, { maxLength: 30 })
  .map((labels) => Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0]))
  .filter((name) => name.length <= MAX_NAME_OCTETS);

test('text becomes octets', () => {
  const table = [
    { text: '.', want: '00' },
    { text: 'a', want: '016100' },
    { text: 'a.', want: '016100' },
    { text: 'Web.lab', want: '03 576562 03 6c6162 00' },
    { text: '*.x', want: '01 2a 01 78 00' },
    { text: '_sip._udp.x', want: '04 5f736970 04 5f756470 01 78 00' },
    { text: String.raw`a\.b.c`, want: '03 612e62 01 63 00' },
    { text: String.raw`\000\255\\`, want: '03 00ff5c 00' },
  ];
  for (const { text, want } of table) assert.equal(toHex(parseName(text)), want.replaceAll(' ', ''), text);
});

test('text that is no name is refused', () => {
  const long = 'a'.repeat(64);
  const tooMany = Array.from({ length: 128 }, () => 'a').join('.');
  const bad = ['', '..', '.a', 'a..b', 'a b', 'ä', long, tooMany, String.raw`\256`, String.raw`a\12`, 'a\\', 'a\u0000'];
  for (const text of bad) assert.equal(parseName(text), null, text);
});

test('the longest name has 255 octets and 127 labels', () => {
  const most = Array.from({ length: 127 }, () => 'a').join('.');
  assert.equal(parseName(most)?.length, MAX_NAME_OCTETS);
  assert.equal(parseName(`${most}.`)?.length, MAX_NAME_OCTETS);
  assert.equal(parseName(`b${most}`), null);
  assert.equal(parseName('a'.repeat(63))?.length, 65);
});

test('keys are lower case, text keeps the case', () => {
  const name = parseName(String.raw`WeB.Lab\.X.\032é`.replace('é', String.raw`\233`))!;
  assert.equal(nameKey(name), String.raw`web.lab\046x.\032\233`);
  assert.equal(nameText(name), String.raw`WeB.Lab\046X.\032\233.`);
  assert.equal(nameKey(Uint8Array.of(0)), '');
  assert.equal(nameText(Uint8Array.of(0)), '.');
});

test('text and octets round-trip', () => {
  fc.assert(fc.property(anyName, (name) => assert.equal(toHex(parseName(nameText(name))), toHex(name))));
});

test('a key parts labels only at dots', () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const labels = nameKey(name)
        .split('.')
        .filter((label) => label !== '');
      let count = 0;
      for (let at = 0; name[at] !== 0; at += 1 + name[at]!) count++;
      assert.equal(labels.length, count);
    }),
  );
});

// 12 octets of header, then: 12 "lab" 16 "internal" 25 root, 26 "web" → 12, 32 → 26, 34 → 36 (forward), 36 → 36 (itself)
const message = hex(
  `000000000000000000000000 03 6c6162 08 696e7465726e616c 00
   03 776562 c00c  c01a  c024  c024  c002  3f`,
);

test('compressed names are expanded', () => {
  const out = new Uint8Array(300);
  const table = [
    { offset: 12, want: 'lab.internal.' },
    { offset: 16, want: 'internal.' },
    { offset: 26, want: 'web.lab.internal.' },
    { offset: 32, want: 'web.lab.internal.' },
    { offset: 25, want: '.' },
  ];
  for (const { offset, want } of table) {
    const octets = expandName(message, offset, out, 7);
    assert.equal(nameText(out, 7), want);
    assert.equal(octets, parseName(want)?.length);
  }
});

test('forward, circular, header and cut-off pointers are refused', () => {
  const out = new Uint8Array(300);
  for (const offset of [34, 36, 38, 40, 41, 99]) assert.equal(expandName(message, offset, out, 0), -1, String(offset));
  assert.equal(expandName(hex('000000000000000000000000 01 61 c0'), 12, out, 0), -1);
  // "a" then a pointer to itself: each round would add a label.
  assert.equal(expandName(hex('000000000000000000000000 01 61 c00c'), 12, out, 0), -1);
  assert.equal(expandName(hex('000000000000000000000000 41 61'), 12, out, 0), -1);
});

test('names that grow beyond 255 octets by pointers are refused', () => {
  const label = [63, ...Array.from({ length: 63 }, () => 0x61)];
  const header = Array.from({ length: 12 }, () => 0);
  const base = Uint8Array.from([...header, ...label, ...label, ...label, 0, ...label, 0xc0, 12]);
  assert.equal(expandName(base, 12 + 193, new Uint8Array(300), 0), -1);
  assert.equal(expandName(base, 12, new Uint8Array(300), 0), 193);
});

test('skipName stops behind pointers and at the end', () => {
  assert.equal(skipName(message, 12), 26);
  assert.equal(skipName(message, 26), 32);
  assert.equal(skipName(message, 32), 34);
  assert.equal(skipName(hex('01 61'), 0), -1);
  assert.equal(skipName(hex('c0'), 0), -1);
  assert.equal(skipName(hex('80 00'), 0), -1);
  assert.equal(skipName(hex(''), 0), -1);
});

test('nameOctets refuses pointers', () => {
  assert.equal(nameOctets(message, 12), 14);
  assert.equal(nameOctets(message, 26), -1);
  assert.equal(nameOctets(hex('01 61'), 0), -1);
});

test('names compare without case', () => {
  const upper = parseName('WEB.Lab')!;
  assert.equal(sameOctets(upper, 0, parseName('web.lAB')!, 0, 9), true);
  assert.equal(sameOctets(upper, 0, parseName('web.laa')!, 0, 9), false);
  assert.equal(sameOctets(upper, 0, parseName('web')!, 0, 9), false);
  assert.equal(sameOctets(upper, 4, parseName('lab')!, 0, 5), true);
});

test('no octets make the readers throw, loop or overrun', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(610), (bytes, offset) => {
      const out = new Uint8Array(2 + MAX_NAME_OCTETS + 2).fill(0xee);
      const octets = expandName(bytes, offset, out, 2);
      const end = skipName(bytes, offset);
      assert.ok(end <= bytes.length && end !== offset);
      assert.ok(octets <= MAX_NAME_OCTETS);
      assert.ok(out[0] === 0xee && out.at(-1) === 0xee);
      if (octets > 0) assert.equal(nameOctets(out, 2), octets);
    }),
    { numRuns: 2000 },
  );
});
