/**
 * QEMU's stream framing: a 32-bit big-endian length, then the frame (qemu net/stream.c; socket_vmnet speaks the same).
 *
 * Zone: packet.  The receive buffer is shared by all links of the thread: only the piece of a frame that a read left
 * incomplete is kept per link, in a pooled buffer.  The transmit queue of a link is one pooled buffer that is sent as a
 * whole; a link with nothing queued holds none.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { Arena } from '../core/arena.ts';
import { BufferPool } from '../core/buffer-pool.ts';
import { MAX_FRAME_LEN } from './link.ts';

export const LENGTH_FIELD = 4; // bytes
/** Bytes read at once: few calls, and what is read is still in the second-level cache when it is sent on. */
const READ_LEN = 256 * 1024;
/** Frames from this length on are read in whole numbers, if they come as the last one did: bytes. */
const LONG_FRAME = 8 * 1024;
/** Transmit queue of one link, bytes. */
export const QUEUE_LEN: number = 384 * 1024;
/** Of these, what TCP leaves to those whom nobody can hold back: the longest datagram in fragments, ARP, ND. */
const KEPT_FREE = 72 * 1024;
/** Share of the rest that TCP may plan with: headers of cut segments need theirs. */
const PLANNED = 0.9;
/** Links that may have frames queued (or half received) at the same time: all of a network, as after each broadcast. */
export const MAX_QUEUES = 1024;
export const MAX_PARTIALS = 1024;
export const PARTIAL_LEN: number = MAX_FRAME_LEN + LENGTH_FIELD;

export const DROP_QUEUE_FULL: number = counter('drop_link_queue_full');
export const DROP_BAD_FRAMING: number = counter('drop_bad_stream_framing');

/** Memory that the stream links of one thread share. */
export class StreamBuffers {
  readonly arena: Arena;
  /** Where reads land; VNET_HDR bytes of headroom and the kept piece come before it. */
  readonly rx: number;
  /** Where segments that came with one read are joined, with headroom as well. */
  readonly joined: number;
  /** Where one frame of a TAP is cut, its header before it. */
  readonly cut: number;
  readonly queues: BufferPool;
  readonly partials: BufferPool;

  constructor(arena: Arena) {
    this.arena = arena;
    this.rx = arena.alloc(64 + MAX_FRAME_LEN + LENGTH_FIELD + READ_LEN, 4096) + 64;
    this.joined = arena.alloc(64 + MAX_FRAME_LEN, 64) + 64;
    this.cut = arena.alloc(64 + MAX_FRAME_LEN, 64) + 64;
    this.queues = new BufferPool(arena, QUEUE_LEN, MAX_QUEUES);
    this.partials = new BufferPool(arena, PARTIAL_LEN, MAX_PARTIALS);
  }
}

/** Cuts a byte stream into frames. Nothing is written before them: there the frame before may lie, still to be used. */
export class StreamDecoder {
  readonly #shared: StreamBuffers;
  #partial = 0; // pooled buffer that holds the beginning of a frame, or 0
  #partialLen = 0;
  #stride = 0; // of the last frame, with its length field
  #stopped = false;

  constructor(shared: StreamBuffers) {
    this.#shared = shared;
  }

  /** Where to read to, after `prepare`. */
  get readOffset(): number {
    return this.#shared.rx + this.#partialLen;
  }

  get readLen(): number {
    if (this.#stride < LONG_FRAME) return READ_LEN;
    const whole = READ_LEN - (READ_LEN % this.#stride) - this.#partialLen;
    return whole > 0 ? whole : READ_LEN;
  }

  /** Puts the kept piece back in front of where the next read will land. */
  prepare(): void {
    if (this.#partialLen === 0) return;
    const { arena, rx } = this.#shared;
    arena.u8.copyWithin(rx, this.#partial, this.#partial + this.#partialLen);
  }

  /**
   * Hands out the frames that `n` new bytes complete. False when the peer does not speak this framing (or no buffer
   * is left for its piece): the link must be closed.
   */
  onBytes(n: number, nowMs: number, onFrame: (off: number, len: number, nowMs: number) => void): boolean {
    const { arena, rx } = this.#shared;
    const v = arena.view;
    const end = rx + this.#partialLen + n;
    let at = rx;
    while (end - at >= LENGTH_FIELD) {
      const len = v.getUint32(at);
      if (len > MAX_FRAME_LEN) return false;
      if (end - at - LENGTH_FIELD < len) break;
      const off = at + LENGTH_FIELD;
      this.#stride = LENGTH_FIELD + len;
      at += this.#stride;
      onFrame(off, len, nowMs);
      if (this.#stopped) return true; // what the frame led to has closed the link
    }
    return this.#keep(at, end - at);
  }

  /** The link is closed: no more frames, and nothing is kept. */
  stop(): void {
    this.#stopped = true;
    this.#release();
  }

  #release(): void {
    if (this.#partial !== 0) this.#shared.partials.give(this.#partial);
    this.#partial = 0;
    this.#partialLen = 0;
  }

  #keep(at: number, len: number): boolean {
    if (len === 0) {
      this.#release();
      return true;
    }
    if (this.#partial === 0) this.#partial = this.#shared.partials.take();
    if (this.#partial === 0) return false;
    this.#shared.arena.u8.copyWithin(this.#partial, at, at + len);
    this.#partialLen = len;
    return true;
  }
}

/** The frames that wait for the socket, framed and contiguous. Implements offload's FrameSink. */
export class StreamQueue {
  readonly #shared: StreamBuffers;
  readonly #counters: Counters;
  #buffer = 0;
  #head = 0; // first byte not sent, relative to the buffer
  #tail = 0;

  constructor(shared: StreamBuffers, counters: Counters) {
    this.#shared = shared;
    this.#counters = counters;
  }

  get length(): number {
    return this.#tail - this.#head;
  }

  /** Arena offset of the first byte to send. */
  get offset(): number {
    return this.#buffer + this.#head;
  }

  get free(): number {
    return QUEUE_LEN - this.length;
  }

  /** Bytes that TCP may send now without a drop. */
  get plannable(): number {
    return Math.max(Math.floor((this.free - KEPT_FREE) * PLANNED), 0);
  }

  /** Place for frames of `len` bytes, one behind the other: how many of `count`. */
  reserveRun(len: number, count: number): number {
    if (this.#buffer === 0) this.#buffer = this.#shared.queues.take();
    if (this.#buffer === 0) return 0;
    if (this.#tail + LENGTH_FIELD + len > QUEUE_LEN && this.#head > 0) this.#compact();
    return Math.min(count, Math.floor((QUEUE_LEN - this.#tail) / (LENGTH_FIELD + len)));
  }

  get runOffset(): number {
    return this.#buffer + this.#tail + LENGTH_FIELD;
  }

  reserve(len: number): number {
    if (this.#buffer === 0) this.#buffer = this.#shared.queues.take();
    if (this.#buffer === 0 || this.free < len + LENGTH_FIELD) {
      this.#counters.count(DROP_QUEUE_FULL);
      return -1;
    }
    if (this.#tail + len + LENGTH_FIELD > QUEUE_LEN) this.#compact();
    return this.#buffer + this.#tail + LENGTH_FIELD;
  }

  commit(len: number): void {
    this.#shared.arena.view.setUint32(this.#buffer + this.#tail, len);
    this.#tail += LENGTH_FIELD + len;
  }

  /** `n` bytes from `offset` are sent. */
  consume(n: number): void {
    this.#head += n;
    if (this.#head === this.#tail) this.reset();
  }

  reset(): void {
    if (this.#buffer !== 0) this.#shared.queues.give(this.#buffer);
    this.#buffer = 0;
    this.#head = 0;
    this.#tail = 0;
  }

  #compact(): void {
    this.#shared.arena.u8.copyWithin(this.#buffer, this.#buffer + this.#head, this.#buffer + this.#tail);
    this.#tail -= this.#head;
    this.#head = 0;
  }
}
