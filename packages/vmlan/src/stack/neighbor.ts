/**
 * Which port and MAC an address is at: the gateway's ARP and ND cache (RFC 826, RFC 4861 §7), and the queue of those
 * who wait for an answer.
 *
 * Zone: flow.  Entries come from what guests say (ARP, ND, first packet of a flow); MAX_ENTRIES, oldest out first.  An
 * unknown address is asked for TRIES times, TRY_MS apart; then its waiters hear that it is unreachable.  MAX_WAITING
 * resolutions at a time.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { GuestPort } from './path.ts';

export const MAX_ENTRIES = 4096;
export const MAX_WAITING = 256;
const MAX_WAITERS = 1024; // for one address
const TRIES = 4;
const TRY_MS = 250;
const DROP_UNRESOLVED = counter('drop_neighbor_unresolved');
const DROP_CROWDED = counter('drop_neighbor_queue_full');

export interface Neighbor {
  readonly port: GuestPort;
  readonly macHi: number;
  readonly macLo: number;
}

/** Called once: with the neighbor, or with null when nobody answered. */
export type NeighborWaiter = (neighbor: Neighbor | null, nowMs: number) => void;

/** Sends one request (ARP or NS) for an address, words of which IPv4 is mapped. */
export type SolicitNeighbor = (words: Int32Array) => void;

interface Resolution {
  readonly words: Int32Array;
  readonly waiters: NeighborWaiter[];
  tries: number;
  nextMs: number;
}

export class NeighborTable {
  readonly #solicit: SolicitNeighbor;
  readonly #counters: Counters;
  /** Hears of each new or moved address. */
  onLearn: ((words: Int32Array, neighbor: Neighbor) => void) | null = null;
  /** Hears that `pollAt` may be earlier than before. */
  onDue: () => void = () => undefined;
  readonly #entries = new Map<string, Neighbor>();
  readonly #resolutions = new Map<string, Resolution>();

  constructor(solicit: SolicitNeighbor, counters: Counters) {
    this.#solicit = solicit;
    this.#counters = counters;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A guest says (or shows) that it has this address. */
  learn(
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    port: GuestPort,
    macHi: number,
    macLo: number,
    nowMs: number,
  ): void {
    const key = keyOf(w0, w1, w2, w3);
    const known = this.#entries.get(key);
    if (known === undefined || known.port !== port || known.macHi !== macHi || known.macLo !== macLo) {
      this.#entries.delete(key);
      if (this.#entries.size >= MAX_ENTRIES) this.#entries.delete(this.#entries.keys().next().value!);
      const entry = { port, macHi, macLo };
      this.#entries.set(key, entry);
      this.onLearn?.(Int32Array.of(w0, w1, w2, w3), entry);
    }
    const resolution = this.#resolutions.get(key);
    if (resolution === undefined) return;
    this.#resolutions.delete(key);
    const neighbor = this.#entries.get(key)!;
    for (const waiter of resolution.waiters) waiter(neighbor, nowMs);
  }

  lookup(w0: number, w1: number, w2: number, w3: number): Neighbor | null {
    return this.#entries.get(keyOf(w0, w1, w2, w3)) ?? null;
  }

  /** Answers `waiter` now when the address is known, else asks for it. */
  resolve(words: Int32Array, nowMs: number, waiter: NeighborWaiter): void {
    const key = keyOf(words[0]!, words[1]!, words[2]!, words[3]!);
    const known = this.#entries.get(key);
    if (known !== undefined) return waiter(known, nowMs);
    const running = this.#resolutions.get(key);
    if (running !== undefined) {
      if (running.waiters.length < MAX_WAITERS) running.waiters.push(waiter);
      else this.#refuse(waiter, nowMs);
    } else if (this.#resolutions.size >= MAX_WAITING) {
      this.#refuse(waiter, nowMs);
    } else {
      this.#resolutions.set(key, { words: words.slice(0, 4), waiters: [waiter], tries: 1, nextMs: nowMs + TRY_MS });
      this.onDue();
      this.#solicit(words);
    }
  }

  /** Asks for an address that is known, whether somebody still has it. A crowded table leaves it as it is. */
  verify(words: Int32Array, nowMs: number, waiter: NeighborWaiter): void {
    if (this.#resolutions.size >= MAX_WAITING) return;
    this.#entries.delete(keyOf(words[0]!, words[1]!, words[2]!, words[3]!));
    this.resolve(words, nowMs, waiter);
  }

  /** The port is gone, and with it every address behind it. */
  forget(port: GuestPort): void {
    for (const [key, entry] of this.#entries) if (entry.port === port) this.#entries.delete(key);
  }

  /** Addresses that `port` is known to have, IPv4 mapped. */
  *addressesOf(port: GuestPort): Generator<Int32Array> {
    for (const [key, entry] of this.#entries) if (entry.port === port) yield wordsOf(key);
  }

  poll(nowMs: number): void {
    for (const [key, resolution] of this.#resolutions) {
      if (nowMs < resolution.nextMs) continue;
      if (resolution.tries < TRIES) {
        resolution.tries++;
        resolution.nextMs = nowMs + TRY_MS;
        this.#solicit(resolution.words);
        continue;
      }
      this.#resolutions.delete(key);
      this.#counters.count(DROP_UNRESOLVED);
      for (const waiter of resolution.waiters) waiter(null, nowMs);
    }
  }

  pollAt(): number {
    let at = Infinity;
    for (const resolution of this.#resolutions.values()) at = Math.min(at, resolution.nextMs);
    return at;
  }

  #refuse(waiter: NeighborWaiter, nowMs: number): void {
    this.#counters.count(DROP_CROWDED);
    waiter(null, nowMs);
  }
}

const keyOf = (w0: number, w1: number, w2: number, w3: number): string => `${w0 | 0},${w1 | 0},${w2 | 0},${w3 | 0}`;
const wordsOf = (key: string): Int32Array => Int32Array.from(key.split(','), Number);
