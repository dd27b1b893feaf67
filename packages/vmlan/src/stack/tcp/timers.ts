/**
 * What happens when a flow's timer is due: SYN, data and FIN again (RFC 6298), zero-window probes (RFC 9293 §3.8.6.1),
 * keep-alive (RFC 1122 §4.2.3.6), what a guest that came back still knows of (RFC 9293 §3.5.1), the end of TIME_WAIT.
 *
 * Zone: packet.  One timer a flow: `timerAtMs` says what is due, 0 that only silence is watched.  The wheel may fire
 * early, because a deadline that moves later is not moved in the wheel: then it is set again.
 */
import { type Counters, counter } from '../../core/counters.ts';
import * as tcp from '../../wire/tcp.ts';
import { CLOSED, DOUBTED, ESTABLISHED, PROBING, SYN_RECEIVED, SYN_SENT, TIME_WAIT, type TcpFlow } from './flow.ts';
import type { TcpFlows } from './flows.ts';
import {
  KEEP_ALIVE_IDLE,
  KEEP_ALIVE_INTERVAL,
  KEEP_ALIVE_TRIES,
  MAX_RETRIES,
  MAX_SYN_RETRIES,
  PROBE_MAX,
  RETURN_PROBE,
  RTO_MAX,
} from './limits.ts';
import type { TcpSegments } from './segments.ts';
import type { TcpSender } from './sender.ts';

const TIMED_OUT_FLOWS = counter('tcp_flows_timed_out');
const RETURN_PROBES = counter('tcp_return_probes');
/** Milliseconds over which questions to many conversations are spread. */
const SPREAD_MASK = 1023;
const SILENCE_LIMIT = KEEP_ALIVE_IDLE + KEEP_ALIVE_TRIES * KEEP_ALIVE_INTERVAL;

/** How a timer ends a flow. */
export interface TimerEvents {
  /** TIME_WAIT is over. */
  release(flow: TcpFlow): void;
  /** Nobody answers: both sides are reset. */
  abort(flow: TcpFlow): void;
}

export class TcpTimers {
  readonly #flows: TcpFlows;
  readonly #segments: TcpSegments;
  readonly #sender: TcpSender;
  readonly #events: TimerEvents;
  readonly #counters: Counters;

  constructor(
    parts: { flows: TcpFlows; segments: TcpSegments; sender: TcpSender; counters: Counters },
    events: TimerEvents,
  ) {
    this.#flows = parts.flows;
    this.#segments = parts.segments;
    this.#sender = parts.sender;
    this.#counters = parts.counters;
    this.#events = events;
  }

  onTimer(flow: TcpFlow, nowMs: number): void {
    if (flow.state === CLOSED) return;
    if (flow.timerAtMs === 0) return this.#onIdle(flow, nowMs);
    if (nowMs < flow.timerAtMs) return this.#flows.arm(flow);
    flow.timerAtMs = 0;
    switch (flow.state) {
      case SYN_RECEIVED:
        return this.#resendSyn(flow, tcp.SYN | tcp.ACK, nowMs);
      case SYN_SENT:
        return this.#resendSyn(flow, tcp.SYN, nowMs);
      case TIME_WAIT:
        return this.#events.release(flow);
      case ESTABLISHED:
        return this.#onEstablishedTimer(flow, nowMs);
    }
  }

  /** The window is open again: no more probes; what the guest had no room for goes again at once. */
  onReopened(flow: TcpFlow, nowMs: number): void {
    if (!flow.has(PROBING)) {
      if (flow.retries > 0 && flow.unackedToGuest !== flow.nextToGuest) this.#sender.onReopened(flow, nowMs);
      return;
    }
    flow.bits &= ~PROBING;
    flow.timerAtMs = 0;
    flow.retries = 0;
    this.watchSilence(flow, nowMs);
  }

  /** Nothing is under way: wakes when the flow has been silent for long. */
  watchSilence(flow: TcpFlow, nowMs: number): void {
    const silent = nowMs - flow.lastHeardMs;
    const wait = silent < KEEP_ALIVE_IDLE ? KEEP_ALIVE_IDLE - silent : KEEP_ALIVE_INTERVAL;
    this.#flows.schedule(flow, nowMs + wait);
  }

  /** The guest came back on another link. What is under way finds out by itself; what is idle has to be asked. */
  onReturned(flow: TcpFlow, nowMs: number): void {
    if (flow.state !== ESTABLISHED || flow.timerAtMs !== 0) return;
    flow.bits |= DOUBTED;
    flow.retries = 0;
    this.#flows.schedule(flow, nowMs + RETURN_PROBE + (flow.id & SPREAD_MASK)); // not all in one turn
  }

  /** The guest has spoken. */
  onHeard(flow: TcpFlow, nowMs: number): void {
    flow.lastHeardMs = nowMs;
    if (!flow.has(DOUBTED)) return;
    flow.bits &= ~DOUBTED;
    if (flow.timerAtMs === 0) flow.retries = 0;
  }

  #onEstablishedTimer(flow: TcpFlow, nowMs: number): void {
    if (isStuck(flow)) return this.#onStuck(flow, nowMs);
    if (flow.has(PROBING)) return this.#onProbe(flow, nowMs);
    if (flow.unackedToGuest === flow.nextToGuest) return this.#onIdle(flow, nowMs);
    if (flow.retries >= MAX_RETRIES && !answersShut(flow, nowMs)) return this.#giveUp(flow);
    this.#sender.onTimeout(flow, nowMs);
  }

  /**
   * The guest's link takes nothing: a machine that is paused, or whose cable is pulled. Its silence says nothing about
   * the conversation, so it is not given up before one that is idle would be.
   */
  #onStuck(flow: TcpFlow, nowMs: number): void {
    if (nowMs - flow.lastHeardMs >= SILENCE_LIMIT) return this.#giveUp(flow);
    flow.timerAtMs = nowMs + flow.rtoMs;
    this.#flows.arm(flow);
  }

  #resendSyn(flow: TcpFlow, flags: number, nowMs: number): void {
    if (flow.retries >= MAX_SYN_RETRIES) return this.#giveUp(flow);
    flow.retries++;
    flow.rtoMs *= 2;
    this.#segments.sendControl(flow, flow.initialToGuest, flags);
    this.#sender.onSyn(flow, nowMs);
    flow.timerAtMs = nowMs + flow.rtoMs;
    this.#flows.arm(flow);
  }

  #onProbe(flow: TcpFlow, nowMs: number): void {
    if (flow.retries >= MAX_RETRIES && !answersShut(flow, nowMs)) return this.#giveUp(flow);
    flow.retries++;
    this.#sender.probe(flow);
    const wait = Math.min(flow.rtoMs * 2 ** Math.min(flow.retries, 16), PROBE_MAX);
    flow.timerAtMs = nowMs + wait;
    this.#flows.arm(flow);
  }

  /** Silence is the only evidence that a guest is gone. */
  #onIdle(flow: TcpFlow, nowMs: number): void {
    if (flow.state !== ESTABLISHED) return;
    if (flow.has(DOUBTED)) return this.#onDoubted(flow, nowMs);
    const silent = nowMs - flow.lastHeardMs;
    if (silent >= SILENCE_LIMIT) return this.#giveUp(flow);
    if (silent >= KEEP_ALIVE_IDLE) this.#sender.probe(flow);
    this.watchSilence(flow, nowMs);
  }

  #onDoubted(flow: TcpFlow, nowMs: number): void {
    if (flow.retries >= KEEP_ALIVE_TRIES) return this.#giveUp(flow);
    flow.retries++;
    this.#counters.count(RETURN_PROBES);
    this.#sender.probe(flow);
    this.#flows.schedule(flow, nowMs + Math.min(RETURN_PROBE * 2 ** flow.retries, KEEP_ALIVE_INTERVAL));
  }

  #giveUp(flow: TcpFlow): void {
    this.#counters.count(TIMED_OUT_FLOWS);
    this.#events.abort(flow);
  }
}

/**
 * A guest that keeps its window shut but answers may do so for ever (RFC 9293 §3.8.6.1), also when it took back the room
 * for what is under way.
 */
const answersShut = (flow: TcpFlow, nowMs: number): boolean =>
  flow.windowToGuest === 0 && nowMs - flow.lastHeardMs <= 2 * RTO_MAX;

/** Not one segment fits the link. */
const isStuck = (flow: TcpFlow): boolean => (flow.port?.room() ?? 0) < flow.mssToGuest;
