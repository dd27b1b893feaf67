import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { hex, view } from './frames.fixture.ts';
import { BAD_OFFLOAD, OK } from './verdict.ts';
import * as vnetHdr from './vnet-hdr.ts';

/** What Linux puts before a large TCP segment of a TAP. */
const TSO = hex(`
  01 01      // needs checksum, TCP over IPv4
  4200       // 66 bytes of headers: Ethernet 14, IPv4 20, TCP 32
  a805       // segments of 1448 bytes
  2200 1000  // checksum from 34, field at 16 within
  0000
`);

test('fields are little endian', () => {
  const v = view(TSO);
  assert.equal(vnetHdr.flags(v, 0), vnetHdr.NEEDS_CSUM);
  assert.equal(vnetHdr.gsoType(v, 0), vnetHdr.GSO_TCPV4);
  assert.equal(vnetHdr.hdrLen(v, 0), 66);
  assert.equal(vnetHdr.gsoSize(v, 0), 1448);
  assert.equal(vnetHdr.csumStart(v, 0), 34);
  assert.equal(vnetHdr.csumOffset(v, 0), 16);
  assert.equal(vnetHdr.numBuffers(v, 0), 0);
});

test('emit and clear write all of the header', () => {
  const bytes = new Uint8Array(vnetHdr.LEN).fill(0xee);
  vnetHdr.emit(view(bytes), 0, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_TCPV4, 66, 1448, 34, 16);
  assert.deepEqual(bytes, TSO);
  vnetHdr.clear(view(bytes), 0);
  assert.deepEqual(bytes, new Uint8Array(vnetHdr.LEN));
});

const { NEEDS_CSUM, DATA_VALID, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP, GSO_UDP_L4, GSO_ECN } = vnetHdr;
const cases: { name: string; in: [number, number, number, number, number, number]; frameLen: number; want: number }[] =
  [
    { name: 'nothing asked', in: [0, 0, 0, 0, 0, 0], frameLen: 60, want: OK },
    {
      name: 'nothing asked, other fields are noise',
      in: [DATA_VALID, 0, 0xffff, 0xffff, 0xffff, 0xffff],
      frameLen: 60,
      want: OK,
    },
    { name: 'checksum up to the last byte', in: [NEEDS_CSUM, GSO_NONE, 0, 0, 34, 16], frameLen: 52, want: OK },
    { name: 'checksum past the end', in: [NEEDS_CSUM, GSO_NONE, 0, 0, 34, 16], frameLen: 51, want: BAD_OFFLOAD },
    {
      name: 'checksum that would wrap',
      in: [NEEDS_CSUM, GSO_NONE, 0, 0, 0xffff, 0xffff],
      frameLen: 65549,
      want: BAD_OFFLOAD,
    },
    {
      name: 'checksum in the Ethernet header',
      in: [NEEDS_CSUM, GSO_NONE, 0, 0, 13, 0],
      frameLen: 60,
      want: BAD_OFFLOAD,
    },
    { name: 'TCP segmentation', in: [NEEDS_CSUM, GSO_TCPV6, 86, 1428, 54, 16], frameLen: 9000, want: OK },
    {
      name: 'TCP segmentation with ECN',
      in: [NEEDS_CSUM, GSO_TCPV4 | GSO_ECN, 66, 1448, 34, 16],
      frameLen: 9000,
      want: OK,
    },
    { name: 'UDP segmentation', in: [NEEDS_CSUM, GSO_UDP_L4, 42, 1472, 34, 6], frameLen: 9000, want: OK },
    { name: 'UDP fragmentation', in: [NEEDS_CSUM, GSO_UDP, 42, 1480, 34, 6], frameLen: 9000, want: OK },
    {
      name: 'UDP with ECN',
      in: [NEEDS_CSUM, GSO_UDP_L4 | GSO_ECN, 42, 1472, 34, 6],
      frameLen: 9000,
      want: BAD_OFFLOAD,
    },
    { name: 'ECN alone', in: [NEEDS_CSUM, GSO_ECN, 66, 1448, 34, 16], frameLen: 9000, want: BAD_OFFLOAD },
    { name: 'unknown segmentation', in: [NEEDS_CSUM, 2, 66, 1448, 34, 16], frameLen: 9000, want: BAD_OFFLOAD },
    { name: 'segments of nothing', in: [NEEDS_CSUM, GSO_TCPV4, 66, 0, 34, 16], frameLen: 9000, want: BAD_OFFLOAD },
    { name: 'segmentation without checksum', in: [0, GSO_TCPV4, 66, 1448, 34, 16], frameLen: 9000, want: BAD_OFFLOAD },
    {
      name: 'headers longer than the frame',
      in: [NEEDS_CSUM, GSO_TCPV4, 9001, 1448, 34, 16],
      frameLen: 9000,
      want: BAD_OFFLOAD,
    },
  ];
for (const { name, in: fields, frameLen, want } of cases) {
  test(`check: ${name}`, () => {
    const v = new DataView(new ArrayBuffer(vnetHdr.LEN));
    vnetHdr.emit(v, 0, ...fields);
    assert.equal(vnetHdr.check(v, 0, frameLen), want);
  });
}

test('what passes lies within the frame', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 12 }), fc.nat(65549), (bytes, frameLen) => {
      const v = view(bytes);
      if (vnetHdr.check(v, 0, frameLen) !== OK || (vnetHdr.flags(v, 0) & NEEDS_CSUM) === 0) return;
      assert.ok(vnetHdr.csumStart(v, 0) + vnetHdr.csumOffset(v, 0) + 2 <= frameLen);
    }),
    { numRuns: 1000 },
  );
});
