/**
 * The connections of a listener: as many as there may be, none stuck, none with a heap of unanswered requests.
 *
 * Zone: control.  When there are too many, the one that has been idle longest makes room; a client that neither reads its
 * answer nor goes away is cut off.  Node itself bounds how long headers and a request may take (http-server.ts).
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export const MAX_CONNECTIONS = 1024;
/** Requests of one connection that wait for their answers at a time (pipelining, RFC 9112 §9.3.2). */
export const MAX_UNANSWERED = 16;
/** An answer of which nothing was taken for this long is given up. */
export const STALLED_AFTER_MS = 30_000;
/** Bytes of answers that wait for their readers, over all connections; above it the slowest are cut off. */
export const MAX_UNREAD_BYTES = 67_108_864; // 64 MiB
const SWEEP_INTERVAL_MS = 1000;

interface State {
  unanswered: number;
  /** Bytes taken at the last sweep, and when that number changed last. */
  taken: number;
  movedMs: number;
}

export class Connections implements Disposable {
  /** In the order in which they became idle or busy last. */
  readonly #open = new Map<Socket, State>();
  readonly #most: number;
  #sweeper: NodeJS.Timeout | null = null;

  constructor(most: number = MAX_CONNECTIONS) {
    this.#most = most;
  }

  get size(): number {
    return this.#open.size;
  }

  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#onConnection(socket));
    server.prependListener('request', (request, response) => this.#onRequest(request, response));
  }

  #onConnection(socket: Socket): void {
    if (this.#open.size >= this.#most && !this.#makeRoom()) return void socket.destroy();
    this.#open.set(socket, { unanswered: 0, taken: 0, movedMs: Date.now() });
    socket.once('close', () => this.#open.delete(socket));
    this.#sweeper ??= setInterval(() => this.sweep(Date.now()), SWEEP_INTERVAL_MS).unref();
    return undefined;
  }

  #makeRoom(): boolean {
    for (const [socket, { unanswered }] of this.#open) {
      if (unanswered > 0) continue;
      this.#cut(socket);
      return true;
    }
    return false;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const state = this.#open.get(socket);
    if (state === undefined) return;
    if (++state.unanswered > MAX_UNANSWERED) return this.#cut(socket);
    this.#toTheEnd(socket, state);
    response.once('close', () => {
      state.unanswered--;
      if (this.#open.has(socket)) this.#toTheEnd(socket, state);
    });
  }

  #toTheEnd(socket: Socket, state: State): void {
    this.#open.delete(socket);
    this.#open.set(socket, state);
  }

  #cut(socket: Socket): void {
    this.#open.delete(socket);
    socket.destroy();
  }

  sweep(nowMs: number): void {
    let unread = 0;
    for (const [socket, state] of this.#open) {
      const taken = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength === 0 || taken !== state.taken) [state.taken, state.movedMs] = [taken, nowMs];
      else if (nowMs - state.movedMs >= STALLED_AFTER_MS) this.#cut(socket);
      unread += socket.destroyed ? 0 : socket.writableLength;
    }
    if (unread > MAX_UNREAD_BYTES) this.#cutSlowest(unread);
    if (this.#open.size === 0) this[Symbol.dispose]();
  }

  #cutSlowest(unread: number): void {
    let rest = unread;
    const byUnread = [...this.#open.keys()].sort((a, b) => b.writableLength - a.writableLength);
    for (const socket of byUnread) {
      if (rest <= MAX_UNREAD_BYTES) return;
      rest -= socket.writableLength;
      this.#cut(socket);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeper ?? undefined);
    this.#sweeper = null;
  }
}
