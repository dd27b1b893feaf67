/**
 * Records from one thread to another through shared memory: one writer, one reader, no lock, and nobody waits.
 *
 * Zone: packet.  A record is reserved, filled, and seen by the reader once it is published; what finds no room is the
 * writer's to count.  The reader asks to be woken before it rests, so an idle or slow one costs the writer no message.
 *
 *   0 head int32 | 4 tail int32 | 8 wanted int32 | 64 … size bytes of records, each behind its length, 8-byte aligned
 *
 * Positions are bytes written and read so far, modulo 2^32; `size` is a power of two.  A length with its top bit set
 * fills the rest of the ring: the next record begins at its start.
 */
const HEAD = 0;
const TAIL = 1;
const WANTED = 2;
const DATA = 64;
const LENGTH_FIELD = 4;
const SKIP = 0x8000_0000;
const WRITER_ALIGN = 7;

/** Memory for a ring of `size` bytes, a power of two. */
export const newRing = (size: number): SharedArrayBuffer => new SharedArrayBuffer(DATA + size);

const spanOf = (len: number): number => (LENGTH_FIELD + len + WRITER_ALIGN) & ~WRITER_ALIGN;

export class RingWriter {
  readonly view: DataView;
  readonly u8: Uint8Array;
  readonly #control: Int32Array;
  readonly #size: number;
  #next = 0; // behind the last reserved record
  #published = 0;
  #tail = 0; // as last seen

  constructor(ring: SharedArrayBuffer) {
    this.view = new DataView(ring);
    this.u8 = new Uint8Array(ring);
    this.#control = new Int32Array(ring, 0, DATA / 4);
    this.#size = ring.byteLength - DATA;
  }

  /** Bytes that are reserved and not published. */
  get unpublished(): number {
    return (this.#next - this.#published) >>> 0;
  }

  /** Room for a record of `len` bytes: its offset in `view`, or -1 while the reader is behind. */
  reserve(len: number): number {
    const span = spanOf(len);
    const at = this.#next & (this.#size - 1);
    const skip = at + span > this.#size ? this.#size - at : 0;
    if (!this.#hasRoom(skip + span)) return -1;
    if (skip > 0) {
      this.view.setUint32(DATA + at, SKIP | skip, true);
      this.#next = (this.#next + skip) | 0;
    }
    const o = DATA + (this.#next & (this.#size - 1));
    this.view.setUint32(o, span, true);
    this.#next = (this.#next + span) | 0;
    return o + LENGTH_FIELD;
  }

  /** Takes the record at `offset` back; false when others were reserved behind it. */
  takeBack(offset: number): boolean {
    const o = offset - LENGTH_FIELD;
    const span = this.view.getUint32(o, true);
    if (((this.#next - span) & (this.#size - 1)) !== o - DATA) return false;
    this.#next = (this.#next - span) | 0;
    return true;
  }

  /** The reader sees all that was reserved. True when it wants to be told. */
  publish(): boolean {
    if (this.#next === this.#published) return false;
    this.#published = this.#next;
    Atomics.store(this.#control, HEAD, this.#next);
    return Atomics.exchange(this.#control, WANTED, 0) === 1;
  }

  #hasRoom(bytes: number): boolean {
    if (((this.#next - this.#tail) >>> 0) + bytes <= this.#size) return true;
    this.#tail = Atomics.load(this.#control, TAIL);
    return ((this.#next - this.#tail) >>> 0) + bytes <= this.#size;
  }
}

export class RingReader {
  readonly view: DataView;
  readonly u8: Uint8Array;
  readonly #control: Int32Array;
  readonly #size: number;
  #at = 0;
  #span = 0;

  constructor(ring: SharedArrayBuffer) {
    this.view = new DataView(ring);
    this.u8 = new Uint8Array(ring);
    this.#control = new Int32Array(ring, 0, DATA / 4);
    this.#size = ring.byteLength - DATA;
  }

  /** The offset of the next record in `view`, which stays until `release`; -1 when there is none. */
  next(): number {
    while (this.#at !== Atomics.load(this.#control, HEAD)) {
      const o = DATA + (this.#at & (this.#size - 1));
      const span = this.view.getUint32(o, true);
      if (span < SKIP) {
        this.#span = span;
        return o + LENGTH_FIELD;
      }
      this.#advance(span - SKIP);
    }
    return -1;
  }

  /** The writer may use the room of the record that `next` gave. */
  release(): void {
    this.#advance(this.#span);
    this.#span = 0;
  }

  /** Asks to be told of what comes next. False when something is there already. */
  rest(): boolean {
    Atomics.store(this.#control, WANTED, 1);
    return this.#at === Atomics.load(this.#control, HEAD);
  }

  #advance(bytes: number): void {
    this.#at = (this.#at + bytes) | 0;
    Atomics.store(this.#control, TAIL, this.#at);
  }
}
