/**
 * The network stack of a guest: everything between its card and its programs.
 *
 *   frames → IpLayer → Icmp, Udp, Tcp → DNS, HTTP
 *
 * Zone: control.  Sans-I/O: frames, time and randomness come from outside, so that it runs in a simulation as it does in a
 * process.  It is written to be correct, not to be fast; the guests of a product are virtual machines.
 */
import { PROTO_TCP, PROTO_UDP } from '../wire/ipv4.ts';
import { Autoconf } from './autoconf.ts';
import type { Clock } from './clock.ts';
import { DhcpClient } from './dhcp-client.ts';
import type { DhcpLease } from './dhcp-client.ts';
import { DnsClient } from './dns-client.ts';
import type { DnsConfig } from './dns-client.ts';
import { GuestError } from './errors.ts';
import { fetchOver } from './http/client.ts';
import { serveOver } from './http/server.ts';
import type { HttpHandler, HttpServer } from './http/server.ts';
import { Icmp } from './icmp.ts';
import { IpLayer } from './ip-layer.ts';
import { parseIp } from './ip.ts';
import type { Ip } from './ip.ts';
import type { Mac } from './neighbors.ts';
import { Tcp } from './tcp/tcp.ts';
import { Udp } from './udp.ts';

export interface StackOptions {
  readonly hostname: string;
  readonly mac: Mac;
  readonly clock: Clock;
  /** 32 bits, nothing anybody could guess. */
  readonly random: () => number;
  readonly transmit: (frame: Uint8Array) => void;
}

/** An address that is set by hand. */
export interface StaticAddress {
  /** With its prefix length, e.g. `10.1.0.5/24` or `fd00::5/64`. */
  readonly address: string;
  readonly gateway?: string;
}

/** Whom to ask for names where neither DHCP nor a router says it. */
export interface Resolver {
  readonly servers: readonly string[];
  readonly search: readonly string[];
}

export class Stack {
  readonly ip: IpLayer;
  readonly icmp: Icmp;
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly dns: DnsClient;
  readonly dhcp: DhcpClient;
  resolver: Resolver = { servers: [], search: [] };
  readonly #autoconf: Autoconf;
  readonly #clock: Clock;
  #watchers: (() => void)[] = [];
  #isClosed = false;

  constructor({ hostname, mac, clock, random, transmit }: StackOptions) {
    this.#clock = clock;
    const onChange = (): void => {
      for (const watcher of this.#watchers.splice(0)) watcher();
    };
    this.ip = new IpLayer({ clock, random, mac, transmit });
    this.icmp = new Icmp(this.ip);
    const resolve = (host: string): Promise<readonly Ip[]> => this.dns.addresses(host);
    this.udp = new Udp(
      this.ip,
      async (host) => this.#reachable(await resolve(host), host),
      (packet) => this.icmp.refuse(packet),
    );
    this.tcp = new Tcp(this.ip, resolve);
    this.dns = new DnsClient(
      this.udp,
      () => this.tcp,
      () => this.#resolver(),
      random,
    );
    this.dhcp = new DhcpClient(this.ip, this.udp, hostname, onChange);
    this.#autoconf = new Autoconf(this.ip, onChange);
    this.icmp.onUnreachable = ({ protocol, dst, srcPort, dstPort, code }) => {
      if (protocol === PROTO_UDP) this.udp.onUnreachable(srcPort, dst, code);
      if (protocol === PROTO_TCP) this.tcp.onUnreachable(dst, srcPort, dstPort, code);
    };
  }

  #resolver(): DnsConfig {
    const servers = [...(this.dhcp.lease?.servers ?? []), ...this.#autoconf.servers];
    if (servers.length > 0) return { servers, search: [this.dhcp.lease?.domain ?? []].flat() };
    const { servers: own, search } = this.resolver;
    return { servers: own.flatMap((server) => parseIp(server) ?? []), search };
  }

  /** Its IPv4 address; null before it has one. */
  get address4(): string | null {
    return this.ip.address4?.ip.text ?? null;
  }

  /** Its IPv6 addresses, the link-local one last. */
  get addresses6(): readonly string[] {
    return [...[...this.ip.addresses6.values()].map((place) => place.ip.text), this.ip.linkLocal.text];
  }

  /** Asks for an address by DHCP, as a system does that starts. */
  acquire(timeoutMs?: number): Promise<DhcpLease> {
    return this.dhcp.acquire(timeoutMs);
  }

  /** Asks routers for a prefix, and waits until there is an address of it; false when there is none in time. */
  async autoconfigure(timeoutMs: number): Promise<boolean> {
    const end = this.#clock.now() + timeoutMs;
    this.#autoconf.start();
    const cancel = this.#clock.after(timeoutMs, () => this.#watchers.splice(0).forEach((watcher) => watcher()));
    while (this.ip.addresses6.size === 0 && this.#clock.now() < end && !this.#isClosed) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
    cancel();
    return this.ip.addresses6.size > 0;
  }

  /** Throws EINVAL. */
  configure({ address, gateway }: StaticAddress): void {
    const [text = '', length = ''] = address.split('/');
    const ip = parseIp(text);
    const prefix = Number(length);
    const router = gateway === undefined ? null : parseIp(gateway);
    const isGood = ip !== null && /^\d+$/.test(length) && prefix <= (ip.family === 4 ? 32 : 128);
    if (!isGood || (gateway !== undefined && router?.family !== ip.family)) {
      throw new GuestError(
        'EINVAL',
        `"${address}"${gateway === undefined ? '' : ` by ${gateway}`} is no address of a card`,
      );
    }
    if (ip.family === 4) {
      this.ip.address4 = { ip, prefix };
      this.ip.router4 = router;
    } else {
      this.ip.addPrefix(address, { ip, prefix });
      this.ip.addOnLink(address, { ip, prefix });
      this.ip.router6 = router;
    }
    this.ip.announce();
  }

  async ping(host: string, timeoutMs?: number): Promise<number> {
    const [first] = await this.dns.addresses(host);
    return this.icmp.ping(first!, timeoutMs);
  }

  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    return fetchOver(this.tcp, input, init);
  }

  serve(port: number, handler: HttpHandler): HttpServer {
    return serveOver(this.tcp, port, handler);
  }

  /** Frames that came together, then `flush`. */
  onFrame(frame: Uint8Array): void {
    if (!this.#isClosed) this.ip.onFrame(frame);
  }

  flush(): void {
    this.tcp.flush();
  }

  /** Everything that is open ends with ENETDOWN. */
  close(): void {
    this.#isClosed = true;
    this.dhcp.close();
    this.#autoconf.close();
    this.tcp.close();
    this.udp.close();
    this.icmp.close();
    this.ip.close();
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  #reachable(addresses: readonly Ip[], host: string): Ip {
    for (const ip of addresses) {
      try {
        this.ip.sourceFor(ip);
        return ip;
      } catch (error) {
        if (this.#isClosed) throw error;
        // the next one
      }
    }
    throw new GuestError('ENETUNREACH', `no route leads to ${host}`);
  }
}
