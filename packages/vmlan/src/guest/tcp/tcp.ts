/**
 * TCP of a guest: which segment is for which connection, who listens, and what nobody wants (RFC 9293 §3.10.7).
 *
 * Zone: control.
 */
import { AsyncQueue } from '../../core/async-queue.ts';
import { PROTO_TCP } from '../../wire/ipv4.ts';
import { ACK, MIN_HEADER_LEN, RST, SYN, setChecksum } from '../../wire/tcp.ts';
import { GuestError } from '../errors.ts';
import type { GuestErrorCode } from '../errors.ts';
import type { IpLayer } from '../ip-layer.ts';
import type { Ip } from '../ip.ts';
import type { Packet } from '../packet.ts';
import { choosePort } from '../ports.ts';
import { Connection } from './connection.ts';
import { buildSegment, parseSegment, spanOf } from './segment.ts';
import type { Segment, SegmentFields } from './segment.ts';
import { TcpSocket } from './socket.ts';

/** Connections of a guest; those that only wait for their end give way. */
export const MAX_CONNECTIONS = 4096;
/** Connections that nobody has accepted; further SYNs are not answered. */
export const BACKLOG = 256;

export interface ConnectOptions {
  readonly signal?: AbortSignal;
  /** Default: as long as SYNs are sent, about two minutes. */
  readonly timeoutMs?: number;
}

/** Accepts connections: `for await (const socket of listener)`. */
export interface TcpListener extends AsyncIterable<TcpSocket>, Disposable {
  readonly port: number;
  /** Connections that were accepted live on. */
  close(): void;
}

interface Entry {
  readonly connection: Connection;
  readonly socket: TcpSocket;
  readonly localPort: number;
}

interface Listening {
  readonly queue: AsyncQueue<TcpSocket>;
  /** Not yet accepted, or not yet established. */
  waiting: number;
}

export class Tcp {
  readonly #ip: IpLayer;
  readonly #resolve: (host: string) => Promise<readonly Ip[]>;
  readonly #entries = new Map<string, Entry>();
  readonly #listening = new Map<number, Listening>();
  readonly #due = new Set<Connection>();

  constructor(ip: IpLayer, resolve: (host: string) => Promise<readonly Ip[]>) {
    this.#ip = ip;
    this.#resolve = resolve;
    ip.handle(PROTO_TCP, (packet) => this.#onPacket(packet));
  }

  /** To a name or an address.  Rejects with ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENOTFOUND, ETIMEDOUT. */
  async connect(host: string, port: number, options: ConnectOptions = {}): Promise<TcpSocket> {
    options.signal?.throwIfAborted();
    let failure: unknown = null;
    for (const ip of await this.#resolve(host)) {
      try {
        return await this.#connectTo(ip, port, host, options);
      } catch (error) {
        if (options.signal?.aborted === true) throw error;
        failure ??= error; // the first address is the best one
      }
    }
    throw failure;
  }

  /** Port 0: a free one.  With `handler`, each connection is handed to it, and closed when it is done.  Throws EADDRINUSE. */
  listen(port: number, handler?: (socket: TcpSocket) => Promise<void> | void): TcpListener {
    const own = choosePort(port, (candidate) => this.#listening.has(candidate), this.#ip.random, 'TCP');
    const queue = new AsyncQueue<TcpSocket>({ limit: BACKLOG, onEnd: () => this.#listening.delete(own) });
    this.#listening.set(own, { queue, waiting: 0 });
    const close = (): void => queue.end();
    const accepted = this.#accept(own, queue);
    if (handler !== undefined) void serve(accepted, handler);
    return { port: own, close, [Symbol.dispose]: close, [Symbol.asyncIterator]: () => accepted };
  }

  /** The frames that came together are all read: what is due is acknowledged. */
  flush(): void {
    if (this.#due.size === 0) return;
    const due = [...this.#due];
    this.#due.clear();
    for (const connection of due) connection.acknowledgeDue();
  }

  /** What ICMP says of a segment that was sent. */
  onUnreachable(dst: Ip, srcPort: number, dstPort: number, code: GuestErrorCode): void {
    const entry = this.#entries.get(keyOf(srcPort, dst, dstPort));
    entry?.connection.onUnreachable(new GuestError(code, `${dst.text} port ${dstPort} cannot be reached`));
  }

  close(): void {
    for (const { queue } of [...this.#listening.values()]) queue.end();
    const gone = new GuestError('ENETDOWN', 'the guest is gone');
    for (const { connection } of [...this.#entries.values()]) connection.drop(gone);
  }

  async *#accept(port: number, queue: AsyncQueue<TcpSocket>): AsyncGenerator<TcpSocket, void> {
    for await (const socket of queue) {
      const listening = this.#listening.get(port);
      if (listening?.queue === queue) listening.waiting--;
      yield socket;
    }
  }

  async #connectTo(ip: Ip, port: number, host: string, { signal, timeoutMs }: ConnectOptions): Promise<TcpSocket> {
    const src = this.#ip.sourceFor(ip);
    const local = choosePort(0, (candidate) => this.#entries.has(keyOf(candidate, ip, port)), this.#ip.random, 'TCP');
    const { connection, socket } = this.#open(src, local, ip, port, null);
    const where = host === ip.text ? `${host} port ${port}` : `${host} (${ip.text}) port ${port}`;
    const stop = (code: GuestErrorCode, why: string): void => connection.drop(new GuestError(code, `${where}: ${why}`));
    const onAbort = (): void => stop('ECANCELED', 'connecting was given up');
    const cancel =
      timeoutMs === undefined ? null : this.#ip.clock.after(timeoutMs, () => stop('ETIMEDOUT', 'no answer'));
    signal?.addEventListener('abort', onAbort);
    try {
      connection.start();
      await socket.opened();
      return socket;
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      connection.drop(error);
      throw error.message.startsWith(where) ? error : new GuestError(error.code, `${where}: ${error.message}`);
    } finally {
      cancel?.();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #open(src: Ip, localPort: number, dst: Ip, remotePort: number, from: Segment | null): Entry {
    this.#makeRoom();
    const key = keyOf(localPort, dst, remotePort);
    const ends = { localAddress: src.text, localPort, remoteAddress: dst.text, remotePort };
    const connection = new Connection(
      {
        clock: this.#ip.clock,
        send: (fields) => this.#send(src, dst, { ...fields, srcPort: localPort, dstPort: remotePort }),
        changed: () => socket.onChange(),
        closed: (error) => {
          this.#entries.delete(key);
          this.#due.delete(connection);
          socket.onClosed(error);
        },
        acknowledgeSoon: () => void this.#due.add(connection),
      },
      this.#ip.random() | 0, // RFC 9293 §3.4.1 asks for a clock besides; ports are random here
      this.#ip.roomFor(dst) - MIN_HEADER_LEN,
      from,
    );
    const socket = new TcpSocket(connection, ends);
    const entry = { connection, socket, localPort };
    this.#entries.set(key, entry);
    return entry;
  }

  /** Throws EMFILE. */
  #makeRoom(): void {
    if (this.#entries.size < MAX_CONNECTIONS) return;
    const old = [...this.#entries.values()].find(({ connection }) => connection.state === 'time-wait');
    if (old === undefined) throw new GuestError('EMFILE', `${MAX_CONNECTIONS} TCP connections are open`);
    old.connection.abort();
  }

  #onPacket(packet: Packet): void {
    const segment = parseSegment(packet);
    if (segment === null || !this.#ip.isOwn(packet.dst)) return;
    const key = keyOf(segment.dstPort, packet.src, segment.srcPort);
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#onStranger(packet, segment);
    // RFC 6191: a new SYN may take the place of a connection that only waits.
    if (entry.connection.state === 'time-wait' && (segment.flags & (SYN | ACK)) === SYN) {
      entry.connection.drop(new GuestError('ECONNRESET', 'its place was taken'));
      return this.#onStranger(packet, segment);
    }
    entry.connection.onSegment(segment);
  }

  #onStranger(packet: Packet, segment: Segment): void {
    const { flags } = segment;
    if ((flags & RST) !== 0) return;
    const listening = this.#listening.get(segment.dstPort);
    if (listening === undefined || (flags & (SYN | ACK)) !== SYN) return this.#refuse(packet, segment);
    if (listening.waiting >= BACKLOG) return; // it asks again
    this.#onSyn(packet, segment, listening);
  }

  #onSyn({ dst, src }: Packet, segment: Segment, listening: Listening): void {
    let entry: Entry;
    try {
      entry = this.#open(dst, segment.dstPort, src, segment.srcPort, segment);
    } catch {
      return; // no room: it asks again
    }
    listening.waiting++;
    entry.connection.start();
    entry.socket.opened().then(
      () => {
        if (listening.queue.push(entry.socket)) return;
        listening.waiting--;
        entry.connection.abort();
      },
      () => void listening.waiting--,
    );
  }

  /** RFC 9293 §3.5.2, group 1. */
  #refuse({ dst, src }: Packet, segment: Segment): void {
    const { srcPort, dstPort, seq, ack, flags } = segment;
    const ends = { srcPort: dstPort, dstPort: srcPort, window: 0 };
    if ((flags & ACK) !== 0) this.#send(dst, src, { ...ends, seq: ack, ack: 0, flags: RST });
    else this.#send(dst, src, { ...ends, seq: 0, ack: (seq + spanOf(segment)) | 0, flags: RST | ACK });
  }

  #send(src: Ip, dst: Ip, fields: SegmentFields): void {
    const payload = buildSegment(fields);
    try {
      this.#ip.send({
        ...{ src, dst, payload, protocol: PROTO_TCP },
        seal: (view, pseudo) => setChecksum(view, 0, payload.length, pseudo),
        failed: () => this.onUnreachable(dst, fields.srcPort, fields.dstPort, 'EHOSTUNREACH'),
      });
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      this.onUnreachable(dst, fields.srcPort, fields.dstPort, error.code);
    }
  }
}

const keyOf = (localPort: number, remote: Ip, remotePort: number): string =>
  `${localPort} ${remote.text} ${remotePort}`;

async function serve(
  sockets: AsyncIterable<TcpSocket>,
  handler: (socket: TcpSocket) => Promise<void> | void,
): Promise<void> {
  for await (const socket of sockets) void handle(socket, handler);
}

/** What goes wrong with one connection is for its other end to see. */
async function handle(socket: TcpSocket, handler: (socket: TcpSocket) => Promise<void> | void): Promise<void> {
  try {
    await handler(socket);
    await socket[Symbol.asyncDispose]();
  } catch {
    socket.abort();
  }
}
