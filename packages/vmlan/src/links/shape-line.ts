/**
 * One direction of shaped traffic: partition, loss, duplication, corruption, rate, delay, reordering, in this order.
 *
 * Zone: packet.  Superframes (TSO, checksums to complete) are cut into plain frames first, so that each packet of the wire
 * is lost or delayed by itself, the rate counts what a cable would carry, and corruption cannot be summed away.  The rate
 * is a cable of this speed with a queue before it: a frame leaves when those before it have left and its own bits have
 * passed, which is a token bucket that holds one frame.  A reordered frame leaves behind 1 to
 * REORDER_FRAMES later ones, at the latest after REORDER_HOLD_MS.  A change of shape loses nothing and lets nothing
 * overtake what waits, which leaves after the new delay at the latest; the end of a shape lets all of it leave at once.
 * Only a partition drops it.
 */
import type { Arena } from '../core/arena.ts';
import { type Counters, counter } from '../core/counters.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { Chance, type LineShape, limitBytes, plannedBytes } from './line-shape.ts';
import { MAX_FRAME_LEN } from './link.ts';
import { type FrameSink, sendPlain } from './offload.ts';
import { NONE, type QueuedLine, type ShapeQueue } from './shape-queue.ts';

const REORDER_FRAMES = 3;
const REORDER_HOLD_MS = 5;
/** With fewer free cells TCP is told to wait. */
const RESERVED_CELLS = 64;
/** What a waiting frame carries at least when TCP fills it, bytes: turns free cells into room. */
const PLANNED_FRAME_LEN = 1024;
/** Of the room before a rate; the rest is headers, which TCP does not count. */
const PLANNED_SHARE = 0.9;
const DROP_PARTITION = counter('drop_shape_partition');
const DROP_LOSS = counter('drop_shape_loss');
const DROP_RATE = counter('drop_shape_rate_queue_full');
const DROP_UNCUTTABLE = counter('drop_shape_uncuttable');
const DROP_LINK_GONE = counter('drop_shape_link_gone');
const DUPLICATED = counter('shape_frames_duplicated');
const REORDERED = counter('shape_frames_reordered');
const CORRUPTED = counter('shape_frames_corrupted');
const DELAYED = counter('shape_frames_delayed');

type Values = { readonly [K in keyof LineShape]-?: NonNullable<LineShape[K]> };

const NOTHING: Omit<Values, 'seed'> = {
  delayMs: 0,
  jitterMs: 0,
  distribution: 'uniform',
  lossPercent: 0,
  lossBurst: 1,
  duplicatePercent: 0,
  reorderPercent: 0,
  corruptPercent: 0,
  rateBps: 0,
  limitBytes: 0,
  partition: false,
};

export interface LineParts {
  readonly arena: Arena;
  readonly queue: ShapeQueue;
  readonly counters: Counters;
  /** Of IP, bytes. */
  readonly mtu: number;
  /** Seeds for those who name none. */
  readonly random: () => number;
}

/** Where a line ends. */
export interface LineEnd {
  deliver(off: number, len: number): void;
  /** Bytes that `deliver` takes now. */
  room(): number;
}

export class ShapeLine implements FrameSink, QueuedLine {
  cells = 0;
  readyHead: number = NONE;
  readyTail: number = NONE;
  readonly #parts: LineParts;
  readonly #end: LineEnd;
  readonly #scratch: number;
  #shape: Values | null = null;
  #chance: Chance = new Chance(0);
  #bytesPerMs = Infinity;
  #limitBytes = 0;
  #plannedBytes = 0;
  /** When the last bit of what the rate let through so far has left. */
  #busyUntil = 0;
  /** Nothing that comes leaves before this: it was promised to frames that came before the shape changed. */
  #floorMs = 0;
  #latestMs = 0;
  /** The frame that others overtake, and how many still will. */
  #held = NONE;
  #heldFor = 0;

  /** `scratch`: where frames are cut, an arena offset with headroom and place for one. */
  constructor(parts: LineParts, scratch: number, end: LineEnd) {
    this.#parts = parts;
    this.#scratch = scratch;
    this.#end = end;
  }

  /** Neither shapes nor holds anything. */
  get isIdle(): boolean {
    return this.#shape === null && this.cells === 0;
  }

  get isShaped(): boolean {
    return this.#shape !== null;
  }

  set(shape: LineShape | null): void {
    const { queue, counters, random, mtu } = this.#parts;
    const rateBps = shape?.rateBps;
    this.#shape = shape === null ? null : { ...NOTHING, ...withoutAbsent(shape), seed: 0 };
    this.#bytesPerMs = rateBps === undefined ? Infinity : rateBps / 8000;
    this.#limitBytes = limitBytes(shape ?? {}, mtu);
    this.#plannedBytes = plannedBytes(shape ?? {}, mtu);
    this.#chance = new Chance(shape?.seed ?? random());
    this.#busyUntil = 0;
    this.#floorMs = 0;
    if (this.cells === 0) return;
    if (shape === null) return queue.release(this);
    if (shape.partition === true) return counters.add(DROP_PARTITION, queue.forget(this));
    this.#floorMs = Math.min(this.#latestMs, queue.now() + (shape.delayMs ?? 0));
    queue.hasten(this, this.#floorMs);
    queue.poll(); // what is due now leaves before what comes now
  }

  /** Sends a borrowed frame, with its virtio_net_hdr before it. */
  pass(off: number, len: number): void {
    const { arena, counters } = this.#parts;
    if (this.isIdle) return this.#end.deliver(off, len);
    if (this.#shape?.partition === true) return counters.count(DROP_PARTITION);
    if (!sendPlain(arena.view, arena.u8, off, len, this)) counters.count(DROP_UNCUTTABLE);
  }

  /** Forgets what waits: the link is gone. */
  close(): void {
    this.#shape = null;
    if (this.cells > 0) this.#parts.counters.add(DROP_LINK_GONE, this.#parts.queue.forget(this));
  }

  /** Bytes that a sender may plan with. */
  plannable(): number {
    if (this.isIdle || this.#shape?.partition === true) return Infinity;
    const { queue } = this.#parts;
    const free = Math.max(queue.freeFor(this) - RESERVED_CELLS, 0) * PLANNED_FRAME_LEN;
    if (this.#bytesPerMs === Infinity) return free;
    return Math.min(free, Math.max(this.#plannedBytes - this.#backlog(queue.now()), 0) * PLANNED_SHARE);
  }

  // ---- FrameSink: plain frames, one after the other

  reserve(len: number): number {
    return len <= MAX_FRAME_LEN ? this.#scratch : -1;
  }

  commit(len: number): void {
    const { arena, counters } = this.#parts;
    vnetHdr.clear(arena.view, this.#scratch - vnetHdr.LEN);
    const shape = this.#shape;
    if (shape === null) return this.#leaveAt(len, 0); // behind those that still wait
    if (this.#chance.loses(shape.lossPercent, shape.lossBurst)) return counters.count(DROP_LOSS);
    if (this.#chance.happens(shape.duplicatePercent)) {
      counters.count(DUPLICATED);
      this.#copy(len, shape);
    }
    this.#copy(len, shape);
  }

  #copy(len: number, shape: Values): void {
    if (!this.#chance.happens(shape.corruptPercent)) return this.#time(len, shape);
    const { arena, counters } = this.#parts;
    counters.count(CORRUPTED);
    const bit = this.#chance.next() % (8 * len);
    const at = this.#scratch + (bit >>> 3);
    arena.u8[at]! ^= 1 << (bit & 7);
    this.#time(len, shape);
    arena.u8[at]! ^= 1 << (bit & 7); // the other copy is whole
  }

  #time(len: number, shape: Values): void {
    const { queue, counters } = this.#parts;
    const now = queue.now();
    let at = now;
    if (this.#bytesPerMs !== Infinity) {
      if (this.#backlog(now) + len > this.#limitBytes && this.#busyUntil > now) return counters.count(DROP_RATE);
      this.#busyUntil = Math.max(this.#busyUntil, now) + len / this.#bytesPerMs;
      at = this.#busyUntil;
    }
    at = Math.max(at + this.#chance.delay(shape.delayMs, shape.jitterMs, shape.distribution), this.#floorMs);
    if (this.#held === NONE && this.#chance.happens(shape.reorderPercent)) return this.#hold(len, at);
    this.#leaveAt(len, at);
    if (this.#held !== NONE && --this.#heldFor === 0) this.#letFollow(at);
  }

  /** Bytes that the rate has not let through yet. */
  #backlog(now: number): number {
    return Math.max(this.#busyUntil - now, 0) * this.#bytesPerMs;
  }

  #hold(len: number, at: number): void {
    const { queue, counters } = this.#parts;
    this.#held = queue.add(this, this.#scratch, len, at + REORDER_HOLD_MS);
    if (this.#held === NONE) return;
    counters.count(REORDERED);
    this.#latestMs = Math.max(this.#latestMs, at + REORDER_HOLD_MS);
    this.#heldFor = 1 + (this.#chance.next() % REORDER_FRAMES);
  }

  /** The held frame leaves behind the one that left, or leaves, at `at`. */
  #letFollow(at: number): void {
    const node = this.#held;
    this.#held = NONE;
    this.#parts.queue.follow(node, at);
  }

  #leaveAt(len: number, at: number): void {
    const { queue, counters } = this.#parts;
    const isFree = this.readyHead === NONE && this.#end.room() >= len;
    if (isFree && at <= queue.now()) return this.#end.deliver(this.#scratch, len);
    if (queue.add(this, this.#scratch, len, at) === NONE) return;
    counters.count(DELAYED);
    this.#latestMs = Math.max(this.#latestMs, at);
  }

  // ---- QueuedLine

  room(): number {
    return this.#end.room();
  }

  deliver(off: number, len: number): void {
    this.#end.deliver(off, len);
  }

  onTaken(node: number): void {
    if (node === this.#held) this.#held = NONE;
  }
}

const withoutAbsent = (shape: LineShape): Partial<Values> =>
  Object.fromEntries(Object.entries(shape).filter(([, value]) => value !== undefined));
