/**
 * The far end of a TCP connection as a test scripts it: a listener, its connections, and what they do.
 *
 * Zone: control.  A service is called once per connection and returns a step, which runs when the connection opens and
 * after every change. Steps never run inside a system call: they are events of the timeline.
 */
import { createHash, type Hash } from 'node:crypto';
import { EAGAIN, EPIPE, SHUT_WR } from '../constants.ts';
import type { Endpoint } from './address.ts';
import type { Network } from './network.ts';
import type { Watcher } from './open-file.ts';
import { TcpSocket } from './tcp-socket.ts';

export type Step = () => void;
export type StreamService = (connection: ScriptedConnection) => Step;

const READ_MAX = 65_536; // bytes per read
/** Connections a listener remembers for inspection; the oldest are forgotten first. */
export const REMEMBERED_MAX = 10_000;
const scratch = new Uint8Array(READ_MAX);

export class ScriptedConnection implements Watcher {
  /** Bytes read, and their SHA-256. */
  received = 0;
  sent = 0;
  /** The peer has finished sending. */
  ended = false;
  closed = false;
  /** It has not ended its own half. */
  isSending = true;
  /** errno of the failure, 0 if none. */
  error = 0;
  readonly #network: Network;
  readonly #socket: TcpSocket;
  readonly #step: Step;
  #hash: Hash | undefined;
  #isDue = false;
  #isOpen = false;

  constructor(network: Network, socket: TcpSocket, service: StreamService) {
    this.#network = network;
    this.#socket = socket;
    this.#step = service(this);
    socket.watch(this);
    this.onWake();
  }

  get peer(): Endpoint {
    return this.#socket.remote!;
  }

  get local(): Endpoint {
    return { ip: this.#socket.localIp, port: this.#socket.localPort };
  }

  get isOpen(): boolean {
    return this.#isOpen && !this.closed;
  }

  onWake(): void {
    if (this.#isDue || this.closed) return;
    this.#isDue = true;
    this.#network.timeline.after(0, () => {
      this.#isDue = false;
      if (!this.#isOpen) this.#noteOpen();
      if (this.isOpen) this.#step();
    });
  }

  onRelease(): void {
    this.closed = true;
  }

  /** A client's connection opens or fails; a server's is open from the start. */
  #noteOpen(): void {
    if (this.#socket.peerName() !== undefined) this.#isOpen = true;
    else this.#noteError(this.#socket.takeError());
  }

  #noteError(errno: number): void {
    if (errno === 0) return;
    this.error = errno;
    this.close();
  }

  /** Up to `max` bytes, at once; undefined when there is nothing to read, also at the end. */
  read(max: number = READ_MAX): Uint8Array | undefined {
    if (this.closed || this.ended) return undefined;
    const count = this.#socket.receive(scratch, 1, Math.min(max, READ_MAX - 1), 0);
    if (count === -EAGAIN) return undefined;
    if (count <= 0) {
      if (count === 0) this.ended = true;
      else this.#noteError(-count);
      return undefined;
    }
    const bytes = scratch.slice(1, 1 + count);
    this.received += count;
    this.#hash ??= createHash('sha256');
    this.#hash.update(bytes);
    return bytes;
  }

  /** How many of the bytes were taken. */
  write(bytes: Uint8Array): number {
    if (this.closed) return 0;
    const count = this.#socket.transmit(bytes, 0, bytes.length, 0, undefined);
    if (count < 0) {
      if (count !== -EAGAIN && count !== -EPIPE) this.#noteError(-count);
      return 0;
    }
    this.sent += count;
    return count;
  }

  /** Finishes sending. */
  end(): void {
    this.isSending = false;
    if (!this.closed) this.#socket.shutdown(SHUT_WR);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket.unwatch(this);
    this.#socket.release();
  }

  reset(): void {
    this.#socket.lingerZero = true;
    this.close();
  }

  after(delayMs: number, action: () => void): void {
    this.#network.timeline.after(delayMs, () => {
      if (!this.closed) action();
    });
  }

  /** SHA-256 of what was received so far, in hex. */
  sha256(): string {
    return (this.#hash ?? createHash('sha256')).copy().digest('hex');
  }
}

export class ScriptedListener implements Watcher {
  /** Every connection accepted, the oldest forgotten beyond REMEMBERED_MAX. */
  readonly connections: ScriptedConnection[] = [];
  accepted = 0;
  readonly socket: TcpSocket;
  readonly #network: Network;
  readonly #service: StreamService;

  constructor(network: Network, at: Endpoint, service: StreamService, backlog: number) {
    this.#network = network;
    this.#service = service;
    this.socket = new TcpSocket(network, at.ip.family, true);
    this.socket.localIp = at.ip;
    this.socket.localPort = at.port;
    this.socket.listen(backlog);
    this.socket.watch(this);
  }

  onWake(): void {
    for (;;) {
      const socket = this.socket.accept();
      if (typeof socket === 'number') return;
      this.accepted++;
      if (this.connections.length === REMEMBERED_MAX) this.connections.shift();
      this.connections.push(new ScriptedConnection(this.#network, socket, this.#service));
    }
  }

  onRelease(): void {}

  close(): void {
    this.socket.release();
  }
}
