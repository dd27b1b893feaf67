import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ADDITIONAL_COUNT, ANSWER_COUNT, AUTHORITY_COUNT, MAX_MESSAGE_OCTETS, RCODE, TYPE } from './dns.ts';
import type { DnsMessage } from './dns-message.ts';
import { parseMessage } from './dns-message.ts';
import { nameText, parseName } from './dns-name.ts';
import { parseRdata, rdataText } from './dns-rdata.ts';
import { DnsWriter } from './dns-writer.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The message as `owner type ttl data` lines. */
function lines(message: DnsMessage | null): string[] {
  if (message === null) return [];
  return [...message.answers, ...message.authority, ...message.additional].map(
    ({ name, type, ttl, rdata }) => `${nameText(name)} ${type} ${ttl} ${rdataText(type, rdata)}`,
  );
}

/** Reply to `Web.lab.internal A` with an alias, written by `write`. */
const QUESTION = hex('03 576562 03 6c6162 08 696e7465726e616c 00 0001 0001');

function write(limit: number, records: (writer: DnsWriter) => void): Uint8Array {
  const writer = new DnsWriter();
  writer.begin(0x1234, 0x8580, RCODE.NOERROR, limit);
  writer.question(QUESTION, 0, QUESTION.length);
  records(writer);
  return writer.finish();
}

test('golden: a chain of alias and address, owners compressed', () => {
  const reply = write(512, (writer) => {
    writer.edns(true);
    writer.answer(undefined, TYPE.CNAME, 5, parseRdata(TYPE.CNAME, 'db.x')!);
    writer.answer(parseName('DB.x')!, TYPE.A, 5, parseRdata(TYPE.A, '10.0.0.5')!);
    writer.record(AUTHORITY_COUNT, parseName('LAB.internal')!, TYPE.NS, 1, 7, parseName('.')!);
    writer.record(ADDITIONAL_COUNT, parseName('.')!, TYPE.NS, 1, 8, parseName('.')!);
  });
  const want = `1234 8580 0001 0002 0001 0002
    03 576562 03 6c6162 08 696e7465726e616c 00 0001 0001
    c00c 0005 0001 00000005 0006 026462 0178 00
    c02e 0001 0001 00000005 0004 0a000005
    c010 0002 0001 00000007 0001 00
    00   0002 0001 00000008 0001 00
    00 0029 04d0 0000 8000 0000`;
  assert.equal(toHex(reply), want.replaceAll(/\s/g, ''));
  assert.deepEqual(lines(parseMessage(reply)).slice(0, 4), [
    'Web.lab.internal. 5 5 db.x.',
    'db.x. 1 5 10.0.0.5',
    'lab.internal. 2 7 .',
    '. 2 8 .',
  ]);
});

test('a tail that does not begin at a label is no target', () => {
  const reply = write(512, (writer) => {
    writer.answer(parseName('eb.lab.internal')!, TYPE.A, 5, parseRdata(TYPE.A, '10.0.0.5')!);
    writer.answer(parseName('eb.lab.internal')!, TYPE.A, 5, parseRdata(TYPE.A, '10.0.0.6')!);
  });
  assert.deepEqual(lines(parseMessage(reply)), ['eb.lab.internal. 1 5 10.0.0.5', 'eb.lab.internal. 1 5 10.0.0.6']);
  assert.equal(reply.length, 12 + QUESTION.length + (17 + 14) + (2 + 14));
});

test('extended rcodes need the OPT record', () => {
  const writer = new DnsWriter();
  writer.begin(1, 0x8000, RCODE.BADVERS, 512);
  writer.edns(false);
  assert.equal(toHex(writer.finish()), '000180000000000000000001 0000290 4d001000000 0000'.replaceAll(' ', ''));
});

test('records are left out whole, TC tells, OPT stays', () => {
  const address = parseRdata(TYPE.A, '10.0.0.5')!;
  const full = 12 + QUESTION.length;
  for (const limit of [full + 11, full + 11 + 15, full + 11 + 16, full + 11 + 47]) {
    const reply = write(limit, (writer) => {
      writer.edns(false);
      for (let i = 0; i < 10; i++) writer.answer(undefined, TYPE.A, 5, address);
    });
    const message = parseMessage(reply)!;
    assert.ok(reply.length <= limit);
    assert.equal(message.answers.length, Math.floor((limit - full - 11) / 16));
    assert.equal(message.flags & 0x0200, 0x0200);
    assert.equal(message.additional[0]?.type, TYPE.OPT);
  }
});

test('a full additional section is no truncation', () => {
  const reply = write(60, (writer) => {
    writer.answer(undefined, TYPE.A, 5, parseRdata(TYPE.A, '10.0.0.5')!);
    assert.equal(
      writer.record(ADDITIONAL_COUNT, parseName('x')!, TYPE.A, 1, 5, parseRdata(TYPE.A, '10.0.0.5')!),
      false,
    );
  });
  const message = parseMessage(reply)!;
  assert.deepEqual([message.flags & 0x0200, message.answers.length, message.additional.length], [0, 1, 0]);
});

test('a message never outgrows its length field', () => {
  const reply = write(1e6, (writer) => {
    for (let i = 0; i < 100; i++) writer.answer(parseName(`n${i}.x`)!, TYPE.TXT, 5, new Uint8Array(4096));
  });
  assert.ok(reply.length <= MAX_MESSAGE_OCTETS);
  assert.equal(parseMessage(reply)?.answers.length, 15);
});

test('malformed messages are null', () => {
  const good = write(512, (writer) => {
    writer.answer(undefined, TYPE.CNAME, 5, parseRdata(TYPE.CNAME, 'db.x')!);
    writer.record(AUTHORITY_COUNT, parseName('x')!, TYPE.NS, 1, 7, parseName('y')!);
    writer.record(ADDITIONAL_COUNT, parseName('z')!, TYPE.A, 1, 8, parseName('y')!);
  });
  assert.notEqual(parseMessage(good), null);
  for (let end = 0; end < good.length; end++) assert.equal(parseMessage(good.subarray(0, end)), null, String(end));
  const loop = hex('1234 8580 0000 0001 0000 0000 c00c 0001 0001 00000000 0000');
  assert.equal(parseMessage(loop), null);
  assert.equal(parseMessage(new Uint8Array(MAX_MESSAGE_OCTETS + 1)), null);
});

test('what is decoded stays in proportion to the message', () => {
  // A name of 253 octets, then as many MX records as fit, each two pointers to it.
  const labels = [63, 63, 63, 60].flatMap((length) => [length, ...Array.from({ length }, () => 0x61)]);
  const record = [0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 0, 0, 4, 0, 1, 0xc0, 12];
  const count = Math.floor((MAX_MESSAGE_OCTETS - 12 - labels.length - 5) / record.length);
  const bytes = new Uint8Array(12 + labels.length + 5 + count * record.length);
  bytes.set([0, 0, 0x80, 0, 0, 1, count >>> 8, count & 0xff, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
  for (let i = 0; i < count; i++) bytes.set(record, 12 + labels.length + 5 + i * record.length);
  const message = parseMessage(bytes)!;
  const decoded = message.answers.reduce((sum, { name, rdata }) => sum + name.length + rdata.length, 0);
  assert.equal(message.answers.length, count);
  assert.ok(decoded <= 50 * bytes.length);
});

const anyBytes = fc.uint8Array({ maxLength: 40 });
const anyOwner = fc
  .array(fc.stringMatching(/^[a-cA-C]{1,3}$/), { maxLength: 4 })
  .map((labels) => parseName(`${labels.join('.')}.`)!);
const anyRecord = fc.record({
  section: fc.constantFrom(ANSWER_COUNT, AUTHORITY_COUNT, ADDITIONAL_COUNT),
  owner: anyOwner,
  type: fc.constantFrom(TYPE.A, TYPE.TXT, TYPE.SVCB, TYPE.SRV, TYPE.CNAME, 4711),
  ttl: fc.nat(0x7fffffff),
  rdata: anyBytes,
  target: anyOwner,
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 30 }), anyOwner, (records, asked) => {
      records.sort((a, b) => a.section - b.section);
      const rdataOf = ({ type, rdata, target }: (typeof records)[number]): Uint8Array => {
        if (type === TYPE.CNAME) return target;
        return type === TYPE.SRV ? Uint8Array.from([0, 1, 0, 2, 0, 3, ...target]) : rdata;
      };
      const writer = new DnsWriter();
      writer.begin(7, 0x8180, 0, MAX_MESSAGE_OCTETS);
      writer.question(Uint8Array.from([...asked, 0, 1, 0, 1]), 0, asked.length + 4);
      for (const r of records) assert.ok(writer.record(r.section, r.owner, r.type, 1, r.ttl, rdataOf(r)));
      const message = parseMessage(writer.finish());
      const lower = (text: string): string => text.toLowerCase();
      assert.deepEqual(
        lines(message).map(lower),
        records.map((r) => lower(`${nameText(r.owner)} ${r.type} ${r.ttl} ${rdataText(r.type, rdataOf(r))}`)),
      );
      assert.deepEqual(message?.questions, [{ name: asked, type: 1, class: 1 }]);
    }),
    { numRuns: 500 },
  );
});

test('garbage never makes the parser throw', () => {
  const header = fc
    .tuple(fc.nat(2), fc.nat(3), fc.nat(3), fc.nat(3))
    .map((counts) => [0, 0, 0, 0, ...counts.flatMap((c) => [0, c])]);
  const body = fc.array(fc.oneof(fc.nat(4), fc.constantFrom(0xc0, 12, 15, 33, 35, 41), fc.nat(255)), {
    maxLength: 120,
  });
  fc.assert(
    fc.property(header, body, (head, rest) => {
      parseMessage(Uint8Array.from([...head, ...rest]));
    }),
    { numRuns: 5000 },
  );
});
