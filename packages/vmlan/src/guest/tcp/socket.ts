/**
 * A TCP connection as a program of a guest has it: bytes by `for await`, by web streams, or by `read` and `write`.
 *
 * Zone: control.
 */
import { GuestError } from '../errors.ts';
import type { Connection, TcpState } from './connection.ts';

export interface TcpEnds {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/**
 * One end of a TCP connection.
 *
 *     const socket = await web.tcp.connect('db', 5432);
 *     await socket.write('hello');
 *     for await (const bytes of socket) …
 */
export class TcpSocket implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Resolves when the connection is over: null, or why it broke. */
  readonly closed: Promise<GuestError | null>;
  readonly #connection: Connection;
  #closedError: GuestError | null | undefined = undefined;
  #settle: (error: GuestError | null) => void;
  #watchers: (() => void)[] = [];
  #readable: ReadableStream<Uint8Array> | null = null;
  #writable: WritableStream<Uint8Array> | null = null;
  /** Writes follow each other, whoever waits for them. */
  #writes: Promise<void> = Promise.resolve();

  /** @internal */
  constructor(connection: Connection, ends: TcpEnds) {
    this.#connection = connection;
    this.localAddress = ends.localAddress;
    this.localPort = ends.localPort;
    this.remoteAddress = ends.remoteAddress;
    this.remotePort = ends.remotePort;
    const { promise, resolve } = Promise.withResolvers<GuestError | null>();
    this.closed = promise;
    this.#settle = resolve;
  }

  /** As RFC 9293 names it, in lower case. */
  get state(): TcpState {
    return this.#connection.state;
  }

  /** The next bytes; null when the other side has ended.  Rejects with ECONNRESET or ETIMEDOUT. */
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const bytes = this.#connection.read();
      if (bytes !== null) return bytes;
      if (this.#connection.ended) return null;
      if (this.#closedError !== undefined) {
        if (this.#closedError === null) return null;
        throw this.#closedError;
      }
      await this.#change();
    }
  }

  /** Resolves when all of it is on its way or in the send buffer.  Rejects with EPIPE when this end is closed. */
  write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    const written = this.#writes.then(() => this.#write(bytes));
    this.#writes = written.catch(() => undefined);
    return written;
  }

  /** No more is written: the other side reads to the end.  This side goes on reading. */
  async end(): Promise<void> {
    await this.#writes;
    this.#connection.end();
  }

  /** Ends both directions; what is written still goes out.  Resolves when the other side has it all, or is gone. */
  async close(): Promise<void> {
    await this.#writes;
    this.#connection.close();
    while (!this.#isOver) await this.#change();
  }

  /** Ends the connection at once, by RST. */
  abort(): void {
    this.#connection.abort();
  }

  /** All bytes up to the end, as text. */
  async text(): Promise<string> {
    const decoder = new TextDecoder();
    let text = '';
    for await (const bytes of this) text += decoder.decode(bytes, { stream: true });
    return text + decoder.decode();
  }

  get readable(): ReadableStream<Uint8Array> {
    this.#readable ??= new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const bytes = await this.read();
          if (bytes === null) controller.close();
          else controller.enqueue(bytes);
        },
        cancel: () => this.#connection.close(),
      },
      { highWaterMark: 0 },
    );
    return this.#readable;
  }

  get writable(): WritableStream<Uint8Array> {
    this.#writable ??= new WritableStream<Uint8Array>({
      write: (bytes) => this.write(bytes),
      close: () => this.end(),
      abort: () => this.abort(),
    });
    return this.#writable;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (let bytes = await this.read(); bytes !== null; bytes = await this.read()) yield bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#connection.inbox.length > 0) this.abort();
    else await this.close();
  }

  /** @internal Resolves when both sides have agreed. */
  async opened(): Promise<void> {
    while (!this.#connection.isSynced) {
      if (this.#closedError !== undefined) break;
      await this.#change();
    }
    if (this.#closedError) throw this.#closedError;
  }

  /** @internal Something has changed. */
  onChange(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  /** @internal It is over. */
  onClosed(error: GuestError | null): void {
    this.#closedError = error;
    this.#settle(error);
    this.onChange();
  }

  get #isOver(): boolean {
    return this.#closedError !== undefined || this.state === 'time-wait' || this.state === 'fin-wait-2';
  }

  async #write(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      if (this.#closedError !== undefined) throw this.#closedError ?? this.#closedPipe();
      if (!['syn-sent', 'syn-received', 'established', 'close-wait'].includes(this.state)) throw this.#closedPipe();
      const taken = this.#connection.write(bytes.subarray(at));
      at += taken;
      if (taken === 0) await this.#change();
    }
  }

  #closedPipe(): GuestError {
    return new GuestError('EPIPE', `port ${this.localPort}: this end of the connection is closed`);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }
}
