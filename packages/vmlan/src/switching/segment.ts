/**
 * One Ethernet segment: a learning switch whose first station is the gateway.
 *
 * Zone: packet.  A frame from a guest is checked (shape, source, guard), its source is learned, and it goes to the
 * gateway, to one port, or to all.  Unknown unicast, broadcast and multicast are flooded (IEEE 802.1Q §8.8.8); frames
 * for the reserved group addresses 01-80-C2-00-00-0x stay on their link (§8.6.3).  Ports queue for themselves, so a
 * slow guest costs the others nothing.
 */
import type { Arena } from '../core/arena.ts';
import { type Counters, counter } from '../core/counters.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { type Guard, PASS } from './guard.ts';
import { GATE_PASS, type HostGate } from './host-gate.ts';
import { giveAlias, isAlias, rewriteFromGuest, rewriteToGuest } from './mac-alias.ts';
import { MacTable } from './mac-table.ts';
import type { Port } from './port.ts';

const DROP_SHORT = counter('drop_short_frame');
const DROP_BAD_SOURCE = counter('drop_bad_source_mac');
const DROP_TAKEN_MAC = counter('drop_taken_source_mac');
const DROP_GATEWAY_MAC = counter('drop_spoofed_gateway_mac');
const DROP_RESERVED = counter('drop_reserved_group');
const DROP_ISOLATED = counter('drop_isolated_guest');
const DROP_DISCONNECTED = counter('drop_nic_disconnected');
const DROP_BAD_OFFLOAD = counter('drop_bad_offload');
const FLOODED = counter('switch_flooded');
const FORWARDED = counter('switch_forwarded');
const NOT_LEARNED = counter('switch_mac_table_full');

const RESERVED_HI = 0x0180;
const RESERVED_LO = 0xc200_0000;
/** Bytes that must be free before every frame in the arena. */
export const FRAME_HEADROOM: number = vnetHdr.LEN;

/** The gateway as the switch sees it. */
export interface GatewayStation {
  onFrame(port: Port, off: number, len: number, nowMs: number): void;
}

/** What a segment reports: a MAC that shows up behind a port for the first time. */
export interface SegmentObserver {
  onStation(port: Port, macHi: number, macLo: number): void;
}

export interface SegmentOptions {
  readonly id: number;
  readonly gatewayMacHi: number;
  readonly gatewayMacLo: number;
  /** Guests do not see each other; the gateway and the host's own port see all. */
  readonly isolateGuests: boolean;
  readonly guard: Guard | null;
  /** What guests may send to the host's own port; null where there never is one. */
  readonly hostGate: HostGate | null;
  /** Sets of the MAC table, a power of two. */
  readonly macTableSets: number;
  readonly seed: number;
}

export class Segment {
  readonly id: number;
  readonly ports: Port[] = [];
  gateway: GatewayStation | null = null;
  observer: SegmentObserver | null = null;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  readonly #copy: number; // where a frame is copied before an alias is rewritten in it
  readonly #options: SegmentOptions;
  readonly #guard: Guard | null;
  readonly #macs: MacTable;
  readonly #counters: Counters;

  /** `copy` is an arena offset with room for a whole frame, behind FRAME_HEADROOM bytes. */
  constructor(arena: Arena, copy: number, options: SegmentOptions, counters: Counters) {
    this.id = options.id;
    this.#view = arena.view;
    this.#u8 = arena.u8;
    this.#copy = copy;
    this.#options = options;
    this.#guard = options.guard;
    this.#macs = new MacTable(options.macTableSets, options.seed);
    this.#counters = counters;
  }

  addPort(port: Port): void {
    this.ports.push(port);
  }

  removePort(port: Port): void {
    const index = this.ports.indexOf(port);
    if (index >= 0) this.ports.splice(index, 1);
    this.forget(port);
  }

  /** The guest behind `port` is gone: its stations and unleased addresses are free again. */
  forget(port: Port): void {
    this.#macs.forget(port);
    this.#guard?.addresses.forget(port);
  }

  /** An address leased to `port`, IPv4 mapped: from now on nobody else may use it. */
  bindAddress(port: Port, w0: number, w1: number, w2: number, w3: number, nowMs: number): void {
    this.#guard?.addresses.bind(port, w0, w1, w2, w3, nowMs);
  }

  /** A frame that `port`'s guest sent. The frame may be changed in place. */
  onFrame(port: Port, off: number, len: number, nowMs: number): void {
    const { tap } = port;
    if (tap === null) return this.#onFrame(port, off, len, nowMs);
    tap.beforeFromGuest(off, len);
    this.#onFrame(port, off, len, nowMs);
    tap.afterFromGuest();
  }

  #onFrame(port: Port, off: number, len: number, nowMs: number): void {
    const v = this.#view;
    port.framesFromGuest++;
    port.bytesFromGuest += len;
    if (!port.connected) return this.#drop(port, DROP_DISCONNECTED);
    if (len < ethernet.HEADER_LEN) return this.#drop(port, DROP_SHORT);
    if (vnetHdr.check(v, off - vnetHdr.LEN, len) !== 0) return this.#drop(port, DROP_BAD_OFFLOAD);
    if (!this.#admit(port, off, len, nowMs)) return;
    if (ethernet.isMulticast(v, off)) this.#onGroupFrame(port, off, len, nowMs);
    else this.#onUnicastFrame(port, off, len, nowMs);
  }

  /** A frame of the gateway for every guest. */
  flood(off: number, len: number): void {
    for (const port of this.ports) this.sendTo(port, off, len);
  }

  /** A frame of the gateway for one guest. */
  sendTo(port: Port, off: number, len: number): void {
    if (port.shaper !== null && port.shaper.takesFromGateway(off, len)) return;
    this.deliver(port, off, len);
  }

  /** A frame that has passed whatever shapes the way to this port. */
  deliver(port: Port, off: number, len: number): void {
    if (port.aliasHi === 0) return port.send(off, len);
    const copy = this.#copy;
    this.#u8.copyWithin(copy - FRAME_HEADROOM, off - FRAME_HEADROOM, off + len);
    rewriteToGuest(this.#view, copy, len, port);
    port.send(copy, len);
  }

  /** The port behind which a MAC is, for a gateway that resolved an address by itself. */
  portOf(macHi: number, macLo: number, nowMs: number): Port | null {
    return this.#macs.lookup(macHi, macLo, nowMs);
  }

  /** Source checks, learning, guard; false when the frame was dropped. */
  #admit(port: Port, off: number, len: number, nowMs: number): boolean {
    const v = this.#view;
    let hi = ethernet.srcHi(v, off);
    let lo = ethernet.srcLo(v, off);
    if (port.aliasHi !== 0 && hi === port.macHi && lo === port.macLo) {
      rewriteFromGuest(v, off, len, port);
      hi = port.aliasHi;
      lo = port.aliasLo;
    } else if (isAlias(hi, lo)) {
      return this.#refuse(port, DROP_BAD_SOURCE); // guests do not know that there are aliases, and take none
    }
    if (ethernet.isSrcMulticast(v, off) || (hi | lo) === 0) return this.#refuse(port, DROP_BAD_SOURCE);
    if (hi === this.#options.gatewayMacHi && lo === this.#options.gatewayMacLo) {
      return this.#refuse(port, DROP_GATEWAY_MAC);
    }
    const holder = this.#macs.lookup(hi, lo, nowMs);
    if (holder !== port) {
      if (holder !== null && holder.live) return this.#admitTwin(port, hi, lo, off, len, nowMs);
      if (!this.#macs.learn(hi, lo, port, nowMs)) this.#counters.count(NOT_LEARNED);
      this.observer?.onStation(port, hi, lo);
    } else {
      this.#macs.learn(hi, lo, port, nowMs);
    }
    if (port.hostSide) {
      this.#options.hostGate?.onFromHost(v, off, len, nowMs);
      return true;
    }
    if (this.#guard === null) return true;
    const reason = this.#guard.check(v, off, len, port, nowMs);
    return reason === PASS ? true : this.#refuse(port, reason);
  }

  /** Another live port has this MAC already. */
  #admitTwin(port: Port, hi: number, lo: number, off: number, len: number, nowMs: number): boolean {
    // A guest that has spoken by a name of its own is no twin: it pretends, and stays who it is.
    const isNamed = (port.macHi | port.macLo) !== 0 && (port.macHi !== hi || port.macLo !== lo);
    if (port.aliasHi !== 0 || isNamed) return this.#refuse(port, DROP_TAKEN_MAC);
    port.macHi = hi;
    port.macLo = lo;
    giveAlias(port);
    return this.#admit(port, off, len, nowMs);
  }

  #onGroupFrame(port: Port, off: number, len: number, nowMs: number): void {
    const v = this.#view;
    if (ethernet.dstHi(v, off) === RESERVED_HI && (ethernet.dstLo(v, off) & 0xffff_fff0) >>> 0 === RESERVED_LO) {
      return this.#drop(port, DROP_RESERVED);
    }
    this.#floodFrom(port, off, len, nowMs);
    this.#toGateway(port, off, len, nowMs);
  }

  #onUnicastFrame(port: Port, off: number, len: number, nowMs: number): void {
    const v = this.#view;
    const hi = ethernet.dstHi(v, off);
    const lo = ethernet.dstLo(v, off);
    if (hi === this.#options.gatewayMacHi && lo === this.#options.gatewayMacLo) {
      return this.#toGateway(port, off, len, nowMs);
    }
    const target = this.#macs.lookup(hi, lo, nowMs);
    if (target === null) return this.#floodFrom(port, off, len, nowMs);
    if (target === port) return; // its own bridge knows better
    if (!this.#mayMeet(port, target)) return this.#drop(port, DROP_ISOLATED);
    if (target.hostSide) {
      const reason = this.#toHost(off, len, nowMs);
      if (reason !== GATE_PASS) return this.#drop(port, reason);
    }
    this.#counters.count(FORWARDED);
    this.#forward(port, target, off, len);
  }

  #floodFrom(port: Port, off: number, len: number, nowMs: number): void {
    this.#counters.count(FLOODED);
    let copies = 0;
    for (const other of this.ports) {
      if (other === port || !this.#mayMeet(port, other)) continue;
      if (other.hostSide && this.#toHost(off, len, nowMs) !== GATE_PASS) continue;
      this.#forward(port, other, off, len);
      copies++;
    }
    port.floods.charge(copies, len, nowMs);
  }

  #toHost(off: number, len: number, nowMs: number): number {
    return this.#options.hostGate?.check(this.#view, off, len, nowMs) ?? GATE_PASS;
  }

  #mayMeet(a: Port, b: Port): boolean {
    return !this.#options.isolateGuests || a.hostSide || b.hostSide;
  }

  #forward(from: Port, to: Port, off: number, len: number): void {
    if (to.shaper !== null && to.shaper.takesFromPort(from.id, off, len)) return;
    this.deliver(to, off, len);
  }

  #toGateway(port: Port, off: number, len: number, nowMs: number): void {
    if (port.shaper !== null && port.shaper.takesToGateway(off, len)) return;
    this.gateway?.onFrame(port, off, len, nowMs);
  }

  #drop(port: Port, reason: number): void {
    port.dropsFromGuest++;
    this.#counters.count(reason);
  }

  #refuse(port: Port, reason: number): false {
    this.#drop(port, reason);
    return false;
  }
}
