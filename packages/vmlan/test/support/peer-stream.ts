/**
 * A byte stream of any length that both ends of a test know: noise, with the position in front of every block, so that
 * a lost, repeated or moved block changes the SHA-256. Streams of other marks differ in every block: bytes that went to
 * the wrong connection are seen.
 *
 * Zone: control.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

export const BLOCK_BYTES = 64 * 1024;

export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

const NOISE = ((): Buffer => {
  const words = new Uint32Array(BLOCK_BYTES / 4);
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state >>> 0;
  }
  return Buffer.from(words.buffer);
})();

export function* blocks(bytes: number, mark = 0): Generator<Buffer> {
  for (let position = 0; position < bytes; position += BLOCK_BYTES) {
    const block = Buffer.from(NOISE);
    block.writeUInt32BE(mark, 0);
    block.writeDoubleBE(position, 4);
    yield block.subarray(0, Math.min(BLOCK_BYTES, bytes - position));
  }
}

export function knownStream(bytes: number): Readable {
  return Readable.from(blocks(bytes), { objectMode: false, highWaterMark: BLOCK_BYTES * 4 });
}

export function knownDigest(bytes: number): Digest {
  const hash = createHash('sha256');
  for (const block of blocks(bytes)) hash.update(block);
  return { bytes, sha256: hash.digest('hex') };
}

export async function digestOf(stream: AsyncIterable<Uint8Array>): Promise<Digest> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
