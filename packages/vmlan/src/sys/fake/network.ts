/**
 * The network of the fake kernel: this host's addresses and routes, the scripted hosts, and what becomes of each SYN,
 * datagram and ping.
 *
 * Zone: control.  Between sockets of this host there is no delay; to a scripted host it is the host's `delayMs`.
 */
import * as c from '../constants.ts';
import { type Endpoint, type Ip, isLoopback, LOOPBACK_V4, LOOPBACK_V6, parseIp, sameEndpoint } from './address.ts';
import type { DatagramSocket } from './datagram-socket.ts';
import { FakeHost } from './host.ts';
import { icmpError, type IcmpErrorName } from './icmp-errors.ts';
import type { InetSocket } from './inet-socket.ts';
import type { PingSocket } from './ping-socket.ts';
import { PortTable } from './port-table.ts';
import { TcpSocket } from './tcp-socket.ts';
import type { Timeline } from './timeline.ts';
import { UdpSocket } from './udp-socket.ts';

const TTL = 64;
const ECHO_REPLY_V4 = 0;
const ECHO_REPLY_V6 = 129;
const CHECKSUM_AT = 2;
const UNLIMITED_MTU = 65_535;

export interface NetworkOptions {
  /** This host's addresses beside loopback; the first of each family is the source toward other hosts. */
  readonly addresses?: readonly string[];
  /** Lowest port that bind gives away, as net.ipv4.ip_unprivileged_port_start. */
  readonly unprivilegedPortStart?: number;
}

/** What answers a SYN: a listener, an error, or (neither) silence. */
export interface TcpRoute {
  readonly delayMs: number;
  readonly listener: TcpSocket | undefined;
  readonly errno: number;
}

export class Network {
  readonly timeline: Timeline;
  readonly unprivilegedPortStart: number;
  /** Default routes; without one, connecting answers ENETUNREACH. */
  readonly routes: { ipv4: boolean; ipv6: boolean };
  readonly tcpPorts: PortTable<InetSocket>;
  readonly udpPorts: PortTable<InetSocket>;
  readonly pingIds: PortTable<InetSocket> = new PortTable(() => false);
  readonly pingIds6: PortTable<InetSocket> = new PortTable(() => false);
  readonly #addresses: Ip[];
  readonly #hosts = new Map<string, FakeHost>();

  constructor(timeline: Timeline, options: NetworkOptions) {
    this.timeline = timeline;
    this.unprivilegedPortStart = options.unprivilegedPortStart ?? 0;
    this.#addresses = (options.addresses ?? ['192.0.2.10', '2001:db8::10']).map(parseIp);
    const has = (family: number): boolean => this.#addresses.some((ip) => ip.family === family);
    this.routes = { ipv4: has(c.AF_INET), ipv6: has(c.AF_INET6) };
    this.tcpPorts = new PortTable((ip, port) => this.#scripted(ip)?.tcpListener(port) !== undefined);
    this.udpPorts = new PortTable((ip, port) => this.#scripted(ip)?.udpService(port) !== undefined);
  }

  /** The scripted host of this address, made on first use. For an address of this host: its own scripted services. */
  host(text: string): FakeHost {
    const ip = parseIp(text);
    let host = this.#hosts.get(ip.text);
    if (host === undefined) {
      host = new FakeHost(this, ip, this.isLocal(ip) ? 0 : 1);
      this.#hosts.set(ip.text, host);
    }
    return host;
  }

  #scripted(ip: Ip): FakeHost | undefined {
    return this.#hosts.get(ip.text);
  }

  isLocal(ip: Ip): boolean {
    return isLoopback(ip) || this.#addresses.some((own) => own.text === ip.text);
  }

  /** The source address toward `ip`, undefined when there is no route. */
  sourceFor(ip: Ip): Ip | undefined {
    if (isLoopback(ip)) return ip.family === c.AF_INET ? LOOPBACK_V4 : LOOPBACK_V6;
    if (this.isLocal(ip)) return ip;
    const isRouted = ip.family === c.AF_INET ? this.routes.ipv4 : this.routes.ipv6;
    return isRouted ? this.#addresses.find((own) => own.family === ip.family) : undefined;
  }

  routeTcp(from: Ip, to: Endpoint): TcpRoute {
    if (!this.isLocal(to.ip)) return this.#scripted(to.ip)?.routeTcp(to.port) ?? SILENCE;
    const socket = this.tcpPorts.find(to.ip, to.port, () => 0);
    const listener = socket instanceof TcpSocket ? socket : this.#scripted(to.ip)?.tcpListener(to.port);
    const delayMs = this.isLocal(from) ? 0 : (this.#scripted(from)?.delayMs ?? 0);
    return { delayMs, listener, errno: listener === undefined ? c.ECONNREFUSED : 0 };
  }

  /** The path MTU that this host has learnt. */
  knownMtu(ip: Ip): number {
    return this.#scripted(ip)?.knownMtu ?? UNLIMITED_MTU;
  }

  sendUdp(sender: UdpSocket, from: Endpoint, to: Endpoint, payload: Uint8Array, ttl: number): void {
    if (this.isLocal(to.ip)) {
      if (!this.deliverUdp(from, to, payload, ttl)) {
        this.#report(sender, 'port-unreachable', to.ip, to, payload, 0);
      }
      return;
    }
    const host = this.#scripted(to.ip);
    if (host === undefined) return;
    const headers = to.ip.family === c.AF_INET ? 28 : 48; // bytes, IP and UDP
    if (this.#failsOnTheWay(sender, host, to, payload, ttl, headers)) return;
    this.timeline.after(host.delayMs, () => {
      if (host.receiveUdp(from, to.port, payload)) return;
      this.timeline.after(host.delayMs, () => this.#report(sender, 'port-unreachable', to.ip, to, payload, 0));
    });
  }

  /** A datagram reaches this host; false when nobody receives there. */
  deliverUdp(from: Endpoint, to: Endpoint, payload: Uint8Array, ttl: number = TTL): boolean {
    const socket = this.udpPorts.find(to.ip, to.port, (user) => {
      if (user.remote === undefined) return 0;
      return sameEndpoint(user.remote, from) ? 2 : -1;
    });
    if (socket instanceof UdpSocket) {
      socket.deliver(payload, from, ttl);
      return true;
    }
    return this.#scripted(to.ip)?.receiveUdp(from, to.port, payload) ?? false;
  }

  sendPing(sender: PingSocket, to: Endpoint, message: Uint8Array, ttl: number): void {
    const reply = (hops: number): void => {
      const answer = message.slice();
      answer[0] = to.ip.family === c.AF_INET ? ECHO_REPLY_V4 : ECHO_REPLY_V6;
      setIcmpChecksum(answer, to.ip, this.sourceFor(to.ip)!);
      sender.deliver(answer, to, TTL - hops);
    };
    if (this.isLocal(to.ip)) {
      reply(0);
      return;
    }
    const host = this.#scripted(to.ip);
    if (host === undefined) return;
    const header = to.ip.family === c.AF_INET ? 20 : 40; // bytes, IP
    if (this.#failsOnTheWay(sender, host, to, message, ttl, header)) return;
    if (host.answersPing) this.timeline.after(2 * host.delayMs, () => reply(host.hops.length));
  }

  /** Errors that routers send: no such host, hop limit reached, datagram above the path's MTU. */
  #failsOnTheWay(
    sender: DatagramSocket,
    host: FakeHost,
    to: Endpoint,
    payload: Uint8Array,
    ttl: number,
    headers: number,
  ): boolean {
    if (host.reach === 'silent') return true;
    const later = (name: IcmpErrorName, offender: Ip, info: number): true => {
      this.timeline.after(host.delayMs, () => this.#report(sender, name, offender, to, payload, info));
      return true;
    };
    const hop = host.hops[ttl - 1];
    if (hop !== undefined) return later('time-exceeded', hop, 0);
    const router = host.hops.at(-1) ?? to.ip;
    if (host.reach !== 'up') return later(host.reach, router, 0);
    if (payload.length + headers <= host.mtu || !sender.dontFragment) return false;
    host.knownMtu = host.mtu;
    return later('too-big', router, host.mtu);
  }

  #report(
    socket: DatagramSocket,
    name: IcmpErrorName,
    offender: Ip,
    destination: Endpoint,
    payload: Uint8Array,
    info: number,
  ): void {
    socket.report(icmpError(destination.ip.family, name), info, offender, destination, payload);
  }
}

/** RFC 792; for ICMPv6 with the pseudo-header of RFC 8200 §8.1. */
function setIcmpChecksum(message: Uint8Array, from: Ip, to: Ip): void {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  view.setUint16(CHECKSUM_AT, 0);
  let sum = 0;
  for (let i = 0; i < message.length; i++) sum += i % 2 === 0 ? message[i]! << 8 : message[i]!;
  if (from.family === c.AF_INET6) {
    for (const word of [...from.words, ...to.words]) sum += (word >>> 16) + (word & 0xffff);
    sum += message.length + c.IPPROTO_ICMPV6;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(CHECKSUM_AT, ~sum & 0xffff);
}

const SILENCE: TcpRoute = { delayMs: 0, listener: undefined, errno: 0 };
