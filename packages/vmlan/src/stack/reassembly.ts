/**
 * IPv4 and IPv6 fragments back into packets (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722, RFC 8900).
 *
 * Zone: packet.  MAX_CONTEXTS datagrams at a time, MAX_PER_PORT of one guest, TIMEOUT_MS each; when a guest has too many,
 * its oldest goes.  A fragment that the network has doubled is ignored; any other overlap condemns the datagram, in both
 * families: nobody honest sends it.  A finished packet lies in the context's buffer as a whole frame with headroom and is
 * borrowed until the next fragment.
 */
import type { Arena } from '../core/arena.ts';
import { type Counters, counter } from '../core/counters.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import type { Packet } from './packet.ts';

export const MAX_CONTEXTS = 64;
export const MAX_PER_PORT = 16;
export const TIMEOUT_MS = 30_000;
const MAX_DATA = 65535;
const UNITS = 8192; // of 8 bytes
const HEADROOM = 64;

const DROP_OVERLAP = counter('drop_fragment_overlap');
const DROP_TOO_LONG = counter('drop_fragment_too_long');
const DROP_TIMEOUT = counter('drop_fragment_timeout');
const DROP_CROWDED = counter('drop_fragment_table_full');
const REASSEMBLED = counter('reassembled_packets');

class Context {
  readonly frame: number; // Ethernet header of the packet being put together
  readonly seen: Uint8Array = new Uint8Array(UNITS >> 3);
  used = false;
  portId = -1;
  family = 4;
  id = 0;
  protocol = 0;
  readonly addresses: Int32Array = new Int32Array(8);
  deadlineMs = 0;
  received = 0; // bytes of data
  highest = 0; // end of the data that reaches furthest
  total = -1; // bytes of data, known once the last fragment is here

  constructor(frame: number) {
    this.frame = frame;
  }
}

export class Reassembler {
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  readonly #arena: Arena;
  readonly #contexts: Context[] = [];
  readonly #counters: Counters;
  /** Length of the frame that `add` has just completed. */
  frameLen = 0;

  constructor(arena: Arena, counters: Counters) {
    this.#arena = arena;
    this.#view = arena.view;
    this.#u8 = arena.u8;
    this.#counters = counters;
  }

  /**
   * Takes a fragment: `dataOff`/`dataLen` is its data, `at` its offset in the datagram, `protocol` what the data is.
   * Returns the offset of the finished frame (its length is `frameLen`), or -1.
   */
  add(
    packet: Packet,
    id: number,
    protocol: number,
    dataOff: number,
    dataLen: number,
    at: number,
    more: boolean,
    nowMs: number,
  ): number {
    const context = this.#find(packet, id, protocol) ?? this.#open(packet, id, protocol, nowMs);
    const end = at + dataLen;
    const misfit = (more && (dataLen & 7) !== 0) || dataLen === 0;
    if (misfit || end > MAX_DATA - this.#headerLen(context) || (context.total >= 0 && end > context.total)) {
      return this.#condemn(context, DROP_TOO_LONG);
    }
    if (!more) {
      // Two ends, or data behind the end: counting bytes would take the hole that such data leaves for filled.
      const contradicts = context.highest > end || (context.total >= 0 && context.total !== end);
      if (contradicts) return this.#condemn(context, DROP_OVERLAP);
      context.total = end;
    }
    const data = context.frame + ethernet.HEADER_LEN + this.#headerLen(context) + at;
    const known = this.#countSeen(context, at, end);
    if (known > 0) {
      // RFC 8200 §4.5: an exact duplicate may be dropped alone.
      const doubled = known === unitsOf(at, end) && this.#same(data, dataOff, dataLen);
      return doubled ? -1 : this.#condemn(context, DROP_OVERLAP);
    }
    this.#mark(context, at, end);
    this.#u8.copyWithin(data, dataOff, dataOff + dataLen);
    context.received += dataLen;
    if (end > context.highest) context.highest = end;
    if (context.received !== context.total) return -1;
    return this.#finish(context, packet);
  }

  /** Drops what has waited too long; call it now and then. */
  poll(nowMs: number): void {
    for (const context of this.#contexts) {
      if (context.used && nowMs >= context.deadlineMs) this.#condemn(context, DROP_TIMEOUT);
    }
  }

  get pending(): number {
    let count = 0;
    for (const context of this.#contexts) if (context.used) count++;
    return count;
  }

  #headerLen(context: Context): number {
    return context.family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN;
  }

  #find(packet: Packet, id: number, protocol: number): Context | null {
    for (const context of this.#contexts) {
      if (
        context.used &&
        context.id === id &&
        context.portId === packet.port!.id &&
        context.family === packet.family &&
        (context.protocol === protocol || context.family === 6) &&
        sameAddresses(context.addresses, packet)
      ) {
        return context;
      }
    }
    return null;
  }

  #open(packet: Packet, id: number, protocol: number, nowMs: number): Context {
    const context = this.#place(packet.port!.id, nowMs);
    context.used = true;
    context.portId = packet.port!.id;
    context.family = packet.family;
    context.id = id;
    context.protocol = protocol;
    context.addresses[0] = packet.guest0;
    context.addresses[1] = packet.guest1;
    context.addresses[2] = packet.guest2;
    context.addresses[3] = packet.guest3;
    context.addresses[4] = packet.remote0;
    context.addresses[5] = packet.remote1;
    context.addresses[6] = packet.remote2;
    context.addresses[7] = packet.remote3;
    context.deadlineMs = nowMs + TIMEOUT_MS;
    context.received = 0;
    context.highest = 0;
    context.total = -1;
    context.seen.fill(0);
    return context;
  }

  /** A free context; the guest's own oldest when it has its share, else anybody's oldest. */
  #place(portId: number, nowMs: number): Context {
    let free: Context | null = null;
    let oldest: Context | null = null;
    let own: Context | null = null;
    let ownCount = 0;
    for (const context of this.#contexts) {
      if (context.used && nowMs >= context.deadlineMs) this.#condemn(context, DROP_TIMEOUT);
      if (!context.used) {
        free ??= context;
        continue;
      }
      if (oldest === null || context.deadlineMs < oldest.deadlineMs) oldest = context;
      if (context.portId !== portId) continue;
      ownCount++;
      if (own === null || context.deadlineMs < own.deadlineMs) own = context;
    }
    if (ownCount >= MAX_PER_PORT) {
      this.#condemn(own!, DROP_CROWDED);
      return own!;
    }
    if (free !== null) return free;
    if (this.#contexts.length < MAX_CONTEXTS) return this.#make();
    this.#condemn(oldest!, DROP_CROWDED);
    return oldest!;
  }

  #make(): Context {
    const room = HEADROOM + ethernet.HEADER_LEN + ipv6.HEADER_LEN + MAX_DATA + 8;
    const context = new Context(this.#arena.alloc(room, 64) + HEADROOM);
    this.#contexts.push(context);
    return context;
  }

  /** How many of the 8-byte units of [at, end) have been received. */
  #countSeen(context: Context, at: number, end: number): number {
    let count = 0;
    for (let unit = at >>> 3; unit < (end + 7) >>> 3; unit++) {
      if ((context.seen[unit >>> 3]! & (1 << (unit & 7))) !== 0) count++;
    }
    return count;
  }

  #mark(context: Context, at: number, end: number): void {
    for (let unit = at >>> 3; unit < (end + 7) >>> 3; unit++) context.seen[unit >>> 3]! |= 1 << (unit & 7);
  }

  #same(a: number, b: number, len: number): boolean {
    for (let i = 0; i < len; i++) if (this.#u8[a + i] !== this.#u8[b + i]) return false;
    return true;
  }

  #finish(context: Context, packet: Packet): number {
    const v = this.#view;
    const { frame, total } = context;
    const ip = frame + ethernet.HEADER_LEN;
    context.used = false;
    vnetHdr.clear(v, frame - vnetHdr.LEN);
    this.#u8.copyWithin(frame, packet.frame, packet.frame + ethernet.HEADER_LEN);
    if (context.family === 4) {
      const len = ipv4.MIN_HEADER_LEN + total;
      const src = packet.guest3 >>> 0;
      ipv4.emit(v, ip, len, context.id, 0, packet.hopLimit, context.protocol, src, packet.remote3 >>> 0);
    } else {
      this.#u8.copyWithin(ip, packet.ip, packet.ip + ipv6.HEADER_LEN);
      ipv6.setPayloadLen(v, ip, total);
      ipv6.setNextHeader(v, ip, context.protocol);
    }
    this.frameLen = ethernet.HEADER_LEN + this.#headerLen(context) + total;
    this.#counters.count(REASSEMBLED);
    return frame;
  }

  #condemn(context: Context, reason: number): -1 {
    context.used = false;
    this.#counters.count(reason);
    return -1;
  }
}

const unitsOf = (at: number, end: number): number => ((end + 7) >>> 3) - (at >>> 3);

function sameAddresses(a: Int32Array, p: Packet): boolean {
  return (
    a[3] === p.guest3 &&
    a[7] === p.remote3 &&
    a[2] === p.guest2 &&
    a[6] === p.remote2 &&
    a[1] === p.guest1 &&
    a[5] === p.remote1 &&
    a[0] === p.guest0 &&
    a[4] === p.remote0
  );
}
