/**
 * A bounded first-in first-out queue of bytes: the buffer of one direction of a stream.
 *
 * Zone: control.  Storage grows by doubling up to `capacity` bytes and is given back by `clear`.  `capacity` may be
 * lowered below `length`; the queue then takes nothing until it has drained.
 */
const FIRST_STORAGE = 512; // bytes
const EMPTY = new Uint8Array(0);

export class ByteQueue {
  capacity: number;
  #storage: Uint8Array = EMPTY;
  #start = 0;
  #length = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get length(): number {
    return this.#length;
  }

  get free(): number {
    return Math.max(0, this.capacity - this.#length);
  }

  /** Takes as many of `len` bytes at `off` as fit and returns how many. */
  push(bytes: Uint8Array, off: number, len: number): number {
    const count = Math.min(len, this.free);
    this.#reserve(this.#length + count);
    const end = this.#wrap(this.#start + this.#length);
    const first = Math.min(count, this.#storage.length - end);
    this.#storage.set(bytes.subarray(off, off + first), end);
    this.#storage.set(bytes.subarray(off + first, off + count), 0);
    this.#length += count;
    return count;
  }

  /** Copies up to `len` bytes, from `skip` bytes after the front on, to `off` of `into`; returns how many. */
  copy(skip: number, into: Uint8Array, off: number, len: number): number {
    const count = Math.max(0, Math.min(len, this.#length - skip));
    if (count === 0) return 0;
    const begin = this.#wrap(this.#start + skip);
    const first = Math.min(count, this.#storage.length - begin);
    into.set(this.#storage.subarray(begin, begin + first), off);
    into.set(this.#storage.subarray(0, count - first), off + first);
    return count;
  }

  /** Removes up to `len` bytes from the front; returns how many. */
  drop(len: number): number {
    const count = Math.min(len, this.#length);
    this.#start = this.#wrap(this.#start + count);
    this.#length -= count;
    return count;
  }

  /** Moves up to `len` bytes from the front of `source`, as far as there is room; returns how many. */
  moveFrom(source: ByteQueue, len: number): number {
    let moved = 0;
    while (moved < len && source.#length > 0 && this.free > 0) {
      const run = Math.min(len - moved, source.#length, source.#storage.length - source.#start);
      const count = this.push(source.#storage, source.#start, run);
      source.drop(count);
      moved += count;
    }
    return moved;
  }

  /** Forgets all but the first `length` bytes. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  clear(): void {
    this.#storage = EMPTY;
    this.#start = 0;
    this.#length = 0;
  }

  #wrap(position: number): number {
    return position >= this.#storage.length && this.#storage.length > 0 ? position - this.#storage.length : position;
  }

  #reserve(needed: number): void {
    if (needed <= this.#storage.length) return;
    let size = Math.max(FIRST_STORAGE, this.#storage.length);
    while (size < needed) size *= 2;
    const grown = new Uint8Array(size);
    this.copy(0, grown, 0, this.#length);
    this.#storage = grown;
    this.#start = 0;
  }
}
