/**
 * A pcapng stream block by block, as far as a client has to know it: where a file may be cut, and what was counted.
 *
 * Zone: control.  IETF draft-ietf-opsawg-pcapng: each block has its type and its length first.
 */
import { VmlanError } from './errors.ts';

const BLOCK_HEAD = 8;
const BLOCK_MIN = 12;
/** The daemon writes none of this size. */
const MAX_BLOCK_BYTES = 8 << 20;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
const OPTIONS_AT = 20; // of interface statistics
const OPTION_OSDROP = 7;

/** Takes bytes as they come, gives whole blocks. */
export class BlockSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): Buffer[] {
    const bytes = Buffer.concat([this.#rest, chunk]);
    const blocks: Buffer[] = [];
    let at = 0;
    while (bytes.length - at >= BLOCK_HEAD) {
      const len = bytes.readUInt32LE(at + 4);
      if (len < BLOCK_MIN || len > MAX_BLOCK_BYTES) throw new VmlanError('internal', 'the daemon sent no capture file');
      if (bytes.length - at < len) break;
      blocks.push(bytes.subarray(at, at + len));
      at += len;
    }
    this.#rest = bytes.subarray(at);
    return blocks;
  }
}

export const isPacket = (block: Buffer): boolean => block.readUInt32LE(0) === ENHANCED_PACKET;

export const isStatistics = (block: Buffer): boolean => block.readUInt32LE(0) === INTERFACE_STATISTICS;

/** Frames of the interface that are missing, as its statistics say. */
export function lostOf(statistics: Buffer): number {
  for (let at = OPTIONS_AT; at + 4 <= statistics.length - 4;) {
    const code = statistics.readUInt16LE(at);
    const len = statistics.readUInt16LE(at + 2);
    if (code === OPTION_OSDROP && len === 8) return Number(statistics.readBigUInt64LE(at + 4));
    if (code === 0) return 0;
    at += 4 + ((len + 3) & ~3);
  }
  return 0;
}
