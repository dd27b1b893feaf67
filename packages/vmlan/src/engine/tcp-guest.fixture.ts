/**
 * The TCP of a guest: its connections and the ports it listens on.
 *
 *   const tcp = new TcpGuest(home, (frame) => …);
 *   const connection = tcp.connect('198.51.100.7', 80, nowMs);
 *   connection.write(bytes);
 *   connection.end();
 *
 * Zone: control.  Frames come in by `onFrame`, time by `poll`; `nextAt` says when the next timer is due.
 */
import * as tcp from '../wire/tcp.ts';
import { TcpConnection, type TcpOptions, type Wire } from './tcp-connection.fixture.ts';
import { type HeardSegment, readSegment, writeSegment } from './tcp-frame.fixture.ts';

export type { TcpConnection, TcpOptions } from './tcp-connection.fixture.ts';

const { SYN, ACK, RST } = tcp;
const EMPTY = new Uint8Array(0);

/** The addresses of a guest, and the gateway's MAC. */
export interface TcpHome {
  readonly mac: string;
  readonly gatewayMac: string;
  readonly address4: string;
  readonly address6: string;
}

export class TcpGuest {
  readonly connections: TcpConnection[] = [];
  /** Options of connections that it accepts, by port; `onOpen` hears of each. */
  readonly #listeners = new Map<number, { options: TcpOptions; onOpen: (connection: TcpConnection) => void }>();
  readonly #home: TcpHome;
  readonly #wire: Wire;
  #nextPort = 40_000;

  constructor(home: TcpHome, wire: Wire) {
    this.#home = home;
    this.#wire = wire;
  }

  connect(remote: string, remotePort: number, nowMs: number, options: TcpOptions = {}): TcpConnection {
    const { mac, gatewayMac, address4, address6 } = this.#home;
    const local = remote.includes(':') ? address6 : address4;
    const path = { mac, gatewayMac, local, remote, localPort: this.#nextPort++, remotePort };
    const connection = new TcpConnection(path, this.#wire, options);
    this.connections.push(connection);
    connection.open(nowMs);
    return connection;
  }

  listen(port: number, onOpen: (connection: TcpConnection) => void, options: TcpOptions = {}): void {
    this.#listeners.set(port, { options, onOpen });
  }

  /** A frame for this guest; false when it is not TCP, or damaged. */
  onFrame(frame: Uint8Array, nowMs: number): boolean {
    const segment = readSegment(frame);
    if (segment === null) return false;
    const { remote, localPort, remotePort } = segment;
    const known = this.connections.findLast(
      ({ path }) => path.localPort === localPort && path.remotePort === remotePort && path.remote === remote,
    );
    if (known !== undefined) known.onSegment(segment, nowMs);
    else if ((segment.flags & (SYN | ACK | RST)) === SYN) this.#accept(segment, nowMs);
    return true;
  }

  poll(nowMs: number): void {
    for (const connection of this.connections) connection.poll(nowMs);
  }

  get nextAt(): number {
    return this.connections.reduce((at, connection) => Math.min(at, connection.nextAt), Infinity);
  }

  #accept(segment: HeardSegment, nowMs: number): void {
    const { mac, gatewayMac, address4, address6 } = this.#home;
    const { remote, localPort, remotePort } = segment;
    const path = { mac, gatewayMac, local: remote.includes(':') ? address6 : address4, remote, localPort, remotePort };
    const listener = this.#listeners.get(localPort);
    if (listener === undefined) {
      const answer = { flags: RST | ACK, seq: 0, ack: (segment.seq + 1) | 0, window: 0, data: EMPTY };
      return this.#wire(writeSegment(path, answer));
    }
    const connection = new TcpConnection(path, this.#wire, listener.options);
    this.connections.push(connection);
    connection.accept(segment, nowMs);
    listener.onOpen(connection);
  }
}
