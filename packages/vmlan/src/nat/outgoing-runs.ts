/**
 * Datagrams from guests, joined until the wake-up ends: consecutive ones of one flow and one size leave in one call.
 *
 * Zone: packet.  A run is full at MAX_RUN datagrams or MAX_PAYLOAD bytes; a shorter datagram is its last; a longer one, or
 * one that may not be joined, goes after it.  Order within a flow is kept.  RUNS flows are joined at a time: one more
 * makes the longest-standing run leave.
 */
import type { Arena } from '../core/arena.ts';
import type { Flushable } from '../core/poller.ts';
import { type DatagramSockets, MAX_PAYLOAD, MAX_RUN } from './datagrams.ts';
import { OutgoingRun, type UdpFlow } from './udp-flow.ts';

const RUNS = 8;
const ROOM = 65_536; // bytes

/** Sends what is given: one datagram (`size` 0), or a run of `size` bytes each. */
export type SendRun = (flow: UdpFlow, off: number, len: number, size: number, nowMs: number) => void;

export class OutgoingRuns implements Flushable {
  readonly #u8: Uint8Array;
  readonly #sockets: DatagramSockets;
  readonly #send: SendRun;
  readonly #runs: readonly OutgoingRun[];
  #next = 0;
  #waits = false;

  constructor(arena: Arena, sockets: DatagramSockets, send: SendRun) {
    this.#u8 = arena.u8;
    this.#sockets = sockets;
    this.#send = send;
    this.#runs = Array.from({ length: RUNS }, () => new OutgoingRun(arena.alloc(ROOM)));
  }

  /** Takes one datagram; its bytes are copied or sent before this returns. */
  add(flow: UdpFlow, off: number, len: number, nowMs: number): void {
    if (len === 0 || len > flow.joinMax || 2 * len > MAX_PAYLOAD) {
      this.end(flow, nowMs);
      return this.#send(flow, off, len, 0, nowMs);
    }
    if (flow.run !== null && len > flow.run.size) this.end(flow, nowMs);
    const run = flow.run ?? this.#start(flow, len, nowMs);
    this.#u8.copyWithin(run.off + run.len, off, off + len);
    run.len += len;
    run.count++;
    if (len < run.size || run.count === MAX_RUN || run.len + run.size > MAX_PAYLOAD) this.end(flow, nowMs);
  }

  /** Sends what waits of a flow: before its socket changes or closes, and before what is not joined. */
  end(flow: UdpFlow, nowMs: number): void {
    const { run } = flow;
    if (run === null) return;
    flow.run = null;
    run.flow = null;
    this.#send(flow, run.off, run.len, run.count > 1 ? run.size : 0, nowMs);
  }

  flush(nowMs: number): void {
    this.#waits = false;
    for (let i = 0; i < RUNS; i++) {
      const { flow } = this.#runs[i]!;
      if (flow !== null) this.end(flow, nowMs);
    }
  }

  #start(flow: UdpFlow, size: number, nowMs: number): OutgoingRun {
    const run = this.#runs[this.#next]!;
    this.#next = (this.#next + 1) % RUNS;
    if (run.flow !== null) this.end(run.flow, nowMs);
    run.flow = flow;
    run.len = 0;
    run.size = size;
    run.count = 0;
    flow.run = run;
    if (!this.#waits) {
      this.#waits = true;
      this.#sockets.flushLater(this);
    }
    return run;
  }
}
