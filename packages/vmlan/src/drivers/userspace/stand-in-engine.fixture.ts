/**
 * A datapath without packets, for tests of the network process: keeps NICs, links and forwards, gives out addresses,
 * and binds the unix sockets and TCP ports it is told to.  Run as a program it is a whole network process.
 *
 * Zone: control.
 */
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { VmlanError } from '../../core/errors.ts';
import type {
  EngineCapabilities,
  EngineConfig,
  ForwardSpec,
  FromEngine,
  LeaseChanges,
  NicConfig,
  SocketAddress,
} from '../../engine/control-messages.ts';
import type { EngineHandle, EngineNotice, EngineRequest } from '../../engine/control-messages.ts';
import { runNetworkProcess } from './network-process.ts';

const CAPABILITIES = { peekOffset: true, ping: true, ipv6: true } as const;

export class StandInEngine implements EngineHandle {
  readonly capabilities: EngineCapabilities = CAPABILITIES;
  readonly config: EngineConfig;
  readonly #listeners: ((message: FromEngine) => void)[] = [];
  readonly #nics = new Map<string, NicConfig>();
  readonly #forwards = new Map<string, ForwardSpec>();
  readonly #servers = new Map<string, Server>();
  readonly #leases = new Map<string, unknown>();
  #generation = 0;
  readonly #stopped = Promise.withResolvers<Error | null>();
  readonly ended: Promise<Error | null> = this.#stopped.promise;
  /** The generation that was confirmed last. */
  durable = 0;
  /** What it claims to have counted. */
  counters: Readonly<Record<string, number>> = {};
  readonly replies: [number, Uint8Array | null][] = [];

  constructor(config: EngineConfig) {
    this.config = config;
    for (const lease of config.leases) this.#leases.set((lease as { nic: string }).nic, lease);
  }

  async request(message: EngineRequest): Promise<unknown> {
    switch (message.type) {
      case 'add-link':
        if (message.link.kind === 'stream-listen') await this.#listen(message.linkId, message.link.address);
        return null;
      case 'remove-link':
        return this.#close(message.linkId);
      case 'set-nic':
        this.#nics.set(message.nic.key, message.nic);
        // A guest whose name says so brings the engine down, as a bug would.
        if (message.nic.guest === 'crash')
          this.emit({ type: 'fatal', error: { code: 'internal', message: 'assertion failed' } });
        return null;
      case 'remove-nic':
        return this.#nics.delete(message.key);
      case 'add-forward':
        if (message.forward.direction === 'host') await this.#listen(message.forward.id, message.forward.listen);
        return this.#forwards.set(message.forward.id, message.forward).size;
      case 'remove-forward':
        this.#forwards.delete(message.forwardId);
        return this.#close(message.forwardId);
      case 'allocate':
        return this.#allocate(message.nic, message.mac);
      case 'snapshot':
        // One whose name says so hangs, as a loop without end would.
        if (this.#nics.has('hang/0')) return new Promise(() => undefined);
        return this.#snapshot();
      default:
        return null;
    }
  }

  post(message: EngineNotice): void {
    if (message.type === 'leases-durable') this.durable = message.generation;
    if (message.type === 'dns-reply') this.replies.push([message.queryId, message.reply]);
  }

  on(listener: (message: FromEngine) => void): void {
    this.#listeners.push(listener);
  }

  emit(message: FromEngine): void {
    for (const listener of this.#listeners) listener(message);
  }

  /** The thread is lost. */
  end(why: Error): void {
    this.#stopped.resolve(why);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((id) => this.#close(id)));
    this.#stopped.resolve(null);
  }

  async #listen(id: string, address: SocketAddress): Promise<void> {
    const server = createServer((socket) => socket.destroy());
    const where = 'unix' in address ? { path: address.unix } : address;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, where)));
      server.listen(where, resolve);
    });
    this.#servers.set(id, server);
  }

  async #close(id: string): Promise<null> {
    const server = this.#servers.get(id);
    this.#servers.delete(id);
    if (server !== undefined) await new Promise<void>((resolve) => void server.close(() => resolve()));
    return null;
  }

  #allocate(nic: string, mac: string): unknown {
    const { ipv4, ipv6, mtu, dns } = this.config;
    const known = this.#leases.get(nic) as { address: string } | undefined;
    const address = known?.address ?? `${ipv4!.subnet.split('.').slice(0, 3).join('.')}.${100 + this.#leases.size}`;
    if (known === undefined) this.#lease(nic, mac, address);
    return {
      address4: address,
      prefix4: Number(ipv4!.subnet.split('/')[1]),
      gateway4: ipv4!.announceRouter ? ipv4!.gateway : null,
      dns: ipv4!.dns,
      gateway6: ipv6?.gateway ?? null,
      prefix6: ipv6?.prefix ?? null,
      mtu,
      searchDomains: dns.searchDomains,
    };
  }

  #lease(nic: string, mac: string, address: string): void {
    const guest = nic.split('/')[0]!;
    const clocks = { startMs: 0, expiresMs: 4_000_000_000_000, goneMs: null };
    const lease = {
      family: 4,
      address,
      nic,
      client: mac,
      guest,
      mac,
      clientId: null,
      hostname: guest,
      state: 'bound',
      ...clocks,
    };
    this.#leases.set(nic, lease);
    const isWhole = this.#generation === 0;
    const changes = (isWhole ? [...this.#leases] : [[nic, lease]]) as LeaseChanges['changes'];
    this.emit({ type: 'leases', generation: ++this.#generation, isWhole, changes });
  }

  #snapshot(): unknown {
    return {
      guests: [],
      forwards: [...this.#forwards.values()].map((forward) => ({ ...forward, state: 'listening', connections: 0 })),
      leases: [...this.#leases.values()],
      counters: { nics: this.#nics.size, ...this.counters },
      flows: { tcp: 0, udp: 0, icmp: 0 },
      memory: { heap: 0, arena: 0, receiveQueues: 0 },
      ipv6Reachable: false,
      capabilities: CAPABILITIES,
    };
  }
}

function listenError(error: NodeJS.ErrnoException, where: object): VmlanError {
  return error.code === 'EADDRINUSE'
    ? new VmlanError('address-in-use', `${JSON.stringify(where)} is in use`)
    : new VmlanError('unavailable', error.message);
}

if (import.meta.main) await runNetworkProcess((config) => Promise.resolve(new StandInEngine(config)));
