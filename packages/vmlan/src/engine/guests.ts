/**
 * Who is there: NICs by their stable key, the ports they are on now, their names and addresses.
 *
 * Zone: flow.  A NIC is registered by the control plane (`web/0`) or appears by itself (`mac:…`), named then by its DHCP
 * host name or its MAC.  When its link goes, its names go at once; its leases stay remembered and its TCP flows wait
 * GRACE_MS for it to come back.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { LeaseEvent } from '../services/lease-binding.ts';
import type { LeaseRecord, LeaseStore } from '../services/lease-store.ts';
import { MAPPED } from '../stack/path.ts';
import type { LinkOutput } from '../switching/port.ts';
import { Port } from '../switching/port.ts';
import * as address from '../wire/address.ts';
import { formatWords, mac, words } from './config.ts';
import type { EngineEvent, GuestSnapshot, NicConfig } from './control-messages.ts';
import { GuestNames } from './guest-names.ts';
import { MAX_ADDRESSES, Nic, isIpv4, isLinkLocal, nameByMac } from './nic.ts';
import { Nics } from './nics.ts';
import type { ClientNaming } from './segment-services.ts';
import type { SegmentHost } from './segment-host.ts';

/** How long the flows of a guest outlive its link. */
export const GRACE_MS = 5_000;
/** Ports of a network: links that are up at the same time. */
export const MAX_PORTS = 1_024;
const ADDRESS_RATE = counter('guest_addresses_not_noticed');
/** Stations bridged behind one port that have leases of their own. */
const MAX_STATIONS = 64;

export interface GuestsParts {
  readonly store: LeaseStore;
  readonly epochMs: () => number;
  readonly nowMs: () => number;
  readonly counters: Counters;
  readonly emit: (event: EngineEvent) => void;
  /** A guest's presence or address has changed. */
  readonly changed: (guest: string) => void;
  /** The port is this NIC's from now on. */
  readonly portBound: (port: Port) => void;
  /** The port's flows have to end when `dueMs` comes, unless they moved. */
  readonly portGone: (port: Port, host: SegmentHost) => void;
  /** Conversations that count against the port. */
  readonly flowsOf: (port: Port) => number;
  /** The guest of `from` is back on `to`. */
  readonly portMoved: (from: Port, to: Port) => void;
}

export class Guests implements ClientNaming {
  readonly #parts: GuestsParts;
  readonly #nics = new Nics();
  readonly #names: GuestNames = new GuestNames(this.#nics);
  readonly #ports = new Map<number, Port>();
  readonly #hosts = new Map<number, SegmentHost>();
  /** Last port of a NIC whose link went down, for its flows. */
  readonly #lastPorts = new Map<string, Port>();
  #nextPortId = 1;

  constructor(parts: GuestsParts) {
    this.#parts = parts;
  }

  get portCount(): number {
    return this.#ports.size;
  }

  nics(): IterableIterator<Nic> {
    return this.#nics.values();
  }

  ports(): IterableIterator<Port> {
    return this.#ports.values();
  }

  /** Mapped words of every address that a guest of this name has now. */
  addressesOf(name: string): readonly Int32Array[] {
    return [...this.#nics.of(name)].flatMap((nic) => [...nic.addresses.values()]);
  }

  portById(id: number): Port | null {
    return this.#ports.get(id) ?? null;
  }

  hostOf(port: Port): SegmentHost | null {
    return this.#hosts.get(port.id) ?? null;
  }

  nicByKey(key: string): Nic | null {
    return this.#nics.get(key) ?? null;
  }

  /** The NIC of a guest's name that is best to reach it by: one that is there. */
  nicByGuest(name: string): Nic | null {
    let found: Nic | null = null;
    for (const nic of this.#nics.of(name)) {
      if (nic.port !== null) return nic;
      found ??= nic;
    }
    return found;
  }

  nicByPort(port: Port): Nic | null {
    return this.#nics.get(port.nicKey) ?? null;
  }

  setNic(config: NicConfig): void {
    const own = config.mac === null ? null : mac(config.mac);
    const nic = this.#nics.get(config.key) ?? new Nic(config.key, config.guest, true);
    this.#nics.add(nic);
    nic.registered = true;
    nic.mac = own;
    nic.connected = config.connected;
    this.#rename(nic, config.guest);
    this.#claimName(nic);
    if (nic.port === null) this.#findPort(nic);
    if (nic.port === null) return;
    nic.port.connected = nic.connected;
    this.#names.publish(nic.guest, nic.host);
    this.#parts.changed(nic.guest);
  }

  removeNic(key: string): void {
    const nic = this.#nics.get(key);
    if (nic === undefined) return;
    this.#nics.remove(nic);
    this.#names.publish(nic.guest, nic.host);
    this.#parts.store.onNicGone(key, this.#parts.epochMs());
    this.#parts.changed(nic.guest);
  }

  /** A link's far end is there: gives it a port on `host`. Null when the network is full. */
  addPort(link: LinkOutput, nicKey: string | null, host: SegmentHost, hostSide: boolean): Port | null {
    if (this.#ports.size >= MAX_PORTS) return null;
    const port = new Port(this.#nextPortId++, hostSide);
    port.link = link;
    port.sinceMs = this.#parts.epochMs();
    this.#ports.set(port.id, port);
    this.#hosts.set(port.id, host);
    host.segment.addPort(port);
    if (nicKey !== null) this.#bind(port, nicKey, host);
    return port;
  }

  removePort(port: Port): void {
    const host = this.#hosts.get(port.id);
    if (host === undefined) return;
    const now = this.#parts.epochMs();
    this.#ports.delete(port.id);
    this.#hosts.delete(port.id);
    port.link = null;
    host.segment.removePort(port);
    host.advertiser?.onPortGone(port.id);
    host.gateway?.neighbors.forget(port);
    this.#parts.portGone(port, host);
    const nic = this.#nics.get(port.nicKey);
    if (nic === undefined || nic.port !== port) return;
    this.#lastPorts.set(nic.key, port);
    const snapshot = this.snapshotOf(nic);
    nic.port = null;
    nic.host = null;
    nic.addresses.clear();
    for (const key of [nic.key, ...nic.stations]) this.#parts.store.onNicGone(key, now);
    nic.stations.clear();
    if (!nic.registered) this.#nics.remove(nic);
    this.#names.publish(nic.guest, host);
    this.#parts.emit({ kind: 'guest-down', guest: { ...snapshot, state: 'waiting' } });
    this.#parts.changed(nic.guest);
  }

  /** The flows of a port that went have ended. */
  forgetLastPort(port: Port): void {
    if (this.#lastPorts.get(port.nicKey) === port) this.#lastPorts.delete(port.nicKey);
  }

  /** The first frame of a station behind a port. */
  onStation(port: Port, macHi: number, macLo: number): void {
    if (port.hostSide) return;
    if (port.macHi === 0 && port.macLo === 0) {
      port.macHi = macHi;
      port.macLo = macLo;
    }
    if (port.nicKey !== '') return;
    const host = this.#hosts.get(port.id);
    if (host === undefined) return;
    const text = address.formatMac(port.macHi, port.macLo);
    const registered = this.#registeredByMac(port.macHi, port.macLo);
    // A twin of a MAC that is taken already is told apart by its alias.
    const own = port.aliasHi === 0 ? text : address.formatMac(port.aliasHi, port.aliasLo);
    this.#bind(port, registered?.key ?? `mac:${own}`, host);
  }

  /** ClientNaming: whose lease a DHCP message is about. */
  nicOf(port: Port, macHi: number, macLo: number): { key: string; guest: string | null } {
    const nic = this.#nics.get(port.nicKey);
    const isOwn = (macHi === port.macHi && macLo === port.macLo) || (macHi === port.aliasHi && macLo === port.aliasLo);
    if (nic === undefined) return { key: `mac:${address.formatMac(macHi, macLo)}`, guest: null };
    if (isOwn) return { key: nic.key, guest: nic.registered ? nic.guest : null };
    const key = `${nic.key}+${address.formatMac(macHi, macLo)}`;
    // A new station behind the port: those before it may have been the same guest under another MAC, so their leases
    // may be recycled when nothing older can be.
    if (!nic.stations.has(key)) {
      for (const other of nic.stations) this.#parts.store.onNicGone(other, this.#parts.epochMs());
      if (nic.stations.size >= MAX_STATIONS) nic.stations.clear();
      nic.stations.add(key);
    }
    return { key, guest: null };
  }

  /** An address was seen behind a port (ARP, ND). */
  onAddress(port: Port, seen: Int32Array): void {
    const nic = this.#nics.get(port.nicKey);
    if (nic === undefined || nic.port !== port) return;
    const text = formatWords(seen);
    if (nic.addresses.has(text)) return;
    // A guest that makes up addresses would keep names, forwards and listeners busy; a real one is seen again.
    if (!nic.newAddresses.take(this.#parts.nowMs())) return this.#parts.counters.count(ADDRESS_RATE);
    if (nic.addresses.size >= MAX_ADDRESSES) nic.addresses.delete(nic.addresses.keys().next().value!);
    nic.addresses.set(text, seen.slice());
    this.#tellChanged(nic);
    if (isIpv4(seen)) this.#verifyOthers(nic, port, text);
  }

  /** A new address may stand for an old one: those that the guest does not answer for any more are forgotten. */
  #verifyOthers(nic: Nic, port: Port, text: string): void {
    for (const [other, at] of nic.addresses) {
      if (other === text || !isIpv4(at)) continue;
      nic.host?.gateway?.neighbors.verify(at, this.#parts.nowMs(), (neighbor) => {
        if (neighbor === null && nic.port === port && nic.addresses.delete(other)) this.#tellChanged(nic);
      });
    }
  }

  #tellChanged(nic: Nic): void {
    this.#names.publish(nic.guest, nic.host);
    this.#parts.changed(nic.guest);
    this.#parts.emit({ kind: 'guest-changed', guest: this.snapshotOf(nic) });
  }

  onLease(event: LeaseEvent, lease: LeaseRecord): void {
    const nic = this.#nics.get(lease.nic);
    if (nic === undefined) return;
    const leased = words(lease.address)!;
    if (event === 'bound' || event === 'renewed' || event === 'back') {
      if (lease.family === 4) nic.lease4 = leased[3]! >>> 0;
      if (lease.hostname !== null) nic.hostname = lease.hostname;
      if (!nic.registered) this.#nameByHost(nic);
      if (nic.port !== null) {
        const [w0, w1, w2, w3] = leased;
        nic.host?.segment.bindAddress(nic.port, w0!, w1!, w2!, w3!, 0);
      }
      nic.addresses.set(lease.address, leased);
    } else {
      if (lease.family === 4 && event !== 'gone' && nic.lease4 === leased[3]! >>> 0) nic.lease4 = null;
      nic.addresses.delete(lease.address);
    }
    if (event === 'renewed') this.#names.publish(nic.guest, nic.host);
    else this.#tellChanged(nic);
  }

  /** Mapped words of the address to reach a guest by: its IPv4 lease, the IPv4 address seen last, then IPv6. */
  addressOf(nic: Nic): Int32Array | null {
    if (nic.lease4 !== null && nic.addresses.has(address.formatIpv4(nic.lease4))) {
      return Int32Array.of(0, 0, MAPPED, nic.lease4);
    }
    const all = [...nic.addresses.values()];
    return all.findLast(isIpv4) ?? all.find((w) => !isLinkLocal(w)) ?? null;
  }

  snapshotOf(nic: Nic): GuestSnapshot {
    const { port } = nic;
    const all = [...nic.addresses.values()];
    const known = port !== null && port.macHi + port.macLo > 0 ? { hi: port.macHi, lo: port.macLo } : nic.mac;
    const leased = nic.lease4 === null ? null : address.formatIpv4(nic.lease4);
    // While the guest is away, its lease is what is known; while it is there, what it answers for.
    const lease = leased !== null && (port === null || nic.addresses.has(leased)) ? [leased] : [];
    return {
      guest: nic.guest,
      nic: nic.key,
      mac: known === null ? null : address.formatMac(known.hi, known.lo),
      aliasMac: port === null || port.aliasHi === 0 ? null : address.formatMac(port.aliasHi, port.aliasLo),
      link: linkKind(port),
      state: !nic.connected ? 'disconnected' : port === null ? 'waiting' : 'connected',
      address4: [...new Set([...lease, ...all.filter(isIpv4).map(formatWords)])],
      // What others reach it by comes first.
      address6: all
        .filter((w) => !isIpv4(w))
        .sort((a, b) => Number(isLinkLocal(a)) - Number(isLinkLocal(b)))
        .map(formatWords),
      hostname: nic.hostname,
      sinceMs: port?.sinceMs ?? 0,
      framesFromGuest: port?.framesFromGuest ?? 0,
      framesToGuest: port?.framesToGuest ?? 0,
      bytesFromGuest: port?.bytesFromGuest ?? 0,
      bytesToGuest: port?.bytesToGuest ?? 0,
      dropsToGuest: port?.dropsToGuest ?? 0,
      dropsFromGuest: port?.dropsFromGuest ?? 0,
      flows: port === null ? 0 : this.#parts.flowsOf(port),
    };
  }

  #bind(port: Port, key: string, host: SegmentHost): void {
    let nic = this.#nics.get(key);
    if (nic === undefined) {
      nic = new Nic(key, nameByMac(key), false);
      this.#nics.add(nic);
      this.#claimName(nic);
    }
    port.nicKey = key;
    port.guest = nic.guest;
    port.connected = nic.connected;
    nic.port = port;
    nic.host = host;
    const before = this.#lastPorts.get(key);
    this.#lastPorts.delete(key);
    if (before !== undefined) this.#parts.portMoved(before, port);
    this.#parts.portBound(port);
    this.#parts.store.onNicHere(key, this.#parts.epochMs());
    this.#names.publish(nic.guest, host); // an address may have been allocated before the link came up
    this.#parts.emit({ kind: 'guest-up', guest: this.snapshotOf(nic) });
    this.#parts.changed(nic.guest);
  }

  /** A registered NIC without a link whose MAC this is. */
  #registeredByMac(hi: number, lo: number): Nic | null {
    for (const nic of this.#nics.values()) {
      if (nic.registered && nic.port === null && nic.mac !== null && nic.mac.hi === hi && nic.mac.lo === lo) return nic;
    }
    return null;
  }

  /** A NIC that was removed while its link was up is registered again. */
  #findPort(nic: Nic): void {
    for (const port of this.#ports.values()) {
      if (port.nicKey !== nic.key) continue;
      const host = this.#hosts.get(port.id)!;
      this.#bind(port, nic.key, host);
      for (const seen of [...(host.gateway?.neighbors.addressesOf(port) ?? [])]) this.onAddress(port, seen);
      return;
    }
  }

  /** An anonymous guest is called as it calls itself, unless somebody has that name. */
  #nameByHost(nic: Nic): void {
    const { hostname } = nic;
    if (hostname === null) return;
    for (const other of this.#nics.of(hostname)) if (other !== nic) return;
    this.#rename(nic, hostname);
  }

  /** The name is this NIC's: whoever only called itself so is known by its MAC again. */
  #claimName(owner: Nic): void {
    for (const nic of [...this.#nics.of(owner.guest)]) {
      if (nic === owner || nic.registered) continue;
      this.#rename(nic, nameByMac(nic.key));
      this.#parts.emit({ kind: 'guest-changed', guest: this.snapshotOf(nic) });
    }
  }

  #rename(nic: Nic, guest: string): void {
    const before = nic.guest;
    if (before === guest) return;
    this.#nics.rename(nic, guest);
    if (nic.port !== null) nic.port.guest = guest;
    for (const name of [before, guest]) {
      this.#names.publish(name, nic.host);
      this.#parts.changed(name);
    }
  }
}

function linkKind(port: Port | null): GuestSnapshot['link'] {
  const link = port?.link ?? null;
  return link === null || link.kind === 'loopback' ? 'none' : link.kind;
}
