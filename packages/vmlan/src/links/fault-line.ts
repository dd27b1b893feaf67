/**
 * One direction of a faulty link: loss, duplication, corruption, reordering, delay.
 *
 * Zone: packet.  Superframes (TSO, checksums to complete) are cut into plain frames first, so that a fault hits one
 * packet of the wire, and corruption cannot be summed away.  Order: loss, duplication, then per copy corruption,
 * reordering, delay.  A reordered frame leaves after 1 to REORDER_FRAMES others have passed it, at the latest after
 * REORDER_HOLD_MS.  Jitter is added to the delay of each frame by itself, so it reorders too (as Linux netem does).
 * Frames that wait lie in pooled buffers; without a buffer they are dropped and counted.  What is due leaves when the
 * link has room: a burst that waited together does not overrun it.  The generator is seeded: same frames, same faults.
 */
import type { Arena } from '../core/arena.ts';
import { BufferPool } from '../core/buffer-pool.ts';
import { type Counters, counter } from '../core/counters.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { MAX_FRAME_LEN } from './link.ts';
import { type FrameSink, sendPlain } from './offload.ts';

/** What happens to the frames of one direction. Probabilities are 0 to 1; what is absent does not happen. */
export interface Faults {
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  /** One bit is turned over. */
  readonly corrupt?: number;
  readonly delayMs?: number;
  /** Up to this much more, evenly spread. */
  readonly jitterMs?: number;
  readonly seed?: number;
}

/** Frames that may wait in all lines of the thread together. */
export const MAX_WAITING = 1024;
/** A link without room for what is due is asked again after this. */
const RETRY_MS = 1;
const REORDER_FRAMES = 3;
const REORDER_HOLD_MS = 5;
const HEADROOM = 64; // virtio_net_hdr and alignment
const NONE: Required<Faults> = { loss: 0, duplicate: 0, reorder: 0, corrupt: 0, delayMs: 0, jitterMs: 0, seed: 1 };
const LOST = counter('fault_frames_lost');
const DUPLICATED = counter('fault_frames_duplicated');
const REORDERED = counter('fault_frames_reordered');
const CORRUPTED = counter('fault_frames_corrupted');
const DELAYED = counter('fault_frames_delayed');
const DROP_NO_BUFFER = counter('drop_fault_queue_full');

/** Memory that all injectors of one thread share. */
export class FaultBuffers {
  readonly arena: Arena;
  readonly waiting: BufferPool;
  /** Where frames are cut, one place for each direction: what a guest sends may lead to a frame for another. */
  readonly fromGuest: number;
  readonly toGuest: number;

  constructor(arena: Arena) {
    this.arena = arena;
    this.waiting = new BufferPool(arena, HEADROOM + MAX_FRAME_LEN, MAX_WAITING);
    this.fromGuest = arena.alloc(HEADROOM + MAX_FRAME_LEN, 64) + HEADROOM;
    this.toGuest = arena.alloc(HEADROOM + MAX_FRAME_LEN, 64) + HEADROOM;
  }
}

/** Waiting frames by the time they are due; equal times leave in the order they came. */
class DueQueue {
  readonly #buffers = new Int32Array(MAX_WAITING);
  readonly #lens = new Int32Array(MAX_WAITING);
  readonly #due = new Float64Array(MAX_WAITING);
  count = 0;

  get nextAt(): number {
    return this.count === 0 ? Infinity : this.#due[0]!;
  }

  add(buffer: number, len: number, dueMs: number): void {
    let at = this.count++;
    while (at > 0 && this.#due[at - 1]! > dueMs) at--;
    this.#shift(at, at + 1, this.count);
    this.#buffers[at] = buffer;
    this.#lens[at] = len;
    this.#due[at] = dueMs;
  }

  get firstBuffer(): number {
    return this.#buffers[0]!;
  }

  get firstLen(): number {
    return this.#lens[0]!;
  }

  removeFirst(): void {
    this.#shift(1, 0, --this.count);
  }

  #shift(from: number, to: number, count: number): void {
    const end = from + count - to;
    this.#buffers.copyWithin(to, from, end);
    this.#lens.copyWithin(to, from, end);
    this.#due.copyWithin(to, from, end);
  }
}

/** One direction. */
export class FaultLine implements FrameSink {
  readonly #arena: Arena;
  readonly #pool: BufferPool;
  readonly #counters: Counters;
  readonly #deliver: (off: number, len: number, nowMs: number) => void;
  readonly #room: () => number;
  readonly #scratch: number;
  readonly #delayed = new DueQueue();
  /** The one frame that others overtake, and how many still will. */
  #held = 0;
  #heldLen = 0;
  #heldFor = 0;
  #heldUntilMs = 0;
  #faults: Required<Faults> | null = null;
  #state = 1;
  #now = 0;
  #retryMs = 0;

  /** `scratch` is the place of this direction in `buffers`, `room` the bytes that `deliver` takes now. */
  constructor(
    buffers: FaultBuffers,
    scratch: number,
    counters: Counters,
    deliver: (off: number, len: number, nowMs: number) => void,
    room: () => number,
  ) {
    this.#arena = buffers.arena;
    this.#pool = buffers.waiting;
    this.#scratch = scratch;
    this.#counters = counters;
    this.#deliver = deliver;
    this.#room = room;
  }

  get active(): boolean {
    return this.#faults !== null;
  }

  /** When `poll` has something to do. */
  get nextAt(): number {
    const nextAt = this.#delayed.count === 0 ? Infinity : Math.max(this.#delayed.nextAt, this.#retryMs);
    return this.#held !== 0 && this.#heldUntilMs < nextAt ? this.#heldUntilMs : nextAt;
  }

  /** Frames that wait keep their time; with null they leave at once. */
  set(faults: Faults | null, nowMs: number): void {
    this.#faults = faults === null ? null : { ...NONE, ...faults };
    this.#state = (faults?.seed ?? NONE.seed) | 0;
    if (faults === null) this.#release(nowMs, Infinity);
  }

  /** Sends a borrowed frame, with its virtio_net_hdr before it, through the faults. */
  pass(off: number, len: number, nowMs: number): void {
    this.#now = nowMs;
    if (this.#faults === null) this.#deliver(off, len, nowMs);
    else sendPlain(this.#arena.view, this.#arena.u8, off, len, this);
  }

  poll(nowMs: number): void {
    this.#release(nowMs, nowMs);
  }

  /** Forgets what waits. */
  clear(): void {
    for (; this.#delayed.count > 0; this.#delayed.removeFirst()) this.#pool.give(this.#delayed.firstBuffer);
    if (this.#held !== 0) this.#pool.give(this.#held);
    this.#held = 0;
  }

  // ---- FrameSink: plain frames, one after the other

  reserve(len: number): number {
    return len <= MAX_FRAME_LEN ? this.#scratch : -1;
  }

  commit(len: number): void {
    vnetHdr.clear(this.#arena.view, this.#scratch - vnetHdr.LEN);
    const faults = this.#faults!;
    if (this.#chance(faults.loss)) return this.#counters.count(LOST);
    if (this.#chance(faults.duplicate)) {
      this.#counters.count(DUPLICATED);
      this.#copy(len, faults);
    }
    this.#copy(len, faults);
  }

  #copy(len: number, faults: Required<Faults>): void {
    if (!this.#chance(faults.corrupt)) return this.#order(len, faults);
    this.#counters.count(CORRUPTED);
    const bit = this.#random() % (8 * len);
    const at = this.#scratch + (bit >>> 3);
    this.#arena.u8[at]! ^= 1 << (bit & 7);
    this.#order(len, faults);
    this.#arena.u8[at]! ^= 1 << (bit & 7); // the other copy is whole
  }

  #order(len: number, faults: Required<Faults>): void {
    if (this.#held === 0 && this.#chance(faults.reorder)) {
      this.#held = this.#take(this.#scratch, len);
      if (this.#held === 0) return;
      this.#counters.count(REORDERED);
      this.#heldLen = len;
      this.#heldFor = 1 + (this.#random() % REORDER_FRAMES);
      this.#heldUntilMs = this.#now + REORDER_HOLD_MS;
      return;
    }
    this.#delay(this.#scratch, len, faults);
    if (this.#held !== 0 && --this.#heldFor === 0) this.#releaseHeld(faults);
  }

  #releaseHeld(faults: Required<Faults>): void {
    const buffer = this.#held;
    this.#held = 0;
    this.#delay(buffer + HEADROOM, this.#heldLen, faults);
    this.#pool.give(buffer);
  }

  #delay(off: number, len: number, { delayMs, jitterMs }: Required<Faults>): void {
    const waitMs = delayMs + (jitterMs > 0 ? this.#random() % (jitterMs + 1) : 0);
    const isFree = this.#room() >= len && this.#delayed.nextAt > this.#now;
    if (waitMs <= 0 && isFree) return this.#deliver(off, len, this.#now);
    const buffer = this.#take(off, len);
    if (buffer === 0) return;
    this.#counters.count(DELAYED);
    this.#delayed.add(buffer, len, this.#now + waitMs);
  }

  /** Delivers what is due by `dueMs`. */
  #release(nowMs: number, dueMs: number): void {
    this.#now = nowMs;
    if (this.#held !== 0 && this.#heldUntilMs <= dueMs) this.#releaseHeld(this.#faults ?? NONE);
    while (this.#delayed.count > 0 && this.#delayed.nextAt <= dueMs) {
      const { firstBuffer, firstLen } = this.#delayed;
      if (this.#room() < firstLen && dueMs !== Infinity) {
        this.#retryMs = nowMs + RETRY_MS;
        return;
      }
      this.#delayed.removeFirst();
      this.#deliver(firstBuffer + HEADROOM, firstLen, nowMs);
      this.#pool.give(firstBuffer);
    }
  }

  #take(off: number, len: number): number {
    const buffer = this.#pool.take();
    if (buffer === 0) {
      this.#counters.count(DROP_NO_BUFFER);
      return 0;
    }
    this.#arena.u8.copyWithin(buffer + HEADROOM - vnetHdr.LEN, off - vnetHdr.LEN, off + len);
    return buffer;
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random() < probability * 2 ** 32;
  }

  /** 32 bits (mulberry32). */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
}
