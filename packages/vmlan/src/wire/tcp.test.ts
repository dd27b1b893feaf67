import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fold, sum } from './checksum.ts';
import { hex, TCP_DATA_4, TCP_RST_4, TCP_SYN_4, TCP_SYN_ACK_6, view } from './frames.fixture.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import * as tcp from './tcp.ts';
import { BAD_CHECKSUM, BAD_HEADER_LENGTH, OK, TOO_SHORT } from './verdict.ts';

const AT = 14 + 20;
const pseudoOf = (frame: Uint8Array): number => ipv4.pseudo(view(frame), 14, ipv4.PROTO_TCP);
const segmentLen = (frame: Uint8Array): number => frame.length - AT;

/** A header of 20 bytes with `options` behind it. */
function header(options: string): DataView {
  const extra = hex(options);
  const v = new DataView(new ArrayBuffer(20 + extra.length));
  tcp.emit(v, 0, 1, 2, 3, 4, 20 + extra.length, tcp.SYN, 5);
  new Uint8Array(v.buffer).set(extra, 20);
  return v;
}

test('fields of captured segments', () => {
  const v = view(TCP_DATA_4);
  assert.equal(tcp.check(v, AT, segmentLen(TCP_DATA_4), pseudoOf(TCP_DATA_4)), OK);
  assert.equal(tcp.srcPort(v, AT), 80);
  assert.equal(tcp.dstPort(v, AT), 60932);
  assert.equal(tcp.seq(v, AT), 2040504072);
  assert.equal(tcp.ack(v, AT), 2569239444 | 0);
  assert.equal(tcp.dataOffset(v, AT), 32);
  assert.equal(tcp.flags(v, AT), tcp.ACK | tcp.PSH);
  assert.equal(tcp.window(v, AT), 64);
  assert.equal(tcp.checksum(v, AT), 0x0ae8);
  assert.equal(tcp.urgent(v, AT), 0);
  for (const frame of [TCP_SYN_4, TCP_RST_4]) {
    assert.equal(tcp.check(view(frame), AT, segmentLen(frame), pseudoOf(frame)), OK);
  }
  const pseudo6 = ipv6.pseudo(view(TCP_SYN_ACK_6), 14, ipv4.PROTO_TCP);
  assert.equal(tcp.check(view(TCP_SYN_ACK_6), 14 + 40, 40, pseudo6), OK);
});

test('options of a captured SYN', () => {
  assert.equal(tcp.parseOptions(view(TCP_SYN_4), AT), true);
  assert.equal(tcp.$options.mss, 1460);
  assert.equal(tcp.$options.windowScale, 10);
  assert.equal(tcp.$options.sackPermitted, true);
  assert.equal(tcp.$options.hasTimestamps, true);
  assert.equal(tcp.$options.timestampValue, 2154976951 | 0);
  assert.equal(tcp.$options.timestampEcho, 0);
  assert.equal(tcp.$options.sackCount, 0);
});

test('emit and setChecksum write what was captured', () => {
  const frame = TCP_DATA_4.slice();
  const v = view(frame);
  frame.fill(0xee, AT, AT + 32);
  tcp.emit(v, AT, 80, 60932, 2040504072, 2569239444, 32, tcp.ACK | tcp.PSH, 64);
  assert.equal(tcp.emitTimestamps(v, AT + 20, 0x9f61e2db, 0x807256b8), AT + 32);
  tcp.setChecksum(v, AT, segmentLen(frame), pseudoOf(frame));
  assert.deepEqual(frame, TCP_DATA_4);
});

test('check', () => {
  const len = segmentLen(TCP_SYN_4);
  const pseudo = pseudoOf(TCP_SYN_4);
  assert.equal(tcp.check(view(TCP_SYN_4), AT, 19, pseudo), TOO_SHORT);
  assert.equal(tcp.check(view(TCP_SYN_4), AT, len - 1, pseudo), BAD_HEADER_LENGTH);
  assert.equal(tcp.check(view(TCP_SYN_4.with(AT + 12, 0x40)), AT, len, pseudo), BAD_HEADER_LENGTH);
  assert.equal(tcp.check(view(TCP_SYN_4.with(AT, 0xff)), AT, len, pseudo), BAD_CHECKSUM);
  assert.equal(tcp.check(view(TCP_SYN_4.with(AT, 0xff)), AT, len, tcp.UNVERIFIED), OK);
});

test('a partial checksum is completed by summing from the header on, as offload does', () => {
  const frame = TCP_SYN_4.slice();
  const v = view(frame);
  tcp.setPartialChecksum(v, AT, segmentLen(frame), pseudoOf(frame));
  v.setUint16(AT + tcp.CHECKSUM_OFFSET, ~fold(sum(v, AT, segmentLen(frame))) & 0xffff);
  assert.deepEqual(frame, TCP_SYN_4);
});

test('all options that are emitted are read back', () => {
  const v = new DataView(new ArrayBuffer(60));
  const blocks = Int32Array.of(1, 2, -3, 4, 5, 0x80000000 | 0);
  let p = tcp.emitMss(v, 20, 65495);
  p = tcp.emitWindowScale(v, p, 7);
  p = tcp.emitSackPermitted(v, p);
  p = tcp.emitSackBlocks(v, p, blocks, 3);
  assert.equal(p, 60);
  tcp.emit(v, 0, 1, 2, 3, 4, 60, tcp.ACK, 5);
  assert.equal(tcp.parseOptions(v, 0), true);
  assert.equal(tcp.$options.mss, 65495);
  assert.equal(tcp.$options.windowScale, 7);
  assert.equal(tcp.$options.sackPermitted, true);
  assert.equal(tcp.$options.hasTimestamps, false);
  assert.equal(tcp.$options.sackCount, 3);
  assert.deepEqual(tcp.$options.sack.slice(0, 6), blocks);
});

test('four SACK blocks fill the option space', () => {
  const v = new DataView(new ArrayBuffer(60));
  const blocks = Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  assert.equal(tcp.emitSackBlocks(v, 20, blocks, 4), 56);
  assert.equal(tcp.emitNop(v, 56), 57);
  tcp.emit(v, 0, 1, 2, 3, 4, 60, tcp.ACK, 5);
  assert.equal(tcp.parseOptions(v, 0), true);
  assert.deepEqual(tcp.$options.sack, blocks);
});

test('the record is reset for each segment', () => {
  tcp.parseOptions(view(TCP_SYN_4), AT);
  tcp.parseOptions(header(''), 0);
  assert.deepEqual(
    { ...tcp.$options, sack: null },
    {
      mss: -1,
      windowScale: -1,
      sackPermitted: false,
      hasTimestamps: false,
      timestampValue: 0,
      timestampEcho: 0,
      sackCount: 0,
      sack: null,
    },
  );
});

const malformed = [
  { name: 'length zero', in: '02 00 0000' },
  { name: 'length one', in: '08 01 0000' },
  { name: 'past the header', in: '01 01 02 04' },
  { name: 'no room for a length', in: '01 01 01 02' },
];
for (const { name, in: options } of malformed) {
  test(`malformed options: ${name}`, () => assert.equal(tcp.parseOptions(header(options), 0), false));
}

const ignored = [
  { name: 'MSS of another length', in: '02 03 05 01' },
  { name: 'SACK with a byte too many', in: '05 0b 00000001 00000002 ff 00' },
  { name: 'window scale of another length', in: '03 04 0707' },
  { name: 'an unknown kind', in: 'fd 04 1234' },
  { name: 'what stands behind the end mark', in: '00 02 04 05 b4 00 00 00' },
];
for (const { name, in: options } of ignored) {
  test(`ignored option: ${name}`, () => {
    assert.equal(tcp.parseOptions(header(options), 0), true);
    assert.equal(tcp.$options.mss, -1);
    assert.equal(tcp.$options.windowScale, -1);
    assert.equal(tcp.$options.sackCount, 0);
  });
}

test('what stood before a malformed option is kept', () => {
  assert.equal(tcp.parseOptions(header('02 04 05b4 08 00 0000'), 0), false);
  assert.equal(tcp.$options.mss, 1460);
});

test('a window scale above 14 counts as 14 (RFC 7323 §2.3)', () => {
  tcp.parseOptions(header('03 03 ff 00'), 0);
  assert.equal(tcp.$options.windowScale, 14);
});

test('any header emitted is read back', () => {
  const word = fc.nat(0xffff);
  const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });
  fc.assert(
    fc.property(word, word, int32, int32, fc.nat(255), word, (srcPort, dstPort, seq, ack, flags, window) => {
      const v = new DataView(new ArrayBuffer(20));
      tcp.emit(v, 0, srcPort, dstPort, seq, ack, 20, flags, window);
      tcp.setChecksum(v, 0, 20, 99);
      assert.equal(tcp.check(v, 0, 20, 99), OK);
      assert.deepEqual(
        [tcp.srcPort(v, 0), tcp.dstPort(v, 0), tcp.seq(v, 0), tcp.ack(v, 0), tcp.flags(v, 0), tcp.window(v, 0)],
        [srcPort, dstPort, seq, ack, flags, window],
      );
    }),
  );
});

test('garbage options: no read past the header, bounded results', () => {
  const kinds = fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 10, 18, 34, 255);
  fc.assert(
    fc.property(fc.array(kinds, { maxLength: 40 }), (options) => {
      const bytes = new Uint8Array(20 + (options.length & ~3));
      bytes.set(options.slice(0, bytes.length - 20), 20);
      bytes[12] = (bytes.length / 4) << 4;
      tcp.parseOptions(view(bytes), 0);
      assert.ok(tcp.$options.sackCount <= tcp.MAX_SACK_BLOCKS && tcp.$options.windowScale <= tcp.MAX_WINDOW_SCALE);
    }),
    { numRuns: 3000 },
  );
});
