/**
 * Faults on purpose between a link and its port: what a bad cable, radio or tunnel would do, for tests and demonstrations.
 *
 * Zone: packet.  The injector stands in for the link towards the port (`LinkOutput`) and for the port towards the link
 * (`onFrame`); each direction is a FaultLine.  A link without faults has no injector.
 */
import type { BufferPool } from '../core/buffer-pool.ts';
import type { Counters } from '../core/counters.ts';
import type { Poller, Source } from '../core/poller.ts';
import type { LinkOutput } from '../switching/port.ts';
import type { Sys } from '../sys/sys.ts';
import { type FaultBuffers, FaultLine } from './fault-line.ts';

/** With fewer free buffers TCP is told to wait. */
const RESERVED = 64;
/** What a waiting frame carries at least when TCP fills it, bytes: turns free buffers into room. */
const PLANNED_FRAME_LEN = 1024;

/** A link with faults in both directions, and the timer for what waits. */
export class FaultInjector implements LinkOutput, Source {
  readonly kind: LinkOutput['kind'];
  readonly fromGuest: FaultLine;
  readonly toGuest: FaultLine;
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #pool: BufferPool;
  readonly #link: LinkOutput;
  /** An eventfd that is never written: it gives the timer a token. */
  readonly #timerFd: number;
  readonly #token: number;

  /** `toPort` takes what comes from the guest. */
  constructor(
    sys: Sys,
    poller: Poller,
    link: LinkOutput,
    buffers: FaultBuffers,
    counters: Counters,
    toPort: (off: number, len: number, nowMs: number) => void,
  ) {
    this.kind = link.kind;
    this.#sys = sys;
    this.#poller = poller;
    this.#pool = buffers.waiting;
    this.#link = link;
    this.fromGuest = new FaultLine(buffers, buffers.fromGuest, counters, toPort, () => Infinity);
    const send = (off: number, len: number): void => void link.send(off, len);
    this.toGuest = new FaultLine(buffers, buffers.toGuest, counters, send, () => link.room());
    this.#timerFd = sys.eventfd();
    this.#token = poller.add(this.#timerFd, 0, this);
  }

  /** Nothing to do any more: the link may be used without it. */
  get idle(): boolean {
    return !this.fromGuest.active && !this.toGuest.active;
  }

  /** A frame from the guest. */
  onFrame(off: number, len: number, nowMs: number): void {
    this.fromGuest.pass(off, len, nowMs);
    this.#arm();
  }

  /** A frame to the guest; one that a fault eats was sent, as far as the port is concerned. */
  send(off: number, len: number): boolean {
    this.toGuest.pass(off, len, this.#sys.monotonicMs());
    this.#arm();
    return true;
  }

  room(): number {
    const free = this.#pool.max - this.#pool.inUse - RESERVED;
    return Math.min(this.#link.room(), Math.max(free, 0) * PLANNED_FRAME_LEN);
  }

  onReady(_mask: number, nowMs: number): void {
    this.fromGuest.poll(nowMs);
    this.toGuest.poll(nowMs);
    this.#arm();
  }

  /** What waits is lost. */
  close(): void {
    this.fromGuest.clear();
    this.toGuest.clear();
    this.#poller.remove(this.#token);
    this.#sys.close(this.#timerFd);
  }

  #arm(): void {
    const at = Math.min(this.fromGuest.nextAt, this.toGuest.nextAt);
    if (at !== Infinity) this.#poller.wakeAt(this.#token, at);
  }
}
