/**
 * Guests as forwards look for them: by name or by address.
 *
 * Zone: flow.
 */
import type { GuestTarget } from '../nat/guest-path.ts';
import type { LeaseStore } from '../services/lease-store.ts';
import { MAPPED } from '../stack/path.ts';
import { formatWords } from './config.ts';
import type { GuestFinder } from './forward-table.ts';
import type { Guests } from './guests.ts';
import type { Nic } from './nic.ts';
import type { Segments } from './segments.ts';

export class GuestTargets implements GuestFinder {
  readonly #guests: Guests;
  readonly #segments: Segments;
  readonly #store: LeaseStore;

  constructor(guests: Guests, segments: Segments, store: LeaseStore) {
    this.#guests = guests;
    this.#segments = segments;
    this.#store = store;
  }

  byName(name: string): GuestTarget | null {
    return this.#targetOf(this.#guests.nicByGuest(name));
  }

  /** An address nobody is known to have may still be a guest's that was configured by hand: the segment is asked. */
  byAddress(words: Int32Array): GuestTarget | null {
    const holder = this.#store.holder(words[2] === MAPPED ? 4 : 6, formatWords(words));
    const nic = holder === null ? null : this.#guests.nicByKey(holder.nic);
    const found = this.#targetOf(nic);
    if (found !== null) return { ...found, words };
    const gateway = this.#segments.shared?.gateway ?? null;
    if (gateway === null) return null;
    const neighbor = gateway.neighbors.lookup(words[0]!, words[1]!, words[2]!, words[3]!);
    return { gateway, words, neighbor };
  }

  #targetOf(nic: Nic | null): GuestTarget | null {
    const gateway = nic?.host?.gateway ?? null;
    if (nic === null || nic.port === null || !nic.connected || gateway === null) return null;
    const words = this.#guests.addressOf(nic);
    if (words === null) return null;
    const { port } = nic;
    const known = port.macHi + port.macLo > 0;
    const neighbor = known ? { port, macHi: port.macHi, macLo: port.macLo } : null;
    return { gateway, words, neighbor };
  }
}
