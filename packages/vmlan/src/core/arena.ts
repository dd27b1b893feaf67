/**
 * One block of memory that system calls and codecs share: a bump allocator over an ArrayBuffer.
 *
 * Zone: control to allocate, packet to use.  All lengths and offsets in bytes.  `base` is the address of offset 0 as
 * the kernel sees it (0 for memory that no system call touches).  The arena is laid out at start-up and never freed
 * piecewise: what is recycled is recycled by pools above it.
 */

export class Arena {
  readonly buffer: ArrayBuffer;
  readonly base: number;
  readonly u8: Uint8Array;
  readonly view: DataView;
  /** A WebAssembly.Memory that has the arena's pages as its own, at the same offsets; null where there is none. */
  readonly wasmMemory: object | null;
  #next: number;

  constructor(buffer: ArrayBuffer, base = 0, wasmMemory: object | null = null) {
    this.buffer = buffer;
    this.base = base;
    this.wasmMemory = wasmMemory;
    this.u8 = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.#next = 64; // offset 0 stays unused: a zero offset in a record means "none"
  }

  get used(): number {
    return this.#next;
  }

  /** Takes `size` bytes aligned to `align` (a power of two). Throws RangeError when the arena is full. */
  alloc(size: number, align = 64): number {
    const offset = (this.#next + align - 1) & ~(align - 1);
    if (offset + size > this.buffer.byteLength) {
      throw new RangeError(`arena of ${this.buffer.byteLength} bytes is full: ${size} more bytes asked`);
    }
    this.#next = offset + size;
    return offset;
  }
}
