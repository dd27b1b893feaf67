/**
 * Holds DHCP replies back until what they promise is on disk.
 *
 * Zone: flow.  The control thread stores changes and confirms generations; at most MAX_HELD replies wait, newer ones are
 * dropped (the client asks again).  Changes are posted once per turn of the loop, however many there are, and cost as
 * much as has changed, however many leases there are.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { LeaseChanges, LeaseStore } from '../services/lease-store.ts';

export const MAX_HELD = 4096;
const DROP_HELD = counter('drop_dhcp_reply_not_durable');

interface Held {
  readonly generation: number;
  readonly send: () => void;
}

export class LeaseJournal {
  readonly #store: LeaseStore;
  readonly #post: (generation: number, changes: LeaseChanges) => void;
  readonly #counters: Counters;
  #held: Held[] = [];
  #posted: number;
  #durable: number;

  constructor(store: LeaseStore, post: (generation: number, changes: LeaseChanges) => void, counters: Counters) {
    this.#store = store;
    this.#post = post;
    this.#counters = counters;
    this.#posted = store.generation;
    this.#durable = store.generation;
  }

  /** Sends now when `generation` is durable already, else when it has become so; false when it never will. */
  whenDurable(generation: number, send: () => void): boolean {
    if (generation <= this.#durable) {
      send();
      return true;
    }
    if (this.#held.length >= MAX_HELD) {
      this.#counters.count(DROP_HELD);
      return false;
    }
    this.#held.push({ generation, send });
    return true;
  }

  /** Everything up to `generation` is on disk. */
  onDurable(generation: number): void {
    this.#durable = Math.max(this.#durable, generation);
    const ready = this.#held.filter((held) => held.generation <= this.#durable);
    this.#held = this.#held.filter((held) => held.generation > this.#durable);
    for (const { send } of ready) send();
  }

  /** Posts what has changed when anything has changed since the last one. */
  flush(): void {
    const { generation } = this.#store;
    if (generation === this.#posted) return;
    this.#posted = generation;
    this.#post(generation, this.#store.takeChanges());
  }
}
