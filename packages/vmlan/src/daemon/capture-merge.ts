/**
 * Captures of several networks as one: the cards are numbered anew, in the order in which they turn up.
 *
 * Zone: control.  pcapng (IETF draft-ietf-opsawg-pcapng) is a row of blocks, each with its type and length first; blocks
 * pass whole, from whichever stream has one.  One section header is enough.  Lines pass line by line.
 */
import { PassThrough, type Readable } from 'node:stream';
import type { CaptureFormat } from '../model/api.ts';
import { ENHANCED_PACKET, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, SECTION_HEADER } from '../wire/pcapng.ts';

const BLOCK_HEAD = 8; // type and length
const NEWLINE = 0x0a;

/** Ends when all have ended; destroying it destroys them. */
export function mergeCaptures(streams: readonly Readable[], format: CaptureFormat): Readable {
  const merged = new PassThrough();
  const cards = { next: 0, hasHeader: false };
  let open = streams.length;
  for (const stream of streams) {
    const part = format === 'pcapng' ? pcapngPart(cards) : linesPart;
    void pump(stream, merged, part).then(() => {
      if (--open === 0) merged.end();
    });
  }
  merged.once('close', () => streams.forEach((stream) => stream.destroy()));
  return merged;
}

/** How many bytes at the beginning are whole blocks or lines, and what becomes of them. */
type Part = (bytes: Buffer) => { readonly used: number; readonly out: readonly Buffer[] };

async function pump(from: Readable, to: PassThrough, part: Part): Promise<void> {
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const bytes = Buffer.concat([rest, chunk]);
      const { used, out } = part(bytes);
      rest = bytes.subarray(used);
      if (to.destroyed) return;
      if (out.length > 0 && !to.write(Buffer.concat(out))) await drained(to);
    }
  } catch {
    // its network has ended
  }
}

function drained(to: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    to.once('drain', resolve);
    to.once('close', resolve);
  });
}

function linesPart(bytes: Buffer): ReturnType<Part> {
  const used = bytes.lastIndexOf(NEWLINE) + 1;
  return { used, out: used === 0 ? [] : [bytes.subarray(0, used)] };
}

function pcapngPart(cards: { next: number; hasHeader: boolean }): Part {
  const numbers: number[] = []; // of this stream, by its own
  return (bytes) => {
    const out: Buffer[] = [];
    let used = 0;
    while (bytes.length - used >= BLOCK_HEAD) {
      const len = bytes.readUInt32LE(used + 4);
      if (bytes.length - used < len) break;
      const block = bytes.subarray(used, used + len);
      used += len;
      const type = block.readUInt32LE(0);
      if (type === SECTION_HEADER) {
        if (cards.hasHeader) continue;
        cards.hasHeader = true;
      } else if (type === INTERFACE_DESCRIPTION) {
        numbers.push(cards.next++);
      } else if (type === ENHANCED_PACKET || type === INTERFACE_STATISTICS) {
        const number = numbers[block.readUInt32LE(BLOCK_HEAD)];
        if (number === undefined) continue; // of a card that nobody described: no reader takes a file with it
        block.writeUInt32LE(number, BLOCK_HEAD);
      }
      out.push(block);
    }
    return { used, out };
  };
}
