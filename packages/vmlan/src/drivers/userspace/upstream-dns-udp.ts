/**
 * UDP to one name server: a few connected sockets, so that thousands of queries a second need not open one each.
 *
 * Zone: control.  A forger off the path must guess a random ID and one of several ports that the kernel chose at random and
 * that change after USES_PER_SOCKET queries and after every pause (RFC 5452 §9).  A connected socket hears its server alone,
 * and of a port that nobody listens at (ICMP) at once.
 */
import { randomFillSync } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { ID, readUint16 } from '../../wire/dns.ts';
import { isReplyTo, withId } from './upstream-dns-match.ts';

/** Called at most once, with the reply under the query's own ID, or null if the server cannot be reached. */
export type OnReply = (reply: Uint8Array | null) => void;

interface Outstanding {
  /** As sent. */
  readonly query: Uint8Array;
  readonly originalId: number;
  readonly onReply: OnReply;
}

const SOCKETS = 8;
const USES_PER_SOCKET = 64;
/** Sockets with a straggler or two that wait to be closed; beyond this the others live on. */
const MAX_RETIRED = 32;
const IDLE_MS = 5000;

const $ids = new Uint16Array(1024);
let $idsLeft = 0;

/** Unpredictable (RFC 5452 §9.2), and cheap. */
export function randomId(): number {
  if ($idsLeft === 0) {
    randomFillSync($ids);
    $idsLeft = $ids.length;
  }
  return $ids[--$idsLeft]!;
}

class QuerySocket {
  readonly outstanding: Map<number, Outstanding> = new Map();
  uses = 0;
  readonly #socket: Socket;
  readonly #onDead: () => void;
  #waiting: Uint8Array[] | null = [];
  #closed = false;

  constructor(server: string, port: number, onDead: () => void) {
    this.#onDead = onDead;
    this.#socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
    this.#socket.unref(); // a query's own deadline keeps the process up
    this.#socket.on('message', (message) => this.#receive(message));
    this.#socket.on('error', () => this.fail());
    this.#socket.on('connect', () => this.#connected());
    this.#socket.connect(port, server);
  }

  send(query: Uint8Array, onReply: OnReply): number {
    let id = randomId();
    while (this.outstanding.has(id)) id = randomId();
    const sent = withId(query, id);
    this.outstanding.set(id, { query: sent, originalId: readUint16(query, ID), onReply });
    this.uses++;
    if (this.#waiting === null) this.#socket.send(sent);
    else this.#waiting.push(sent);
    return id;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  /** The server is unreachable: everyone who waits hears so. */
  fail(): void {
    this.close();
    const waiting = [...this.outstanding.values()];
    this.outstanding.clear();
    this.#onDead();
    for (const { onReply } of waiting) onReply(null);
  }

  #connected(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    if (!this.#closed) for (const query of waiting) this.#socket.send(query);
  }

  #receive(message: Uint8Array): void {
    const found = message.length < 2 ? undefined : this.outstanding.get(readUint16(message, ID));
    if (found === undefined || !isReplyTo(message, found.query)) return; // late, or forged
    this.outstanding.delete(readUint16(message, ID));
    found.onReply(withId(message, found.originalId));
  }
}

export class UdpServer {
  readonly #server: string;
  readonly #port: number;
  readonly #active: QuerySocket[] = [];
  readonly #retired: Set<QuerySocket> = new Set();
  #turn = 0;
  #idle: NodeJS.Timeout | null = null;
  #usedSinceCheck = false;

  constructor(server: string, port: number) {
    this.#server = server;
    this.#port = port;
  }

  /** Sends a query; the function returned forgets it. */
  ask(query: Uint8Array, onReply: OnReply): () => void {
    this.#watchIdle();
    const socket = this.#nextSocket();
    const id = socket.send(query, (reply) => {
      onReply(reply);
      this.#closeIfDone(socket);
    });
    return () => {
      socket.outstanding.delete(id);
      this.#closeIfDone(socket);
    };
  }

  close(): void {
    if (this.#idle !== null) clearInterval(this.#idle);
    this.#idle = null;
    for (const socket of [...this.#active, ...this.#retired]) socket.fail();
  }

  #nextSocket(): QuerySocket {
    const slot = this.#turn++ % SOCKETS;
    const current = this.#active[slot];
    if (current !== undefined && (current.uses < USES_PER_SOCKET || this.#retired.size >= MAX_RETIRED)) return current;
    const fresh: QuerySocket = new QuerySocket(this.#server, this.#port, () => this.#forget(fresh));
    if (current !== undefined) this.#retire(current);
    // The slots fill one after the other, and one that is given up leaves no gap.
    this.#active[Math.min(slot, this.#active.length)] = fresh;
    return fresh;
  }

  #retire(socket: QuerySocket): void {
    this.#retired.add(socket);
    this.#closeIfDone(socket);
  }

  #closeIfDone(socket: QuerySocket): void {
    if (this.#retired.has(socket) && socket.outstanding.size === 0) {
      socket.close();
      this.#retired.delete(socket);
    }
  }

  #forget(socket: QuerySocket): void {
    this.#retired.delete(socket);
    const at = this.#active.indexOf(socket);
    if (at >= 0) this.#active.splice(at, 1);
  }

  /** After a pause the sockets go, and the next burst comes from other ports. */
  #watchIdle(): void {
    this.#usedSinceCheck = true;
    this.#idle ??= setInterval(() => {
      const isIdle = !this.#usedSinceCheck && this.#active.every(({ outstanding }) => outstanding.size === 0);
      this.#usedSinceCheck = false;
      if (isIdle) this.close();
    }, IDLE_MS).unref();
  }
}
