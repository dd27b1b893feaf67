/**
 * The smallest event loop there is, on the real epoll, for tests of links: what they register, and nothing else.
 *
 * Zone: control.
 */
import type { Flushable, Poller, Source } from '../core/poller.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

/** Longest wait for something that a socket pair delivers at once. */
const WAIT_MS = 10_000;

export class TestPoller implements Poller {
  readonly #sys: Sys;
  readonly #epoll: number;
  readonly #sources = new Map<number, { fd: number; source: Source }>();
  readonly #wakes = new Map<number, number>();
  #flushes: Flushable[] = [];
  #nextToken = 1;

  constructor(sys: Sys) {
    this.#sys = sys;
    this.#epoll = sys.epollCreate();
  }

  get nowMs(): number {
    return this.#sys.monotonicMs();
  }

  /** Registered descriptors: what is left of them is a leak. */
  get size(): number {
    return this.#sources.size;
  }

  add(fd: number, events: number, source: Source): number {
    const token = this.#nextToken++;
    const result = this.#sys.epollCtl(this.#epoll, C.EPOLL_CTL_ADD, fd, events, token);
    if (result < 0) return result;
    this.#sources.set(token, { fd, source });
    return token;
  }

  modify(token: number, events: number): void {
    const found = this.#sources.get(token);
    if (found !== undefined) this.#sys.epollCtl(this.#epoll, C.EPOLL_CTL_MOD, found.fd, events, token);
  }

  remove(token: number): void {
    const found = this.#sources.get(token);
    if (found === undefined) return;
    this.#sys.epollCtl(this.#epoll, C.EPOLL_CTL_DEL, found.fd, 0, 0);
    this.#sources.delete(token);
    this.#wakes.delete(token);
  }

  forget(token: number): void {
    this.#sources.delete(token);
    this.#wakes.delete(token);
  }

  flushLater(target: Flushable): void {
    this.#flushes.push(target);
  }

  wakeAt(token: number, atMs: number): void {
    this.#wakes.set(token, atMs);
  }

  /** One turn; waits at most `waitMs`. True when there was something to do. */
  turn(waitMs: number): boolean {
    const next = Math.min(...this.#wakes.values());
    const timeout = Math.max(0, Math.min(waitMs, next - this.nowMs));
    const n = this.#sys.epollWait(this.#epoll, 64, timeout);
    const events = Array.from({ length: n }, (_, i) => [this.#sys.eventData(i), this.#sys.eventMask(i)] as const);
    for (const [token, mask] of events) this.#sources.get(token)?.source.onReady(mask, this.nowMs);
    const due = [...this.#wakes].filter(([, at]) => at <= this.nowMs).map(([token]) => token);
    for (const token of due) {
      this.#wakes.delete(token);
      this.#sources.get(token)?.source.onReady(0, this.nowMs);
    }
    return this.#flush() || n > 0 || due.length > 0;
  }

  /** Turns until `done`, which must come true soon. */
  until(done: () => boolean): void {
    const end = this.nowMs + WAIT_MS;
    while (!done()) {
      if (this.nowMs > end) throw new Error('what the test waits for did not happen');
      this.turn(50);
    }
  }

  /** Turns until nothing is ready any more. */
  settle(): void {
    while (this.turn(0));
  }

  #flush(): boolean {
    const flushes = this.#flushes;
    this.#flushes = [];
    for (const target of flushes) target.flush(this.nowMs);
    return flushes.length > 0;
  }
}
