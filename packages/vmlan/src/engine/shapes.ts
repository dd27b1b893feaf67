/**
 * The shapes of a network: which lines of which ports they are, as ports come and go.
 *
 * Zone: control to set, packet to poll.  A shape is of a NIC, whatever link it has: it holds for a link that comes anew, and
 * one between two NICs holds while both are there.  Ports without a shape carry nothing of this.
 */
import type { Counters } from '../core/counters.ts';
import { PortShaper, ShapeScratch } from '../links/port-shaper.ts';
import { ShapeQueue } from '../links/shape-queue.ts';
import type { Port } from '../switching/port.ts';
import type { Sys } from '../sys/sys.ts';
import { GATEWAY_PEER, type ShapeSpec } from './control-messages.ts';

/** Where frames go on when they have passed a line. */
export interface ShapeWays {
  fromGuest(port: Port, off: number, len: number): void;
  toGateway(port: Port, off: number, len: number): void;
  toPort(port: Port, off: number, len: number): void;
}

export class Shapes {
  readonly #sys: Sys;
  readonly #mtu: number;
  readonly #counters: Counters;
  readonly #random: () => number;
  readonly #ways: ShapeWays;
  readonly #specs = new Map<string, ShapeSpec>();
  readonly #ports = new Map<string, Port>();
  readonly #shapers = new Map<Port, PortShaper>();
  /** Shaped no longer, but frames of theirs still wait. */
  readonly #draining = new Set<Port>();
  #memory: { readonly queue: ShapeQueue; readonly scratch: ShapeScratch } | null = null;

  constructor(sys: Sys, mtu: number, counters: Counters, random: () => number, ways: ShapeWays) {
    this.#sys = sys;
    this.#mtu = mtu;
    this.#counters = counters;
    this.#random = random;
    this.#ways = ways;
  }

  set(spec: ShapeSpec): void {
    const before = this.#specs.get(spec.id);
    this.#specs.set(spec.id, spec);
    if (before !== undefined && (before.nic !== spec.nic || before.peer !== spec.peer)) this.#apply(before, false);
    this.#apply(spec, true);
  }

  remove(id: string): void {
    const spec = this.#specs.get(id);
    if (spec === undefined) return;
    this.#specs.delete(id);
    this.#apply(spec, false);
  }

  /** A port has become the NIC's. */
  onPort(port: Port): void {
    this.#ports.set(port.nicKey, port);
    for (const spec of this.#specs.values()) {
      if (spec.nic === port.nicKey || spec.peer === port.nicKey) this.#apply(spec, true);
    }
  }

  onPortGone(port: Port): void {
    if (this.#ports.get(port.nicKey) === port) this.#ports.delete(port.nicKey);
    this.#shapers.get(port)?.close();
    this.#shapers.delete(port);
    this.#draining.delete(port);
    port.shaper = null;
    for (const [other, shaper] of this.#shapers) {
      shaper.forgetPeer(port.id);
      this.#settle(other);
    }
  }

  pollAt(nowMs: number): number {
    const queue = this.#memory?.queue;
    return queue === undefined || queue.nextAt === Infinity
      ? Infinity
      : nowMs + Math.max(queue.nextAt - queue.now(), 0);
  }

  poll(): void {
    if (this.#memory === null) return;
    this.#memory.queue.poll();
    if (this.#draining.size > 0) for (const port of [...this.#draining]) this.#settle(port);
  }

  #apply(spec: ShapeSpec, holds: boolean): void {
    const port = this.#ports.get(spec.nic);
    const other = spec.peer === null || spec.peer === GATEWAY_PEER ? null : this.#ports.get(spec.peer);
    if (port === undefined || other === undefined) return;
    const fromGuest = holds ? spec.fromGuest : null;
    const toGuest = holds ? spec.toGuest : null;
    if (other !== null) {
      this.#shaper(other).peer(port.id).set(fromGuest);
      this.#shaper(port).peer(other.id).set(toGuest);
      this.#settle(other);
    } else {
      const shaper = this.#shaper(port);
      const isUplink = spec.peer === GATEWAY_PEER;
      (isUplink ? shaper.toGateway : shaper.fromGuest).set(fromGuest);
      (isUplink ? shaper.fromGateway : shaper.toGuest).set(toGuest);
    }
    this.#settle(port);
  }

  #shaper(port: Port): PortShaper {
    const known = this.#shapers.get(port);
    if (known !== undefined) return known;
    const { queue, scratch } = this.#takeMemory();
    const parts = { arena: this.#sys.arena, queue, counters: this.#counters, mtu: this.#mtu, random: this.#random };
    const ways = this.#ways;
    const shaped = {
      fromGuest: (off: number, len: number): void => ways.fromGuest(port, off, len),
      toGateway: (off: number, len: number): void => ways.toGateway(port, off, len),
      toPort: (off: number, len: number): void => ways.toPort(port, off, len),
      get connected(): boolean {
        return port.connected;
      },
    };
    const shaper = new PortShaper(port.link!, shaped, parts, scratch);
    this.#shapers.set(port, shaper);
    return shaper;
  }

  #takeMemory(): { readonly queue: ShapeQueue; readonly scratch: ShapeScratch } {
    const { arena } = this.#sys;
    const clock = (): number => this.#sys.monotonicUs() / 1000;
    this.#memory ??= { queue: new ShapeQueue(arena, this.#counters, clock), scratch: new ShapeScratch(arena) };
    return this.#memory;
  }

  /** Puts the shaper before the port's link, or takes it away when nothing is left for it to do. */
  #settle(port: Port): void {
    const shaper = this.#shapers.get(port);
    if (shaper === undefined || port.link === null) return; // what was released has ended the link
    if (shaper.isIdle) {
      this.#shapers.delete(port);
      this.#draining.delete(port);
      port.shaper = null;
      port.link = shaper.link;
      return;
    }
    port.shaper = shaper;
    port.link = shaper;
    if (shaper.isWanted) this.#draining.delete(port);
    else this.#draining.add(port);
  }
}
