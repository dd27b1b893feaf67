/**
 * How the loop waits for events: asleep, or awake for a moment first.
 *
 * Zone: packet.  Falling asleep and being woken up costs more than a small exchange itself: on an idle core of a virtual
 * machine 50 µs and more, and each request pays it twice.  So after a short wait for a single event the next one is
 * polled for (Documentation/virt/kvm/halt-polling.rst does so for the cores of a virtual machine).  Many
 * events at once mean load, and then sleep costs nothing; a long wait means that there is nothing to be early for.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { Sys } from '../sys/sys.ts';

const AWAKE_TURNS = counter('loop_turns_awake');

/** Longest time awake without an event. */
export const AWAKE_US = 100;
/** A wait this short would have ended awake: it holds the time that waking up takes. */
export const SHORT_US = 200;

export class Waiting {
  readonly #sys: Sys;
  readonly #counters: Counters;
  readonly #epoll: number;
  readonly #maxEvents: number;
  readonly #awakeUs: number;
  #isBrisk = false;

  /** `awakeUs` 0: always asleep. */
  constructor(sys: Sys, counters: Counters, epoll: number, maxEvents: number, awakeUs: number) {
    this.#sys = sys;
    this.#counters = counters;
    this.#epoll = epoll;
    this.#maxEvents = maxEvents;
    this.#awakeUs = awakeUs;
  }

  /** Events, after at most `timeoutMs`. */
  wait(timeoutMs: number): number {
    const sys = this.#sys;
    if (timeoutMs === 0 || this.#awakeUs === 0) return sys.epollWait(this.#epoll, this.#maxEvents, timeoutMs);
    const start = sys.monotonicUs();
    let n = this.#isBrisk ? this.#poll(start) : 0;
    if (n > 0) this.#counters.count(AWAKE_TURNS);
    else {
      n = sys.epollWait(this.#epoll, this.#maxEvents, timeoutMs);
      this.#isBrisk = sys.monotonicUs() - start < SHORT_US;
    }
    if (n > 1) this.#isBrisk = false;
    return n;
  }

  #poll(startUs: number): number {
    const sys = this.#sys;
    const untilUs = startUs + this.#awakeUs;
    for (;;) {
      const n = sys.epollWait(this.#epoll, this.#maxEvents, 0);
      if (n !== 0 || sys.monotonicUs() >= untilUs) return n;
    }
  }
}
