/**
 * Learned MAC addresses of a segment: which port a station is behind (IEEE 802.1Q §8.8, filtering database).
 *
 * Zone: packet.  Set-associative, WAYS entries per set, so it never grows and never rehashes.  A port owns at most
 * PORT_LIMIT entries: a guest that makes up source addresses pushes out nobody but itself.  Entries age out after
 * AGEING_MS (802.1Q default), but for the MAC of a port's own NIC, which stays while its link is up: a guest that is
 * silent is not one that is gone.  MACs are (hi: 16 bits, lo: 32 bits).
 */
import type { Port } from './port.ts';

const WAYS = 4;
export const AGEING_MS = 300_000;
export const PORT_LIMIT = 64; // stations behind one port
const SWEEP_MS = 1000;

export class MacTable {
  readonly #hi: Int32Array;
  readonly #lo: Int32Array;
  readonly #seen: Float64Array;
  readonly #ports: (Port | null)[];
  readonly #mask: number;
  readonly #seed: number;
  #sweepAtMs = 0;

  /** `sets` is a power of two; the table holds 4 × sets stations. */
  constructor(sets: number, seed: number) {
    this.#hi = new Int32Array(sets * WAYS);
    this.#lo = new Int32Array(sets * WAYS);
    this.#seen = new Float64Array(sets * WAYS);
    this.#ports = Array.from({ length: sets * WAYS }, () => null);
    this.#mask = sets - 1;
    this.#seed = seed | 0;
  }

  /** The port behind which (hi, lo) is, or null. */
  lookup(hi: number, lo: number, nowMs: number): Port | null {
    const index = this.#find(hi, lo);
    if (index < 0 || this.#isAged(index, nowMs)) return null;
    return this.#ports[index]!;
  }

  /** Notes that (hi, lo) was seen behind `port`; false when the table has no room for it (it is then flooded). */
  learn(hi: number, lo: number, port: Port, nowMs: number): boolean {
    const found = this.#find(hi, lo);
    if (found >= 0) {
      if (this.#ports[found] !== port) this.#assign(found, port);
      this.#seen[found] = nowMs;
      return true;
    }
    if (port.learned >= PORT_LIMIT && nowMs >= this.#sweepAtMs) this.#sweep(nowMs);
    const victim = this.#victim(hi, lo, port, nowMs);
    if (victim < 0) return false;
    this.#hi[victim] = hi;
    this.#lo[victim] = lo | 0;
    this.#seen[victim] = nowMs;
    this.#assign(victim, port);
    return true;
  }

  /** Forgets every station behind `port`. */
  forget(port: Port): void {
    for (let i = 0; i < this.#ports.length; i++) {
      if (this.#ports[i] === port) this.#ports[i] = null;
    }
    port.learned = 0;
  }

  #find(hi: number, lo: number): number {
    const first = this.#set(hi, lo);
    for (let i = first; i < first + WAYS; i++) {
      if (this.#lo[i] === (lo | 0) && this.#hi[i] === hi && this.#ports[i] !== null) return i;
    }
    return -1;
  }

  /** Frees what has aged out, so that it counts against no port; at most every SWEEP_MS, since it looks at every entry. */
  #sweep(nowMs: number): void {
    this.#sweepAtMs = nowMs + SWEEP_MS;
    for (let i = 0; i < this.#ports.length; i++) {
      const holder = this.#ports[i]!;
      if (holder === null || !this.#isAged(i, nowMs)) continue;
      holder.learned--;
      this.#ports[i] = null;
    }
  }

  /** A place in the set: free or aged first, else the oldest that this port itself holds. */
  #victim(hi: number, lo: number, port: Port, nowMs: number): number {
    const first = this.#set(hi, lo);
    let own = -1;
    for (let i = first; i < first + WAYS; i++) {
      const holder = this.#ports[i]!;
      if (holder === port) {
        if (own < 0 || this.#seen[i]! < this.#seen[own]!) own = i;
      } else if (port.learned < PORT_LIMIT && (holder === null || this.#isAged(i, nowMs))) {
        return i;
      }
    }
    return own;
  }

  #isAged(index: number, nowMs: number): boolean {
    if (nowMs - this.#seen[index]! <= AGEING_MS) return false;
    const holder = this.#ports[index]!;
    return !holder.live || this.#hi[index] !== holder.macHi || this.#lo[index] !== (holder.macLo | 0);
  }

  #assign(index: number, port: Port): void {
    const old = this.#ports[index]!;
    if (old !== null) old.learned--;
    port.learned++;
    this.#ports[index] = port;
  }

  #set(hi: number, lo: number): number {
    let h = Math.imul(lo ^ this.#seed, 0x9e3779b1 | 0) ^ Math.imul(hi + 1, 0x85ebca6b | 0);
    h ^= h >>> 15;
    h = Math.imul(h, 0x2c1b3c6d);
    h ^= h >>> 13;
    return (h & this.#mask) * WAYS;
  }
}
