/**
 * The host's datagram sockets, in memory: a test sees what was opened and sent, and says what comes back.
 *
 * Zone: control.  Addresses are text.  Using a closed socket fails the test at once.
 */
import assert from 'node:assert/strict';
import type { Arena } from '../core/arena.ts';
import type { Flushable } from '../core/poller.ts';
import { MAPPED } from '../stack/path.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../wire/address.ts';
import {
  type DatagramListener,
  type DatagramSockets,
  MAX_PAYLOAD,
  MAX_RUN,
  type Received,
  type SocketError,
} from './datagrams.ts';

const EAGAIN = -11;
const EADDRINUSE = -98;
const FIRST_FD = 10;
const FIRST_PORT = 33_000;
const MESSAGES = 64;
const MESSAGE_ROOM = 65_536;

export type Words = readonly [number, number, number, number];

/** Mapped words of an address. */
export function words(text: string): Words {
  const v4 = parseIpv4(text);
  if (v4 !== null) return [0, 0, MAPPED, v4 | 0];
  const [w0, w1, w2, w3] = Int32Array.from(parseIpv6(text)!);
  return [w0!, w1!, w2!, w3!];
}

export function textOf(w0: number, w1: number, w2: number, w3: number): string {
  return (w0 | w1) === 0 && w2 === MAPPED ? formatIpv4(w3 >>> 0) : formatIpv6(Uint32Array.of(w0, w1, w2, w3));
}

export const latin1 = (bytes: Uint8Array): string => new TextDecoder('latin1').decode(bytes);
export const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** An ICMP error as a test says it: from whom, and which. */
export interface SaidError {
  readonly from?: string;
  readonly type: number;
  readonly code: number;
  readonly info?: number;
  /** What of the failed datagram comes back. */
  readonly payload?: Uint8Array;
}

export class ScriptedSocket {
  readonly kind: 'udp' | 'echo';
  readonly to: string;
  readonly localPort: number;
  /** What the guest sent, as Latin-1 text. */
  sent: string[] = [];
  /** Lengths, in datagrams, of the runs among them. */
  readonly runs: number[] = [];
  /** Above 0: what comes are runs of datagrams of this size. */
  gro = 0;
  /** Every hop limit that was set; -1 is the host's own. */
  readonly hops: number[] = [];
  readonly inbox: Uint8Array[] = [];
  /** A null stands for an error that came in no ICMP message. */
  readonly errors: (SaidError | null)[] = [];
  /** What the next calls answer instead of doing anything, `-errno`. */
  readonly failSend: number[] = [];
  readonly failRecv: number[] = [];
  listener: DatagramListener | null = null;
  closed = false;

  constructor(kind: 'udp' | 'echo', to: string, localPort: number) {
    this.kind = kind;
    this.to = to;
    this.localPort = localPort;
  }

  toString(): string {
    return `${this.kind} :${this.localPort} > ${this.to}`;
  }
}

/** The messages of one receive, filled one by one. */
export class ScriptedMessages implements Received {
  readonly off: Int32Array = new Int32Array(MESSAGES);
  readonly len: Int32Array = new Int32Array(MESSAGES);
  readonly segment: Int32Array = new Int32Array(MESSAGES);
  readonly #slab: number;

  constructor(arena: Arena) {
    this.#slab = arena.alloc(MESSAGES * MESSAGE_ROOM);
  }

  /** `recv` answers as recv does; its failure is told only when nothing came before it. */
  fill(to: number, max: number, segment: number, recv: (off: number) => number): number {
    for (let i = 0; i < max; i++) {
      this.off[i] = i === 0 ? to : this.#slab + i * MESSAGE_ROOM;
      const n = recv(this.off[i]!);
      if (n < 0) return i > 0 ? i : n;
      this.len[i] = n;
      this.segment[i] = segment;
    }
    return max;
  }
}

export class ScriptedSockets implements DatagramSockets {
  /** All that were ever opened, in order. */
  readonly all: ScriptedSocket[] = [];
  /** What the next opens answer instead, `-errno`. */
  readonly failOpen: number[] = [];
  /** Local ports that somebody else has. */
  readonly busyPorts: Set<number> = new Set();
  /** Calls of open, those that failed too. */
  opens = 0;
  /** Whether anybody can be told of events: epoll takes no more otherwise. */
  watchResult = 0;
  readonly received: ScriptedMessages;
  sendsRuns = true;
  readonly #u8: Uint8Array;
  readonly #payload: number;
  readonly #flushes: Flushable[] = [];
  readonly #now: () => number;

  constructor(arena: Arena, now: () => number) {
    this.#u8 = arena.u8;
    this.#payload = arena.alloc(2048);
    this.received = new ScriptedMessages(arena);
    this.#now = now;
  }

  // ---- what a test says

  /** The socket that was opened last. */
  get last(): ScriptedSocket {
    assert.ok(this.all.length > 0, 'no socket was opened');
    return this.all.at(-1)!;
  }

  /** Those that are open, as lines. */
  get open(): string[] {
    return this.all.filter(({ closed }) => !closed).map(String);
  }

  receives(data: string | Uint8Array, socket: ScriptedSocket = this.last): void {
    socket.inbox.push(typeof data === 'string' ? bytesOf(data) : data);
    socket.listener!.onReadable(this.#now());
  }

  fails(error: SaidError | null, socket: ScriptedSocket = this.last): void {
    socket.errors.push(error);
    socket.listener!.onError(this.#now());
  }

  // ---- DatagramSockets

  openUdp(w0: number, w1: number, w2: number, w3: number, port: number, localPort: number): number {
    const address = textOf(w0, w1, w2, w3);
    const to = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    return this.#open('udp', to, localPort);
  }

  openEcho(w0: number, w1: number, w2: number, w3: number): number {
    return this.#open('echo', textOf(w0, w1, w2, w3), 0);
  }

  localPort(fd: number): number {
    return this.#live(fd).localPort;
  }

  watch(fd: number, listener: DatagramListener): number {
    this.#live(fd).listener = listener;
    return this.watchResult < 0 ? this.watchResult : fd + 1000;
  }

  setHopLimit(fd: number, family: number, hops: number): void {
    const socket = this.#live(fd);
    assert.equal(family, socket.to.replace(/:\d+$/, '').includes(':') ? 6 : 4);
    socket.hops.push(hops);
  }

  send(fd: number, off: number, len: number): number {
    const socket = this.#live(fd);
    const failure = socket.failSend.shift();
    if (failure !== undefined) return failure;
    socket.sent.push(latin1(this.#u8.slice(off, off + len)));
    return len;
  }

  sendRun(fd: number, off: number, len: number, size: number): number {
    const socket = this.#live(fd);
    const failure = socket.failSend.shift();
    if (failure !== undefined) return failure;
    assert.ok(len > size && len <= MAX_PAYLOAD && len <= size * MAX_RUN, `a run of ${len} bytes, ${size} each`);
    for (let at = 0; at < len; at += size) {
      socket.sent.push(latin1(this.#u8.slice(off + at, off + Math.min(at + size, len))));
    }
    socket.runs.push(Math.ceil(len / size));
    return len;
  }

  receive(fd: number, to: number, max: number): number {
    const { gro } = this.#live(fd);
    return this.received.fill(to, max, gro, (off) => this.recv(fd, off, MAX_PAYLOAD));
  }

  flushLater(target: Flushable): void {
    this.#flushes.push(target);
  }

  /** The end of a wake-up. */
  flush(): void {
    for (const target of this.#flushes.splice(0)) target.flush(this.#now());
  }

  recv(fd: number, off: number, len: number): number {
    const socket = this.#live(fd);
    const failure = socket.failRecv.shift();
    if (failure !== undefined) return failure;
    const datagram = socket.inbox.shift();
    if (datagram === undefined) return EAGAIN;
    const n = Math.min(len, datagram.length);
    this.#u8.set(datagram.subarray(0, n), off);
    return n;
  }

  takeError(fd: number, error: SocketError): boolean {
    const said = this.#live(fd).errors.shift();
    if (said === undefined) return false;
    error.errno = 111;
    error.icmp = said !== null;
    error.type = said?.type ?? 0;
    error.code = said?.code ?? 0;
    error.info = said?.info ?? 0;
    error.offender.set(said?.from === undefined ? [0, 0, 0, 0] : words(said.from));
    const payload = said?.payload ?? new Uint8Array(0);
    this.#u8.set(payload, this.#payload);
    error.payload = this.#payload;
    error.payloadLen = payload.length;
    return true;
  }

  close(fd: number, token: number): void {
    const socket = this.#live(fd);
    assert.equal(token, socket.listener === null ? -1 : fd + 1000);
    socket.closed = true;
  }

  #open(kind: 'udp' | 'echo', to: string, localPort: number): number {
    this.opens++;
    const failure = this.failOpen.shift();
    if (failure !== undefined && failure < 0) return failure;
    if (this.busyPorts.has(localPort)) return EADDRINUSE;
    const own = localPort === 0 ? FIRST_PORT + this.all.length : localPort;
    return FIRST_FD + this.all.push(new ScriptedSocket(kind, to, own)) - 1;
  }

  #live(fd: number): ScriptedSocket {
    const socket = this.all[fd - FIRST_FD];
    assert.ok(socket !== undefined, `no socket ${fd}`);
    assert.ok(!socket.closed, `${String(socket)} is closed`);
    return socket;
  }
}
