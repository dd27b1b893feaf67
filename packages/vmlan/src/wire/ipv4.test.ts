import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ECHO_REPLY_4, ECHO_REQUEST_4, FRAGMENT_4, hex, PORT_UNREACHABLE_4, view } from './frames.fixture.ts';
import * as ipv4 from './ipv4.ts';
import * as verdict from './verdict.ts';

const AT = 14;
const ECHO = ECHO_REPLY_4.slice(AT);

/** The echo reply with some bytes changed and a right checksum. */
function changed(at: number, ...values: number[]): Uint8Array {
  const bytes = ECHO.slice();
  bytes.set(values, at);
  if (ipv4.headerLen(view(bytes), 0) <= bytes.length) ipv4.setChecksum(view(bytes), 0);
  return bytes;
}

const checked = (bytes: Uint8Array): number => ipv4.check(view(bytes), 0, bytes.length);

test('fields of a captured packet', () => {
  const v = view(ECHO_REQUEST_4);
  assert.equal(ipv4.check(v, AT, ECHO_REQUEST_4.length - AT), verdict.OK);
  assert.equal(ipv4.headerLen(v, AT), 20);
  assert.equal(ipv4.totalLen(v, AT), 36);
  assert.equal(ipv4.id(v, AT), 0x4d1a);
  assert.equal(ipv4.dontFragment(v, AT), true);
  assert.equal(ipv4.isFragment(v, AT), false);
  assert.equal(ipv4.ttl(v, AT), 64);
  assert.equal(ipv4.protocol(v, AT), ipv4.PROTO_ICMP);
  assert.equal(ipv4.checksum(v, AT), 0x69bb);
  assert.equal(ipv4.src(v, AT), 0xc0000201);
  assert.equal(ipv4.dst(v, AT), 0xc0000202);
  assert.equal(ipv4.payload(v, AT), AT + 20);
  assert.equal(ipv4.payloadLen(v, AT), 16);
  assert.equal(ipv4.tos(view(PORT_UNREACHABLE_4), AT), 0xc0);
});

test('fields of a captured fragment', () => {
  const v = view(FRAGMENT_4);
  assert.equal(ipv4.check(v, AT, FRAGMENT_4.length - AT), verdict.OK);
  assert.equal(ipv4.isFragment(v, AT), true);
  assert.equal(ipv4.moreFragments(v, AT), false);
  assert.equal(ipv4.fragmentOffset(v, AT), 1480);
});

test('emit writes what was captured', () => {
  const v = new DataView(new ArrayBuffer(20));
  ipv4.emit(v, 0, 36, 0x4d1a, ipv4.FLAG_DF, 64, ipv4.PROTO_ICMP, 0xc0000201, 0xc0000202);
  assert.deepEqual(new Uint8Array(v.buffer), ECHO_REQUEST_4.slice(AT, AT + 20));
});

const cases: { name: string; in: Uint8Array; want: number }[] = [
  { name: 'as captured', in: ECHO, want: verdict.OK },
  { name: 'padding behind the packet', in: Uint8Array.from([...ECHO, 0, 0, 0]), want: verdict.OK },
  { name: 'empty', in: new Uint8Array(0), want: verdict.TOO_SHORT },
  { name: '19 bytes', in: ECHO.slice(0, 19), want: verdict.TOO_SHORT },
  { name: 'version 6', in: changed(0, 0x65), want: verdict.BAD_VERSION },
  { name: 'header of 16 bytes', in: changed(0, 0x44), want: verdict.BAD_HEADER_LENGTH },
  { name: 'header longer than what is there', in: changed(0, 0x4f), want: verdict.BAD_HEADER_LENGTH },
  { name: 'total length below the header', in: changed(2, 0, 19), want: verdict.BAD_LENGTH },
  { name: 'cut short', in: ECHO.slice(0, 35), want: verdict.BAD_LENGTH },
  { name: 'one bit flipped', in: ECHO.with(8, 0x41), want: verdict.BAD_CHECKSUM },
  { name: 'first fragment, 16 bytes', in: changed(6, 0x20, 0), want: verdict.OK },
  { name: 'fragment of 15 bytes, more to come', in: changed(2, 0, 35, 0, 0, 0x20, 0), want: verdict.BAD_FRAGMENT },
  { name: 'fragment of nothing, more to come', in: changed(2, 0, 20, 0, 0, 0x20, 0), want: verdict.BAD_FRAGMENT },
  { name: 'last fragment, 15 bytes', in: changed(2, 0, 35, 0, 0, 0, 9), want: verdict.OK },
  { name: 'fragment past 65535 (ping of death)', in: changed(6, 0x1f, 0xff), want: verdict.BAD_FRAGMENT },
  // 8187 x 8 + 16 = 65512 bytes of payload and a header of 20: the whole would be 65532 bytes.
  { name: 'the last bytes of the longest packet', in: changed(6, 0x1f, 0xfb), want: verdict.OK },
];
for (const { name, in: bytes, want } of cases) {
  test(`check: ${name}`, () => assert.equal(checked(bytes), want));
}

const options: { name: string; in: string; want: number }[] = [
  { name: 'none', in: '', want: verdict.OK },
  { name: 'router alert', in: '94 04 0000', want: verdict.OK },
  { name: 'NOPs', in: '01 01 01 01', want: verdict.OK },
  { name: 'end, then noise', in: '00 83 83 83', want: verdict.OK },
  { name: 'loose source route', in: '83 07 04 0a000001 00', want: verdict.SOURCE_ROUTED },
  { name: 'strict source route behind a NOP', in: '01 89 07 04 0a000001', want: verdict.SOURCE_ROUTED },
  { name: 'length zero', in: '44 00 0000', want: verdict.BAD_OPTION },
  { name: 'length one', in: '44 01 0000', want: verdict.BAD_OPTION },
  { name: 'longer than the header', in: '44 05 0000', want: verdict.BAD_OPTION },
  { name: 'no room for a length', in: '01 01 01 44', want: verdict.BAD_OPTION },
];
for (const { name, in: text, want } of options) {
  test(`options: ${name}`, () => {
    const extra = hex(text);
    const bytes = Uint8Array.from([...ECHO.slice(0, 20), ...extra]);
    bytes[0] = 0x45 + extra.length / 4;
    assert.equal(ipv4.checkOptions(view(bytes), 0), want);
  });
}

test('quoted packets may be cut behind the header', () => {
  const quoted = PORT_UNREACHABLE_4.slice(AT + 28);
  assert.equal(ipv4.checkQuoted(view(quoted), 0, 28), verdict.OK);
  assert.equal(ipv4.checkQuoted(view(quoted), 0, 20), verdict.OK);
  assert.equal(ipv4.checkQuoted(view(quoted), 0, 19), verdict.TOO_SHORT);
  assert.equal(ipv4.checkQuoted(view(quoted.with(0, 0x65)), 0, 28), verdict.BAD_VERSION);
  assert.equal(ipv4.checkQuoted(view(quoted.with(0, 0x48)), 0, 28), verdict.BAD_HEADER_LENGTH);
  assert.equal(ipv4.checkQuoted(view(quoted.with(0, 0x44)), 0, 28), verdict.BAD_HEADER_LENGTH);
});

test('setTtl keeps the checksum right', () => {
  fc.assert(
    fc.property(fc.nat(255), (ttl) => {
      const bytes = ECHO.slice();
      ipv4.setTtl(view(bytes), 0, ttl);
      assert.equal(ipv4.ttl(view(bytes), 0), ttl);
      assert.equal(checked(bytes), verdict.OK);
    }),
  );
});

test('setters, then setChecksum', () => {
  const bytes = ECHO.slice();
  const v = view(bytes);
  ipv4.setTos(v, 0, 0x10);
  ipv4.setTotalLen(v, 0, 28);
  ipv4.setId(v, 0, 7);
  ipv4.setFlagsAndOffset(v, 0, ipv4.FLAG_MF | 3);
  ipv4.setSrc(v, 0, 0x0a000001);
  ipv4.setDst(v, 0, 0xffffffff);
  ipv4.setChecksum(v, 0);
  assert.equal(checked(bytes), verdict.OK);
  assert.equal(ipv4.tos(v, 0), 0x10);
  assert.equal(ipv4.totalLen(v, 0), 28);
  assert.equal(ipv4.id(v, 0), 7);
  assert.equal(ipv4.moreFragments(v, 0), true);
  assert.equal(ipv4.fragmentOffset(v, 0), 24);
  assert.equal(ipv4.src(v, 0), 0x0a000001);
  assert.equal(ipv4.dst(v, 0), 0xffffffff);
});

test('any header emitted is read back', () => {
  const word = fc.nat(0xffff);
  const ip = fc.nat(0xffff_ffff);
  fc.assert(
    fc.property(word, fc.nat(255), fc.nat(255), ip, ip, (id, ttl, proto, src, dst) => {
      const v = new DataView(new ArrayBuffer(20));
      ipv4.emit(v, 0, 20, id, 0, ttl, proto, src, dst);
      assert.equal(ipv4.check(v, 0, 20), verdict.OK);
      assert.equal(ipv4.checkOptions(v, 0), verdict.OK);
      assert.deepEqual(
        [ipv4.id(v, 0), ipv4.ttl(v, 0), ipv4.protocol(v, 0), ipv4.src(v, 0), ipv4.dst(v, 0)],
        [id, ttl, proto, src, dst],
      );
    }),
  );
});

test('garbage: no read past the end, and what passes has its payload inside', () => {
  const bytes = fc.uint8Array({ maxLength: 90 });
  fc.assert(
    fc.property(bytes, fc.boolean(), (bytes, mended) => {
      const v = view(bytes);
      if (mended && bytes.length >= 20) {
        bytes[0] = 0x40 | (bytes[0]! & 0x0f);
        v.setUint16(2, Math.max(20, v.getUint16(2) % (bytes.length + 1)));
        if (ipv4.headerLen(v, 0) <= bytes.length) ipv4.setChecksum(v, 0);
      }
      if (ipv4.check(v, 0, bytes.length) !== verdict.OK) return;
      ipv4.checkOptions(v, 0);
      assert.ok(ipv4.payload(v, 0) + ipv4.payloadLen(v, 0) <= bytes.length);
    }),
    { numRuns: 2000 },
  );
});
