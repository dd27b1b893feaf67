/**
 * The host's side of TCP transcripts: sockets in memory with the peek-offset semantics of SO_PEEK_OFF.
 *
 * Zone: control.  The peer's bytes wait in `inbox` until they are discarded; a test says when the peer connects, writes,
 * closes or resets, and how much of what the guest sends the socket takes.  What is misused (discarding what was never
 * peeked, using a closed socket) fails the test at once.
 */
import assert from 'node:assert/strict';
import { HOST_ENDING, SHORT_IS_ALL, type TcpFlow } from './flow.ts';
import type { HostStreams, TcpErrors, TcpOpener } from './host.ts';
import { bytes } from './segment.fixture.ts';
import type { TcpTranslator } from './translator.ts';

const EAGAIN = -11;
const ECONNRESET = 104;

const textOf = (data: Uint8Array): string => new TextDecoder('latin1').decode(data);

export class ScriptedSocket {
  readonly flow: TcpFlow;
  /** Bytes from the peer that were not discarded yet. */
  inbox: Uint8Array = new Uint8Array(0);
  peekOffset = 0;
  ended = false;
  errno = 0;
  /** The same, but only for `send`: reading still finds what the peer said. */
  failSend = 0;
  /** Bytes from the guest that the socket still takes. */
  capacity: number = Infinity;
  /** All bytes from the guest. */
  outbox: Uint8Array[] = [];
  shut = false;
  closed: 'no' | 'fin' | 'reset' = 'no';
  discarded = 0;

  constructor(flow: TcpFlow) {
    this.flow = flow;
  }

  get received(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.outbox));
  }
}

export class ScriptedHost implements HostStreams, TcpOpener, TcpErrors {
  /** What `open` answers: 0, or `-errno`. */
  openResult = 0;
  /** ICMP unreachables that were asked for, by errno. */
  readonly unreachables: number[] = [];
  readonly sockets: ScriptedSocket[] = [];
  readonly #u8: Uint8Array;
  translator: TcpTranslator | null = null;
  peeksFar = true;
  /** The clock of the transcript. */
  now: () => number = () => 0;

  constructor(u8: Uint8Array) {
    this.#u8 = u8;
  }

  // ---- what a test says

  /** The socket that was opened last. */
  get socket(): ScriptedSocket {
    assert.ok(this.sockets.length > 0, 'the host was not asked to connect');
    return this.sockets.at(-1)!;
  }

  get flow(): TcpFlow {
    return this.socket.flow;
  }

  connects(socket: ScriptedSocket = this.socket): void {
    this.translator!.onHostConnected(socket.flow, this.now());
    this.#turn();
  }

  refuses(errno: number): void {
    this.translator!.onHostRefused(this.flow, errno, this.now());
    this.#turn();
  }

  writes(data: string | Uint8Array, socket: ScriptedSocket = this.socket): void {
    this.appends(data, socket);
    this.translator!.onHostReadable(socket.flow, this.now());
    this.#turn();
  }

  /** The peer's bytes are there, but nobody is told yet. */
  appends(data: string | Uint8Array, socket: ScriptedSocket = this.socket): void {
    socket.inbox = new Uint8Array(Buffer.concat([socket.inbox, bytes(data)]));
  }

  /** The peer ends its half. */
  ends(socket: ScriptedSocket = this.socket): void {
    socket.ended = true;
    socket.flow.bits |= HOST_ENDING;
    this.translator!.onHostReadable(socket.flow, this.now());
    this.#turn();
  }

  resets(socket: ScriptedSocket = this.socket): void {
    this.translator!.onHostError(socket.flow, ECONNRESET, this.now());
    this.#turn();
  }

  takesOnly(capacity: number, socket: ScriptedSocket = this.socket): void {
    socket.capacity = capacity;
  }

  /** The peer has read: the socket takes `more` bytes again. */
  takes(more: number = Infinity, socket: ScriptedSocket = this.socket): void {
    socket.capacity += more;
    this.translator!.onHostWritable(socket.flow, this.now());
    this.#turn();
  }

  /** All that the guest has sent so far, as text, and forgets it. */
  hears(expected: string): void {
    const { socket } = this;
    assert.equal(textOf(socket.received), expected);
    socket.outbox = [];
  }

  #turn(): void {
    this.translator!.poll(this.now());
  }

  // ---- TcpOpener, TcpErrors

  open(flow: TcpFlow): number {
    if (this.openResult < 0) return this.openResult;
    this.adopt(flow);
    return 0;
  }

  /** A socket that a forward has accepted. */
  adopt(flow: TcpFlow): ScriptedSocket {
    flow.fd = this.sockets.push(new ScriptedSocket(flow)) - 1;
    flow.bits |= SHORT_IS_ALL;
    return this.socket;
  }

  unreachable(_flow: TcpFlow, errno: number): void {
    this.unreachables.push(errno);
  }

  // ---- HostStreams

  send(fd: number, off: number, len: number): number {
    const socket = this.#live(fd);
    assert.ok(!socket.shut, 'send behind shutdown');
    assert.ok(len > 0);
    if (socket.errno !== 0) return -socket.errno;
    if (socket.failSend !== 0) return -socket.failSend;
    const taken = Math.min(len, socket.capacity);
    if (taken <= 0) return EAGAIN;
    socket.capacity -= taken;
    socket.outbox.push(this.#u8.slice(off, off + taken));
    return taken;
  }

  peek(fd: number, off: number, len: number): number {
    const socket = this.#live(fd);
    assert.ok(len > 0);
    if (socket.errno !== 0) return -socket.errno;
    const n = Math.min(len, socket.inbox.length - socket.peekOffset);
    if (n === 0) return socket.ended ? 0 : EAGAIN;
    this.#u8.set(socket.inbox.subarray(socket.peekOffset, socket.peekOffset + n), off);
    socket.peekOffset += n;
    return n;
  }

  peekRun(fd: number, off: number, len: number, stride: number, count: number): number {
    let done = 0;
    for (let i = 0; i < count; i++) {
      const n = this.peek(fd, off + i * stride, len);
      if (n <= 0) return done > 0 ? done : n;
      done += n;
    }
    return done;
  }

  setPeekOffset(fd: number, n: number): void {
    const socket = this.#live(fd);
    assert.ok(n >= 0 && n <= socket.inbox.length, `peek offset ${n} of ${socket.inbox.length} bytes`);
    socket.peekOffset = n;
  }

  discard(fd: number, n: number): void {
    const socket = this.#live(fd);
    assert.ok(n > 0 && n <= socket.peekOffset, `discards ${n} of ${socket.peekOffset} peeked bytes`);
    socket.inbox = socket.inbox.subarray(n);
    socket.peekOffset -= n;
    socket.discarded += n;
  }

  shutdownWrite(fd: number): void {
    const socket = this.#live(fd);
    assert.ok(!socket.shut, 'shut down twice');
    socket.shut = true;
  }

  error(fd: number): number {
    return this.#live(fd).errno;
  }

  close(flow: TcpFlow, reset: boolean): void {
    this.#live(flow.fd).closed = reset ? 'reset' : 'fin';
  }

  #live(fd: number): ScriptedSocket {
    const socket = this.sockets[fd];
    assert.ok(socket !== undefined, `no socket ${fd}`);
    assert.equal(socket.closed, 'no', 'the socket is closed');
    return socket;
  }
}
