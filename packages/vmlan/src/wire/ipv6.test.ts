import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ECHO_REQUEST_6, FRAGMENT_6, hex, MLD_REPORT, PORT_UNREACHABLE_6, view } from './frames.fixture.ts';
import * as ipv6 from './ipv6.ts';
import { $upper, upper } from './ipv6.ts';
import * as verdict from './verdict.ts';

const AT = 14;
const UDP = 17;

/** A packet whose fixed header names `next`, with `payload` behind it. */
function packet(next: number, payload: string): Uint8Array {
  const body = hex(payload);
  const bytes = new Uint8Array(40 + body.length);
  ipv6.emit(view(bytes), 0, body.length, next, 64, 0x20010db8, 0, 0, 1, 0x20010db8, 0, 0, 2);
  bytes.set(body, 40);
  return bytes;
}

test('fields of a captured packet', () => {
  const v = view(ECHO_REQUEST_6);
  assert.equal(ipv6.check(v, AT, ECHO_REQUEST_6.length - AT), verdict.OK);
  assert.equal(ipv6.trafficClass(v, AT), 0);
  assert.equal(ipv6.flowLabel(v, AT), 0x9ca1b);
  assert.equal(ipv6.payloadLen(v, AT), 16);
  assert.equal(ipv6.nextHeader(v, AT), 58);
  assert.equal(ipv6.hopLimit(v, AT), 64);
  assert.deepEqual([ipv6.src0(v, AT), ipv6.src1(v, AT), ipv6.src2(v, AT), ipv6.src3(v, AT)], [0x20010db8, 0, 0, 1]);
  assert.deepEqual([ipv6.dst0(v, AT), ipv6.dst1(v, AT), ipv6.dst2(v, AT), ipv6.dst3(v, AT)], [0x20010db8, 0, 0, 2]);
});

test('emit and setters write what was captured', () => {
  const v = new DataView(new ArrayBuffer(40));
  ipv6.emit(v, 0, 16, 58, 64, 0x20010db8, 0, 0, 1, 0x20010db8, 0, 0, 2);
  const captured = ECHO_REQUEST_6.slice(AT, AT + 40);
  captured.set([0x60, 0, 0, 0]);
  assert.deepEqual(new Uint8Array(v.buffer), captured);
  ipv6.setTrafficClass(v, 0, 0xff);
  ipv6.setPayloadLen(v, 0, 7);
  ipv6.setNextHeader(v, 0, 59);
  ipv6.setHopLimit(v, 0, 255);
  ipv6.setSrc(v, 0, 1, 2, 3, 0xffffffff);
  ipv6.setDst(v, 0, 0xff020000, 0, 0, 1);
  assert.equal(v.getUint32(0), 0x6ff00000);
  assert.equal(ipv6.trafficClass(v, 0), 0xff);
  assert.equal(ipv6.flowLabel(v, 0), 0);
  assert.equal(v.getUint32(4), 0x00073bff);
  assert.equal(ipv6.src3(v, 0), 0xffffffff);
  assert.equal(ipv6.dst0(v, 0), 0xff020000);
});

test('check: bounds and version', () => {
  const bytes = packet(UDP, '00 01 02');
  assert.equal(ipv6.check(view(bytes), 0, 43), verdict.OK);
  assert.equal(ipv6.check(view(bytes), 0, 42), verdict.BAD_LENGTH);
  assert.equal(ipv6.check(view(bytes), 0, 39), verdict.TOO_SHORT);
  assert.equal(ipv6.check(view(bytes.with(0, 0x45)), 0, 43), verdict.BAD_VERSION);
});

test('quoted packets may be cut behind the fixed header', () => {
  const quoted = PORT_UNREACHABLE_6.slice(AT + 48);
  assert.equal(ipv6.checkQuoted(view(quoted), 0, 40), verdict.OK);
  assert.equal(ipv6.checkQuoted(view(quoted), 0, 39), verdict.TOO_SHORT);
  assert.equal(ipv6.checkQuoted(view(quoted.with(0, 0x45)), 0, 40), verdict.BAD_VERSION);
  assert.equal(upper(view(quoted), 0, 44), verdict.OK);
  assert.equal($upper.length, 4);
});

test('upper: a captured hop-by-hop header with router alert', () => {
  assert.equal(upper(view(MLD_REPORT), AT), verdict.OK);
  assert.deepEqual($upper, {
    protocol: 58,
    offset: AT + 48,
    length: 48,
    fragment: -1,
    isFragment: false,
    nextHeaderAt: AT + 40,
    fragmentNamedAt: -1,
  });
});

test('upper: a captured fragment', () => {
  const v = view(FRAGMENT_6);
  assert.equal(upper(v, AT), verdict.OK);
  assert.deepEqual($upper, {
    protocol: 58,
    offset: AT + 48,
    length: 60,
    fragment: AT + 40,
    isFragment: true,
    nextHeaderAt: AT + 40,
    fragmentNamedAt: AT + 6,
  });
  const f = $upper.fragment;
  assert.equal(ipv6.fragmentNextHeader(v, f), 58);
  assert.equal(ipv6.fragmentOffset(v, f), 1448);
  assert.equal(ipv6.moreFragments(v, f), false);
  assert.equal(ipv6.fragmentId(v, f), 0x9871a8c1);
});

test('emitFragment writes what was captured', () => {
  const v = new DataView(new ArrayBuffer(8));
  ipv6.emitFragment(v, 0, 58, 1448, false, 0x9871a8c1);
  assert.deepEqual(new Uint8Array(v.buffer), FRAGMENT_6.slice(AT + 40, AT + 48));
  ipv6.emitFragment(v, 0, 58, 0, true, 1);
  assert.equal(ipv6.moreFragments(v, 0), true);
});

const PAD6 = '01 04 00000000';
const walks: { name: string; next: number; in: string; want: number; protocol?: number; offset?: number }[] = [
  { name: 'no extension', next: UDP, in: '0000', want: verdict.OK, protocol: UDP, offset: 40 },
  { name: 'no next header', next: 59, in: '', want: verdict.OK, protocol: 59, offset: 40 },
  {
    name: 'destination options twice',
    next: 60,
    in: `3c00${PAD6} 1100${PAD6}`,
    want: verdict.OK,
    protocol: UDP,
    offset: 56,
  },
  { name: 'options of Pad1', next: 60, in: '1100 000000000000', want: verdict.OK, protocol: UDP, offset: 48 },
  {
    name: 'atomic fragment is walked past',
    next: 44,
    in: '3c00 0000 00000001 1100010400000000',
    want: verdict.OK,
    protocol: UDP,
    offset: 56,
  },
  {
    name: 'first fragment is not',
    next: 44,
    in: '3c00 0001 00000001 1100010400000000',
    want: verdict.OK,
    protocol: 60,
    offset: 48,
  },
  { name: 'hop-by-hop behind another', next: 60, in: `0000${PAD6} 1100${PAD6}`, want: verdict.BAD_HEADER_ORDER },
  { name: 'hop-by-hop twice', next: 0, in: `0000${PAD6} 1100${PAD6}`, want: verdict.BAD_HEADER_ORDER },
  { name: 'routing type 0', next: 43, in: '1100 00 00 00000000', want: verdict.SOURCE_ROUTED },
  {
    name: 'routing type 2 with a hop left',
    next: 43,
    in: '1102 02 01 00000000 00000000000000000000000000000001',
    want: verdict.SOURCE_ROUTED,
  },
  {
    name: 'routing type 4 at its end',
    next: 43,
    in: '1100 04 00 00000000',
    want: verdict.OK,
    protocol: UDP,
    offset: 48,
  },
  { name: 'jumbo payload', next: 0, in: '1100 c2 04 00010000', want: verdict.BAD_OPTION },
  { name: 'unknown option to skip', next: 60, in: '1100 3e 04 00010000', want: verdict.OK, protocol: UDP, offset: 48 },
  { name: 'option past its header', next: 60, in: '1100 01 05 00000000', want: verdict.BAD_OPTION },
  { name: 'option without length', next: 60, in: '1100 01 03 000000 05', want: verdict.BAD_OPTION },
  { name: 'header of 7 bytes', next: 60, in: '1100 01 03 000000', want: verdict.BAD_HEADER_LENGTH },
  { name: 'header past the payload', next: 60, in: `1101${PAD6}`, want: verdict.BAD_HEADER_LENGTH },
  { name: 'fragment header cut', next: 44, in: '1100 0001', want: verdict.BAD_HEADER_LENGTH },
  {
    name: 'fragment of 7 bytes, more to come',
    next: 44,
    in: '1100 0001 00000001 00000000000000',
    want: verdict.BAD_FRAGMENT,
  },
  { name: 'fragment of nothing, more to come', next: 44, in: '1100 0001 00000001', want: verdict.BAD_FRAGMENT },
  { name: 'fragment past 65535', next: 44, in: '1100 fff8 00000001 0000000000000000', want: verdict.BAD_FRAGMENT },
  {
    name: '8 headers',
    next: 60,
    in: `3c00${PAD6}`.repeat(7) + `1100${PAD6}`,
    want: verdict.OK,
    protocol: UDP,
    offset: 104,
  },
  { name: '9 headers', next: 60, in: `3c00${PAD6}`.repeat(9), want: verdict.TOO_MANY_HEADERS },
  {
    name: 'more than 1024 bytes of headers',
    next: 60,
    in: `3c8f${'00'.repeat(1150)} 1100${PAD6}`,
    want: verdict.TOO_MANY_HEADERS,
  },
];
for (const { name, next, in: payload, want, protocol, offset } of walks) {
  test(`upper: ${name}`, () => {
    assert.equal(upper(view(packet(next, payload)), 0), want);
    if (protocol !== undefined) assert.deepEqual([$upper.protocol, $upper.offset], [protocol, offset]);
  });
}

test('garbage: no read past the end, and the upper layer lies inside', () => {
  const extension = fc.constantFrom(0, 43, 44, 60, 17);
  const chunk = fc.tuple(extension, fc.nat(2), fc.uint8Array({ minLength: 6, maxLength: 30 }));
  fc.assert(
    fc.property(extension, fc.array(chunk, { maxLength: 6 }), fc.nat(8), (next, chunks, cut) => {
      const payload = chunks.flatMap(([named, len, rest]) => [named, len, ...rest]);
      const bytes = packet(next, Buffer.from(payload.slice(0, -cut || undefined)).toString('hex'));
      if (upper(view(bytes), 0) !== verdict.OK) return;
      assert.ok($upper.offset + $upper.length === bytes.length && $upper.length >= 0);
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const v = view(bytes);
      if (ipv6.check(v, 0, bytes.length) === verdict.OK) upper(v, 0);
      if (ipv6.checkQuoted(v, 0, bytes.length) === verdict.OK) upper(v, 0, bytes.length);
    }),
  );
});
