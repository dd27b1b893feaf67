import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RecordCursor, opcodeOf, questionEnd, rcodeOf, recordCount, typeName, typeNumber } from './dns.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));

/** `dig web.lab A`, answered: web.lab 60 IN A 10.0.0.5. */
const REPLY = hex(`1234 8580 0001 0001 0000 0000
  03776562 036c6162 00 0001 0001
  c00c 0001 0001 0000003c 0004 0a000005`);

test('header fields', () => {
  assert.equal(opcodeOf(0x2800), 5);
  assert.equal(rcodeOf(0x8183), 3);
  assert.equal(recordCount(REPLY), 1);
  assert.equal(questionEnd(REPLY), 25);
  assert.equal(questionEnd(REPLY.subarray(0, 24)), -1);
});

test('the cursor walks records', () => {
  const cursor = new RecordCursor();
  cursor.start(REPLY, 25);
  assert.equal(cursor.next(), true);
  assert.deepEqual(
    [
      cursor.name,
      cursor.type,
      cursor.class,
      cursor.ttl,
      cursor.ttlOffset,
      cursor.rdata,
      cursor.rdataOctets,
      cursor.end,
    ],
    [25, 1, 1, 60, 31, 37, 4, 41],
  );
  assert.equal(cursor.next(), false);
  for (let end = 25; end < REPLY.length; end++) {
    cursor.start(REPLY.subarray(0, end), 25);
    assert.equal(cursor.next(), false, String(end));
  }
});

test('the cursor always goes forward, never past the end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const cursor = new RecordCursor();
      cursor.start(bytes, 0);
      for (let before = 0; cursor.next(); before = cursor.end) {
        assert.ok(cursor.end >= before + 11 && cursor.end <= bytes.length);
      }
    }),
    { numRuns: 1000 },
  );
});

test('type names', () => {
  const table: [number, string][] = [
    [1, 'A'],
    [28, 'AAAA'],
    [65, 'HTTPS'],
    [255, 'ANY'],
    [46, 'TYPE46'],
  ];
  for (const [type, name] of table) {
    assert.equal(typeName(type), name);
    assert.equal(typeNumber(name.toLowerCase()), type);
  }
  assert.equal(typeNumber('TYPE1'), 1);
  assert.equal(typeNumber('TYPE65535'), 65535);
  for (const name of ['TYPE65536', 'TYPE', 'TYPE-1', 'TYPE123456', 'B', '', 'constructor']) {
    assert.equal(typeNumber(name), undefined, name);
  }
});
