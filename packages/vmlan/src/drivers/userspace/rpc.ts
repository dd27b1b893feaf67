/**
 * JSON-RPC 2.0 (jsonrpc.org/specification), one message a line, over a unix socket: daemon and network process.
 *
 * Zone: control.  Both ends may ask and notify.  A line that is too long, or no JSON, ends the connection; so does a
 * peer that does not read what it is sent.
 */
import type { Socket } from 'node:net';
import { VmlanError, fromErrorData, toErrorData } from '../../core/errors.ts';
import type { ErrorData } from '../../core/errors.ts';

/** A snapshot of a full /16 of leases is about half of it. */
export const MAX_LINE_BYTES = 67_108_864;
/** Bytes that may wait for the peer to read them. */
export const MAX_UNSENT_BYTES = 134_217_728;
/** Requests of ours that may wait for an answer. */
export const MAX_OPEN_REQUESTS = 4096;
export const DEFAULT_TIMEOUT_MS = 15_000;
/** JSON-RPC leaves -32000 to -32099 to the application; ours carries its own code in `data`. */
const APPLICATION_ERROR = -32_000;
const NEWLINE = 0x0a;
/** A timer that comes so late tells of this process, which was halted or starved, and not of the peer. */
const LATE_MS = 1000;

/** The peer is there, and says nothing. */
export class NoAnswerError extends VmlanError {
  constructor(method: string, timeoutMs: number) {
    super('timeout', `the network process did not answer "${method}" within ${timeoutMs} ms`);
  }
}

export interface RpcHandlers {
  readonly onRequest?: (method: string, params: unknown) => Promise<unknown>;
  readonly onNotification?: (method: string, params: unknown) => void;
  readonly onClose?: () => void;
}

interface Message {
  readonly jsonrpc?: string;
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: ErrorData };
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

export class RpcPeer {
  readonly #socket: Socket;
  readonly #handlers: RpcHandlers;
  readonly #waiting = new Map<number, Waiting>();
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #lastId = 0;
  #isClosed = false;

  constructor(socket: Socket, handlers: RpcHandlers = {}) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#onClose());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  request(method: string, params: unknown = {}, timeoutMs: number = DEFAULT_TIMEOUT_MS): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(connectionLost());
    if (this.#waiting.size >= MAX_OPEN_REQUESTS) {
      return Promise.reject(new VmlanError('exhausted', 'too many requests wait for the network process'));
    }
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = this.#expire(id, timeoutMs, () => reject(new NoAnswerError(method, timeoutMs)));
      this.#waiting.set(id, { resolve, reject, timer });
      this.#send({ id, method, params });
    });
  }

  /** Who was halted beyond the time finds the answer lying there, once it has looked: so it looks before it gives up. */
  #expire(id: number, timeoutMs: number, giveUp: () => void): NodeJS.Timeout {
    const dueMs = performance.now() + timeoutMs;
    return setTimeout(() => {
      const waiting = this.#waiting.get(id)!;
      if (performance.now() - dueMs > LATE_MS) {
        waiting.timer = this.#expire(id, Math.min(timeoutMs, LATE_MS), giveUp);
        return;
      }
      this.#waiting.delete(id);
      giveUp();
    }, timeoutMs);
  }

  notify(method: string, params: unknown): void {
    if (!this.#isClosed) this.#send({ method, params });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Resolves when all that was written is with the peer, or the peer is gone. */
  async end(): Promise<void> {
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.end();
    });
  }

  #send(message: Message): void {
    this.#socket.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...this.#parts, chunk.subarray(start, end)]);
      this.#parts = [];
      this.#partsBytes = 0;
      start = end + 1;
      this.#onLine(line.toString('utf8'));
    }
    if (start === chunk.length) return;
    this.#parts.push(chunk.subarray(start));
    this.#partsBytes += chunk.length - start;
    if (this.#partsBytes > MAX_LINE_BYTES) this.#socket.destroy();
  }

  #onLine(line: string): void {
    const message = parseMessage(line);
    if (message === null) {
      this.#socket.destroy();
    } else if (message.method === undefined) {
      this.#onAnswer(message);
    } else if (message.id === undefined) {
      this.#handlers.onNotification?.(message.method, message.params);
    } else {
      void this.#answer(message.id, message.method, message.params);
    }
  }

  async #answer(id: number, method: string, params: unknown): Promise<void> {
    try {
      const { onRequest } = this.#handlers;
      if (onRequest === undefined) throw new VmlanError('unsupported', `nobody answers "${method}" here`);
      const result = await onRequest(method, params);
      if (!this.#isClosed) this.#send({ id, result: result ?? null });
    } catch (error) {
      const data = toErrorData(error);
      if (!this.#isClosed) this.#send({ id, error: { code: APPLICATION_ERROR, message: data.message, data } });
    }
  }

  #onAnswer({ id, result, error }: Message): void {
    const waiting = this.#waiting.get(id ?? -1);
    if (waiting === undefined) return; // it had timed out
    this.#waiting.delete(id!);
    clearTimeout(waiting.timer);
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(fromErrorData(error.data ?? { code: 'internal', message: error.message }));
  }

  #onClose(): void {
    this.#isClosed = true;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(connectionLost());
    }
    this.#waiting.clear();
    this.#handlers.onClose?.();
  }
}

const connectionLost = (): VmlanError => new VmlanError('unavailable', 'the connection to the network process is lost');

function parseMessage(line: string): Message | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
