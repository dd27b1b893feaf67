/**
 * Where the frames of all shaped lines wait: one heap by the time they are due, and cells that hold them.
 *
 * Zone: packet.  Times are milliseconds with a fraction, by the queue's own clock.  A frame is copied into a chain of
 * cells; the bound is the cells.  A line may hold as many as are still free, so that a guest which fills its queue leaves
 * room for all others (the dynamic threshold of switches with shared memory).  What is due leaves when the line's end has
 * room; until then it waits, in order, in the line's own list, and the line is asked again every millisecond.
 *
 *   cell: next cell 4 | … | virtio_net_hdr 12 | bytes of the frame 1984       (of the first cell; later ones: no header)
 */
import type { Arena } from '../core/arena.ts';
import { BufferPool } from '../core/buffer-pool.ts';
import { type Counters, counter } from '../core/counters.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { MAX_FRAME_LEN } from './link.ts';

/** Cells, and so the most frames, that wait in all lines of a network. */
export const MAX_CELLS = 32_768;
export const CELL_BYTES = 2048;
const HEADROOM = 64; // the next cell's offset, virtio_net_hdr and alignment
const CELL_ROOM = CELL_BYTES - HEADROOM;
const RETRY_MS = 1;
/** No frame. */
export const NONE = -1;
const DROP_FULL = counter('drop_shape_queue_full');

/** A line as its queue sees it. */
export interface QueuedLine {
  /** Kept by the queue: cells that hold frames of this line, and those of them that are due but found no room. */
  cells: number;
  readyHead: number;
  readyTail: number;
  /** Bytes that `deliver` takes now. */
  room(): number;
  deliver(off: number, len: number): void;
  /** The frame leaves its place in the queue. */
  onTaken(node: number): void;
}

export const cellsOf = (len: number): number => Math.max(Math.ceil(len / CELL_ROOM), 1);

export class ShapeQueue {
  readonly #arena: Arena;
  readonly #counters: Counters;
  readonly #cells: BufferPool;
  readonly #clock: () => number;
  /** Where a frame of several cells is put together. */
  readonly #whole: number;
  readonly #free: Int32Array = new Int32Array(MAX_CELLS);
  #freeCount = 0;
  #made = 0;
  // By node, which is a waiting frame:
  readonly #due = new Float64Array(MAX_CELLS);
  readonly #order = new Float64Array(MAX_CELLS);
  readonly #buffer = new Int32Array(MAX_CELLS);
  readonly #len = new Int32Array(MAX_CELLS);
  readonly #next = new Int32Array(MAX_CELLS); // in a line's list of what is ready
  readonly #place = new Int32Array(MAX_CELLS); // in the heap, or NONE
  readonly #lines: QueuedLine[] = [];
  readonly #heap = new Int32Array(MAX_CELLS);
  #count = 0;
  #arrivals = 0;
  /** Lines with frames that are ready. */
  #blocked: QueuedLine[] = [];
  #retryAt = 0;

  constructor(arena: Arena, counters: Counters, clock: () => number) {
    this.#arena = arena;
    this.#counters = counters;
    this.#clock = clock;
    this.#cells = new BufferPool(arena, CELL_BYTES, MAX_CELLS);
    this.#whole = arena.alloc(HEADROOM + MAX_FRAME_LEN, 64) + HEADROOM;
  }

  now(): number {
    return this.#clock();
  }

  /** Cells that hold frames. */
  get inUse(): number {
    return this.#cells.inUse;
  }

  /** When `poll` has something to do. */
  get nextAt(): number {
    const due = this.#count === 0 ? Infinity : this.#due[this.#heap[0]!]!;
    return this.#blocked.length === 0 ? due : Math.min(due, this.#retryAt);
  }

  /** Cells that this line may still take. */
  freeFor(line: QueuedLine): number {
    return Math.max(MAX_CELLS - this.#cells.inUse - line.cells, 0);
  }

  /** Copies a frame, which leaves at `dueMs`, or as soon as there is room if that is past; its node, or -1 when there is no place and it was counted as dropped. */
  add(line: QueuedLine, off: number, len: number, dueMs: number): number {
    if (cellsOf(len) > this.freeFor(line)) {
      this.#counters.count(DROP_FULL);
      return NONE;
    }
    const node = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#made++;
    this.#lines[node] = line;
    this.#buffer[node] = this.#store(off, len);
    this.#len[node] = len;
    this.#due[node] = dueMs;
    this.#order[node] = this.#arrivals++;
    line.cells += cellsOf(len);
    this.#place[node] = NONE;
    const now = this.#clock();
    if (dueMs <= now) this.#makeReady(node, now);
    else this.#insert(node);
    return node;
  }

  /** A frame that waits leaves at `dueMs` instead, behind those that are due then already; at once if that is past. */
  follow(node: number, dueMs: number): void {
    const now = this.#clock();
    this.#removeAt(this.#place[node]!);
    // One of several cells is put together where a frame that is on its way may lie: it waits for `poll`.
    if (dueMs <= now && this.#len[node]! <= CELL_ROOM) return this.#makeReady(node, now);
    this.#due[node] = dueMs;
    this.#order[node] = this.#arrivals++;
    this.#insert(node);
  }

  poll(): void {
    const now = this.#clock();
    if (this.#blocked.length > 0 && now >= this.#retryAt) this.#retry(now);
    while (this.#count > 0 && this.#due[this.#heap[0]!]! <= now) {
      const node = this.#heap[0]!;
      this.#removeAt(0);
      this.#makeReady(node, now);
    }
  }

  /** Everything of a line leaves as soon as there is room, in the order in which it was due. */
  release(line: QueuedLine): void {
    const now = this.#clock();
    for (const node of this.#takeOut(line).sort((a, b) => this.#compare(a, b))) this.#makeReady(node, now);
  }

  /** Nothing of a line waits beyond `latestMs`; what is brought forward leaves in the order in which it came. */
  hasten(line: QueuedLine, latestMs: number): void {
    for (const node of this.#takeOut(line)) {
      this.#due[node] = Math.min(this.#due[node]!, latestMs);
      this.#insert(node);
    }
  }

  /** Everything of a line is dropped; how many frames that were. */
  forget(line: QueuedLine): number {
    const nodes = this.#takeOut(line);
    for (const node of nodes) line.onTaken(node);
    while (line.readyHead !== NONE) nodes.push(this.#takeReady(line));
    for (const node of nodes) this.#give(node);
    return nodes.length;
  }

  #makeReady(node: number, now: number): void {
    const line = this.#lines[node]!;
    line.onTaken(node);
    if (line.readyHead === NONE && line.room() >= this.#len[node]!) return this.#deliver(node);
    this.#next[node] = NONE;
    if (line.readyHead === NONE) {
      line.readyHead = node;
      if (this.#blocked.length === 0) this.#retryAt = now + RETRY_MS;
      if (!this.#blocked.includes(line)) this.#blocked.push(line);
    } else {
      this.#next[line.readyTail] = node;
    }
    line.readyTail = node;
  }

  #retry(now: number): void {
    const lines = this.#blocked;
    this.#blocked = [];
    this.#retryAt = now + RETRY_MS;
    for (const line of lines) {
      while (line.readyHead !== NONE && line.room() >= this.#len[line.readyHead]!) this.#deliver(this.#takeReady(line));
      if (line.readyHead !== NONE && !this.#blocked.includes(line)) this.#blocked.push(line);
    }
  }

  #takeReady(line: QueuedLine): number {
    const node = line.readyHead;
    line.readyHead = this.#next[node]!;
    return node;
  }

  #deliver(node: number): void {
    const line = this.#lines[node]!;
    const len = this.#len[node]!;
    const off = len <= CELL_ROOM ? this.#buffer[node]! + HEADROOM : this.#gather(this.#buffer[node]!, len);
    line.deliver(off, len);
    this.#give(node);
  }

  /** Takes a line's frames out of the heap. */
  #takeOut(line: QueuedLine): number[] {
    const nodes: number[] = [];
    const others: number[] = [];
    for (const node of this.#heap.subarray(0, this.#count)) (this.#lines[node] === line ? nodes : others).push(node);
    this.#count = 0;
    for (const node of others) this.#insert(node);
    for (const node of nodes) this.#place[node] = NONE;
    return nodes;
  }

  // ---- cells

  #store(off: number, len: number): number {
    const { u8, view } = this.#arena;
    const first = this.#cells.take();
    u8.copyWithin(first + HEADROOM - vnetHdr.LEN, off - vnetHdr.LEN, off + Math.min(len, CELL_ROOM));
    let last = first;
    for (let done = CELL_ROOM; done < len; done += CELL_ROOM) {
      const cell = this.#cells.take();
      view.setInt32(last, cell);
      u8.copyWithin(cell + HEADROOM, off + done, off + Math.min(done + CELL_ROOM, len));
      last = cell;
    }
    return first;
  }

  #gather(first: number, len: number): number {
    const { u8, view } = this.#arena;
    const whole = this.#whole;
    u8.copyWithin(whole - vnetHdr.LEN, first + HEADROOM - vnetHdr.LEN, first + CELL_BYTES);
    let cell = first;
    for (let done = CELL_ROOM; done < len; done += CELL_ROOM) {
      cell = view.getInt32(cell);
      u8.copyWithin(whole + done, cell + HEADROOM, cell + HEADROOM + Math.min(CELL_ROOM, len - done));
    }
    return whole;
  }

  /** The frame is gone: its cells and its node are free. */
  #give(node: number): void {
    const cells = cellsOf(this.#len[node]!);
    let cell = this.#buffer[node]!;
    for (let i = 0; i < cells; i++) {
      const next = this.#arena.view.getInt32(cell);
      this.#cells.give(cell);
      cell = next;
    }
    this.#lines[node]!.cells -= cells;
    this.#free[this.#freeCount++] = node;
  }

  // ---- a binary heap that knows where each node is

  #compare(a: number, b: number): number {
    return this.#due[a]! - this.#due[b]! || this.#order[a]! - this.#order[b]!;
  }

  #insert(node: number): void {
    this.#put(node, this.#count);
    this.#rise(this.#count++);
  }

  #put(node: number, at: number): void {
    this.#heap[at] = node;
    this.#place[node] = at;
  }

  #rise(from: number): void {
    const node = this.#heap[from]!;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(this.#heap[parent]!, node) <= 0) break;
      this.#put(this.#heap[parent]!, at);
      at = parent;
    }
    this.#put(node, at);
  }

  #sink(from: number): void {
    const node = this.#heap[from]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#count) break;
      if (child + 1 < this.#count && this.#compare(this.#heap[child + 1]!, this.#heap[child]!) < 0) child++;
      if (this.#compare(node, this.#heap[child]!) <= 0) break;
      this.#put(this.#heap[child]!, at);
      at = child;
    }
    this.#put(node, at);
  }

  #removeAt(at: number): void {
    this.#place[this.#heap[at]!] = NONE;
    const last = this.#heap[--this.#count]!;
    if (at === this.#count) return;
    this.#put(last, at);
    this.#rise(at);
    this.#sink(this.#place[last]!);
  }
}
