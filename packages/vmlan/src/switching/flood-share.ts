/**
 * How much of the switch's time one port's floods may take: a leaky bucket of the bytes that were copied for them.
 *
 * Zone: packet.  A frame for all costs as many copies as there are ports, and its sender pays nothing for it: without a
 * bound, one guest's storm is everybody's standstill.  A port over its share is not read for a while, so the storm waits
 * in its sender's socket and no frame is dropped here.  Times in ms of the monotonic clock.
 */

/** Copied bytes per ms: some 2 Gbit/s, about a tenth of what the switch can copy. */
const BYTES_PER_MS = 256 * 1024;
/** What a port may be ahead of that: an ARP scan of a subnet among a hundred guests. */
export const FLOOD_BURST_BYTES: number = 2 * 1024 * 1024;
/** What a copy costs besides its bytes, in bytes. */
const COPY_COST = 512;
/** Longest rest, ms: the frame that was one too many is paid for by then, or forgiven. */
const MAX_REST_MS = 50;

export class FloodShare {
  #bytes = 0;
  #lastMs = 0;

  charge(copies: number, len: number, nowMs: number): void {
    this.#leak(nowMs);
    this.#bytes += copies * (len + COPY_COST);
  }

  /** How long the port should not be read; 0 while it is within its share. */
  restMs(nowMs: number): number {
    if (this.#bytes <= FLOOD_BURST_BYTES) return 0;
    this.#leak(nowMs);
    const rest = Math.ceil((this.#bytes - FLOOD_BURST_BYTES) / BYTES_PER_MS);
    return rest <= 0 ? 0 : Math.min(rest, MAX_REST_MS);
  }

  #leak(nowMs: number): void {
    const elapsed = nowMs - this.#lastMs;
    if (elapsed <= 0) return;
    this.#lastMs = nowMs;
    this.#bytes = Math.max(this.#bytes - elapsed * BYTES_PER_MS, 0);
  }
}
