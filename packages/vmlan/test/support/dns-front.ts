/**
 * The DNS service on a loopback port, with the resolver behind it that the network process uses: what dig can be pointed at.
 *
 * Zone: control.
 */
import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo, Server, Socket as Connection } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UpstreamDns } from '../../src/drivers/userspace/upstream-dns.ts';
import { DnsService } from '../../src/services/dns.ts';
import type { Zone } from '../../src/services/zone.ts';

export interface DnsFrontOptions {
  readonly zone: Zone;
  readonly upstream?: 'host' | 'none';
  /** Text of resolv.conf and the port of the servers it names. */
  readonly resolvConf?: string;
  readonly upstreamPort?: number;
  readonly hosts?: string;
}

const POLL_MS = 50;

export class DnsFront implements AsyncDisposable {
  readonly service: DnsService;
  readonly upstream: UpstreamDns;
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'vmlan-dns-front-'));
  readonly #udp: Socket = createSocket('udp4');
  readonly #tcp: Server = createServer((connection) => this.#onConnection(connection));
  readonly #connections: Set<Connection> = new Set();
  readonly #poll: NodeJS.Timeout;
  /** Runs ahead of the real clock, so that changed files need no waiting. */
  #aheadMs = 0;

  static async start(options: DnsFrontOptions): Promise<DnsFront> {
    const front = new DnsFront(options);
    front.#tcp.listen(0, '127.0.0.1');
    await once(front.#tcp, 'listening');
    front.#udp.bind(front.port, '127.0.0.1');
    await once(front.#udp, 'listening');
    return front;
  }

  private constructor(options: DnsFrontOptions) {
    this.writeResolvConf(options.resolvConf ?? '');
    writeFileSync(join(this.#folder, 'hosts'), options.hosts ?? '');
    this.upstream = new UpstreamDns({
      resolvConfPath: join(this.#folder, 'resolv.conf'),
      hostsPath: join(this.#folder, 'hosts'),
      nsswitchPath: join(this.#folder, 'nsswitch.conf'),
      port: options.upstreamPort ?? 53,
      deadlineMs: 1000,
      nowMs: () => this.#nowMs(),
      onChange: () => this.service.flushCache(),
    });
    this.service = new DnsService(options.zone, {
      upstream: options.upstream ?? 'host',
      askUpstream: (id, query) => void this.#askUpstream(id, query),
    });
    this.#udp.on('message', (message, { port, address }) =>
      this.service.onQuery(message, 'udp', 'udp', this.#nowMs(), (reply) =>
        this.#udp.send(reply.slice(), port, address),
      ),
    );
    this.#poll = setInterval(() => this.service.poll(this.#nowMs()), POLL_MS);
  }

  get port(): number {
    return (this.#tcp.address() as AddressInfo).port;
  }

  /** Takes effect at the next query that is not answered from the cache, so it goes too. */
  writeResolvConf(text: string): void {
    writeFileSync(join(this.#folder, 'resolv.conf'), text);
    this.#aheadMs += 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#poll);
    this.upstream.close();
    for (const connection of this.#connections) connection.destroy();
    this.#udp.close();
    this.#tcp.close();
    await Promise.all([once(this.#udp, 'close'), once(this.#tcp, 'close')]);
    rmSync(this.#folder, { recursive: true });
  }

  #nowMs(): number {
    return performance.now() + this.#aheadMs;
  }

  async #askUpstream(id: number, query: Uint8Array): Promise<void> {
    this.service.onUpstreamReply(id, await this.upstream.resolve(query), this.#nowMs());
  }

  #onConnection(connection: Connection): void {
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => connection.destroy());
    let received = Buffer.alloc(0);
    connection.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE()) {
        const end = 2 + received.readUInt16BE();
        this.#onFramed(connection, received.subarray(2, end));
        received = received.subarray(end);
      }
    });
  }

  #onFramed(connection: Connection, message: Uint8Array): void {
    this.service.onQuery(message, 'tcp', 'tcp', this.#nowMs(), (reply) => {
      connection.write(Buffer.concat([Uint8Array.of(reply.length >>> 8, reply.length & 0xff), reply]));
    });
  }
}
