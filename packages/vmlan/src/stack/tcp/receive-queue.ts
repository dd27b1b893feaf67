/**
 * Bytes from the guest that the host's socket cannot take yet: pending ones in sequence, and later ones out of order.
 *
 * Zone: packet.  One queue is a ring of QUEUE_LEN bytes from a bounded pool, taken when a flow first needs it and given
 * back when it is empty; byte `seq` lies at `seq mod QUEUE_LEN`, so nothing ever moves.
 *
 *   base ........ next ......... [start,end) ... [start,end)        base: first byte not given to the host
 *   pending, in sequence         out of order (scoreboard.ts)        next: first byte not received in sequence
 */
import type { Arena } from '../../core/arena.ts';
import { BufferPool } from '../../core/buffer-pool.ts';
import { before } from '../../core/sequence.ts';
import { Scoreboard } from './scoreboard.ts';

/** Bytes; the largest window a guest is ever offered. A power of two. */
export const QUEUE_LEN: number = 1 << 20;
const MASK = QUEUE_LEN - 1;
/** Flows that may hold bytes at the same time. Others refuse what the host cannot take: the guest sends it again. */
export const MAX_QUEUES = 64;

interface Queue {
  buffer: number;
  base: number;
  next: number;
  /** Start of the out-of-order segment that came last: the first SACK block (RFC 2018 §4). */
  latest: number;
  readonly later: Scoreboard;
}

export class ReceiveQueues {
  readonly #u8: Uint8Array;
  readonly #pool: BufferPool;
  readonly #queues: Queue[] = [];
  readonly #free: number[] = [];

  constructor(arena: Arena) {
    this.#u8 = arena.u8;
    this.#pool = new BufferPool(arena, QUEUE_LEN, MAX_QUEUES);
  }

  get inUse(): number {
    return this.#pool.inUse;
  }

  /** A queue whose next byte is `next`, or -1 when all are in use. */
  open(next: number): number {
    const buffer = this.#pool.take();
    if (buffer === 0) return -1;
    const id =
      this.#free.pop() ?? this.#queues.push({ buffer: 0, base: 0, next: 0, latest: 0, later: new Scoreboard() }) - 1;
    const queue = this.#queues[id]!;
    queue.buffer = buffer;
    queue.base = next;
    queue.next = next;
    queue.later.clear();
    return id;
  }

  close(id: number): void {
    this.#pool.give(this.#queues[id]!.buffer);
    this.#free.push(id);
  }

  /** Bytes in sequence that wait for the host. */
  pending(id: number): number {
    const { base, next } = this.#queues[id]!;
    return (next - base) | 0;
  }

  isEmpty(id: number): boolean {
    const queue = this.#queues[id]!;
    return queue.base === queue.next && queue.later.count === 0;
  }

  hasLater(id: number): boolean {
    return this.#queues[id]!.later.count > 0;
  }

  /** First byte behind the pending ones, after `insert` joined what it could. */
  next(id: number): number {
    return this.#queues[id]!.next;
  }

  /** Stores `len` bytes at `off` as sequence `seq` (at or after `base`); what lies beyond the ring is cut off. */
  insert(id: number, seq: number, off: number, len: number): void {
    const queue = this.#queues[id]!;
    const room = QUEUE_LEN - ((seq - queue.base) | 0);
    const taken = Math.min(len, room);
    if (taken <= 0) return;
    const end = (seq + taken) | 0;
    this.#write(queue, seq, off, taken);
    if (before(queue.next, seq)) {
      queue.latest = seq;
      queue.later.add(seq, end);
    } else {
      // `next` may be past `seq` already: a block that was kept out of order had the first of these bytes.
      if (before(queue.next, end)) queue.next = end;
      this.#join(queue);
    }
  }

  /** Contiguous pending bytes: offset by `pendingOffset`, at most this many. */
  contiguous(id: number): number {
    const queue = this.#queues[id]!;
    return Math.min((queue.next - queue.base) | 0, QUEUE_LEN - (queue.base & MASK));
  }

  pendingOffset(id: number): number {
    const queue = this.#queues[id]!;
    return queue.buffer + (queue.base & MASK);
  }

  /** The host took `n` pending bytes. */
  consume(id: number, n: number): void {
    const queue = this.#queues[id]!;
    queue.base = (queue.base + n) | 0;
  }

  /** Nothing pending: what is stored starts anew at `next` (in-sequence bytes went past the queue). */
  skipTo(id: number, next: number): void {
    const queue = this.#queues[id]!;
    queue.base = next;
    queue.next = next;
    this.#join(queue);
  }

  /** Fills `blocks` with up to `max` SACK blocks, the latest first; returns how many. */
  sackBlocks(id: number, blocks: Int32Array, max: number): number {
    const { later, latest } = this.#queues[id]!;
    const r = later.ranges;
    let n = 0;
    for (let i = 0; i < later.count && n === 0; i++) {
      if (!before(latest, r[2 * i]!) && before(latest, r[2 * i + 1]!)) n = put(blocks, 0, r[2 * i]!, r[2 * i + 1]!);
    }
    for (let i = 0; i < later.count && n < max; i++) {
      if (n > 0 && r[2 * i] === blocks[0]) continue;
      n = put(blocks, n, r[2 * i]!, r[2 * i + 1]!);
    }
    return n;
  }

  #join(queue: Queue): void {
    const { later } = queue;
    if (later.count > 0 && !before(queue.next, later.ranges[0]!)) {
      const end = later.ranges[1]!;
      if (before(queue.next, end)) queue.next = end;
      later.advance(queue.next);
      this.#join(queue);
    }
  }

  #write(queue: Queue, seq: number, off: number, len: number): void {
    const at = seq & MASK;
    const first = Math.min(len, QUEUE_LEN - at);
    this.#u8.copyWithin(queue.buffer + at, off, off + first);
    if (first < len) this.#u8.copyWithin(queue.buffer, off + first, off + len);
  }
}

function put(blocks: Int32Array, n: number, start: number, end: number): number {
  blocks[2 * n] = start;
  blocks[2 * n + 1] = end;
  return n + 1;
}
