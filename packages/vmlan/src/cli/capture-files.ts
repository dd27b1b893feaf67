/**
 * Where a capture goes: one file, standard output, or a ring of files of which the oldest is written over.
 *
 * Zone: control.  A file is cut between blocks, and each begins with what makes it a capture by itself.  Files are
 * private to their owner: they hold what guests say to each other.
 */
import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { dirname, extname, join, basename } from 'node:path';
import type { Writable } from 'node:stream';
import { isPacket, isStatistics } from '../client/capture-blocks.ts';
import { fileError } from './file-error.ts';

const FILE_MODE = 0o600;
/** What is not a packet stands at the beginning of each file; names of guests come and go. */
const MAX_HEAD_BYTES = 4 << 20;

export interface FileRing {
  readonly files: number;
  /** Bytes of one file. */
  readonly size: number;
}

export interface CaptureSink {
  /** Waits until there is room for more. */
  write(block: Buffer): Promise<void>;
  close(): Promise<void>;
}

export class StreamSink implements CaptureSink {
  readonly #stream: Writable;
  #failure: NodeJS.ErrnoException | null = null;
  #wake: () => void = () => undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => this.#onError(error));
    stream.on('drain', () => this.#wake());
  }

  async write(block: Buffer): Promise<void> {
    if (!this.#stream.write(block)) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#failure !== null) throw this.#failure;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#stream.write('', () => resolve()));
    if (this.#failure !== null) throw this.#failure;
  }

  #onError(error: NodeJS.ErrnoException): void {
    this.#failure = error;
    this.#wake();
  }
}

/** A file that is made anew. */
class FileSink implements CaptureSink {
  readonly #file: WriteStream;
  readonly #sink: StreamSink;

  private constructor(file: WriteStream) {
    this.#file = file;
    this.#sink = new StreamSink(file);
  }

  static async open(path: string): Promise<FileSink> {
    const file = createWriteStream(path, { mode: FILE_MODE });
    await new Promise<void>((resolve, reject) => {
      file.once('open', () => resolve());
      file.once('error', (cause: NodeJS.ErrnoException) => reject(fileError(path, 'written', cause)));
    });
    return new FileSink(file);
  }

  write(block: Buffer): Promise<void> {
    return this.#sink.write(block);
  }

  async close(): Promise<void> {
    await this.#sink.close();
    await new Promise<void>((resolve) => this.#file.end(() => resolve()));
  }
}

/** `web.pcapng` becomes `web.1.pcapng`, `web.2.pcapng`, …, and then the first one again. */
class RingSink implements CaptureSink {
  readonly #path: string;
  readonly #ring: FileRing;
  readonly #head: Buffer[] = [];
  #headBytes = 0;
  #file: FileSink | null = null;
  #bytes = 0;
  #number = 0;

  constructor(path: string, ring: FileRing) {
    this.#path = path;
    this.#ring = ring;
  }

  async write(block: Buffer): Promise<void> {
    if (this.#file === null || (this.#bytes + block.length > this.#ring.size && isPacket(block))) await this.#next();
    if (!isPacket(block) && !isStatistics(block) && this.#headBytes + block.length <= MAX_HEAD_BYTES) {
      this.#head.push(Buffer.from(block));
      this.#headBytes += block.length;
    }
    await this.#file!.write(block);
    this.#bytes += block.length;
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #next(): Promise<void> {
    await this.#file?.close();
    this.#number = (this.#number % this.#ring.files) + 1;
    this.#file = await FileSink.open(numbered(this.#path, this.#number));
    this.#bytes = this.#headBytes;
    for (const block of this.#head) await this.#file.write(block);
  }
}

function numbered(path: string, number: number): string {
  const suffix = extname(path);
  return join(dirname(path), `${basename(path, suffix)}.${number}${suffix}`);
}

export async function openSink(path: string, stdout: Writable, ring: FileRing | undefined): Promise<CaptureSink> {
  if (path === '-') return new StreamSink(stdout);
  return ring === undefined ? FileSink.open(path) : new RingSink(path, ring);
}
