import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fold, pseudo4, sum } from './checksum.ts';
import { UDP_4, UDP_6, view } from './frames.fixture.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import * as udp from './udp.ts';
import { BAD_CHECKSUM, BAD_LENGTH, OK, TOO_SHORT } from './verdict.ts';

const AT = 14 + 20;
const LEN = 10;
const PSEUDO = ipv4.pseudo(view(UDP_4), 14, ipv4.PROTO_UDP);

test('fields of captured datagrams', () => {
  const v = view(UDP_4);
  assert.equal(udp.check(v, AT, LEN, PSEUDO, true), OK);
  assert.equal(udp.srcPort(v, AT), 46273);
  assert.equal(udp.dstPort(v, AT), 9);
  assert.equal(udp.length(v, AT), LEN);
  assert.equal(udp.payloadLen(v, AT), 2);
  assert.equal(udp.checksum(v, AT), 0x5601);
  const pseudo6 = ipv6.pseudo(view(UDP_6), 14, ipv4.PROTO_UDP);
  assert.equal(udp.check(view(UDP_6), 14 + 40, LEN, pseudo6, false), OK);
});

test('emit and setChecksum write what was captured', () => {
  const frame = UDP_4.slice();
  frame.fill(0xee, AT, AT + 8);
  udp.emit(view(frame), AT, 46273, 9, LEN);
  udp.setChecksum(view(frame), AT, PSEUDO);
  assert.deepEqual(frame, UDP_4);
});

test('check: lengths and checksums', () => {
  const length = (len: number): DataView => view(UDP_4.with(AT + 4, len >> 8).with(AT + 5, len & 255));
  assert.equal(udp.check(view(UDP_4), AT, 7, PSEUDO, true), TOO_SHORT);
  assert.equal(udp.check(length(7), AT, LEN, PSEUDO, true), BAD_LENGTH);
  assert.equal(udp.check(length(11), AT, LEN, PSEUDO, true), BAD_LENGTH);
  assert.equal(udp.check(view(UDP_4), AT, LEN, PSEUDO + 1, true), BAD_CHECKSUM);
  assert.equal(udp.check(view(UDP_4), AT, LEN, udp.UNVERIFIED, true), OK);
});

test('no checksum is allowed on IPv4 only', () => {
  const v = view(UDP_4.with(AT + 6, 0).with(AT + 7, 0));
  assert.equal(udp.check(v, AT, LEN, PSEUDO, true), OK);
  assert.equal(udp.check(v, AT, LEN, PSEUDO, false), BAD_CHECKSUM);
});

test('a datagram shorter than its packet is summed by its own length', () => {
  const frame = Uint8Array.from([...UDP_4, 0xaa, 0xbb, 0xcc]);
  assert.equal(udp.check(view(frame), AT, LEN + 3, PSEUDO, true), OK);
});

test('a checksum of zero is sent as 0xffff', () => {
  const v = new DataView(new ArrayBuffer(10));
  udp.emit(v, 0, 0, 0, 10);
  // Choose the payload so that everything sums to 0xffff: pseudo header and length give 17 + 10 + 10.
  v.setUint16(8, 0xffff - (17 + 10 + 10));
  udp.setChecksum(v, 0, pseudo4(0, 0, 17, 0));
  assert.equal(udp.checksum(v, 0), 0xffff);
  assert.equal(udp.check(v, 0, 10, pseudo4(0, 0, 17, 0), false), OK);
});

test('a partial checksum is completed by summing from the header on, as offload does', () => {
  const frame = UDP_4.slice();
  const v = view(frame);
  udp.setPartialChecksum(v, AT, PSEUDO);
  v.setUint16(AT + udp.CHECKSUM_OFFSET, ~fold(sum(v, AT, LEN)) & 0xffff);
  assert.deepEqual(frame, UDP_4);
});

test('check never reads past what is there', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.option(fc.nat(40)), (bytes, len) => {
      if (len !== null && bytes.length >= 8) view(bytes).setUint16(4, len);
      udp.check(view(bytes), 0, bytes.length, 0, true);
    }),
    { numRuns: 500 },
  );
});
