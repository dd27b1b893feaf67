/**
 * How much of a connection may be on its way, and when it counts as lost: NewReno (RFC 5681, RFC 6582) and the
 * retransmission time-out (RFC 6298).
 *
 * Zone: control.  Bytes, milliseconds, int32 sequence numbers.
 */
import { before, distance } from '../../core/sequence.ts';

export const INITIAL_RTO_MS = 1000;
/** RFC 6298 (2.4) says 1 s; what all stacks do is this. */
export const MIN_RTO_MS = 200;
export const MAX_RTO_MS = 60_000;
const INITIAL_SEGMENTS = 10; // RFC 6928
export const DUPLICATES = 3;

export class Congestion {
  windowBytes: number;
  rtoMs: number = INITIAL_RTO_MS;
  readonly #mss: number;
  #thresholdBytes = Infinity;
  #smoothedMs = -1;
  #variationMs = 0;
  #duplicates = 0;
  /** While recovering: the highest number that was sent when the loss was noticed. */
  #recover: number | null = null;
  /** No second fast retransmission for losses of one and the same window (RFC 6582 §3.2 step 1). */
  #noticedUpTo: number;

  constructor(mss: number, initialSeq: number) {
    this.#mss = mss;
    this.windowBytes = INITIAL_SEGMENTS * mss;
    this.#noticedUpTo = initialSeq;
  }

  get recovering(): boolean {
    return this.#recover !== null;
  }

  /** A round trip that was measured on a segment sent once (Karn). */
  onRoundTrip(ms: number): void {
    if (this.#smoothedMs < 0) {
      this.#smoothedMs = ms;
      this.#variationMs = ms / 2;
    } else {
      this.#variationMs = 0.75 * this.#variationMs + 0.25 * Math.abs(this.#smoothedMs - ms);
      this.#smoothedMs = 0.875 * this.#smoothedMs + 0.125 * ms;
    }
    this.#resetRto();
  }

  /** `ack` is new. True when the segment at `ack` is to be sent again: it is the next hole (a partial acknowledgement). */
  onNewAck(ack: number, ackedBytes: number): boolean {
    if (this.#smoothedMs >= 0) this.#resetRto();
    this.#duplicates = 0;
    if (this.#recover !== null) {
      if (before(ack, this.#recover)) {
        this.windowBytes = Math.max(this.#mss, this.windowBytes - ackedBytes + this.#mss);
        return true;
      }
      this.#recover = null;
      this.windowBytes = this.#thresholdBytes;
      return false;
    }
    if (this.windowBytes < this.#thresholdBytes) this.windowBytes += Math.min(ackedBytes, this.#mss);
    else this.windowBytes += Math.max(1, Math.floor((this.#mss * this.#mss) / this.windowBytes));
    return false;
  }

  /** An acknowledgement that says nothing new. True when the segment at `ack` counts as lost. */
  onDuplicate(ack: number, inFlight: number, highest: number): boolean {
    this.#duplicates++;
    if (this.#recover !== null) {
      this.windowBytes += this.#mss;
      return false;
    }
    if (this.#duplicates !== DUPLICATES || distance(ack, this.#noticedUpTo) <= 0) return false;
    this.#thresholdBytes = Math.max(inFlight >>> 1, 2 * this.#mss);
    this.windowBytes = this.#thresholdBytes + DUPLICATES * this.#mss;
    this.#recover = highest;
    this.#noticedUpTo = highest;
    return true;
  }

  /** Nothing was heard for `rtoMs`. */
  onTimeout(inFlight: number, highest: number): void {
    this.#thresholdBytes = Math.max(inFlight >>> 1, 2 * this.#mss);
    this.windowBytes = this.#mss;
    this.#recover = null;
    this.#duplicates = 0;
    this.#noticedUpTo = highest;
    this.backOff();
  }

  backOff(): void {
    this.rtoMs = Math.min(2 * this.rtoMs, MAX_RTO_MS);
  }

  #resetRto(): void {
    const rto = this.#smoothedMs + Math.max(1, 4 * this.#variationMs);
    this.rtoMs = Math.min(Math.max(rto, MIN_RTO_MS), MAX_RTO_MS);
  }
}
