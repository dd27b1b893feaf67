/**
 * What an I/O object asks of the event loop that owns it.
 *
 * Zone: packet for `onReady` and `flush`, flow for the rest.  `events` and `mask` are EPOLL* bits.  A token names one
 * registration and is never valid after `remove`, also within the batch of events being handled.
 */

export interface Source {
  onReady(mask: number, nowMs: number): void;
}

export interface Flushable {
  /** Called once at the end of the wake-up in which `flushLater` was called. */
  flush(nowMs: number): void;
}

export interface Poller {
  /** Registers `fd`; returns a token, or `-errno`. */
  add(fd: number, events: number, source: Source): number;
  modify(token: number, events: number): void;
  remove(token: number): void;
  /** As `remove`, for a descriptor that is closed right after: that takes it from epoll (man 7 epoll). */
  forget(token: number): void;
  flushLater(target: Flushable): void;
  /** `source.onReady(0, now)` once at or after `atMs`; a later call for the same token replaces it. */
  wakeAt(token: number, atMs: number): void;
}
