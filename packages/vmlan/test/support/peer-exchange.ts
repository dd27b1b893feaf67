/**
 * One TCP conversation in which both ends speak, with every order of speaking and of ending one's half that matters. Each
 * side hashes what it says and what it hears; who started both compares.
 *
 *   together   both speak at once, and each ends when it is done
 *   banner     likewise, but the server keeps its half open, and says the second half of its part after the client's end
 *   answer     the client speaks and ends; only then does the server speak
 *   farewell   the server speaks and ends; only then does the client speak
 *
 * Zone: control.
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BLOCK_BYTES, blocks, type Digest } from './peer-stream.ts';

export const SHAPES = ['together', 'banner', 'answer', 'farewell'] as const;
export type Shape = (typeof SHAPES)[number];

export interface Exchange {
  readonly shape: Shape;
  /** Bytes that the server says, and the client. */
  readonly down: number;
  readonly up: number;
  /** Names the exchange, and makes its bytes differ from those of others; uint31. */
  readonly mark: number;
}

export interface Side {
  readonly mark: number;
  readonly said: Digest;
  readonly heard: Digest;
  /** null when all went well. */
  readonly errno: string | null;
}

const NOTHING: Digest = { bytes: 0, sha256: '' };
const SERVER_MARK = 0x8000_0000; // the two directions differ as well

class Hashed {
  readonly #hash = createHash('sha256');
  #bytes = 0;

  add(part: Uint8Array): void {
    this.#hash.update(part);
    this.#bytes += part.length;
  }

  get digest(): Digest {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') };
  }
}

/** Everything until the other side has ended its half. */
function hear(socket: Socket): Promise<Digest> {
  const heard = new Hashed();
  return new Promise((resolve, reject) => {
    socket.on('data', (part: Buffer) => heard.add(part));
    socket.on('end', () => resolve(heard.digest));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${heard.digest.bytes} bytes`)));
  });
}

/** Blocks `from` to `to` of what this side has to say; the last part ends its half. */
async function say(socket: Socket, parts: Iterable<Buffer>, said: Hashed, end: boolean): Promise<void> {
  const counted = function* (): Generator<Buffer> {
    for (const part of parts) {
      said.add(part);
      yield part;
    }
  };
  await pipeline(Readable.from(counted(), { objectMode: false, highWaterMark: 4 * BLOCK_BYTES }), socket, { end });
}

function* someOf(parts: Iterator<Buffer>, count: number): Generator<Buffer> {
  for (let i = 0; i < count; i++) {
    const { value, done } = parts.next();
    if (done === true) return;
    yield value;
  }
}

export function failedSide({ mark }: Exchange, errno: string): Side {
  return { mark, said: NOTHING, heard: NOTHING, errno };
}

async function sideOf(exchange: Exchange, said: Hashed, both: Promise<[Digest, void]>): Promise<Side> {
  try {
    const [heard] = await both;
    return { mark: exchange.mark, said: said.digest, heard, errno: null };
  } catch (error) {
    return failedSide(exchange, (error as NodeJS.ErrnoException).code ?? String(error));
  }
}

export function serverSide(socket: Socket, exchange: Exchange): Promise<Side> {
  const { shape, down, mark } = exchange;
  const said = new Hashed();
  const heard = hear(socket);
  const parts = blocks(down, mark + SERVER_MARK);
  const speak = async (): Promise<void> => {
    if (shape === 'banner') {
      await say(socket, someOf(parts, Math.ceil(down / BLOCK_BYTES / 2)), said, false);
    }
    if (shape === 'banner' || shape === 'answer') await heard;
    await say(socket, parts, said, true);
  };
  return sideOf(exchange, said, Promise.all([heard, speak()]));
}

export function clientSide(socket: Socket, exchange: Exchange): Promise<Side> {
  const said = new Hashed();
  const heard = hear(socket);
  const speak = async (): Promise<void> => {
    if (exchange.shape === 'farewell') await heard;
    await say(socket, blocks(exchange.up, exchange.mark), said, true);
  };
  return sideOf(exchange, said, Promise.all([heard, speak()]));
}
