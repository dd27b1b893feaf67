/**
 * Router advertisements of one segment (RFC 4861 §6.2, DNS options RFC 8106). Zone: flow; times are monotonic ms.
 * Sans I/O: `poll` hands out what is due. The messages are ICMPv6 from type to last option, checksum zero; the caller sends
 * them from the gateway's link-local address to ff02::1 with hop limit 255 and must not change them.
 *
 * A default route is announced only while the host reaches IPv6 itself; the prefix is announced always. A guest that
 * solicits gets its answer alone and at once, the same guest again within MIN_INTERVAL_MS waits for one that all get: the
 * rate limit of §6.2.6 is per port here, because a port is a wire of its own.
 */
import { Counters, counter } from '../core/counters.ts';
import type { MacAddress } from '../wire/address.ts';
import type { Words } from '../wire/dhcpv6.ts';
import { encodeDomainList } from '../wire/domain-list.ts';
import * as ndp from '../wire/ndp.ts';
import * as options from '../wire/ndp-options.ts';

export interface RouterAdvertConfig {
  /** A /64 for SLAAC. */
  readonly prefix: Words;
  readonly mtu: number;
  readonly dns: readonly Words[];
  readonly searchDomains: readonly string[];
  /** M: addresses by DHCPv6. */
  readonly managed: boolean;
  /** O: other configuration by DHCPv6. */
  readonly other: boolean;
  readonly gateway: Words;
  readonly mac: MacAddress;
}

/** `port` is ALL_PORTS or the one port that the advertisement is for. */
export type EmitAdvert = (port: number, message: Uint8Array) => void;

export const ALL_PORTS = -1;
/** Advertised while the host reaches IPv6; 0 otherwise (RFC 4861 §6.2.1: three times the longest interval). */
export const ROUTER_LIFETIME_SECONDS = 1800;
export const MIN_INTERVAL_MS = 3_000; // MIN_DELAY_BETWEEN_RAS, §10
const SHORTEST_PERIOD_MS = 200_000;
const LONGEST_PERIOD_MS = 600_000;
const MAX_DELAY_MS = 500; // MAX_RA_DELAY_TIME
/** Advertisements in quick succession after start and after each change (§6.2.4). */
export const QUICK_ADVERTS = 3;
/** Ports whose last answer is remembered; beyond, the oldest counts as new. */
export const MAX_PORTS = 4096;
const HOP_LIMIT = 64;
const VALID_SECONDS = 86_400;
const PREFERRED_SECONDS = 14_400;
const DNS_LIFETIME_SECONDS = 1800; // RFC 8106 §5.1: three times the longest interval
/** DNS servers that are announced; resolvers read three. */
const MAX_DNS_SERVERS = 8;
const MAX_MESSAGE_BYTES = 1280 - 40; // fits the smallest MTU

const SENT = counter('ra_sent');
const SOLICITED = counter('ra_solicited');

export class RouterAdvertiser {
  readonly config: RouterAdvertConfig;
  /** Hears that `pollAt` may be earlier than before. */
  onDue: () => void = () => undefined;
  readonly #random: () => number;
  readonly #counters: Counters;
  #message: Uint8Array;
  #hasDefaultRoute = false;
  #running = false;
  #nextMs = Number.POSITIVE_INFINITY;
  #lastToAllMs = Number.NEGATIVE_INFINITY;
  #quickLeft = 0;
  readonly #waiting = new Set<number>(); // ports that are answered at the next poll
  readonly #answeredMs = new Map<number, number>(); // oldest first

  /** `random` gives numbers from 0 to below 1. */
  constructor(config: RouterAdvertConfig, random: () => number, counters: Counters = new Counters()) {
    this.config = config;
    this.#random = random;
    this.#counters = counters;
    this.#message = this.#encode(0);
  }

  start(nowMs: number): void {
    this.#running = true;
    this.#announceSoon(nowMs);
  }

  /** Announces or withdraws the default route, at once and QUICK_ADVERTS times. */
  setDefaultRoute(reachable: boolean, nowMs: number): void {
    if (reachable === this.#hasDefaultRoute) return;
    this.#hasDefaultRoute = reachable;
    this.#message = this.#encode(reachable ? ROUTER_LIFETIME_SECONDS : 0);
    if (this.#running) this.#announceSoon(nowMs);
  }

  /** A router solicitation came in, already validated; the answer comes with the next `poll`, or with the next to all. */
  onSolicit(port: number, nowMs: number): void {
    if (!this.#running) return;
    this.#counters.count(SOLICITED);
    const answeredMs = this.#answeredMs.get(port);
    if (answeredMs === undefined || nowMs - answeredMs >= MIN_INTERVAL_MS) {
      this.#waiting.add(port);
      this.onDue();
    } else this.#announceBy(this.#earliestToAll(nowMs) + Math.floor(this.#random() * MAX_DELAY_MS));
  }

  /** Forgets a port, so that who comes next on it is answered at once. */
  onPortGone(port: number): void {
    this.#waiting.delete(port);
    this.#answeredMs.delete(port);
  }

  /** When `poll` has something to send; infinity while stopped. */
  pollAt(nowMs: number): number {
    return this.#waiting.size > 0 ? nowMs : this.#nextMs;
  }

  /** Sends what is due. */
  poll(nowMs: number, emit: EmitAdvert): void {
    if (nowMs >= this.#nextMs) {
      this.#waiting.clear();
      this.#lastToAllMs = nowMs;
      this.#schedule(nowMs);
      this.#send(ALL_PORTS, emit);
      return;
    }
    for (const port of this.#waiting) {
      this.#remember(port, nowMs);
      this.#send(port, emit);
    }
    this.#waiting.clear();
  }

  /** The last word: no router here any more (§6.2.5). */
  stop(emit: EmitAdvert): void {
    if (!this.#running) return;
    this.#running = false;
    this.#nextMs = Number.POSITIVE_INFINITY;
    this.#waiting.clear();
    this.#message = this.#encode(0);
    this.#send(ALL_PORTS, emit);
  }

  /** The present advertisement, a copy. */
  build(): Uint8Array {
    return this.#message.slice();
  }

  #send(port: number, emit: EmitAdvert): void {
    this.#counters.count(SENT);
    emit(port, this.#message);
  }

  #remember(port: number, nowMs: number): void {
    const [oldest] = this.#answeredMs.keys();
    if (oldest !== undefined && this.#answeredMs.size >= MAX_PORTS) this.#answeredMs.delete(oldest);
    this.#answeredMs.delete(port);
    this.#answeredMs.set(port, nowMs);
  }

  #announceSoon(nowMs: number): void {
    this.#quickLeft = QUICK_ADVERTS;
    this.#announceBy(this.#earliestToAll(nowMs));
  }

  #earliestToAll(nowMs: number): number {
    return Math.max(nowMs, this.#lastToAllMs + MIN_INTERVAL_MS);
  }

  #announceBy(atMs: number): void {
    this.#nextMs = Math.min(this.#nextMs, atMs);
    this.onDue();
  }

  #schedule(nowMs: number): void {
    this.#quickLeft = Math.max(0, this.#quickLeft - 1);
    const period = SHORTEST_PERIOD_MS + Math.floor(this.#random() * (LONGEST_PERIOD_MS - SHORTEST_PERIOD_MS));
    this.#nextMs = nowMs + (this.#quickLeft > 0 ? MIN_INTERVAL_MS : period);
  }

  #encode(lifetimeSeconds: number): Uint8Array {
    const { prefix, mtu, dns, managed, other, mac } = this.config;
    const flags = (managed ? ndp.RA_MANAGED : 0) | (other ? ndp.RA_OTHER : 0);
    const v = new DataView(new ArrayBuffer(MAX_MESSAGE_BYTES));
    let at = ndp.emitRouterAdvert(v, 0, HOP_LIMIT, flags, lifetimeSeconds, 0, 0);
    at = options.putSourceLinkLayer(v, at, mac.hi, mac.lo);
    at = options.putMtu(v, at, mtu);
    const [w0 = 0, w1 = 0] = Array.from(prefix);
    const use = options.PREFIX_ON_LINK | options.PREFIX_AUTONOMOUS;
    at = options.putPrefix(v, at, 64, use, VALID_SECONDS, PREFERRED_SECONDS, w0, w1, 0, 0);
    for (const server of dns.slice(0, MAX_DNS_SERVERS)) {
      const [d0 = 0, d1 = 0, d2 = 0, d3 = 0] = Array.from(server);
      at = options.putRdnss(v, at, DNS_LIFETIME_SECONDS, d0, d1, d2, d3);
    }
    const search = this.#searchList(MAX_MESSAGE_BYTES - at - 8);
    at = options.putDnssl(v, at, DNS_LIFETIME_SECONDS, search);
    return new Uint8Array(v.buffer, 0, at).slice();
  }

  /** The search list, padded to eights (RFC 8106 §5.2); domains that do not fit are left out. */
  #searchList(roomBytes: number): Uint8Array {
    const names = [...this.config.searchDomains];
    let encoded = encodeDomainList(names, false);
    while (encoded.length > roomBytes - 7) {
      names.pop();
      encoded = encodeDomainList(names, false);
    }
    const padded = new Uint8Array(Math.ceil(encoded.length / 8) * 8);
    padded.set(encoded);
    return padded;
  }
}
