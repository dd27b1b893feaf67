/**
 * The conversations in TIME_WAIT, oldest first (RFC 9293 §3.6.1). A guest that opens and closes without end must not fill
 * the table of flows with what is over: beyond a number of them the oldest is forgotten early.
 *
 * Zone: flow.
 */
import { TIME_WAIT, type TcpFlow } from './flow.ts';

interface Waiting {
  readonly flow: TcpFlow;
  readonly untilMs: number;
}

export class TimeWaits {
  readonly #max: number;
  readonly #forget: (flow: TcpFlow) => void;
  /** Some may have ended since. */
  readonly #waiting: Waiting[] = [];

  constructor(max: number, forget: (flow: TcpFlow) => void) {
    this.#max = max;
    this.#forget = forget;
  }

  /** A flow that has just come into TIME_WAIT; its timer is set. */
  add(flow: TcpFlow): void {
    this.#waiting.push({ flow, untilMs: flow.timerAtMs });
    if (this.#waiting.length <= this.#max) return;
    const oldest = this.#waiting.shift()!;
    // The record may serve another conversation by now: its deadline tells.
    if (oldest.flow.state === TIME_WAIT && oldest.flow.timerAtMs === oldest.untilMs) this.#forget(oldest.flow);
  }
}
