/**
 * When acknowledgements towards guests leave.
 *
 * Zone: packet.  All that a wake-up brings for a flow is acknowledged once, at its end.  A little data waits for the
 * host's answer, which carries the acknowledgement with it (RFC 1122 §4.2.3.2, RFC 5681 §4.2): for two full segments,
 * for anything out of order, or after the delay it goes alone.  The delay is far below what a guest notices that writes
 * two small pieces and waits (RFC 896), and longer than a server on this host takes to answer.
 */
import { TurnList } from '../../core/turn-list.ts';
import * as tcp from '../../wire/tcp.ts';
import { ACK_DUE, ACK_LATER, ACK_NOW, DIRTY, ESTABLISHED, type TcpFlow, TIME_WAIT } from './flow.ts';
import type { TcpSegments } from './segments.ts';

export class TcpAcks {
  readonly #segments: TcpSegments;
  readonly #delayMs: number;
  /** Flows that this wake-up received something for. */
  readonly #dirty = new TurnList<TcpFlow>();
  /** Flows whose acknowledgement waits for company; all of them until `#laterAtMs`. */
  readonly #later = new TurnList<TcpFlow>();
  #laterAtMs = Infinity;

  /** With a delay of 0 nothing waits. */
  constructor(segments: TcpSegments, delayMs: number) {
    this.#segments = segments;
    this.#delayMs = delayMs;
  }

  /** At the end of this wake-up, or a little later with what the host answers. */
  soon(flow: TcpFlow): void {
    flow.bits |= ACK_DUE;
    if (flow.has(DIRTY)) return;
    flow.bits |= DIRTY;
    this.#dirty.add(flow);
  }

  /** At the end of this wake-up. */
  now(flow: TcpFlow): void {
    flow.bits |= ACK_NOW;
    this.soon(flow);
  }

  /** Now: half a window came in one wake-up, and the guest shall not stand still until its end. */
  atOnce(flow: TcpFlow): void {
    this.#send(flow);
  }

  flush(nowMs: number): void {
    if (this.#dirty.length > 0) this.#flushDirty(nowMs);
    if (nowMs >= this.#laterAtMs) this.#flushLater();
  }

  pollAt(): number {
    return this.#laterAtMs;
  }

  #flushDirty(nowMs: number): void {
    const count = this.#dirty.begin();
    for (let i = 0; i < count; i++) {
      const flow = this.#dirty.take(i);
      flow.bits &= ~DIRTY;
      if (this.#delayMs > 0 && mayWait(flow)) this.#wait(flow, nowMs);
      else this.#send(flow);
    }
  }

  #wait(flow: TcpFlow, nowMs: number): void {
    if (flow.has(ACK_LATER)) return;
    flow.bits |= ACK_LATER;
    if (this.#later.length === 0) this.#laterAtMs = nowMs + this.#delayMs;
    this.#later.add(flow);
  }

  #flushLater(): void {
    this.#laterAtMs = Infinity;
    const count = this.#later.begin();
    for (let i = 0; i < count; i++) {
      const flow = this.#later.take(i);
      flow.bits &= ~ACK_LATER;
      this.#send(flow);
    }
  }

  /** A segment with data may have carried it meanwhile, or the flow may have ended. */
  #send(flow: TcpFlow): void {
    if (!flow.has(ACK_DUE) || (flow.state !== ESTABLISHED && flow.state !== TIME_WAIT)) return;
    this.#segments.sendControl(flow, flow.nextToGuest, tcp.ACK);
  }
}

const mayWait = (flow: TcpFlow): boolean =>
  flow.state === ESTABLISHED &&
  (flow.bits & (ACK_DUE | ACK_NOW)) === ACK_DUE &&
  ((flow.nextFromGuest - flow.ackedFromGuest) | 0) < 2 * flow.mssToGuest;
