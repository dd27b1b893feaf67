/**
 * What the guest has selectively acknowledged (RFC 2018, RFC 6675 §3): disjoint ranges above the cumulative ACK.
 *
 * Zone: packet.  At most MAX_RANGES ranges, sorted by sequence; when there are more, the highest is forgotten, which costs
 * a retransmission and nothing else.  Sequence numbers are int32.
 */
import { before, beforeOrAt } from '../../core/sequence.ts';

export const MAX_RANGES = 64;
const NONE = new Int32Array(0);

export class Scoreboard {
  /** start, end (exclusive), start, end … */
  ranges: Int32Array = NONE; // most flows never lose anything: room is made at the first range, and kept
  count = 0;

  clear(): void {
    this.count = 0;
  }

  /** Highest selectively acknowledged sequence number + 1; call only when `count` > 0. */
  get highest(): number {
    return this.ranges[2 * this.count - 1]!;
  }

  /** Notes [start, end), merging what touches. */
  add(start: number, end: number): void {
    if (!before(start, end)) return;
    if (this.ranges === NONE) this.ranges = new Int32Array(2 * (MAX_RANGES + 1));
    const r = this.ranges;
    let from = 0;
    while (from < this.count && before(r[2 * from + 1]!, start)) from++;
    let to = from;
    let low = start;
    let high = end;
    while (to < this.count && beforeOrAt(r[2 * to]!, end)) {
      if (before(r[2 * to]!, low)) low = r[2 * to]!;
      if (before(high, r[2 * to + 1]!)) high = r[2 * to + 1]!;
      to++;
    }
    r.copyWithin(2 * (from + 1), 2 * to, 2 * this.count);
    r[2 * from] = low;
    r[2 * from + 1] = high;
    this.count = Math.min(this.count - (to - from) + 1, MAX_RANGES);
  }

  /** Forgets everything below `seq`, the new cumulative acknowledgement. */
  advance(seq: number): void {
    const r = this.ranges;
    let gone = 0;
    while (gone < this.count && beforeOrAt(r[2 * gone + 1]!, seq)) gone++;
    if (gone > 0) {
      r.copyWithin(0, 2 * gone, 2 * this.count);
      this.count -= gone;
    }
    if (this.count > 0 && before(r[0]!, seq)) r[0] = seq;
  }

  /** Selectively acknowledged bytes. */
  bytes(): number {
    let total = 0;
    for (let i = 0; i < this.count; i++) total += (this.ranges[2 * i + 1]! - this.ranges[2 * i]!) | 0;
    return total;
  }

  /** First sequence number at or after `seq` that is not acknowledged. */
  nextHole(seq: number): number {
    let at = seq;
    for (let i = 0; i < this.count; i++) {
      if (before(at, this.ranges[2 * i]!)) break;
      if (before(at, this.ranges[2 * i + 1]!)) at = this.ranges[2 * i + 1]!;
    }
    return at;
  }

  /** Where the hole that contains `seq` ends: the next acknowledged range, or `limit`. */
  holeEnd(seq: number, limit: number): number {
    for (let i = 0; i < this.count; i++) {
      const start = this.ranges[2 * i]!;
      if (before(seq, start)) return before(start, limit) ? start : limit;
    }
    return limit;
  }
}
