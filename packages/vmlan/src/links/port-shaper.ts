/**
 * What stands between one port and everything else while its traffic is shaped.
 *
 *   guest ── fromGuest ──> switch ── toGateway ──> gateway          switch ── fromPeer (of the other) ──> toGuest ── guest
 *                                                 gateway ── fromGateway ──> toGuest ── guest
 *
 * Zone: packet.  It takes the link's place at the port (`LinkOutput`), so that TCP sees the room that the lines have, and is
 * the port's `shaper`, which the switch asks.  A port without shape has none.
 */
import type { LinkOutput, PortShaping } from '../switching/port.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { type LineEnd, type LineParts, ShapeLine } from './shape-line.ts';
import { MAX_FRAME_LEN } from './link.ts';
import type { Arena } from '../core/arena.ts';

const HEADROOM = 64; // virtio_net_hdr and alignment

/** Where frames are cut: one place for each line that a frame may be in at the same time, since one leads to the next. */
export class ShapeScratch {
  readonly fromGuest: number;
  readonly across: number;
  readonly fromGateway: number;
  readonly toGuest: number;

  constructor(arena: Arena) {
    const place = (): number => arena.alloc(HEADROOM + MAX_FRAME_LEN, 64) + HEADROOM;
    this.fromGuest = place();
    this.across = place();
    this.fromGateway = place();
    this.toGuest = place();
  }
}

/** Where a port's frames go when they have passed. */
export interface ShapedPort {
  fromGuest(off: number, len: number): void;
  toGateway(off: number, len: number): void;
  /** Onto the port, from another port or the gateway. */
  toPort(off: number, len: number): void;
  /** Whether the guest hears what leaves the last line. */
  readonly connected: boolean;
}

const BOUNDLESS = (): number => Infinity;

export class PortShaper implements LinkOutput, PortShaping {
  readonly kind: LinkOutput['kind'];
  readonly link: LinkOutput;
  readonly fromGuest: ShapeLine;
  readonly toGuest: ShapeLine;
  readonly toGateway: ShapeLine;
  readonly fromGateway: ShapeLine;
  /** From other ports, by their ids. */
  readonly #peers = new Map<number, ShapeLine>();
  readonly #parts: LineParts;
  readonly #scratch: ShapeScratch;
  readonly #port: ShapedPort;

  constructor(link: LinkOutput, port: ShapedPort, parts: LineParts, scratch: ShapeScratch) {
    this.kind = link.kind;
    this.link = link;
    this.#port = port;
    this.#parts = parts;
    this.#scratch = scratch;
    this.fromGuest = this.#line(scratch.fromGuest, (off, len) => port.fromGuest(off, len));
    this.toGateway = this.#line(scratch.across, (off, len) => port.toGateway(off, len));
    this.fromGateway = this.#line(scratch.fromGateway, (off, len) => port.toPort(off, len));
    const toLink = (off: number, len: number): void => void (port.connected && link.send(off, len));
    this.toGuest = new ShapeLine(parts, scratch.toGuest, { deliver: toLink, room: () => link.room() });
  }

  /** The line from another port to this one. */
  peer(portId: number): ShapeLine {
    const known = this.#peers.get(portId);
    if (known !== undefined) return known;
    const line = this.#line(this.#scratch.across, (off, len) => this.#port.toPort(off, len));
    this.#peers.set(portId, line);
    return line;
  }

  /** The other port is gone. */
  forgetPeer(portId: number): void {
    this.#peers.get(portId)?.close();
    this.#peers.delete(portId);
  }

  /** Neither shapes nor holds anything: the port is better off without it. */
  get isIdle(): boolean {
    for (const [id, line] of this.#peers) if (line.isIdle) this.#peers.delete(id);
    const { fromGuest, toGuest, toGateway, fromGateway } = this;
    return fromGuest.isIdle && toGuest.isIdle && toGateway.isIdle && fromGateway.isIdle && this.#peers.size === 0;
  }

  /** Whether anything is wanted of it, or it only lets out what waits. */
  get isWanted(): boolean {
    const { fromGuest, toGuest, toGateway, fromGateway } = this;
    const own = [fromGuest, toGuest, toGateway, fromGateway];
    return [...own, ...this.#peers.values()].some((line) => line.isShaped);
  }

  /** What waits is lost. */
  close(): void {
    for (const line of [this.fromGuest, this.toGuest, this.toGateway, this.fromGateway]) line.close();
    for (const line of this.#peers.values()) line.close();
  }

  // ---- PortShaping

  onFromGuest(off: number, len: number): void {
    // The switch checks what the header says, and counts; a line would believe it.
    if (vnetHdr.check(this.#parts.arena.view, off - vnetHdr.LEN, len) !== 0) this.#port.fromGuest(off, len);
    else this.fromGuest.pass(off, len);
  }

  takesFromPort(portId: number, off: number, len: number): boolean {
    const line = this.#peers.get(portId);
    if (line === undefined) return false;
    line.pass(off, len);
    return true;
  }

  takesToGateway(off: number, len: number): boolean {
    if (this.toGateway.isIdle) return false;
    this.toGateway.pass(off, len);
    return true;
  }

  takesFromGateway(off: number, len: number): boolean {
    if (this.fromGateway.isIdle) return false;
    this.fromGateway.pass(off, len);
    return true;
  }

  // ---- LinkOutput

  /** A frame that a shape eats was sent, as far as the port is concerned. */
  send(off: number, len: number): boolean {
    if (this.toGuest.isIdle) return this.link.send(off, len);
    this.toGuest.pass(off, len);
    return true;
  }

  room(): number {
    return Math.min(this.link.room(), this.toGuest.plannable(), this.fromGateway.plannable());
  }

  #line(scratch: number, deliver: LineEnd['deliver']): ShapeLine {
    return new ShapeLine(this.#parts, scratch, { deliver, room: BOUNDLESS });
  }
}
