/**
 * Virtual time: what is to happen, in the order it is to happen.
 *
 * Zone: control.  Times in milliseconds.  Nothing here sleeps: `now` moves only by `advanceTo` and `advance`.  Events
 * of the same moment run in the order they were scheduled, so that a run is the same every time.
 */

/** More events than this at one moment mean that they schedule each other for ever. */
const EVENTS_PER_MOMENT_MAX = 1_000_000;
const CANCELLED_KEPT = 1024; // entries

export interface Scheduled {
  cancel(): void;
}

class Entry implements Scheduled {
  readonly #timeline: Timeline;
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;

  constructor(timeline: Timeline, at: number, order: number, run: () => void) {
    this.#timeline = timeline;
    this.at = at;
    this.order = order;
    this.run = run;
  }

  cancel(): void {
    if (this.run === undefined) return;
    this.run = undefined;
    this.#timeline.onCancel();
  }
}

export class Timeline {
  #now: number;
  #order = 0;
  #cancelled = 0; // entries of #heap that will not run
  #heap: Entry[] = []; // a binary heap: the earliest entry is the first

  constructor(startMs: number) {
    this.#now = startMs;
  }

  get now(): number {
    return this.#now;
  }

  /** Time of the next event, Infinity when nothing is scheduled. */
  get nextAt(): number {
    this.#dropCancelled();
    return this.#heap[0]?.at ?? Infinity;
  }

  at(time: number, run: () => void): Scheduled {
    const entry = new Entry(this, Math.max(time, this.#now), this.#order++, run);
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return entry;
  }

  after(delayMs: number, run: () => void): Scheduled {
    return this.at(this.#now + delayMs, run);
  }

  /** Runs what is due now, including what that schedules for now. */
  runDue(): void {
    for (let count = 0; this.nextAt <= this.#now; count++) {
      if (count === EVENTS_PER_MOMENT_MAX) throw new Error('fake kernel: events schedule each other without end');
      const entry = this.#pop();
      const { run } = entry;
      entry.run = undefined; // done: cancelling it now changes nothing
      run?.();
    }
  }

  /** Moves to `time` through every event on the way. */
  advanceTo(time: number): void {
    this.runDue();
    while (this.nextAt <= time) {
      this.#now = this.nextAt;
      this.runDue();
    }
    this.#now = Math.max(this.#now, time);
  }

  advance(ms: number): void {
    this.advanceTo(this.#now + ms);
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && this.#heap[0]!.run === undefined) {
      this.#pop();
      this.#cancelled--;
    }
  }

  /** Entries that were cancelled go when they outnumber the others, so that they cannot pile up while time stands. */
  onCancel(): void {
    this.#cancelled++;
    if (this.#cancelled < CANCELLED_KEPT || 2 * this.#cancelled < this.#heap.length) return;
    this.#heap = this.#heap.filter((entry) => entry.run !== undefined).toSorted((a, b) => (isBefore(a, b) ? -1 : 1));
    this.#cancelled = 0;
  }

  #pop(): Entry {
    const first = this.#heap[0]!;
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return first;
  }

  #up(start: number): void {
    const heap = this.#heap;
    for (let i = start; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!isBefore(heap[i]!, heap[parent]!)) return;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  #down(start: number): void {
    const heap = this.#heap;
    for (let i = start; ;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
      }
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
