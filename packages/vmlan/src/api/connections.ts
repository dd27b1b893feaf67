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

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly stalledAfterMs: number;
  readonly maxUnreadBytes: number;
}

const CONNECTION_LIMITS: ConnectionLimits = {
  maxConnections: MAX_CONNECTIONS,
  stalledAfterMs: STALLED_AFTER_MS,
  maxUnreadBytes: MAX_UNREAD_BYTES,
};

interface State {
  unanswered: number;
  /** Bytes taken at the last sweep, and when that number changed last. */
  taken: number;
  movedMs: number;
}

export class Connections implements Disposable {
  /** In the order in which they became idle or busy last. */
  readonly #open = new Map<Socket, State>();
  readonly #limits: ConnectionLimits;
  #sweeper: NodeJS.Timeout | null = null;

  constructor(limits: Partial<ConnectionLimits> = {}) {
    this.#limits = { ...CONNECTION_LIMITS, ...limits };
  }

  get size(): number {
    return this.#open.size;
  }

  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#onConnection(socket));
  }

  #onConnection(socket: Socket): void {
    if (this.#open.size >= this.#limits.maxConnections && !this.#makeRoom()) return void socket.destroy();
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

  /** False: its connection has been cut off, and it is not to be acted upon. */
  admit(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request;
    const state = this.#open.get(socket);
    if (state === undefined) return false;
    if (++state.unanswered > MAX_UNANSWERED) {
      this.#cut(socket);
      return false;
    }
    this.#toTheEnd(socket, state);
    response.once('close', () => {
      state.unanswered--;
      if (this.#open.has(socket)) this.#toTheEnd(socket, state);
    });
    return true;
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
      else if (nowMs - state.movedMs >= this.#limits.stalledAfterMs) this.#cut(socket);
      unread += socket.destroyed ? 0 : socket.writableLength;
    }
    if (unread > this.#limits.maxUnreadBytes) this.#cutSlowest(unread);
    if (this.#open.size === 0) this[Symbol.dispose]();
  }

  #cutSlowest(unread: number): void {
    let rest = unread;
    const byUnread = [...this.#open.keys()].sort((a, b) => b.writableLength - a.writableLength);
    for (const socket of byUnread) {
      if (rest <= this.#limits.maxUnreadBytes) return;
      rest -= socket.writableLength;
      this.#cut(socket);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeper ?? undefined);
    this.#sweeper = null;
  }
}
