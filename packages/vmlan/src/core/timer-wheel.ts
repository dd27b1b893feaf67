/**
 * A timer wheel for many coarse timers: one deadline per id, all links in typed arrays.
 *
 * Zone: packet.  Times are whole milliseconds of the monotonic clock that the caller reads once per wake-up.  SLOTS
 * slots of TICK ms; a deadline further out than one turn stays in its slot and is passed over until its turn comes.
 * A timer fires at its deadline or up to one tick later, never before.
 *
 *   slot ──> id ⇄ id ⇄ id        head[slot], next[id], prev[id]; -1 ends a list
 */

const TICK_BITS = 4; // 16 ms
const SLOT_BITS = 10;
const TICK = 1 << TICK_BITS;
const SLOTS = 1 << SLOT_BITS; // one turn is 16.4 s
const MASK = SLOTS - 1;
const NONE = -1;
const DUE = -2; // taken off its slot, about to fire

export class TimerWheel {
  readonly #head = new Int32Array(SLOTS).fill(NONE);
  readonly #next: Int32Array;
  readonly #prev: Int32Array;
  readonly #slot: Int32Array;
  readonly #deadline: Float64Array;
  readonly #due: Int32Array;
  #cursor: number; // tick up to which everything has fired
  #nearest = 0; // no timer's turn comes between the cursor and this tick
  #count = 0;

  /** Ids are 0 … capacity - 1. */
  constructor(capacity: number, nowMs: number) {
    this.#next = new Int32Array(capacity).fill(NONE);
    this.#prev = new Int32Array(capacity).fill(NONE);
    this.#slot = new Int32Array(capacity).fill(NONE);
    this.#deadline = new Float64Array(capacity);
    this.#due = new Int32Array(capacity);
    this.#cursor = Math.floor(nowMs / TICK);
  }

  get size(): number {
    return this.#count;
  }

  /** Deadline of `id`, or Infinity. */
  deadline(id: number): number {
    return this.#slot[id]! < 0 ? Infinity : this.#deadline[id]!;
  }

  /** Sets the one deadline of `id`, replacing any earlier one. */
  schedule(id: number, deadlineMs: number): void {
    if (this.#slot[id] !== NONE) this.#unlink(id);
    const tick = Math.max(Math.ceil(deadlineMs / TICK), this.#cursor + 1);
    const slot = tick & MASK;
    // A timer of a later turn of the wheel is passed by at its slot in this one.
    const passed = this.#cursor + 1 + ((tick - this.#cursor - 1) & MASK);
    if (passed < this.#nearest) this.#nearest = passed;
    const head = this.#head[slot]!;
    this.#deadline[id] = deadlineMs;
    this.#slot[id] = slot;
    this.#next[id] = head;
    this.#prev[id] = NONE;
    if (head !== NONE) this.#prev[head] = id;
    this.#head[slot] = id;
    this.#count++;
  }

  cancel(id: number): void {
    if (this.#slot[id] !== NONE) this.#unlink(id);
  }

  /** Fires everything due at `nowMs`; a timer that is set again while firing waits for the next tick. */
  poll(nowMs: number, fire: (id: number) => void): void {
    const until = Math.floor(nowMs / TICK);
    if (until <= this.#cursor) return;
    const turns = Math.min(until - this.#cursor, SLOTS);
    const first = until - turns + 1;
    this.#cursor = until;
    if (this.#count === 0) return;
    for (let tick = first; tick <= until; tick++) this.#fireSlot(tick & MASK, nowMs, fire);
  }

  /** When `poll` has something to do next: at most one turn ahead, Infinity when there is no timer. */
  pollAt(): number {
    if (this.#count === 0) return Infinity;
    const last = this.#cursor + SLOTS;
    for (let tick = Math.max(this.#cursor + 1, this.#nearest); tick <= last; tick++) {
      if (this.#head[tick & MASK] === NONE) continue;
      this.#nearest = tick;
      return tick * TICK;
    }
    return Infinity;
  }

  /** Two passes, so that what `fire` schedules or cancels cannot disturb the walk. */
  #fireSlot(slot: number, nowMs: number, fire: (id: number) => void): void {
    let due = 0;
    for (let id = this.#head[slot]!; id !== NONE;) {
      const next = this.#next[id]!;
      if (this.#deadline[id]! <= nowMs) {
        this.#unlink(id);
        this.#slot[id] = DUE;
        this.#due[due++] = id;
      }
      id = next;
    }
    for (let i = 0; i < due; i++) {
      const id = this.#due[i]!;
      if (this.#slot[id] !== DUE) continue; // cancelled or set anew by an earlier timer of this slot
      this.#slot[id] = NONE;
      fire(id);
    }
  }

  #unlink(id: number): void {
    const slot = this.#slot[id]!;
    if (slot === DUE) {
      this.#slot[id] = NONE;
      return;
    }
    const next = this.#next[id]!;
    const prev = this.#prev[id]!;
    if (prev === NONE) this.#head[slot] = next;
    else this.#next[prev] = next;
    if (next !== NONE) this.#prev[next] = prev;
    this.#next[id] = NONE;
    this.#prev[id] = NONE;
    this.#slot[id] = NONE;
    this.#count--;
  }
}
