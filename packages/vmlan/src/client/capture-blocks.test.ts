import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockSplitter, isPacket, isStatistics, lostOf } from './capture-blocks.ts';

/** A block of this type with a body of whole words. */
function block(type: number, ...words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(12 + 4 * words.length);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(bytes.length, 4);
  words.forEach((word, i) => bytes.writeUInt32LE(word, 8 + 4 * i));
  bytes.writeUInt32LE(bytes.length, bytes.length - 4);
  return bytes;
}

const option = (code: number, len: number): number => (len << 16) | code;
/** Interface, time, received 9, lost 3, end. */
const STATISTICS = block(5, 0, 0, 0, option(4, 8), 9, 0, option(7, 8), 3, 0, option(0, 0));

test('blocks are whole, however they come', () => {
  const bytes = Buffer.concat([block(1, 7), block(6, 1, 2, 3), STATISTICS]);
  for (const size of [1, 5, bytes.length]) {
    const splitter = new BlockSplitter();
    const blocks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) blocks.push(...splitter.push(bytes.subarray(at, at + size)));
    assert.deepEqual(Buffer.concat(blocks), bytes);
    assert.deepEqual(blocks.map(isPacket), [false, true, false]);
    assert.deepEqual(blocks.map(isStatistics), [false, false, true]);
  }
});

test('what was lost stands in the statistics', () => {
  assert.equal(lostOf(STATISTICS), 3);
  assert.equal(lostOf(block(5, 0, 0, 0, option(4, 8), 9, 0, option(0, 0))), 0);
  assert.equal(lostOf(block(5, 0, 0, 0)), 0);
});

test('what is no capture is refused', () => {
  assert.throws(() => new BlockSplitter().push(Buffer.alloc(12)), /no capture file/);
  assert.throws(() => new BlockSplitter().push(Buffer.alloc(12, 0xff)), /no capture file/);
});
