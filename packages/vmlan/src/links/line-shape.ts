/**
 * What shaping does to the frames of one direction: the values, and the seeded chance behind them.
 *
 * Zone: packet for the draws, control for the values.  The same seed and the same frames give the same faults.  The
 * generator is mulberry32; a normal number is the sum of twelve even ones, a Pareto number has the shape parameter 3 and
 * is scaled to mean 0 and deviation 1, both as netem's tables are (tc-netem(8), "distribution").
 *
 * model/shape.ts has the values too, with their bounds and for people: neither layer knows the other, and a browser that
 * reads the model needs no datapath. A test in daemon/ holds the names together.
 */

export type Distribution = 'uniform' | 'normal' | 'pareto';

/** What happens to the frames of one direction. What is absent does not happen. */
export interface LineShape {
  readonly delayMs?: number | undefined;
  /** How far the delay of a frame strays from `delayMs`; frames overtake each other by it. */
  readonly jitterMs?: number | undefined;
  readonly distribution?: Distribution | undefined;
  readonly lossPercent?: number | undefined;
  /** Losses come in bursts of so many frames on average; 1 or absent: each frame by itself. */
  readonly lossBurst?: number | undefined;
  readonly duplicatePercent?: number | undefined;
  /** These are overtaken by up to three others. */
  readonly reorderPercent?: number | undefined;
  /** One bit is turned over. */
  readonly corruptPercent?: number | undefined;
  /** Bits in a second, of whole Ethernet frames without preamble and checksum. */
  readonly rateBps?: number | undefined;
  /** Bytes that may wait for the rate; absent: `defaultLimitBytes`. */
  readonly limitBytes?: number | undefined;
  /** Nothing passes. */
  readonly partition?: boolean | undefined;
  readonly seed?: number | undefined;
}

const MIN_LIMIT_BYTES = 16 * 1024; // some ten frames of 1 500 bytes
/** Frames of the MTU that any queue holds: with room for less than two of them TCP waits. */
const MIN_FRAMES = 3;
const FRAME_OVERHEAD = 18; // Ethernet header and a VLAN tag
const PLANNED_SECONDS = 0.1;
const UINT32 = 2 ** 32;
const DRAWS = 12; // of even numbers: their sum has the deviation 1
const PARETO_SHAPE = 3;
const PARETO_MEAN = PARETO_SHAPE / (PARETO_SHAPE - 1);
const PARETO_DEVIATION = Math.sqrt(PARETO_SHAPE / ((PARETO_SHAPE - 1) ** 2 * (PARETO_SHAPE - 2)));
/** In deviations; netem's tables end there. */
const MAX_STRAY = 4;

/** What a queue before a rate holds: as told, else what leaves in 100 ms and never less than some ten frames. */
export function limitBytes({ rateBps = 0, limitBytes: limit }: LineShape, mtu: number): number {
  return Math.max(limit ?? Math.max(Math.ceil((rateBps / 8) * PLANNED_SECONDS), MIN_LIMIT_BYTES), leastBytes(mtu));
}

/**
 * What TCP may fill of it: at low rates less, unless a limit was asked for. A full queue would delay acknowledgements
 * beyond the time-out that a sender starts with, and be filled with what was sent again.
 */
export function plannedBytes(shape: LineShape, mtu: number): number {
  const limit = limitBytes(shape, mtu);
  if (shape.limitBytes !== undefined) return limit;
  return Math.min(limit, Math.max(((shape.rateBps ?? 0) / 8) * PLANNED_SECONDS, leastBytes(mtu)));
}

const leastBytes = (mtu: number): number => MIN_FRAMES * (mtu + FRAME_OVERHEAD);

export class Chance {
  #state: number;
  #isLosing = false;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  happens(percent: number): boolean {
    return percent > 0 && this.next() < (percent / 100) * UINT32;
  }

  /** Two states as in Gilbert's model: the share of lost frames is `percent`, a burst has `burst` of them on average. */
  loses(percent: number, burst: number): boolean {
    if (burst <= 1 || percent <= 0 || percent >= 100) return this.happens(percent);
    const share = percent / 100;
    this.#isLosing = this.#isLosing
      ? this.next() >= UINT32 / burst
      : this.next() < (share / (burst * (1 - share))) * UINT32;
    return this.#isLosing;
  }

  /** A delay around `delayMs`, never below 0. */
  delay(delayMs: number, jitterMs: number, distribution: Distribution): number {
    return jitterMs === 0 ? delayMs : Math.max(delayMs + jitterMs * this.#stray(distribution), 0);
  }

  /** How far from the middle: -1 to 1 if even, else in deviations. */
  #stray(distribution: Distribution): number {
    if (distribution === 'normal') return this.#normal();
    if (distribution === 'pareto') return this.#pareto();
    return 2 * this.#even() - 1;
  }

  /** Above 0, below 1. */
  #even(): number {
    return (this.next() + 0.5) / UINT32;
  }

  #normal(): number {
    let sum = -DRAWS / 2;
    for (let i = 0; i < DRAWS; i++) sum += this.#even();
    return sum;
  }

  #pareto(): number {
    return Math.min((this.#even() ** (-1 / PARETO_SHAPE) - PARETO_MEAN) / PARETO_DEVIATION, MAX_STRAY);
  }
}
