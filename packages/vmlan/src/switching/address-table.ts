/**
 * Who owns which IP address on a segment: the memory of the anti-spoofing guard.
 *
 * Zone: packet to check, flow to bind.  A *leased* address is bound by DHCP and stays with its port; any other address
 * of the segment belongs to the first port that used it, until it has been silent for CLAIM_MS or its link is gone.
 * Leases go before claims: there is always a place for one, if need be that of somebody's claim.
 * IPv4 is stored as ::ffff:a.b.c.d, four 32-bit words.  Set-associative and bounded like the MAC table.
 */
import type { Port } from './port.ts';

const WAYS = 4;
const WORDS = 4;
export const CLAIM_MS = 300_000;
export const PORT_LIMIT = 64; // addresses one port may claim
const SWEEP_MS = 1000;

export class AddressTable {
  readonly #words: Int32Array;
  readonly #seen: Float64Array; // ms; Infinity marks a leased address
  readonly #ports: (Port | null)[];
  readonly #mask: number;
  readonly #seed: number;
  #sweepAtMs = 0;

  /** `sets` is a power of two; the table holds 4 × sets addresses. */
  constructor(sets: number, seed: number) {
    this.#words = new Int32Array(sets * WAYS * WORDS);
    this.#seen = new Float64Array(sets * WAYS);
    this.#ports = Array.from({ length: sets * WAYS }, () => null);
    this.#mask = sets - 1;
    this.#seed = seed | 0;
  }

  /** Whether `port` may use the address now; claims it when nobody has it. */
  mayUse(port: Port, w0: number, w1: number, w2: number, w3: number, nowMs: number): boolean {
    const found = this.#find(w0, w1, w2, w3);
    if (found < 0) {
      if (port.claimed >= PORT_LIMIT && nowMs >= this.#sweepAtMs) this.#sweep(nowMs);
      const free = this.#victim(port, w0, w1, w2, w3, nowMs);
      if (free >= 0) this.#put(free, port, w0, w1, w2, w3, nowMs);
      return true; // a full set forgets who came first, it does not cut a guest off
    }
    const owner = this.#ports[found]!;
    if (owner === port) {
      if (this.#seen[found] !== Infinity) this.#seen[found] = nowMs;
      return true;
    }
    if (owner.live && nowMs - this.#seen[found]! <= CLAIM_MS) return false;
    this.#put(found, port, w0, w1, w2, w3, nowMs);
    return true;
  }

  /** Gives a leased address to `port` for good, whoever used it before. */
  bind(port: Port, w0: number, w1: number, w2: number, w3: number, nowMs: number): void {
    let index = this.#find(w0, w1, w2, w3);
    if (index < 0) index = this.#victim(port, w0, w1, w2, w3, nowMs);
    if (index < 0) index = this.#oldestClaim(w0, w1, w2, w3);
    if (index >= 0) this.#put(index, port, w0, w1, w2, w3, Infinity);
  }

  /** The port that holds the address, or null. */
  owner(w0: number, w1: number, w2: number, w3: number): Port | null {
    const index = this.#find(w0, w1, w2, w3);
    return index < 0 ? null : this.#ports[index]!;
  }

  forget(port: Port): void {
    for (let i = 0; i < this.#ports.length; i++) {
      if (this.#ports[i] === port) this.#ports[i] = null;
    }
    port.claimed = 0;
  }

  #find(w0: number, w1: number, w2: number, w3: number): number {
    const first = this.#set(w0, w1, w2, w3);
    const words = this.#words;
    for (let i = first; i < first + WAYS; i++) {
      const base = i * WORDS;
      if (
        words[base + 3] === (w3 | 0) &&
        words[base + 2] === (w2 | 0) &&
        words[base + 1] === (w1 | 0) &&
        words[base] === (w0 | 0) &&
        this.#ports[i] !== null
      ) {
        return i;
      }
    }
    return -1;
  }

  /** Frees what has aged out, so that it counts against no port; at most every SWEEP_MS, since it looks at every entry. */
  #sweep(nowMs: number): void {
    this.#sweepAtMs = nowMs + SWEEP_MS;
    for (let i = 0; i < this.#ports.length; i++) {
      const holder = this.#ports[i]!;
      if (holder === null || nowMs - this.#seen[i]! <= CLAIM_MS) continue;
      holder.claimed--;
      this.#ports[i] = null;
    }
  }

  /** A free, aged or own place of the set; -1 when there is none or the port holds its share already. */
  #victim(port: Port, w0: number, w1: number, w2: number, w3: number, nowMs: number): number {
    const first = this.#set(w0, w1, w2, w3);
    let own = -1;
    for (let i = first; i < first + WAYS; i++) {
      const holder = this.#ports[i]!;
      if (holder === port) {
        if (this.#seen[i] !== Infinity && (own < 0 || this.#seen[i]! < this.#seen[own]!)) own = i;
      } else if (port.claimed < PORT_LIMIT && (holder === null || nowMs - this.#seen[i]! > CLAIM_MS)) {
        return i;
      }
    }
    return own;
  }

  /** The place of the set that nobody has leased and that was not used for longest, free ones first; -1: all leased. */
  #oldestClaim(w0: number, w1: number, w2: number, w3: number): number {
    const first = this.#set(w0, w1, w2, w3);
    let oldest = -1;
    for (let i = first; i < first + WAYS; i++) {
      if (this.#ports[i] === null) return i;
      if (this.#seen[i] !== Infinity && (oldest < 0 || this.#seen[i]! < this.#seen[oldest]!)) oldest = i;
    }
    return oldest;
  }

  #put(index: number, port: Port, w0: number, w1: number, w2: number, w3: number, seen: number): void {
    const old = this.#ports[index]!;
    if (old !== null) old.claimed--;
    port.claimed++;
    this.#ports[index] = port;
    this.#seen[index] = seen;
    const base = index * WORDS;
    this.#words[base] = w0;
    this.#words[base + 1] = w1;
    this.#words[base + 2] = w2;
    this.#words[base + 3] = w3;
  }

  #set(w0: number, w1: number, w2: number, w3: number): number {
    let h = Math.imul(w3 ^ this.#seed, 0x9e3779b1 | 0) ^ Math.imul(w2, 0x85ebca6b | 0);
    h = Math.imul(h ^ w1, 0xc2b2ae35 | 0) ^ w0;
    h ^= h >>> 15;
    h = Math.imul(h, 0x2c1b3c6d);
    h ^= h >>> 13;
    return (h & this.#mask) * WAYS;
  }
}
