import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as dhcp6 from './dhcpv6.ts';

const bytesOf = (...lines: string[]): Uint8Array =>
  Uint8Array.from(Buffer.from(lines.join('').replaceAll(' ', ''), 'hex'));
const parse = (bytes: Uint8Array): dhcp6.Dhcp6Message | null =>
  dhcp6.parseDhcp6(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);

/** A SOLICIT as dhcpcd sends it. */
const SOLICIT = bytesOf(
  '01 6f e1 5c', // SOLICIT, transaction id
  '0001 000a 0003 0001 525400123456', // client DUID-LL
  '0006 0004 0017 0018', // option request: DNS, search list
  '0008 0002 0000', // elapsed time
  '0003 0028 00123456 00000000 00000000', // IA_NA, T1 and T2 zero
  '0005 0018 fd000000000000000000000000000010 00000000 00000000', // a hint
  '000e 0000', // rapid commit
);

test('a SOLICIT is read with its nested address', () => {
  const m = parse(SOLICIT);
  assert.ok(m);
  assert.equal(m.type, dhcp6.SOLICIT);
  assert.equal(m.xid, 0x6fe15c);
  assert.deepEqual(dhcp6.findOption(m.options, dhcp6.OPT_CLIENT_ID), bytesOf('00030001525400123456'));
  assert.deepEqual(dhcp6.findOption(m.options, dhcp6.OPT_RAPID_COMMIT), new Uint8Array(0));
  assert.equal(dhcp6.findOption(m.options, dhcp6.OPT_SERVER_ID), null);
  assert.deepEqual([...(dhcp6.requestedOptions(m.options) ?? [])], [23, 24]);
  const ia = m.options.find((option) => option.code === dhcp6.OPT_IA_NA);
  assert.ok(ia);
  const parsed = dhcp6.parseIa(ia);
  assert.ok(parsed);
  assert.equal(parsed.iaid, 0x123456);
  assert.deepEqual(dhcp6.iaAddresses(parsed), [{ address: [0xfd000000, 0, 0, 0x10], preferred: 0, valid: 0 }]);
});

test('what is read is written again byte for byte', () => {
  const m = parse(SOLICIT);
  assert.ok(m);
  assert.deepEqual(dhcp6.emitDhcp6(m), SOLICIT);
});

const refused = [
  { name: 'empty', in: [''] },
  { name: 'cut in the header', in: ['01 6f e1'] },
  { name: 'option header cut short', in: ['01 6f e1 5c', '00 01 00'] },
  { name: 'option longer than the message', in: ['01 6f e1 5c', '0001 0004 00'] },
  { name: 'relayed', in: ['0c 00', '00'.repeat(32)] },
  { name: 'relay reply', in: ['0d 00', '00'.repeat(32)] },
  { name: 'too many options', in: ['01 6f e1 5c', '0008 0000'.repeat(65)] },
  { name: 'longer than any client needs', in: ['01 6f e1 5c', `0064 1000 ${'00'.repeat(4096)}`] },
];
for (const { name, in: lines } of refused) {
  test(`refused: ${name}`, () => assert.equal(parse(bytesOf(...lines)), null));
}

test('identity associations that are cut short read as null', () => {
  assert.equal(dhcp6.parseIa({ code: dhcp6.OPT_IA_NA, value: new Uint8Array(11) }), null);
  assert.equal(dhcp6.parseIa({ code: dhcp6.OPT_IA_TA, value: new Uint8Array(3) }), null);
  assert.equal(dhcp6.parseIa({ code: dhcp6.OPT_IA_PD, value: bytesOf('00000001 00000000 00000000 001a') }), null);
  const short = dhcp6.parseIa({ code: dhcp6.OPT_IA_TA, value: bytesOf('00000007 0005 0002 ffff') });
  assert.deepEqual(short && [short.iaid, dhcp6.iaAddresses(short)], [7, []]);
});

test('a REPLY is written byte by byte', () => {
  const address = dhcp6.addressOption({ address: [0xfd000000, 0, 0, 0x10], preferred: 1800, valid: 3600 });
  const bytes = dhcp6.emitDhcp6({
    type: dhcp6.REPLY,
    xid: 0x6fe15c,
    options: [
      { code: dhcp6.OPT_SERVER_ID, value: bytesOf('00030001525400000001') },
      dhcp6.iaOption(dhcp6.OPT_IA_NA, { iaid: 1, t1: 900, t2: 1440, options: [address] }),
      dhcp6.iaOption(dhcp6.OPT_IA_TA, { iaid: 2, t1: 9, t2: 9, options: [dhcp6.statusOption(2, 'no')] }),
      dhcp6.wordsOption(dhcp6.OPT_DNS, [[0xfd000000, 0, 0, 1]]),
      dhcp6.u32Option(dhcp6.OPT_INFORMATION_REFRESH, 86400),
    ],
  });
  const want = bytesOf(
    '07 6f e1 5c', // REPLY, transaction id
    '0002 000a 0003 0001 525400000001', // server DUID-LL
    '0003 0028 00000001 00000384 000005a0', // IA_NA 1, T1 900 s, T2 1440 s
    '0005 0018 fd000000000000000000000000000010 00000708 00000e10', // address, 1800 s, 3600 s
    '0004 000c 00000002', // IA_TA 2
    '000d 0004 0002 6e6f', // status NoAddrsAvail "no"
    '0017 0010 fd000000000000000000000000000001', // DNS
    '0020 0004 00015180', // information refresh time
  );
  assert.deepEqual(bytes, want);
});

test('a client that asks for nothing in particular', () => {
  assert.equal(dhcp6.requestedOptions([]), null);
  assert.deepEqual([...(dhcp6.requestedOptions([{ code: 6, value: bytesOf('0017 00') }]) ?? [])], [23]);
});

const optionList = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 0xffff }), fc.uint8Array({ maxLength: 60 }))
    .map(([code, value]) => ({ code, value })),
  { maxLength: 20 },
);

test('property: round trip', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 3, 5, 7, 11),
      fc.integer({ min: 0, max: 0xffffff }),
      optionList,
      (type, xid, options) => {
        assert.deepEqual(parse(dhcp6.emitDhcp6({ type, xid, options })), { type, xid, options });
      },
    ),
  );
});

test('property: garbage never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const m = parse(bytes);
      for (const option of m?.options ?? []) {
        const ia = dhcp6.parseIa(option);
        if (ia !== null) dhcp6.iaAddresses(ia);
      }
      for (const code of [3, 4, 25]) dhcp6.parseIa({ code, value: bytes });
      dhcp6.requestedOptions(m?.options ?? []);
    }),
  );
});
