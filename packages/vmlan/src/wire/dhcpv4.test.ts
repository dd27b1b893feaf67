import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as dhcp from './dhcpv4.ts';

const bytesOf = (...lines: string[]): Uint8Array =>
  Uint8Array.from(Buffer.from(lines.join('').replaceAll(' ', ''), 'hex'));
const parse = (bytes: Uint8Array): dhcp.Dhcp4Message | null =>
  dhcp.parseDhcp4(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);

/** A DISCOVER as udhcpc sends it. */
const FIXED = [
  '01 01 06 00', // BOOTREQUEST, Ethernet, 6 bytes of address, 0 hops
  '39 03 f3 26', // xid
  '00 05 80 00', // 5 s, broadcast flag
  '00 00 00 00', // ciaddr
  '00 00 00 00', // yiaddr
  '00 00 00 00', // siaddr
  '00 00 00 00', // giaddr
  '52 54 00 12 34 56 00 00 00 00 00 00 00 00 00 00', // chaddr
  '00'.repeat(64), // sname
  '00'.repeat(128), // file
  '63 82 53 63', // magic cookie
];

const header: dhcp.Dhcp4Header = {
  op: dhcp.BOOT_REPLY,
  htype: 1,
  hlen: 6,
  hops: 0,
  xid: 0x3903f326,
  secs: 0,
  flags: 0x8000,
  ciaddr: 0,
  yiaddr: 0xc0a8690a,
  siaddr: 0xc0a86901,
  giaddr: 0,
  chaddr: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
};

const output = (options: dhcp.Dhcp4Option[], more: Partial<dhcp.Dhcp4Output> = {}): dhcp.Dhcp4Output => ({
  ...header,
  sname: '',
  file: '',
  options,
  ...more,
});

test('a DISCOVER is read field by field', () => {
  const m = parse(bytesOf(...FIXED, '35 01 01', '32 04 c0a8690a', '39 02 0240', '37 03 01 03 06', 'ff'));
  assert.ok(m);
  const { options, chaddr, ...rest } = m;
  assert.deepEqual(rest, {
    ...{ op: 1, htype: 1, hlen: 6, hops: 0, xid: 0x3903f326, secs: 5, flags: 0x8000 },
    ...{ ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0 },
  });
  assert.deepEqual(chaddr, header.chaddr);
  assert.equal(dhcp.optionU8(m, dhcp.OPT_MESSAGE_TYPE), dhcp.DISCOVER);
  assert.equal(dhcp.optionU32(m, dhcp.OPT_REQUESTED_IP), 0xc0a8690a);
  assert.equal(dhcp.optionU16(m, dhcp.OPT_MAX_SIZE), 576);
  assert.deepEqual(options.get(dhcp.OPT_PARAMETER_LIST), Uint8Array.of(1, 3, 6));
});

test('absent options and options of a wrong length read as -1', () => {
  const m = parse(bytesOf(...FIXED, '35 02 01 01', '32 03 c0a869', '39 01 02', 'ff'));
  assert.ok(m);
  assert.equal(dhcp.optionU8(m, dhcp.OPT_MESSAGE_TYPE), -1);
  assert.equal(dhcp.optionU32(m, dhcp.OPT_REQUESTED_IP), -1);
  assert.equal(dhcp.optionU16(m, dhcp.OPT_MAX_SIZE), -1);
  assert.equal(dhcp.optionU8(m, dhcp.OPT_OVERLOAD), -1);
});

const refused = [
  { name: 'empty', in: [] },
  { name: 'cut in the fixed part', in: FIXED.slice(0, 8) },
  { name: 'BOOTP without magic cookie', in: [...FIXED.slice(0, -1), '00'.repeat(64)] },
  { name: 'option without length', in: [...FIXED, '35'] },
  { name: 'option longer than the message', in: [...FIXED, '35 02 01'] },
  { name: 'longer than any client needs', in: [...FIXED, '00'.repeat(4096)] },
  {
    name: 'overloaded file field with an option over its end',
    in: [...FIXED.slice(0, 9), `0cff${'41'.repeat(126)}`, FIXED[10] ?? '', '34 01 01 ff'],
  },
  {
    name: 'overloaded sname field with an option over its end',
    in: [...FIXED.slice(0, 8), `0c3f${'41'.repeat(62)}`, ...FIXED.slice(9), '34 01 02 ff'],
  },
];
for (const { name, in: lines } of refused) {
  test(`refused: ${name}`, () => assert.equal(parse(bytesOf(...lines)), null));
}

test('a missing end option is tolerated, padding is skipped, bytes after the end are ignored', () => {
  assert.ok(parse(bytesOf(...FIXED, '00 00 35 01 01')));
  assert.equal(parse(bytesOf(...FIXED, '35 01 01 ff 32 ff'))?.options.size, 1);
});

test('RFC 3396: parts are joined in the order options, file, sname', () => {
  const file = `0c02 4344 ff ${'00'.repeat(123)}`;
  const sname = `0c02 4546 ff ${'00'.repeat(59)}`;
  const m = parse(bytesOf(...FIXED.slice(0, 8), sname, file, '63825363', '34 01 03', '0c02 4142', 'ff'));
  assert.equal(Buffer.from(m?.options.get(12) ?? []).toString(), 'ABCDEF');
});

test('a message inside a larger buffer is read at its offset', () => {
  const message = bytesOf(...FIXED, '35 01 01 ff');
  const frame = new Uint8Array(message.length + 100).fill(0xee);
  frame.set(message, 42);
  const m = dhcp.parseDhcp4(new DataView(frame.buffer), 42, message.length);
  frame.fill(0);
  assert.deepEqual(m?.options.get(53), Uint8Array.of(1));
  assert.deepEqual(m?.chaddr, header.chaddr);
  assert.equal(dhcp.parseDhcp4(new DataView(frame.buffer), 42, frame.length), null);
});

test('a reply is written byte by byte and padded to 300', () => {
  const bytes = dhcp.emitDhcp4(
    output(
      [dhcp.u8Option(53, 2), dhcp.u32Option(54, 0xc0a86901), dhcp.u16Option(26, 1500), dhcp.textOption(15, 'lab')],
      {
        sname: 'boot',
        file: 'x.efi',
      },
    ),
    548,
  );
  const want = bytesOf(
    '02 01 06 00', // BOOTREPLY
    '39 03 f3 26', // xid
    '00 00 80 00', // secs, flags
    '00 00 00 00', // ciaddr
    'c0 a8 69 0a', // yiaddr
    'c0 a8 69 01', // siaddr
    '00 00 00 00', // giaddr
    '52 54 00 12 34 56 00 00 00 00 00 00 00 00 00 00', // chaddr
    `626f6f74${'00'.repeat(60)}`, // sname "boot"
    `782e656669${'00'.repeat(123)}`, // file "x.efi"
    '63 82 53 63', // magic cookie
    '35 01 02', // OFFER
    '36 04 c0 a8 69 01', // server identifier
    '1a 02 05 dc', // MTU 1500
    '0f 03 6c 61 62', // domain "lab"
    'ff',
    '00'.repeat(300 - 240 - 3 - 6 - 4 - 5 - 1),
  );
  assert.deepEqual(bytes, want);
});

test('options move into file and sname when the last field is full, and come back joined', () => {
  const big = Uint8Array.from({ length: 270 }, (_, i) => i & 0xff);
  const bytes = dhcp.emitDhcp4(output([[119, big], [120, new Uint8Array(100).fill(7)], dhcp.u8Option(53, 5)]), 548);
  const m = parse(bytes);
  assert.ok(m);
  assert.deepEqual(m.options.get(119), big);
  assert.deepEqual(m.options.get(120), new Uint8Array(100).fill(7));
  assert.equal(dhcp.optionU8(m, 53), 5);
  assert.equal(dhcp.optionU8(m, dhcp.OPT_OVERLOAD), 1);
});

test('file and sname in use take no options, and what has no room is left out whole', () => {
  const big = new Uint8Array(400).fill(1);
  const bytes = dhcp.emitDhcp4(output([dhcp.u8Option(53, 5), [119, big]], { file: 'f', sname: 's' }), 548);
  const m = parse(bytes);
  assert.deepEqual([...(m?.options.keys() ?? [])], [53]);
});

test('RFC 3046: the relay agent option is last, and its room is kept', () => {
  const relay = new Uint8Array(200).fill(9);
  const m = parse(
    dhcp.emitDhcp4(
      output([dhcp.u8Option(53, 5), [82, relay], [200, new Uint8Array(250)]], { file: 'f', sname: 's' }),
      548,
    ),
  );
  assert.deepEqual([...(m?.options.keys() ?? [])], [53, 82]);
  assert.deepEqual(m?.options.get(82), relay);
  const tight = parse(dhcp.emitDhcp4(output([dhcp.u8Option(53, 5), [82, relay]]), 300));
  assert.deepEqual([...(tight?.options.keys() ?? [])], [53]);
});

const optionList = fc.uniqueArray(
  fc.tuple(
    fc.integer({ min: 1, max: 254 }).filter((code) => code !== 52),
    fc.uint8Array({ maxLength: 300 }),
  ),
  { maxLength: 12, selector: ([code]) => code },
);

test('property: what is written is read again, within the size asked for', () => {
  fc.assert(
    fc.property(optionList, fc.integer({ min: 0, max: 1600 }), (options, maxBytes) => {
      const bytes = dhcp.emitDhcp4(output(options), maxBytes);
      assert.ok(bytes.length >= 300 && bytes.length <= Math.max(300, maxBytes));
      const m = parse(bytes);
      assert.ok(m);
      for (const [code, value] of m.options) {
        if (code !== 52) assert.deepEqual(value, options.find(([wanted]) => wanted === code)?.[1]);
      }
      const first = options[0];
      if (first !== undefined && first[0] !== 82 && first[1].length < 40 && maxBytes >= 548)
        assert.ok(m.options.has(first[0]));
    }),
  );
});

test('property: garbage never throws, whatever follows the fixed part', () => {
  const fixed = bytesOf(...FIXED);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 600 }),
      fc.uint8Array({ minLength: 192, maxLength: 192 }),
      (tail, fields) => {
        const bytes = new Uint8Array(fixed.length + tail.length);
        bytes.set(fixed);
        bytes.set(fields, 44);
        bytes.set(tail, fixed.length);
        parse(bytes);
        parse(tail);
      },
    ),
  );
});
