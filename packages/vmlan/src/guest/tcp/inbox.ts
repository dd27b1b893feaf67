/**
 * What has come of a connection's bytes: in order and not yet read, and pieces beyond a gap (RFC 9293 §3.10.7.4).
 *
 * Zone: control.  Both lie within the window that was offered, which is what bounds them.
 */
import { before, distance } from '../../core/sequence.ts';

/** Pieces beyond a gap; more are as good as lost. */
export const MAX_PIECES = 256;

interface Piece {
  readonly seq: number;
  readonly bytes: Uint8Array;
}

export class Inbox {
  readonly limit: number;
  /** The next byte that is missing. */
  next: number;
  readonly #ready: Uint8Array[] = [];
  #readyBytes = 0;
  #pieces: Piece[] = [];

  constructor(limit: number, next: number) {
    this.limit = limit;
    this.next = next;
  }

  /** Bytes that may come. */
  get window(): number {
    return this.limit - this.#readyBytes;
  }

  get length(): number {
    return this.#readyBytes;
  }

  get hasGap(): boolean {
    return this.#pieces.length > 0;
  }

  /** Takes what lies in the window; it is copied. */
  add(seq: number, bytes: Uint8Array): void {
    const skip = Math.max(0, distance(this.next, seq));
    const part = bytes.subarray(skip, Math.max(0, distance(this.next, seq) + this.window));
    if (part.length === 0) return;
    const at = (seq + skip) | 0;
    if (at === this.next) this.#append(part.slice());
    else this.#keep({ seq: at, bytes: part.slice() });
    this.#join();
  }

  read(): Uint8Array | null {
    const bytes = this.#ready.shift() ?? null;
    this.#readyBytes -= bytes?.length ?? 0;
    return bytes;
  }

  clear(): void {
    this.#ready.length = 0;
    this.#readyBytes = 0;
    this.#pieces = [];
  }

  #append(bytes: Uint8Array): void {
    this.#ready.push(bytes);
    this.#readyBytes += bytes.length;
    this.next = (this.next + bytes.length) | 0;
  }

  #keep(piece: Piece): void {
    const at = this.#pieces.findIndex(({ seq }) => !before(seq, piece.seq));
    const same = this.#pieces[at];
    if (same?.seq === piece.seq && same.bytes.length >= piece.bytes.length) return;
    if (this.#pieces.length >= MAX_PIECES) return;
    this.#pieces.splice(at < 0 ? this.#pieces.length : at, 0, piece);
  }

  #join(): void {
    for (;;) {
      const [first] = this.#pieces;
      if (first === undefined || before(this.next, first.seq)) return;
      this.#pieces.shift();
      const fresh = first.bytes.subarray(distance(this.next, first.seq));
      if (fresh.length > 0) this.#append(fresh);
    }
  }
}
