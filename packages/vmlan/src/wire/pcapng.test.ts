import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { hex, view } from './frames.fixture.ts';
import { enhancedPacket, interfaceDescription, LINKTYPE_ETHERNET, sectionHeader } from './pcapng.ts';

test('section header', () => {
  assert.deepEqual(
    sectionHeader('vmlan'),
    hex(`
      0a0d0d0a 2c000000            // type, 44 bytes
      4d3c2b1a 0100 0000           // little endian, version 1.0
      ffffffffffffffff             // section length unknown
      0400 0500 766d6c616e 000000  // application "vmlan"
      0000 0000 2c000000           // end of options, length
    `),
  );
});

test('interface description', () => {
  assert.deepEqual(
    interfaceDescription({ name: 'web0', snapLen: 96 }),
    hex(`
      01000000 28000000
      0100 0000 60000000           // Ethernet, 96 bytes kept
      0200 0400 77656230           // name "web0"
      0900 0100 09 000000          // nanoseconds
      0000 0000 28000000
    `),
  );
  assert.equal(LINKTYPE_ETHERNET, 1);
});

test('packet without options', () => {
  assert.deepEqual(
    enhancedPacket({ interfaceId: 2, timestampNs: 0x0123456789abcdefn, data: hex('aabbccddee') }),
    hex(`
      06000000 28000000
      02000000 67452301 efcdab89   // interface, timestamp high and low
      05000000 05000000            // kept, on the wire
      aabbccddee 000000
      28000000
    `),
  );
});

test('packet with direction, comment and a cut', () => {
  const packet = enhancedPacket({
    interfaceId: 0,
    timestampNs: 0n,
    data: hex('aabbccdd'),
    originalLen: 1514,
    direction: 'outbound',
    comment: 'drop: guard',
  });
  assert.deepEqual(
    packet,
    hex(`
      06000000 40000000
      00000000 00000000 00000000
      04000000 ea050000
      aabbccdd
      0200 0400 02000000                         // outbound
      0100 0b00 64726f703a206775617264 00        // comment
      0000 0000 40000000
    `),
  );
  const inbound = enhancedPacket({ interfaceId: 0, timestampNs: 0n, data: new Uint8Array(0), direction: 'inbound' });
  assert.equal(view(inbound).getUint32(32, true), 1);
});

test('every block is a multiple of 4 with its length at both ends', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.option(fc.string()), fc.string(), (data, comment, name) => {
      const packet = { interfaceId: 0, timestampNs: 1n, data, ...(comment === null ? {} : { comment }) };
      for (const block of [enhancedPacket(packet), interfaceDescription({ name }), sectionHeader(name)]) {
        assert.equal(block.length % 4, 0);
        assert.equal(view(block).getUint32(4, true), block.length);
        assert.equal(view(block).getUint32(block.length - 4, true), block.length);
      }
    }),
  );
});

test('a comment longer than an option holds is cut', () => {
  const comment = 'x'.repeat(70_000);
  const block = enhancedPacket({ interfaceId: 0, timestampNs: 0n, data: new Uint8Array(0), comment });
  assert.equal(view(block).getUint16(30, true), 65535);
});
