/**
 * A guest on a cable of a certain speed, with a queue before it: what makes throughput a number in virtual time.
 *
 * Zone: control.  Whole milliseconds: each brings as many bytes as the speed allows, both ways.
 */
import type { BenchGuest } from '../../src/engine/guest.fixture.ts';
import { TcpStation } from '../../src/engine/tcp-bench.fixture.ts';

/** Bytes that wait for the cable towards the guest; beyond, the engine is told that there is no room. */
const QUEUE_BYTES = 256 * 1024;

export class PacedStation extends TcpStation {
  readonly #bytesPerMs: number;
  #toGuest = 0;
  #fromGuest = 0;
  #refilledMs = 0;

  constructor(guest: BenchGuest, bytesPerMs: number) {
    super(guest);
    this.#bytesPerMs = bytesPerMs;
  }

  override step(nowMs: number): number {
    if (nowMs > this.#refilledMs) {
      this.#refilledMs = nowMs;
      this.#toGuest = this.#bytesPerMs;
      this.#fromGuest = this.#bytesPerMs;
    }
    const heard = this.#take(
      this.inbox,
      () => this.#toGuest,
      (len) => (this.#toGuest -= len),
    );
    this.hear(heard, nowMs);
    this.tcp.poll(nowMs);
    const said = this.#take(
      this.outbox,
      () => this.#fromGuest,
      (len) => (this.#fromGuest -= len),
    );
    this.inject(said, nowMs);
    const queued = this.inbox.reduce((sum, { length }) => sum + length, 0);
    if (this.guest.link !== null) this.guest.link.window = QUEUE_BYTES - queued;
    if (said.length > 0) return nowMs;
    return this.inbox.length + this.outbox.length > 0 ? nowMs + 1 : this.tcp.nextAt;
  }

  /** As many frames as what is left of this millisecond carries. */
  #take(frames: Uint8Array[], left: () => number, use: (bytes: number) => void): Uint8Array[] {
    let count = 0;
    while (count < frames.length && left() > 0) use(frames[count++]!.length);
    return frames.splice(0, count);
  }
}
