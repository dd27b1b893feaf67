import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DnsQuery, QUERY_DROP, QUERY_MALFORMED, QUERY_NOT_IMPLEMENTED, QUERY_OK } from './dns-query.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));

const QUESTION = '03 576562 03 6c6162 00 001c 0001'; // Web.lab IN AAAA
const PLAIN = `1234 0100 0001 0000 0000 0000 ${QUESTION}`;
const WITH_OPT = `1234 0120 0001 0000 0000 0001 ${QUESTION}`;

function parse(text: string): { query: DnsQuery; verdict: number } {
  const query = new DnsQuery();
  return { query, verdict: query.parse(hex(text)) };
}

test('a plain query', () => {
  const { query, verdict } = parse(PLAIN);
  assert.equal(verdict, QUERY_OK);
  assert.deepEqual([query.id, query.flags, query.questionEnd, query.key], [0x1234, 0x0100, 25, 'web.lab']);
  assert.deepEqual([query.type, query.class, query.hasEdns, query.udpOctets], [28, 1, false, 512]);
});

test('EDNS', () => {
  const table = [
    { opt: '00 0029 04d0 0000 0000 0000', want: [1232, 0, false, true] },
    { opt: '00 0029 1000 0000 8000 0000', want: [4096, 0, true, true] },
    { opt: '00 0029 0064 0000 0000 0000', want: [512, 0, false, true] }, // RFC 6891 §6.2.3: below 512 means 512
    { opt: '00 0029 04d0 0001 0000 0000', want: [1232, 1, false, true] },
    { opt: '00 0029 04d0 0000 0000 000c 000a 0008 0102030405060708', want: [1232, 0, false, true] }, // cookie
    { opt: '00 0029 04d0 0000 0000 000b 0008 0007 0001 1800 0a0000', want: [1232, 0, false, false] }, // client subnet
  ];
  for (const { opt, want } of table) {
    const { query, verdict } = parse(WITH_OPT + opt);
    assert.equal(verdict, QUERY_OK, opt);
    assert.deepEqual([query.udpOctets, query.ednsVersion, query.dnssecOk, query.isOrdinary], want, opt);
  }
});

test('fields of an earlier query do not stay', () => {
  const query = new DnsQuery();
  query.parse(hex(`${WITH_OPT} 00 0029 1000 0001 8000 0004 0003 0000`));
  assert.equal(query.isOrdinary, false);
  query.parse(hex(PLAIN));
  assert.deepEqual(
    [query.hasEdns, query.udpOctets, query.ednsVersion, query.dnssecOk, query.isOrdinary],
    [false, 512, 0, false, true],
  );
});

test('what is no good query', () => {
  const table = [
    { name: 'empty', in: '', want: QUERY_DROP },
    { name: 'half a header', in: '1234 0100 0001 0000 0000', want: QUERY_DROP },
    { name: 'a response', in: PLAIN.replace('0100', '8100'), want: QUERY_DROP },
    { name: 'UPDATE', in: PLAIN.replace('0100', '2800'), want: QUERY_NOT_IMPLEMENTED },
    { name: 'no question', in: '1234 0100 0000 0000 0000 0000', want: QUERY_MALFORMED },
    { name: 'two questions', in: `1234 0100 0002 0000 0000 0000 ${QUESTION} ${QUESTION}`, want: QUERY_MALFORMED },
    { name: 'cut question', in: PLAIN.slice(0, -2), want: QUERY_MALFORMED },
    { name: 'compressed question', in: '1234 0100 0001 0000 0000 0000 c00c 0001 0001', want: QUERY_MALFORMED },
    { name: 'missing record', in: WITH_OPT, want: QUERY_MALFORMED },
    { name: 'cut OPT', in: `${WITH_OPT} 00 0029 04d0 0000 0000 0001`, want: QUERY_MALFORMED },
    { name: 'OPT with an owner', in: `${WITH_OPT} 016100 0029 04d0 0000 0000 0000`, want: QUERY_MALFORMED },
    { name: 'cut option', in: `${WITH_OPT} 00 0029 04d0 0000 0000 0004 000a 0008`, want: QUERY_MALFORMED },
    { name: 'half an option', in: `${WITH_OPT} 00 0029 04d0 0000 0000 0002 000a`, want: QUERY_MALFORMED },
    {
      name: 'two OPT',
      in: `${WITH_OPT.replace('0000 0000 0001', '0000 0000 0002')} 00 0029 04d0 0000 0000 0000 00 0029 04d0 0000 0000 0000`,
      want: QUERY_MALFORMED,
    },
    {
      name: 'OPT among the answers',
      in: `${PLAIN.replace('0001 0000', '0001 0001')} 00 0029 04d0 0000 0000 0000`,
      want: QUERY_MALFORMED,
    },
    {
      name: '65535 records in 66 octets',
      in: `1234 0100 0001 ffff ffff ffff ${QUESTION}${'00'.repeat(41)}`,
      want: QUERY_MALFORMED,
    },
  ];
  for (const { name, in: text, want } of table) assert.equal(parse(text).verdict, want, name);
});

test('a record besides OPT does no harm', () => {
  const tsig = '00 00fa 00ff 00000000 0000';
  const { query, verdict } = parse(`${WITH_OPT} ${tsig}`);
  assert.deepEqual([verdict, query.isOrdinary], [QUERY_OK, false]);
});

test('mutated queries never throw and cost little', () => {
  const base = hex(`${WITH_OPT} 00 0029 04d0 0000 0000 000c 000a 0008 0102030405060708`);
  const query = new DnsQuery();
  const change = fc.tuple(fc.nat(base.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 6 }), fc.nat(base.length), (changes, length) => {
      const bytes = base.slice(0, length);
      for (const [at, value] of changes) if (at < length) bytes[at] = value;
      query.parse(bytes);
      assert.ok(query.questionEnd <= length);
    }),
    { numRuns: 5000 },
  );
});
