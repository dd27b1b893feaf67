/**
 * Guest → host: segments into the host's socket, in order.
 *
 * Zone: packet.  What arrives in sequence goes straight from the frame to the host's `send`.  What the socket does not
 * take, and what arrives out of order, waits in a receive queue whose pending bytes shrink the advertised window.
 * Without a free queue nothing is lost either: bytes that were not taken are not acknowledged, and the guest sends them
 * again.
 */
import { type Counters, counter } from '../../core/counters.ts';
import { before } from '../../core/sequence.ts';
import type { TcpAcks } from './acks.ts';
import { FIN_FROM_GUEST, FIN_NOTED, HOST_BLOCKED, HOST_SHUT, type TcpFlow, WINDOW_MARKED } from './flow.ts';
import type { HostStreams } from './host.ts';
import { WINDOW_FAR_MS, WINDOW_NEAR } from './limits.ts';
import { QUEUE_LEN, type ReceiveQueues } from './receive-queue.ts';

const EAGAIN = -11;
const BYTES = counter('tcp_bytes_from_guest');
const OUT_OF_ORDER = counter('tcp_segments_out_of_order');
const NO_QUEUE = counter('tcp_receive_queues_exhausted');
const OUTSIDE_WINDOW = counter('tcp_bytes_outside_window');

export interface ReceiverEvents {
  /** The host's socket takes no more, for `errno` (positive). */
  onHostClosed(flow: TcpFlow, errno: number): void;
}

export class TcpReceiver {
  readonly #queues: ReceiveQueues;
  readonly #host: HostStreams;
  readonly #acks: TcpAcks;
  readonly #events: ReceiverEvents;
  readonly #counters: Counters;

  constructor(
    parts: { queues: ReceiveQueues; host: HostStreams; acks: TcpAcks; counters: Counters },
    events: ReceiverEvents,
  ) {
    this.#queues = parts.queues;
    this.#host = parts.host;
    this.#acks = parts.acks;
    this.#events = events;
    this.#counters = parts.counters;
  }

  /** Payload of a segment that overlaps the window. */
  onData(flow: TcpFlow, seq: number, off: number, size: number): void {
    const len = Math.min(size, (flow.edgeFromGuest - seq) | 0);
    if (len < size) this.#counters.count(OUTSIDE_WINDOW);
    const old = (flow.nextFromGuest - seq) | 0; // bytes we have already
    if (old >= len || flow.has(FIN_FROM_GUEST)) return this.#acks.now(flow);
    if (old < 0) return this.#onLater(flow, seq, off, len);
    this.#acks.soon(flow);
    const fresh = len - old;
    if (flow.queue >= 0 && this.#queues.pending(flow.queue) > 0) this.#append(flow, off + old, fresh);
    else this.#deliver(flow, off + old, fresh);
    this.#gauge(flow);
    if (((flow.nextFromGuest - flow.ackedFromGuest) | 0) >= flow.windowFromGuest >> 1) this.#acks.atOnce(flow);
  }

  /** Takes the FIN once everything before it has been received: the guest will send no more. */
  checkFin(flow: TcpFlow): void {
    if (!flow.has(FIN_NOTED) || flow.has(FIN_FROM_GUEST) || flow.finFromGuest !== flow.nextFromGuest) return;
    flow.nextFromGuest = (flow.nextFromGuest + 1) | 0;
    flow.bits |= FIN_FROM_GUEST;
    this.#acks.soon(flow);
    this.#shutWhenDrained(flow);
  }

  /** The host's socket takes bytes again. */
  flush(flow: TcpFlow): void {
    flow.bits &= ~HOST_BLOCKED;
    if (flow.queue < 0) {
      this.#acks.now(flow); // bytes were refused for want of a queue: ask for them
      return;
    }
    const before = this.#queues.pending(flow.queue);
    this.#drain(flow);
    if (flow.fd < 0) return;
    const after = flow.queue < 0 ? 0 : this.#queues.pending(flow.queue);
    // RFC 9293 §3.8.6.2.2: tell the guest when the window has opened by a fair step.
    // Behind its FIN the window is of no use to it, and a guest whose socket is gone by now would answer with a reset.
    const opened = before - after >= flow.windowFromGuest >> 2 || (after === 0 && before > 0);
    if (opened && !flow.has(FIN_FROM_GUEST)) this.#acks.now(flow);
    this.#shutWhenDrained(flow);
  }

  release(flow: TcpFlow): void {
    if (flow.queue >= 0) this.#queues.close(flow.queue);
    flow.queue = -1;
  }

  /** In-sequence bytes with nothing waiting before them. */
  #deliver(flow: TcpFlow, off: number, len: number): void {
    const taken = flow.has(HOST_BLOCKED) ? 0 : this.#give(flow, off, len);
    if (taken < 0) return;
    flow.nextFromGuest = (flow.nextFromGuest + taken) | 0;
    if (taken < len) {
      if (flow.queue >= 0) this.#queues.skipTo(flow.queue, flow.nextFromGuest);
      this.#append(flow, off + taken, len - taken);
    } else if (flow.queue >= 0) {
      this.#queues.skipTo(flow.queue, flow.nextFromGuest);
      flow.nextFromGuest = this.#queues.next(flow.queue);
      this.#drain(flow);
    }
  }

  #append(flow: TcpFlow, off: number, len: number): void {
    if (!this.#ensureQueue(flow)) return;
    this.#queues.insert(flow.queue, flow.nextFromGuest, off, len);
    flow.nextFromGuest = this.#queues.next(flow.queue);
  }

  #onLater(flow: TcpFlow, seq: number, off: number, len: number): void {
    this.#counters.count(OUT_OF_ORDER);
    this.#acks.now(flow); // RFC 5681 §4.2
    if (!this.#ensureQueue(flow)) return;
    this.#queues.insert(flow.queue, seq, off, len);
  }

  /** Bytes the host took, or -1 when its socket failed. */
  #give(flow: TcpFlow, off: number, len: number): number {
    const n = this.#host.send(flow.fd, off, len);
    if (n < 0 && n !== EAGAIN) {
      this.#events.onHostClosed(flow, -n);
      return -1;
    }
    const taken = Math.max(n, 0);
    this.#counters.add(BYTES, taken);
    flow.traffic.fromGuest(flow.id, taken, 0);
    if (taken < len) flow.bits |= HOST_BLOCKED;
    return taken;
  }

  /** Gives pending bytes to the host until it blocks; an empty queue goes back to the pool. */
  #drain(flow: TcpFlow): void {
    while (flow.queue >= 0 && this.#queues.pending(flow.queue) > 0 && !flow.has(HOST_BLOCKED)) {
      const { queue } = flow;
      const n = this.#give(flow, this.#queues.pendingOffset(queue), this.#queues.contiguous(queue));
      if (n < 0) return;
      this.#queues.consume(queue, n);
    }
    if (flow.queue >= 0 && this.#queues.isEmpty(flow.queue)) this.release(flow);
  }

  #shutWhenDrained(flow: TcpFlow): void {
    if (!flow.has(FIN_FROM_GUEST) || flow.has(HOST_SHUT)) return;
    if (flow.queue >= 0 && this.#queues.pending(flow.queue) > 0) return;
    flow.bits |= HOST_SHUT;
    this.#host.shutdownWrite(flow.fd);
    this.release(flow);
  }

  /**
   * How far away is this guest?  In bulk it needs one round trip from hearing of an edge to reaching it.  One that has
   * little to say looks far away, too: that costs nothing, and passes when it has more.  Where the link is the bound, a
   * small window would only make the guest wait for acknowledgements.
   */
  #gauge(flow: TcpFlow): void {
    if (!flow.has(WINDOW_MARKED) || before(flow.nextFromGuest, flow.markFromGuest)) return;
    flow.bits &= ~WINDOW_MARKED;
    if (flow.has(HOST_BLOCKED)) return;
    // Smoothed as Linux does it: eight times the mean stays a whole number, which is no object of its own.
    flow.roundMs8 += flow.lastHeardMs - flow.markAtMs - (flow.roundMs8 >> 3);
    const getsAll = flow.roundMs8 >= 8 * WINDOW_FAR_MS || flow.port?.isBounded === true;
    flow.windowFromGuest = getsAll ? QUEUE_LEN : WINDOW_NEAR;
  }

  #ensureQueue(flow: TcpFlow): boolean {
    if (flow.queue >= 0) return true;
    flow.queue = this.#queues.open(flow.nextFromGuest);
    if (flow.queue >= 0) return true;
    this.#counters.count(NO_QUEUE);
    return false;
  }
}

/** Whether a segment [seq, seq + len) touches the window [next, edge) (RFC 9293 §3.10.7.4, table 6). */
export function acceptable(flow: TcpFlow, seq: number, len: number): boolean {
  const window = (flow.edgeFromGuest - flow.nextFromGuest) | 0;
  const offset = (seq - flow.nextFromGuest) | 0;
  if (len === 0) return window === 0 ? offset === 0 : offset >= 0 && offset < window;
  if (window === 0) return offset < 0 && offset + len > 0;
  return before(seq, flow.edgeFromGuest) && offset + len > 0;
}
