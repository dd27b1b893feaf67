/**
 * Bytes that were written and not yet acknowledged: a ring that grows up to its limit.
 *
 * Zone: control.
 */
const FIRST_BYTES = 4096;

export class ByteQueue {
  readonly limit: number;
  #ring = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #length = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  get room(): number {
    return this.limit - this.#length;
  }

  /** Takes as much as there is room for, and says how much that was. */
  push(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.room);
    this.#grow(this.#length + taken);
    const at = (this.#start + this.#length) % this.#ring.length;
    const first = Math.min(taken, this.#ring.length - at);
    this.#ring.set(bytes.subarray(0, first), at);
    this.#ring.set(bytes.subarray(first, taken), 0);
    this.#length += taken;
    return taken;
  }

  /** Copies `length` bytes, the first of them `from` bytes behind the start, to `target` at `at`. */
  copy(from: number, length: number, target: Uint8Array, at: number): void {
    const start = (this.#start + from) % this.#ring.length;
    const first = Math.min(length, this.#ring.length - start);
    target.set(this.#ring.subarray(start, start + first), at);
    target.set(this.#ring.subarray(0, length - first), at + first);
  }

  drop(length: number): void {
    this.#start = (this.#start + length) % this.#ring.length;
    this.#length -= length;
  }

  #grow(wanted: number): void {
    if (wanted <= this.#ring.length) return;
    let size = this.#ring.length;
    while (size < wanted) size *= 2;
    const ring = new Uint8Array(size);
    this.copy(0, this.#length, ring, 0);
    this.#ring = ring;
    this.#start = 0;
  }
}
