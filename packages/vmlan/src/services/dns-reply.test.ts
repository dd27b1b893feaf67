import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseMessage } from '../wire/dns-message.ts';
import { answersQuestion, cutReply, renewReply, storeReply } from './dns-reply.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const QUESTION = '03 776562 01 78 00 0001 0001'; // web.x A
const A60 = 'c00c 0001 0001 0000003c 0004 0a000005';
const A9 = 'c00c 0001 0001 00000009 0004 0a000006';
const SOA = '01 78 00 0006 0001 00000e10 0016 00 00 00000001 00000002 00000003 00000004 0000001e'; // TTL 3600, minimum 30
const OPT = '00 0029 04d0 0000 8000 0000';
const head = (flags: string, counts: string): string => `1234 ${flags} 0001 ${counts} ${QUESTION}`;

test('a response must repeat the question', () => {
  const question = hex(QUESTION);
  const good = head('8180', '0000 0000 0000');
  assert.equal(answersQuestion(hex(good), question), true);
  assert.equal(answersQuestion(hex(good.replace('776562', '574542')), question), true);
  for (const [from, to] of [
    ['8180', '0180'],
    ['8180 0001', '8180 0000'],
    ['776562', '776563'],
    ['00 0001 0001', '00 001c 0001'],
    ['00 0001 0001', '00 0001 0003'],
    ['00 0001 0001', '00 0001'],
  ]) {
    assert.equal(answersQuestion(hex(good.replace(from!, to!)), question), false, to);
  }
  assert.equal(answersQuestion(hex('1234'), question), false);
  assert.equal(answersQuestion(hex(''), question), false);
});

test('how long replies may be kept', () => {
  const table = [
    { name: 'smallest TTL', in: head('8180', '0002 0000 0000') + A60 + A9, want: [9, false] },
    { name: 'NXDOMAIN with SOA', in: head('8183', '0000 0001 0000') + SOA, want: [30, true] },
    { name: 'NODATA with SOA', in: head('8180', '0000 0001 0001') + SOA + OPT, want: [30, true] },
    { name: 'alias that leads nowhere', in: head('8183', '0001 0001 0000') + A9 + SOA, want: [9, true] },
    { name: 'NXDOMAIN without SOA', in: head('8183', '0000 0000 0000'), want: [0, true] },
    { name: 'nothing at all', in: head('8180', '0000 0000 0000'), want: [0, true] },
    { name: 'SERVFAIL', in: head('8182', '0000 0001 0000') + SOA, want: [0, true] },
    {
      name: 'TTL with the top bit',
      in: head('8180', '0001 0000 0000') + A60.replace('0000003c', '80000000'),
      want: [0, false],
    },
    { name: 'SOA too short', in: `${head('8183', '0000 0001 0000')} 00 0006 0001 00000e10 0000`, want: [0, true] },
  ];
  for (const { name, in: text, want } of table) {
    const stored = storeReply(hex(text));
    assert.deepEqual([stored?.lifetimeS, stored?.isNegative], want, name);
  }
});

test('what cannot be given to others', () => {
  const table = [
    { name: 'truncated', in: head('8380', '0000 0000 0000') },
    { name: 'extended rcode', in: head('8180', '0000 0000 0001') + OPT.replace('0000 8000', '0100 8000') },
    { name: 'missing record', in: head('8180', '0001 0000 0000') },
    { name: 'cut question', in: '1234 8180 0001 0000 0000 0000 03 77' },
  ];
  for (const { name, in: text } of table) assert.equal(storeReply(hex(text)), null, name);
});

test('a stored reply has neither OPT nor AA, and its TTLs run down', () => {
  const stored = storeReply(hex(head('8580', '0002 0000 0002') + A60 + A9 + OPT + A60))!;
  const out = new Uint8Array(512);
  const at = (ageS: number): string => toHex(out.subarray(0, renewReply(stored, ageS, out)));
  const want = (first: string, second: string): string =>
    (head('8180', '0002 0000 0000') + A60.replace('0000003c', first) + A9.replace('00000009', second)).replaceAll(
      ' ',
      '',
    );
  assert.equal(at(0), want('0000003c', '00000009'));
  assert.equal(at(5), want('00000037', '00000004'));
  assert.equal(at(100), want('00000000', '00000000'));
});

function cut(text: string, limit: number): string {
  const bytes = Uint8Array.from([...hex(text), ...new Uint8Array(16)]);
  return toHex(bytes.subarray(0, cutReply(bytes, hex(text).length, limit)));
}

test('replies are cut to whole records', () => {
  const body = A60 + A9 + SOA;
  const whole = head('8180', '0002 0001 0001') + body + OPT;
  const size = hex(whole).length;
  const strip = (text: string): string => text.replaceAll(' ', '');
  assert.equal(cut(whole, size), strip(whole));
  assert.equal(cut(whole, size - 1), strip(head('8380', '0002 0000 0001') + A60 + A9 + OPT));
  assert.equal(cut(whole, 23 + 16 + 11), strip(head('8380', '0001 0000 0001') + A60 + OPT));
  assert.equal(cut(whole, 23 + 16 + 10), strip(head('8380', '0000 0000 0001') + OPT));
  assert.equal(cut(whole, 24), strip(head('8380', '0000 0000 0000')));
  assert.equal(cut(whole, 22), strip('1234 8380 0000 0000 0000 0000'));
});

test('a missing additional section is no truncation', () => {
  const whole = head('8180', '0001 0000 0003') + A60 + A9 + A9 + OPT;
  const want = head('8180', '0001 0000 0002') + A60 + A9 + OPT;
  assert.equal(cut(whole, hex(want).length + 3), want.replaceAll(' ', ''));
});

test('any octets can be cut, to no more than the limit', () => {
  const base = hex(head('8180', '0002 0001 0001') + A60 + A9 + SOA + OPT);
  const change = fc.tuple(fc.nat(base.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 5 }), fc.integer({ min: 12, max: 120 }), (changes, limit) => {
      const bytes = Uint8Array.from([...base, ...new Uint8Array(16)]);
      for (const [at, value] of changes) bytes[at] = value;
      storeReply(bytes.subarray(0, base.length));
      assert.ok(cutReply(bytes, base.length, limit) <= Math.max(limit, 12));
    }),
    { numRuns: 3000 },
  );
});

test('what is cut can still be parsed', () => {
  const record = fc.constantFrom(A60, A9, SOA, 'c00c 0010 0001 00000001 0003 02 6161');
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 20 }),
      fc.boolean(),
      fc.integer({ min: 34, max: 400 }),
      (records, opt, limit) => {
        const count = records.length.toString(16).padStart(4, '0');
        const text = head('8180', `${count} 0000 ${opt ? '0001' : '0000'}`) + records.join('') + (opt ? OPT : '');
        const message = parseMessage(hex(cut(text, limit)))!;
        assert.equal((message.flags & 0x0200) !== 0, message.answers.length < records.length);
        assert.equal(message.additional.length, opt ? 1 : 0);
      },
    ),
  );
});
