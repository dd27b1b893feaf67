import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { hex, view } from './frames.fixture.ts';
import {
  enhancedPacket,
  interfaceDescription,
  interfaceStatistics,
  LINKTYPE_ETHERNET,
  nameResolution,
  sectionHeader,
} from './pcapng.ts';

test('section header', () => {
  assert.deepEqual(
    sectionHeader({ application: 'vmlan' }),
    hex(`
      0a0d0d0a 2c000000            // type, 44 bytes
      4d3c2b1a 0100 0000           // little endian, version 1.0
      ffffffffffffffff             // section length unknown
      0400 0500 766d6c616e 000000  // application "vmlan"
      0000 0000 2c000000           // end of options, length
    `),
  );
  assert.deepEqual(
    sectionHeader({ application: 'a', hardware: 'x64', os: 'Linux' }),
    hex(`
      0a0d0d0a 3c000000
      4d3c2b1a 0100 0000 ffffffffffffffff
      0200 0300 783634 00          // hardware "x64"
      0300 0500 4c696e7578 000000  // operating system "Linux"
      0400 0100 61 000000
      0000 0000 3c000000
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
      0900 0100 06 000000          // microseconds
      0000 0000 28000000
    `),
  );
  assert.deepEqual(
    interfaceDescription({ name: 'w', description: 'web', mac: hex('525400000001'), filter: 'arp' }),
    hex(`
      01000000 44000000
      0100 0000 00000000
      0200 0100 77 000000
      0300 0300 776562 00          // description "web"
      0600 0600 525400000001 0000  // MAC
      0900 0100 06 000000
      0b00 0400 00 617270          // filter, as text: "arp"
      0000 0000 44000000
    `),
  );
  assert.equal(LINKTYPE_ETHERNET, 1);
});

test('packet without options', () => {
  assert.deepEqual(
    enhancedPacket({ interfaceId: 2, timestampUs: 0x0006_4567_89ab_cdef, data: hex('aabbccddee') }),
    hex(`
      06000000 28000000
      02000000 67450600 efcdab89   // interface, timestamp high and low
      05000000 05000000            // kept, on the wire
      aabbccddee 000000
      28000000
    `),
  );
});

test('packet with direction, comment, a cut and others lost before it', () => {
  const packet = enhancedPacket({
    interfaceId: 0,
    timestampUs: 0,
    data: hex('aabbccdd'),
    originalLen: 1514,
    direction: 'outbound',
    lost: 3,
    comment: 'drop: guard',
  });
  assert.deepEqual(
    packet,
    hex(`
      06000000 4c000000
      00000000 00000000 00000000
      04000000 ea050000
      aabbccdd
      0200 0400 02000000                         // outbound
      0400 0800 0300000000000000                 // lost
      0100 0b00 64726f703a206775617264 00        // comment
      0000 0000 4c000000
    `),
  );
  const inbound = enhancedPacket({ interfaceId: 0, timestampUs: 0, data: new Uint8Array(0), direction: 'inbound' });
  assert.equal(view(inbound).getUint32(32, true), 1);
});

test('interface statistics', () => {
  const counts = { received: 9, accepted: 7, lost: 2, delivered: 5 };
  assert.deepEqual(
    interfaceStatistics({ interfaceId: 1, startUs: 1, endUs: 0x1_0000_0002, ...counts }),
    hex(`
      05000000 64000000
      01000000 01000000 02000000   // interface, timestamp high and low
      0200 0800 0000000001000000   // start, high word first
      0300 0800 0100000002000000   // end
      0400 0800 0900000000000000   // came by
      0600 0800 0700000000000000   // taken by the filter
      0700 0800 0200000000000000   // lost
      0800 0800 0500000000000000   // delivered
      0000 0000 64000000
    `),
  );
});

test('name resolution', () => {
  assert.deepEqual(
    nameResolution([
      { address: hex('c0a86805'), name: 'web' },
      { address: hex('fd000001000200030000000000000005'), name: 'db' },
    ]),
    hex(`
      04000000 34000000
      0100 0800 c0a86805 77656200                                   // 192.168.104.5 "web"
      0200 1300 fd000001000200030000000000000005 646200 00          // "db"
      0000 0000 34000000
    `),
  );
});

test('every block is a multiple of 4 with its length at both ends', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.option(fc.string()), fc.string(), (data, comment, name) => {
      const packet = { interfaceId: 0, timestampUs: 1, data, ...(comment === null ? {} : { comment }) };
      const blocks = [
        enhancedPacket(packet),
        interfaceDescription({ name, description: name, filter: name }),
        sectionHeader({ application: name, os: name }),
        nameResolution([{ address: new Uint8Array(4), name }]),
      ];
      for (const block of blocks) {
        assert.equal(block.length % 4, 0);
        assert.equal(view(block).getUint32(4, true), block.length);
        assert.equal(view(block).getUint32(block.length - 4, true), block.length);
      }
    }),
  );
});

test('a comment longer than an option holds is cut', () => {
  const comment = 'x'.repeat(70_000);
  const block = enhancedPacket({ interfaceId: 0, timestampUs: 0, data: new Uint8Array(0), comment });
  assert.equal(view(block).getUint16(30, true), 65535);
});
