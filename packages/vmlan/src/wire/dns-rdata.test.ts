import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { TYPE, typeName } from './dns.ts';
import { expandRdata, hasLayout, parseRdata, rdataText } from './dns-rdata.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
const toHex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'));

/** `text` is the canonical form; `also` other ways to write the same. */
const GOOD: { type: number; text: string; want: string; also?: string[] }[] = [
  { type: TYPE.A, text: '192.168.105.10', want: 'c0a8690a', also: [' 192.168.105.10 ', String.raw`\# 4 c0a8690a`] },
  { type: TYPE.AAAA, text: 'fd00::1', want: 'fd000000000000000000000000000001', also: ['FD00:0::0:1'] },
  { type: TYPE.NS, text: 'ns.lab.', want: '026e73 036c6162 00', also: ['ns.lab'] },
  { type: TYPE.CNAME, text: 'Web.lab.', want: '03576562 036c6162 00' },
  { type: TYPE.PTR, text: '.', want: '00' },
  { type: TYPE.DNAME, text: 'x.', want: '017800' },
  { type: TYPE.MX, text: '10 mail.lab.', want: '000a 046d61696c 036c6162 00', also: ['10   mail.lab'] },
  {
    type: TYPE.SOA,
    text: 'ns. root. 1 3600 600 86400 5',
    want: '026e7300 04726f6f7400 00000001 00000e10 00000258 00015180 00000005',
  },
  {
    type: TYPE.TXT,
    text: '"v=spf1 -all"',
    want: '0b 763d73706631202d616c6c',
    also: ['v=spf1 -all', '"v=\\115pf1 -all"'],
  },
  { type: TYPE.TXT, text: '"a" "b c" ""', want: '0161 03622063 00' },
  { type: TYPE.TXT, text: String.raw`"\"\\\200"`, want: '03 22 5c c8' },
  { type: TYPE.SRV, text: '0 5 5060 sip.lab.', want: '0000 0005 13c4 03736970 036c6162 00' },
  {
    type: TYPE.NAPTR,
    text: '100 10 "s" "SIP+D2U" "!^.*$!x!" _sip._udp.lab.',
    want: '0064 000a 0173 075349502b443255 08215e2e2a24217821 045f736970 045f756470 036c6162 00',
  },
  {
    type: TYPE.CAA,
    text: '128 issue "ca.example"',
    want: '80 056973737565 63612e6578616d706c65',
    also: ['128 issue ca.example'],
  },
  // RFC 9460 appendix D.2
  { type: TYPE.HTTPS, text: '0 foo.example.com.', want: '0000 03666f6f 076578616d706c65 03636f6d 00' },
  { type: TYPE.SVCB, text: '1 .', want: '0001 00' },
  {
    type: TYPE.SVCB,
    text: '16 foo.example.com. port="53"',
    want: '0010 03666f6f 076578616d706c65 03636f6d 00 0003 0002 0035',
  },
  {
    type: TYPE.SVCB,
    text: '1 foo.example.com. key667="hello\\210qoo"',
    want: '0001 03666f6f 076578616d706c65 03636f6d 00 029b 0009 68656c6c6fd2716f6f',
    also: ['1 foo.example.com. key667=hello\\210qoo'],
  },
  {
    type: TYPE.SVCB,
    text: '1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1"',
    want: `0001 03666f6f 076578616d706c65 03636f6d 00 0006 0020
           20010db8000000000000000000000001 20010db8000000000000000000530001`,
  },
  {
    type: TYPE.SVCB,
    text: '16 foo.example.org. mandatory="alpn,ipv4hint" alpn="h2,h3-19" ipv4hint="192.0.2.1"',
    want: `0010 03666f6f 076578616d706c65 036f7267 00 0000 0004 0001 0004
           0001 0009 02 6832 05 68332d3139  0004 0004 c0000201`,
    also: ['16 foo.example.org alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1'],
  },
  {
    type: TYPE.SVCB,
    text: String.raw`16 foo.example.org. alpn="f\\\\oo\\,bar,h2"`,
    want: '0010 03666f6f 076578616d706c65 036f7267 00 0001 000c 08 665c6f6f2c626172 02 6832',
    also: [String.raw`16 foo.example.org. alpn=f\\\092oo\092,bar,h2`],
  },
  {
    type: TYPE.HTTPS,
    text: '1 . alpn="h3" no-default-alpn ech="AQID" dohpath="/dns-query{?dns}" ohttp',
    want: `0001 00 0001 0003 026833 0002 0000 0005 0003 010203
           0007 0010 2f646e732d71756572797b3f646e737d 0008 0000`,
  },
  { type: 12345, text: String.raw`\# 3 00ff10`, want: '00ff10', also: ['00FF10', String.raw`\# 3 00 ff 10`] },
  { type: 12345, text: String.raw`\# 0`, want: '' },
];

test('RDATA by type: text to octets and back', () => {
  for (const { type, text, want, also = [] } of GOOD) {
    const octets = want.replaceAll(/\s/g, '');
    for (const form of [text, ...also])
      assert.equal(toHex(parseRdata(type, form)), octets, `${typeName(type)} ${form}`);
    assert.equal(rdataText(type, hex(want)), text);
  }
});

test('text that does not fit the type is refused', () => {
  const table: [number, string[]][] = [
    [TYPE.A, ['', '1.2.3', '1.2.3.4 5', '::1', '01.2.3.4', '"', String.raw`\# 3 0000`]],
    [TYPE.AAAA, ['1.2.3.4', 'fd00::g', '']],
    [TYPE.CNAME, ['a..b', '', 'a b', 'ä.b']],
    [TYPE.MX, ['mail', '65536 mail', '-1 mail', '10', '1x mail', '10 mail extra']],
    [TYPE.TXT, ['"open', '"a\\"', String.raw`"\999"`]],
    [TYPE.SRV, ['0 0 70000 x', '0 0 x']],
    [TYPE.NAPTR, [`1 1 "${'x'.repeat(256)}" "" "" .`, '1 1 "\\300" "" "" .']],
    [TYPE.CAA, ['256 issue "x"', '0 is-sue "x"', '0 issue', `0 ${'a'.repeat(16)} x`]],
    [
      TYPE.HTTPS,
      ['1', '1 . alpn', '1 . alpn=', '1 . port=70000', '1 . port=1 port=2', '1 . key70000=x', '1 . key65535=x'],
    ],
    [
      TYPE.HTTPS,
      ['1 . mandatory=port', '1 . mandatory=mandatory', '1 . no-default-alpn=x', '1 . ipv4hint=1', '1 . ech=%'],
    ],
    [
      TYPE.HTTPS,
      ['1 . ipv6hint=1.2.3.4', '1 . what=1', '1 . alpn=h2,,h3', '1 . KEY=1', '1 . alpn=\\300', '1 . mandatory=x'],
    ],
    [TYPE.HTTPS, [`1 . alpn=${'x'.repeat(256)}`, '1 . mandatory=port,port port=1', `1 . key9=${'x'.repeat(65536)}`]],
    [9999, ['', 'abc', 'xy', String.raw`\# 2 00`]],
  ];
  for (const [type, texts] of table) {
    for (const text of texts) assert.equal(parseRdata(type, text), null, `${typeName(type)} ${text}`);
  }
});

test('octets that do not fit the type are printed raw', () => {
  const table: [number, string][] = [
    [TYPE.A, 'c0a869'],
    [TYPE.A, 'c0a8690a00'],
    [TYPE.CNAME, 'c00c'],
    [TYPE.CNAME, '0161'],
    [TYPE.TXT, ''],
    [TYPE.TXT, '0561'],
    [TYPE.CAA, '00 01 2d 00'],
    [TYPE.NAPTR, '0001 0001'],
    [TYPE.HTTPS, '0001 00 0003'],
    [TYPE.HTTPS, '0001 00 0003 0002 0035 0003 0002 0035'],
    [TYPE.HTTPS, '0001 00 0003 0003 003500'],
    [TYPE.HTTPS, '0001 00 0001 0002 0561'],
    [TYPE.HTTPS, '0001 00 0001 0001 00'],
    [TYPE.HTTPS, '0001 00 0001 0000'],
    [TYPE.HTTPS, '0001 00 0002 0001 00'],
    [TYPE.HTTPS, '0001 00 0004 0003 000000'],
    [TYPE.HTTPS, '0001 00 0004 0009 0000'],
    [TYPE.HTTPS, '0001 00 0006 0000'],
    [TYPE.HTTPS, '0001 00 0000 0001 00'],
  ];
  for (const [type, octets] of table) {
    const rdata = hex(octets);
    assert.equal(rdataText(type, rdata), `\\# ${rdata.length} ${toHex(rdata)}`.trimEnd(), typeName(type));
  }
});

test('a long string becomes several', () => {
  const rdata = parseRdata(TYPE.TXT, 'x'.repeat(600))!;
  assert.deepEqual([rdata.length, rdata[0], rdata[256], rdata[512]], [603, 255, 255, 90]);
  assert.equal(toHex(parseRdata(TYPE.TXT, '')), '00');
  assert.equal(toHex(parseRdata(TYPE.TXT, 'ü')), '02c3bc');
});

// header, "a." at 12, then the RDATA at 15
const at = 15;
const around = (rdata: string): Uint8Array => hex(`000000000000000000000000 016100 ${rdata}`);

test('compressed names in RDATA are expanded', () => {
  const table: [number, string, string][] = [
    [TYPE.CNAME, 'c00c', '016100'],
    [TYPE.NS, '0162c00c', '0162016100'],
    [TYPE.MX, '000a c00c', '000a016100'],
    [
      TYPE.SOA,
      'c00c c00c 0000000100000002000000030000000400000005',
      '016100016100 0000000100000002000000030000000400000005',
    ],
    [TYPE.SRV, '000100020003 c00c', '000100020003016100'],
    [TYPE.NAPTR, '0001 0002 0173 00 00 c00c', '0001000201730000016100'],
    [17, 'c00c 00', '01610000'],
    [26, '0001 c00c c00c', '0001016100016100'],
    [TYPE.A, '01020304', '01020304'],
    [TYPE.SVCB, '0001 c00c', '0001c00c'],
    [65280, 'c00c', 'c00c'],
    [TYPE.CNAME, '', ''],
  ];
  for (const [type, rdata, want] of table) {
    const message = around(rdata);
    assert.equal(toHex(expandRdata(type, message, at, message.length - at)), want.replaceAll(' ', ''), typeName(type));
  }
});

test('malformed names in RDATA are refused', () => {
  const table: [number, string][] = [
    [TYPE.CNAME, 'c00f'],
    [TYPE.CNAME, 'c00c00'],
    [TYPE.MX, '00'],
    [TYPE.MX, '000a'],
    [TYPE.SOA, 'c00c c00c 00000001'],
    [TYPE.NAPTR, '0001 0002 ff73'],
    [TYPE.NAPTR, '0001 0002'],
  ];
  for (const [type, rdata] of table) {
    const message = around(rdata);
    assert.equal(expandRdata(type, message, at, message.length - at), null, `${typeName(type)} ${rdata}`);
  }
});

test('every RDATA survives its text', () => {
  const types = [...Object.values(TYPE).filter(hasLayout), 17, 18, 26, 4711];
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 80 }), (type, rdata) => {
      const text = rdataText(type, rdata);
      const back = parseRdata(type, text);
      assert.equal(toHex(back), toHex(rdata), text);
    }),
    { numRuns: 5000 },
  );
});

test('no text makes the parser throw', () => {
  const types = Object.values(TYPE);
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.string({ unit: 'binary', maxLength: 60 }), (type, text) => {
      parseRdata(type, text);
    }),
    { numRuns: 3000 },
  );
});
