/**
 * The host's own resolver, for names that are not the network's: /etc/hosts, the name servers of /etc/resolv.conf, and what
 * else nsswitch.conf names, so that whatever a program on the host can resolve a guest can too (split DNS, VPN, multicast).
 *
 * Zone: control.  Node's event loop; no thread of its own.  A query goes to the name servers as it is, under another ID.
 * There is no server of last resort: without name servers there is no answer.
 *
 * Who is asked, by name:
 *   in the hosts file (A, AAAA, PTR)      the hosts file alone
 *   one label (A, AAAA)                   the system's other sources alone: a top-level domain has no address (RFC 7085), so
 *                                         this is somebody's machine, and no name server's business
 *   below .local (A, AAAA)                multicast DNS where the system has it, else the name servers
 *   all others                            the name servers; on NXDOMAIN for A and AAAA the system's other sources too
 */
import { CLASS_IN, RCODE, TYPE, copyOctets } from '../../wire/dns.ts';
import { DnsQuery, QUERY_OK } from '../../wire/dns-query.ts';
import type { HostsTable } from './hosts-file.ts';
import { parseHosts } from './hosts-file.ts';
import type { NameSources, ResolvConf } from './resolv-conf.ts';
import { parseNsswitch, parseResolvConf } from './resolv-conf.ts';
import type { LoopbackStandIn } from './upstream-dns-answer.ts';
import { addressReply, ownReply, seenFromGuest } from './upstream-dns-answer.ts';
import type { ExchangePlan } from './upstream-dns-exchange.ts';
import { Exchange } from './upstream-dns-exchange.ts';
import { WatchedFile } from './upstream-dns-file.ts';
import { replyCode } from './upstream-dns-match.ts';
import type { NameService } from './upstream-dns-system.ts';
import { SystemNames } from './upstream-dns-system.ts';
import { askTcp } from './upstream-dns-tcp.ts';
import type { OnReply } from './upstream-dns-udp.ts';
import { UdpServer } from './upstream-dns-udp.ts';

export interface UpstreamDnsOptions {
  readonly resolvConfPath?: string;
  readonly hostsPath?: string;
  readonly nsswitchPath?: string;
  /** Addresses that vmlan itself answers at: as name servers they would lead in a circle, and are skipped. */
  readonly ownAddresses?: readonly string[];
  /** What stands for the host's loopback in the answers; without it names of the loopback are unknown. */
  readonly loopback?: LoopbackStandIn;
  /** Called when one of the files has changed, as far as a query showed it. */
  readonly onChange?: () => void;
  /** Patience with one query in all. */
  readonly deadlineMs?: number;
  /** Patience with one server, unless resolv.conf has an opinion. */
  readonly timeoutMs?: number;
  readonly maxInFlight?: number;
  /** Port of all name servers, for tests. */
  readonly port?: number;
  /** The system's name service. */
  readonly system?: NameService;
  /** Milliseconds that never go back. */
  readonly nowMs?: () => number;
}

export interface UpstreamDnsStatus {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly inFlight: number;
  readonly counters: Readonly<UpstreamDnsCounters>;
}

/** All growing. */
export interface UpstreamDnsCounters {
  queries: number;
  fromHosts: number;
  fromServers: number;
  fromSystem: number;
  /** Queries by TCP. */
  tcp: number;
  /** A server kept silent or was unreachable. */
  silent: number;
  /** No answer. */
  failed: number;
  /** Not asked because too many were on their way. */
  overLimit: number;
}

const DEFAULT_DEADLINE_MS = 8000; // below the patience of the DNS service, and of a guest that asks twice
const DEFAULT_TIMEOUT_MS = 2000;
const DEFAULT_MAX_IN_FLIGHT = 512;
const MAX_TCP = 32;
const DNS_PORT = 53;
/** So long a server that kept silent is tried after the others. */
const SHUNNED_MS = 30_000;

export class UpstreamDns {
  readonly #options: UpstreamDnsOptions;
  readonly #nowMs: () => number;
  readonly #port: number;
  readonly #resolvConf: WatchedFile<ResolvConf>;
  readonly #hosts: WatchedFile<HostsTable>;
  readonly #sources: WatchedFile<NameSources>;
  readonly #system: NameService;
  readonly #udp: Map<string, UdpServer> = new Map();
  readonly #silentUntilMs: Map<string, number> = new Map();
  readonly #aborts: Set<() => void> = new Set();
  readonly #counters: UpstreamDnsCounters = {
    queries: 0,
    fromHosts: 0,
    fromServers: 0,
    fromSystem: 0,
    tcp: 0,
    silent: 0,
    failed: 0,
    overLimit: 0,
  };
  #inFlight = 0;
  #tcp = 0;
  #turn = 0;
  #closed = false;

  constructor(options: UpstreamDnsOptions = {}) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#port = options.port ?? DNS_PORT;
    this.#system = options.system ?? new SystemNames();
    const onChange = (): void => this.#onChange();
    const watch = <T>(path: string, parse: (text: string) => T): WatchedFile<T> =>
      new WatchedFile(path, parse, this.#nowMs, onChange);
    this.#resolvConf = watch(options.resolvConfPath ?? '/etc/resolv.conf', parseResolvConf);
    this.#hosts = watch(options.hostsPath ?? '/etc/hosts', parseHosts);
    this.#sources = watch(options.nsswitchPath ?? '/etc/nsswitch.conf', parseNsswitch);
  }
  status(): UpstreamDnsStatus {
    const { servers, search } = this.#resolvConf.get();
    return { servers, search, inFlight: this.#inFlight, counters: { ...this.#counters } };
  }

  /** The reply to a query, with the query's ID; null if there is none in time, after `close`, or on abort. */
  async resolve(query: Uint8Array, signal?: AbortSignal): Promise<Uint8Array | null> {
    const bytes = copyOctets(query);
    const parsed = new DnsQuery();
    if (this.#closed || signal?.aborted === true || parsed.parse(bytes) !== QUERY_OK) return null;
    this.#counters.queries++;
    if (this.#inFlight >= (this.#options.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT)) {
      this.#counters.overLimit++;
      return null;
    }
    this.#inFlight++;
    const reply = await this.#route(bytes, parsed, signal);
    this.#inFlight--;
    if (reply === null) this.#counters.failed++;
    return reply;
  }

  /** Ends what is on its way: those who wait get null. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#aborts) abort();
    for (const server of this.#udp.values()) server.close();
    this.#udp.clear();
  }

  #route(bytes: Uint8Array, query: DnsQuery, signal: AbortSignal | undefined): Promise<Uint8Array | null> {
    const known = query.class === CLASS_IN ? this.#fromHosts(bytes, query) : null;
    if (known !== null) return Promise.resolve(known);
    const asksAddress = query.class === CLASS_IN && (query.type === TYPE.A || query.type === TYPE.AAAA);
    return asksAddress ? this.#resolveAddress(bytes, query, signal) : this.#askServers(bytes, signal);
  }

  #fromHosts(bytes: Uint8Array, query: DnsQuery): Uint8Array | null {
    const table = this.#hosts.get();
    const reply = query.type === TYPE.PTR ? hostsName(bytes, query, table) : this.#hostsAddress(bytes, query, table);
    if (reply !== null) this.#counters.fromHosts++;
    return reply;
  }

  #hostsAddress(bytes: Uint8Array, query: DnsQuery, table: HostsTable): Uint8Array | null {
    const listed = query.type === TYPE.A || query.type === TYPE.AAAA ? table.addresses.get(query.key) : undefined;
    const seen = seenFromGuest(listed ?? [], this.#options.loopback ?? {});
    return seen.length > 0 ? addressReply(bytes, query, seen) : null;
  }

  async #resolveAddress(bytes: Uint8Array, query: DnsQuery, signal?: AbortSignal): Promise<Uint8Array | null> {
    const { local, others } = this.#systemSources();
    if (query.key !== '' && !query.key.includes('.')) {
      return others ? this.#askSystem(bytes, query, signal) : ownReply(bytes, query, RCODE.NXDOMAIN, []);
    }
    if (local && query.key.endsWith('.local')) return this.#askSystem(bytes, query, signal);
    const reply = await this.#askServers(bytes, signal);
    if (!others || reply === null || replyCode(reply) !== RCODE.NXDOMAIN) return reply;
    const found = await this.#askSystem(bytes, query, signal);
    return found !== null && replyCode(found) === RCODE.NOERROR ? found : reply;
  }

  /** macOS has no nsswitch.conf, but all of these. */
  #systemSources(): NameSources {
    return process.platform === 'darwin' ? { local: true, others: true } : this.#sources.get();
  }

  #askSystem(bytes: Uint8Array, query: DnsQuery, signal?: AbortSignal): Promise<Uint8Array | null> {
    return this.#bounded(signal, (end) => {
      const deadline = setTimeout(() => end(null), this.#deadlineMs());
      this.#system.ask(query.key, (addresses) => {
        clearTimeout(deadline);
        if (addresses !== null) this.#counters.fromSystem++;
        end(addresses === null ? null : this.#systemReply(bytes, query, addresses));
      });
      return () => clearTimeout(deadline);
    });
  }

  #systemReply(bytes: Uint8Array, query: DnsQuery, addresses: readonly string[]): Uint8Array {
    const seen = seenFromGuest(addresses, this.#options.loopback ?? {});
    return seen.length > 0 ? addressReply(bytes, query, seen) : ownReply(bytes, query, RCODE.NXDOMAIN, []);
  }

  async #askServers(bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array | null> {
    const plan = this.#plan();
    if (plan.servers.length === 0) return null;
    const reply = await this.#bounded(signal, (end) => {
      const exchange = new Exchange(bytes, plan, end);
      return () => exchange.abort();
    });
    if (reply !== null) this.#counters.fromServers++;
    return reply;
  }

  /** Runs work that can be given up: by its caller, and by `close`. */
  #bounded(
    signal: AbortSignal | undefined,
    start: (end: (reply: Uint8Array | null) => void) => () => void,
  ): Promise<Uint8Array | null> {
    const { promise, resolve } = Promise.withResolvers<Uint8Array | null>();
    let cancel = (): void => {};
    const end = (reply: Uint8Array | null): void => {
      this.#aborts.delete(abort);
      signal?.removeEventListener('abort', abort);
      resolve(reply);
    };
    const abort = (): void => {
      cancel();
      end(null);
    };
    this.#aborts.add(abort);
    signal?.addEventListener('abort', abort);
    cancel = start(end);
    return promise;
  }

  #deadlineMs(): number {
    return this.#options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  }

  #plan(): ExchangePlan {
    const conf = this.#resolvConf.get();
    return {
      servers: this.#order(conf),
      attempts: conf.attempts,
      timeoutMs: conf.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      deadlineMs: this.#deadlineMs(),
      askUdp: (server, query, onReply) => this.#udpServer(server).ask(query, this.#heard(server, onReply)),
      askTcp: (server, query, onReply) => this.#askTcp(server, query, this.#heard(server, onReply)),
      onSilence: (server) => {
        this.#counters.silent++;
        this.#silentUntilMs.set(server, this.#nowMs() + SHUNNED_MS);
      },
    };
  }

  /** The order of the file, or the next one of it; servers that kept silent lately come last. */
  #order({ servers, rotate }: ResolvConf): string[] {
    const own = this.#options.ownAddresses ?? [];
    const usable = servers.filter((server) => !own.includes(server));
    const first = rotate ? this.#turn++ % Math.max(1, usable.length) : 0;
    const turned = [...usable.slice(first), ...usable.slice(0, first)];
    const isShunned = (server: string): boolean => (this.#silentUntilMs.get(server) ?? 0) > this.#nowMs();
    return [...turned.filter((server) => !isShunned(server)), ...turned.filter(isShunned)];
  }

  #heard(server: string, onReply: OnReply): OnReply {
    return (reply) => {
      if (reply !== null) this.#silentUntilMs.delete(server);
      onReply(reply);
    };
  }

  #udpServer(server: string): UdpServer {
    const known = this.#udp.get(server);
    if (known !== undefined) return known;
    const fresh = new UdpServer(server, this.#port);
    this.#udp.set(server, fresh);
    return fresh;
  }

  #askTcp(server: string, query: Uint8Array, onReply: OnReply): () => void {
    if (this.#tcp >= MAX_TCP) {
      this.#counters.overLimit++;
      onReply(null);
      return () => {};
    }
    this.#counters.tcp++;
    this.#tcp++;
    return askTcp(server, this.#port, query, onReply, () => this.#tcp--);
  }

  #onChange(): void {
    const { servers } = this.#resolvConf.get();
    for (const [server, sockets] of this.#udp) {
      if (servers.includes(server)) continue;
      this.#udp.delete(server);
      this.#silentUntilMs.delete(server);
      sockets.close();
    }
    this.#options.onChange?.();
  }
}

function hostsName(bytes: Uint8Array, query: DnsQuery, table: HostsTable): Uint8Array | null {
  const name = table.names.get(query.key);
  return name === undefined ? null : ownReply(bytes, query, RCODE.NOERROR, [name]);
}
