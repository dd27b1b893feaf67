/**
 * Flows that have something for a guest whose link has no room.
 *
 * Zone: packet.  They are tried in every turn of the loop: what makes room, such as a socket that can be written again,
 * wakes the loop by itself, mostly.  For the rest the loop wakes after 1 ms, and while nothing moves ever more slowly, up
 * to STARVED_MAX: a guest that stands still must not keep it turning.
 */
import { TurnList } from '../../core/turn-list.ts';
import { STARVED, type TcpFlow } from './flow.ts';
import { STARVED_MAX } from './limits.ts';

export class StarvedFlows {
  readonly #flows = new TurnList<TcpFlow>();
  #waitMs = 1;
  /** When to wake for them; 0: they are new. */
  #atMs = 0;

  /** `flow` is marked STARVED already. */
  add(flow: TcpFlow): void {
    this.#flows.add(flow);
  }

  pollAt(nowMs: number): number {
    return this.#flows.length === 0 ? Infinity : Math.max(this.#atMs, nowMs + 1);
  }

  /** Tries each; those that still find no room are added again by `pump`. */
  poll(nowMs: number, pump: (flow: TcpFlow, nowMs: number) => void): void {
    if (this.#flows.length === 0) return;
    let moved = false;
    const count = this.#flows.begin();
    for (let i = 0; i < count; i++) {
      const flow = this.#flows.take(i);
      if (!flow.has(STARVED)) continue;
      flow.bits &= ~STARVED;
      const { nextToGuest, resentSeq } = flow;
      pump(flow, nowMs);
      if (flow.nextToGuest !== nextToGuest || flow.resentSeq !== resentSeq) moved = true;
    }
    this.#setTime(nowMs, moved);
  }

  #setTime(nowMs: number, moved: boolean): void {
    if (this.#flows.length === 0) {
      this.#waitMs = 1;
      this.#atMs = 0;
      return;
    }
    if (moved) this.#waitMs = 1;
    else if (this.#atMs !== 0 && nowMs >= this.#atMs) this.#waitMs = Math.min(2 * this.#waitMs, STARVED_MAX);
    this.#atMs = nowMs + this.#waitMs;
  }
}
