import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import * as pcapng from '../wire/pcapng.ts';
import { mergeCaptures } from './capture-merge.ts';

const packet = (interfaceId: number, byte: number): Uint8Array =>
  pcapng.enhancedPacket({ interfaceId, timestampUs: 0, data: Uint8Array.of(byte) });
const card = (name: string): Uint8Array => pcapng.interfaceDescription({ name });
const totals = (interfaceId: number): Uint8Array =>
  pcapng.interfaceStatistics({ interfaceId, startUs: 0, endUs: 0, received: 0, accepted: 0, lost: 0, delivered: 0 });
const file = (...blocks: readonly Uint8Array[]): Buffer =>
  Buffer.concat([pcapng.sectionHeader({ application: 'a' }), ...blocks]);

/** Type and interface of each block. */
function blocksOf(bytes: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) {
    const type = bytes.readUInt32LE(at);
    const hasInterface = type === pcapng.ENHANCED_PACKET || type === pcapng.INTERFACE_STATISTICS;
    found.push(hasInterface ? `${type} ${bytes.readUInt32LE(at + 8)}` : `${type}`);
  }
  return found;
}

describe('captures of several networks', () => {
  test('become one file, with cards numbered anew', async () => {
    const first = new PassThrough();
    const second = new PassThrough();
    const merged = buffer(mergeCaptures([first, second], 'pcapng'));
    first.write(file(card('web/0'), packet(0, 1)));
    await new Promise((resolve) => setImmediate(resolve));
    second.write(file(card('web/1'), packet(0, 2)));
    await new Promise((resolve) => setImmediate(resolve));
    first.end(Buffer.concat([card('web/2'), packet(1, 3), totals(0), totals(1)]));
    await new Promise((resolve) => setImmediate(resolve));
    second.end(totals(0));
    assert.deepEqual(blocksOf(await merged), [
      ...[`${pcapng.SECTION_HEADER}`, '1', '6 0', '1', '6 1'],
      ...['1', '6 2', '5 0', '5 2', '5 1'],
    ]);
  });

  test('whose blocks come in pieces', async () => {
    const bytes = file(card('web/0'), packet(0, 1), totals(0));
    const pieces = Array.from({ length: bytes.length }, (_, i) => bytes.subarray(i, i + 1));
    const merged = await buffer(mergeCaptures([Readable.from(pieces)], 'pcapng'));
    assert.deepEqual(blocksOf(merged), [`${pcapng.SECTION_HEADER}`, '1', '6 0', '5 0']);
  });

  test('lose what is of no card, and nothing else', async () => {
    const bytes = file(card('web/0'), packet(0, 1), packet(7, 2), packet(0, 3), totals(0), totals(1));
    const merged = await buffer(mergeCaptures([Readable.from([bytes])], 'pcapng'));
    assert.deepEqual(blocksOf(merged), [`${pcapng.SECTION_HEADER}`, '1', '6 0', '6 0', '5 0']);
  });

  test('as lines pass line by line', async () => {
    const merged = await text(mergeCaptures([Readable.from([Buffer.from('{"a":'), Buffer.from('1}\n')])], 'lines'));
    assert.equal(merged, '{"a":1}\n');
  });

  test('one that fails leaves the others, and the end of the whole ends all', async () => {
    const first = new PassThrough();
    const second = new PassThrough();
    const merged = mergeCaptures([first, second], 'lines');
    first.destroy(new Error('gone'));
    second.write('{}\n');
    assert.equal(String((await merged[Symbol.asyncIterator]().next()).value), '{}\n');
    merged.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(second.destroyed, true);
  });
});
