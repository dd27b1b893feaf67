/**
 * Guests on a wire that loses, delays and repeats what they send, in time that is made up: the same seed, the same run.
 *
 * Zone: control.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from './clock.ts';
import { Stack } from './stack.ts';

export interface Faults {
  /** Probabilities, 0 to 1. */
  readonly loss?: number;
  readonly duplicate?: number;
  /** Up to this much, evenly spread: what is sent later may come first. */
  readonly jitterMs?: number;
  readonly delayMs?: number;
}

/** xorshift32. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.#now + Math.max(0, ms), order: this.#order++, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Goes on to the next timer; false when there is none. */
  step(): boolean {
    let next: Timer | null = null;
    for (const timer of this.#timers) {
      if (next === null || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order))
        next = timer;
    }
    if (next === null) return false;
    this.#timers.splice(this.#timers.indexOf(next), 1);
    this.#now = next.atMs;
    next.run();
    return true;
  }

  /** Lets time go on until the promise is settled. Throws when nothing is left that could settle it. */
  async run<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let isSettled = false;
    const settled = (): void => void (isSettled = true);
    promise.then(settled, settled);
    const end = this.#now + limitMs;
    for (;;) {
      await turn();
      if (isSettled) return promise;
      if (this.#now > end) throw new Error(`not settled after ${limitMs} ms`);
      if (!this.step()) throw new Error('nothing is left to happen');
    }
  }
}

export class Wire {
  readonly clock: VirtualClock = new VirtualClock();
  readonly random: () => number;
  readonly stacks: Stack[] = [];
  faults: Faults = {};
  /** Frames that are looked at on their way; false: it is lost. */
  filter: (frame: Uint8Array) => boolean = () => true;
  sent = 0;

  constructor(seed = 1) {
    this.random = seededRandom(seed);
  }

  /** A guest at 10.0.0.N and fd00::N; with `bare` it has no address. */
  add(name: string, { bare = false }: { readonly bare?: boolean } = {}): Stack {
    const number = this.stacks.length + 1;
    const stack = new Stack({
      hostname: name,
      mac: { hi: 0x5254, lo: number },
      clock: this.clock,
      random: this.random,
      transmit: (frame) => this.#carry(stack, frame),
    });
    if (!bare) {
      stack.configure({ address: `10.0.0.${number}/24` });
      stack.configure({ address: `fd00::${number}/64` });
    }
    this.stacks.push(stack);
    return stack;
  }

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.run(new Promise<void>((resolve) => void this.clock.after(ms, resolve)));
  }

  #chance(probability: number): boolean {
    return (this.random() >>> 0) / 2 ** 32 < probability;
  }

  #carry(from: Stack, frame: Uint8Array): void {
    this.sent++;
    const { loss = 0, duplicate = 0, jitterMs = 0, delayMs = 1 } = this.faults;
    if (!this.filter(frame)) return;
    for (const to of this.stacks) {
      if (to === from || this.#chance(loss)) continue;
      for (let copies = this.#chance(duplicate) ? 2 : 1; copies > 0; copies--) {
        const jitter = jitterMs === 0 ? 0 : (this.random() >>> 0) % jitterMs;
        this.clock.after(delayMs + jitter, () => {
          to.onFrame(frame);
          to.flush();
        });
      }
    }
  }
}

/** Bytes that are the same for the same seed. */
export function pattern(length: number, seed = 7): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length }, () => random() & 255);
}
