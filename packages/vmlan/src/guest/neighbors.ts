/**
 * Whose MAC address an IP address has: ARP (RFC 826) and neighbour discovery (RFC 4861 §7).
 *
 * Zone: control.  Frames wait while a neighbour is asked; without an answer they are dropped, and who sent them is told.
 */
import { ipv4MulticastMac, ipv6MulticastMac } from '../wire/address.ts';
import * as ethernet from '../wire/ethernet.ts';
import { Alarm } from './clock.ts';
import type { Clock } from './clock.ts';
import { isMulticast } from './ip.ts';
import type { Ip } from './ip.ts';

/** Neighbours known or asked for; the one that was used least recently gives way. */
export const MAX_NEIGHBORS = 512;
/** Frames that wait for one neighbour's answer; older ones give way. */
export const MAX_WAITING = 64;
export const ASK_INTERVAL_MS = 1000;
export const MAX_ASKS = 3;
/** Then it is asked again before it is used: it may have another card by now. */
export const REACHABLE_MS = 30_000;

export interface Mac {
  readonly hi: number;
  readonly lo: number;
}

interface Neighbor {
  mac: Mac | null;
  knownMs: number;
  asks: number;
  waiting: { readonly frame: Uint8Array; readonly failed: () => void }[];
  readonly alarm: Alarm;
}

export interface NeighborIo {
  readonly ask: (ip: Ip) => void;
  readonly send: (frame: Uint8Array) => void;
}

export class Neighbors {
  readonly #clock: Clock;
  readonly #io: NeighborIo;
  readonly #known = new Map<string, Neighbor>();

  constructor(clock: Clock, io: NeighborIo) {
    this.#clock = clock;
    this.#io = io;
  }

  /** Sends the frame to who has this address; `failed` is called when nobody says so. */
  send(frame: Uint8Array, next: Ip, failed: () => void): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (isMulticast(next)) {
      if (next.family === 4) ipv4MulticastMac(view, 0, next.v4);
      else ipv6MulticastMac(view, 0, next.words[3]!);
      return this.#io.send(frame);
    }
    const neighbor = this.#use(next);
    if (neighbor.mac !== null) {
      ethernet.setDst(view, 0, neighbor.mac.hi, neighbor.mac.lo);
      this.#io.send(frame);
      if (this.#clock.now() - neighbor.knownMs < REACHABLE_MS || neighbor.alarm.isSet) return;
    } else {
      if (neighbor.waiting.length >= MAX_WAITING) neighbor.waiting.shift();
      neighbor.waiting.push({ frame, failed });
      if (neighbor.alarm.isSet) return;
    }
    this.#ask(next, neighbor);
  }

  /** Somebody says that the address is theirs. Who was not asked for is remembered if they ask for us: `asksForUs`. */
  learn(ip: Ip, mac: Mac, asksForUs: boolean): void {
    const neighbor = asksForUs ? this.#use(ip) : this.#known.get(ip.text);
    if (neighbor === undefined) return;
    neighbor.mac = mac;
    neighbor.knownMs = this.#clock.now();
    neighbor.asks = 0;
    neighbor.alarm.clear();
    for (const { frame } of neighbor.waiting.splice(0)) {
      ethernet.setDst(new DataView(frame.buffer, frame.byteOffset), 0, mac.hi, mac.lo);
      this.#io.send(frame);
    }
  }

  close(): void {
    for (const neighbor of this.#known.values()) neighbor.alarm.clear();
    this.#known.clear();
  }

  #use(ip: Ip): Neighbor {
    const known = this.#known.get(ip.text) ?? this.#new(ip);
    this.#known.delete(ip.text);
    this.#known.set(ip.text, known); // the last one is the newest
    return known;
  }

  #new(ip: Ip): Neighbor {
    const [oldest] = this.#known;
    if (this.#known.size >= MAX_NEIGHBORS && oldest !== undefined) {
      oldest[1].alarm.clear();
      this.#known.delete(oldest[0]);
    }
    const alarm = new Alarm(this.#clock, () => this.#ask(ip, neighbor));
    const neighbor: Neighbor = { mac: null, knownMs: 0, asks: 0, waiting: [], alarm };
    return neighbor;
  }

  #ask(ip: Ip, neighbor: Neighbor): void {
    if (neighbor.asks >= MAX_ASKS) {
      this.#known.delete(ip.text);
      for (const { failed } of neighbor.waiting.splice(0)) failed();
      return;
    }
    neighbor.asks++;
    neighbor.alarm.set(ASK_INTERVAL_MS);
    this.#io.ask(ip);
  }
}
