/**
 * The event loop of the engine thread: one epoll instance, asked again and again.
 *
 * Zone: packet.  A registration is an int32 token of slot (20 bits) and generation (11 bits): events that are already in
 * the batch when their source goes away find another generation and are dropped.  Time is read once per turn.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { Flushable, Poller, Source } from '../core/poller.ts';
import { TurnList } from '../core/turn-list.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import { Waiting } from './waiting.ts';

const SLOT_BITS = 20;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const GENERATION_MASK = 0x7ff;
const EVENTS_PER_TURN = 256;
const TURNS = counter('loop_turns');

/** What the engine does in each turn besides I/O. */
export interface Turns {
  /** When `poll` has something to do next, monotonic ms. */
  pollAt(nowMs: number): number;
  poll(nowMs: number): void;
}

export class EventLoop implements Poller {
  readonly #sys: Sys;
  readonly #counters: Counters;
  readonly #epoll: number;
  readonly #waiting: Waiting;
  readonly #sources: (Source | null)[] = [];
  readonly #fds: number[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  /** Wakes that lie ahead, none of them before `#nextWakeMs`. */
  readonly #wakes = new Map<number, number>();
  #nextWakeMs = Infinity;
  /** Sources that spent their budget: they go on in the next turn, behind those that have waited longer. */
  readonly #again = new TurnList<number>();
  readonly #flushes = new TurnList<Flushable>();
  now: number;

  /** Takes over `epoll`, a descriptor of epoll_create1; `awakeUs`: how long it may poll before it sleeps. */
  constructor(sys: Sys, epoll: number, counters: Counters, awakeUs = 0) {
    this.#sys = sys;
    this.#counters = counters;
    this.#epoll = epoll;
    this.#waiting = new Waiting(sys, counters, epoll, EVENTS_PER_TURN, awakeUs);
    this.now = sys.monotonicMs();
  }

  /** Registered descriptors. */
  get size(): number {
    return this.#sources.length - this.#free.length;
  }

  add(fd: number, events: number, source: Source): number {
    const slot = this.#free.pop() ?? this.#sources.push(null) - 1;
    const generation = this.#generations[slot] ?? 0;
    const token = (generation << SLOT_BITS) | slot;
    const result = this.#sys.epollCtl(this.#epoll, C.EPOLL_CTL_ADD, fd, events, token);
    if (result < 0) {
      this.#free.push(slot);
      return result;
    }
    this.#sources[slot] = source;
    this.#fds[slot] = fd;
    this.#generations[slot] = generation;
    return token;
  }

  modify(token: number, events: number): void {
    if (this.#isCurrent(token))
      this.#sys.epollCtl(this.#epoll, C.EPOLL_CTL_MOD, this.#fds[token & SLOT_MASK]!, events, token);
  }

  remove(token: number): void {
    if (!this.#isCurrent(token)) return;
    this.#sys.epollCtl(this.#epoll, C.EPOLL_CTL_DEL, this.#fds[token & SLOT_MASK]!, 0, 0);
    this.forget(token);
  }

  forget(token: number): void {
    if (!this.#isCurrent(token)) return;
    const slot = token & SLOT_MASK;
    this.#sources[slot] = null;
    this.#generations[slot] = (this.#generations[slot]! + 1) & GENERATION_MASK;
    this.#free.push(slot);
    this.#wakes.delete(token);
  }

  flushLater(target: Flushable): void {
    this.#flushes.add(target);
  }

  wakeAt(token: number, atMs: number): void {
    if (atMs <= this.now) {
      this.#wakes.delete(token);
      this.#again.add(token);
      return;
    }
    const replacesNext = this.#wakes.get(token) === this.#nextWakeMs;
    this.#wakes.set(token, atMs);
    this.#nextWakeMs = replacesNext ? Math.min(...this.#wakes.values()) : Math.min(this.#nextWakeMs, atMs);
  }

  /** Sends what waits for the end of the turn. What a flush makes ready to flush waits for the next turn. */
  flush(nowMs: number): void {
    const count = this.#flushes.begin();
    for (let i = 0; i < count; i++) this.#flushes.take(i).flush(nowMs);
  }

  /** Waits for events (at most `maxWaitMs`), handles them, then everything else that is due. */
  turn(turns: Turns, maxWaitMs: number): void {
    const n = this.#waiting.wait(this.#timeout(turns, maxWaitMs));
    const now = this.#sys.monotonicMs();
    this.now = now;
    this.#counters.count(TURNS);
    const goingOn = this.#again.begin();
    for (let i = 0; i < n; i++) {
      const token = this.#sys.eventData(i);
      if (this.#isCurrent(token)) this.#sources[token & SLOT_MASK]!.onReady(this.#sys.eventMask(i), now);
    }
    for (let i = 0; i < goingOn; i++) this.#call(this.#again.take(i), now);
    if (now >= this.#nextWakeMs) this.#wake(now);
    turns.poll(now);
    this.flush(now);
  }

  close(): void {
    this.#sys.close(this.#epoll);
  }

  #timeout(turns: Turns, maxWaitMs: number): number {
    if (this.#flushes.length > 0 || this.#again.length > 0) return 0;
    const at = Math.min(turns.pollAt(this.now), this.#nextWakeMs);
    return at === Infinity ? maxWaitMs : Math.min(Math.max(Math.ceil(at - this.#sys.monotonicMs()), 0), maxWaitMs);
  }

  #wake(now: number): void {
    const due: number[] = [];
    let next = Infinity;
    for (const [token, at] of this.#wakes) {
      if (at <= now) due.push(token);
      else if (at < next) next = at;
    }
    this.#nextWakeMs = next;
    for (const token of due) {
      this.#wakes.delete(token);
      this.#call(token, now);
    }
  }

  #call(token: number, now: number): void {
    if (this.#isCurrent(token)) this.#sources[token & SLOT_MASK]!.onReady(0, now);
  }

  #isCurrent(token: number): boolean {
    const slot = token & SLOT_MASK;
    return token >= 0 && (this.#sources[slot] ?? null) !== null && this.#generations[slot] === token >>> SLOT_BITS;
  }
}
