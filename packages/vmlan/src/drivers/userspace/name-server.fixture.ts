/**
 * A name server for tests, on UDP and TCP of one loopback port, that answers as its handler says.
 *
 * Zone: control.
 */
import type { RemoteInfo, Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo, Server, Socket as Connection } from 'node:net';
import { createServer, isIPv6 } from 'node:net';

export interface SeenQuery {
  readonly bytes: Uint8Array;
  readonly transport: 'udp' | 'tcp';
  /** Of the client. */
  readonly port: number;
}

/** Messages to send back, in order. */
export type Handler = (query: SeenQuery) => readonly Uint8Array[];

export class NameServer implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly seen: SeenQuery[] = [];
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #connections: Set<Connection> = new Set();

  private constructor(address: string, udp: Socket, tcp: Server, handler: Handler) {
    this.address = address;
    this.port = (tcp.address() as AddressInfo).port;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on('message', (message, from) => this.#onDatagram(message, from, handler));
    tcp.on('connection', (connection) => this.#onConnection(connection, handler));
  }

  /** On a free port, or on the given one. */
  static async start(handler: Handler, address = '127.0.0.1', port = 0): Promise<NameServer> {
    const tcp = createServer();
    tcp.listen(port, address);
    await once(tcp, 'listening');
    const udp = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    udp.bind((tcp.address() as AddressInfo).port, address);
    await once(udp, 'listening');
    return new NameServer(address, udp, tcp, handler);
  }

  /** Sends a datagram on its own account. */
  send(message: Uint8Array, port: number): void {
    this.#udp.send(message, port, this.address);
  }

  /** What connections get from now on. */
  replaceTcp(onConnection: (connection: Connection) => void): void {
    this.#tcp.removeAllListeners('connection');
    this.#tcp.on('connection', onConnection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    this.#udp.close();
    this.#tcp.close();
    await Promise.all([once(this.#udp, 'close'), once(this.#tcp, 'close')]);
  }

  #onDatagram(message: Uint8Array, from: RemoteInfo, handler: Handler): void {
    const query: SeenQuery = { bytes: Uint8Array.from(message), transport: 'udp', port: from.port };
    this.seen.push(query);
    for (const reply of handler(query)) this.#udp.send(reply, from.port, from.address);
  }

  /** Two octets of length, then the query; replies get theirs here. */
  #onConnection(connection: Connection, handler: Handler): void {
    this.#connections.add(connection);
    connection.on('error', () => connection.destroy());
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('data', (chunk) => {
      const query: SeenQuery = { bytes: Uint8Array.from(chunk.subarray(2)), transport: 'tcp', port: 0 };
      this.seen.push(query);
      for (const reply of handler(query)) {
        connection.write(Uint8Array.of(reply.length >>> 8, reply.length & 0xff));
        connection.write(reply);
      }
    });
  }
}
