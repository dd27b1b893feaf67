/**
 * Host → guest: data out of the host's socket, into segments, until the guest has acknowledged it.
 *
 * Zone: packet.
 *
 * The kernel keeps the data.  `peek` reads on behind what was sent; an acknowledgement `discard`s the same number of
 * bytes; a retransmission moves the peek offset back and reads again.  So sequence numbers and the socket are two views
 * of one stream, and the only state here is how they relate:
 *
 *   socket:        |<- peeked, unacknowledged ->|<- not read yet ...
 *   sequence:  unackedToGuest              nextToGuest
 *   peek offset:   |<----- next - unacked ----->|
 *
 * SYN and FIN occupy sequence numbers but no byte of the socket: acknowledging them discards nothing.
 *
 * There is no congestion control towards the guest: the path is one queue on this host, and its room is asked before
 * each read, so nothing is sent to be dropped.  Loss on the way is repaired by resending the holes: what SACK shows to
 * be missing (RFC 6675, without the window reduction), or, after a time-out (RFC 6298), everything that is not
 * selectively acknowledged, in a burst that starts small and grows with each acknowledgement.
 */
import { type Counters, counter } from '../../core/counters.ts';
import { before, beforeOrAt } from '../../core/sequence.ts';
import * as tcp from '../../wire/tcp.ts';
import {
  ESTABLISHED,
  FIN_FROM_GUEST,
  FIN_TO_GUEST,
  FIN_TO_GUEST_ACKED,
  GUEST_CLOSED_FIRST,
  HOST_READABLE,
  HOST_RESET,
  IN_RECOVERY,
  PROBING,
  STARVED,
  TIMED_OUT,
  type TcpFlow,
} from './flow.ts';
import type { HostStreams } from './host.ts';
import { IN_FLIGHT_CAP, MAX_SEGMENT, PUMP_BUDGET, RTO_INITIAL, RTO_MAX, RTO_MIN } from './limits.ts';
import type { TcpSegments } from './segments.ts';

const DUP_THRESHOLD = 3; // RFC 5681 §3.2
/** Segments resent for one acknowledgement: twice what it can have freed. */
const RESEND_BUDGET = 4;
const EAGAIN = -11;
const ECONNRESET = 104;
const RETRANSMITTED = counter('tcp_segments_retransmitted');
const FAST_RECOVERIES = counter('tcp_fast_recoveries');
const BYTES = counter('tcp_bytes_to_guest');

/** What the sender reports to the translator. */
export interface SenderEvents {
  /** The host's socket failed with `errno` (positive). */
  onHostFailed(flow: TcpFlow, errno: number): void;
  /** The flow wants another turn although no event will come for it. */
  again(flow: TcpFlow): void;
  /** The flow waits for room on its guest's link. */
  starve(flow: TcpFlow): void;
  /** `flow.timerAtMs` has moved. */
  arm(flow: TcpFlow): void;
}

export class TcpSender {
  readonly #segments: TcpSegments;
  readonly #host: HostStreams;
  readonly #events: SenderEvents;
  readonly #counters: Counters;

  constructor(segments: TcpSegments, host: HostStreams, events: SenderEvents, counters: Counters) {
    this.#segments = segments;
    this.#host = host;
    this.#events = events;
    this.#counters = counters;
  }

  /** Sends what the host has and the guest's window, the cap and the link allow. */
  pump(flow: TcpFlow, nowMs: number): void {
    if (flow.state !== ESTABLISHED || flow.has(FIN_TO_GUEST)) return;
    for (let turn = 0; turn < PUMP_BUDGET; turn++) {
      if (!flow.has(HOST_READABLE)) return;
      const room = this.#room(flow, nowMs);
      if (room <= 0) return;
      const n = this.#host.peek(flow.fd, this.#segments.payload(flow), room);
      if (n > 0) {
        this.#sendNew(flow, n, nowMs);
        continue;
      }
      flow.bits &= ~HOST_READABLE;
      if (flow.has(HOST_RESET)) return this.#events.onHostFailed(flow, ECONNRESET);
      if (n === 0) this.#sendFin(flow, nowMs);
      else if (n !== EAGAIN) this.#events.onHostFailed(flow, -n);
      return;
    }
    this.#events.again(flow);
  }

  /** The guest acknowledges up to `ack` (valid and new): consumes it and takes a round-trip sample. */
  onAck(flow: TcpFlow, ack: number, nowMs: number): void {
    let bytes = (ack - flow.unackedToGuest) | 0;
    if (flow.has(FIN_TO_GUEST) && ack === flow.nextToGuest && !flow.has(FIN_TO_GUEST_ACKED)) {
      flow.bits |= FIN_TO_GUEST_ACKED;
      bytes--;
    }
    if (bytes > 0) this.#host.discard(flow.fd, bytes);
    flow.unackedToGuest = ack;
    flow.scoreboard.advance(ack);
    this.#sample(flow, ack, nowMs);
    flow.retries = 0;
    flow.dupAcks = 0;
    if (flow.burstToGuest < IN_FLIGHT_CAP) flow.burstToGuest = Math.min(flow.burstToGuest + 2 * bytes, IN_FLIGHT_CAP);
    if (flow.has(IN_RECOVERY)) this.#onRecoveryAck(flow, ack, nowMs);
    flow.timerAtMs = ack === flow.nextToGuest ? 0 : nowMs + flow.rtoMs; // RFC 6298 §5.2, §5.3
    if (flow.timerAtMs !== 0) this.#events.arm(flow);
  }

  /** An acknowledgement that repeats the last one, or one with new SACK blocks. */
  onDuplicateAck(flow: TcpFlow, nowMs: number): void {
    if (flow.unackedToGuest === flow.nextToGuest) return;
    flow.dupAcks++;
    if (flow.has(IN_RECOVERY)) {
      if (nowMs - flow.resentAtMs > Math.max(2 * flow.srttMs, 10)) flow.resentSeq = flow.unackedToGuest; // lost again
      this.#resendHoles(flow, nowMs);
      return;
    }
    const lost = flow.dupAcks >= DUP_THRESHOLD || flow.scoreboard.bytes() > DUP_THRESHOLD * flow.mssToGuest;
    if (!lost) return;
    this.#counters.count(FAST_RECOVERIES);
    flow.bits |= IN_RECOVERY;
    flow.recoverSeq = flow.nextToGuest;
    flow.resentSeq = flow.unackedToGuest;
    flow.timedAtMs = 0; // Karn: no samples from what is resent
    this.#resendHoles(flow, nowMs);
  }

  /** The retransmission timer: what is not acknowledged counts as lost (RFC 6298 §5.4–5.7). */
  onTimeout(flow: TcpFlow, nowMs: number): void {
    flow.scoreboard.clear(); // RFC 2018 §8: the guest may have reneged
    flow.bits |= IN_RECOVERY | TIMED_OUT;
    flow.recoverSeq = flow.nextToGuest;
    flow.resentSeq = flow.unackedToGuest;
    flow.dupAcks = 0;
    flow.timedAtMs = 0;
    flow.retries++;
    flow.rtoMs = Math.min(flow.rtoMs * 2, RTO_MAX);
    flow.burstToGuest = 2 * flow.mssToGuest;
    this.#resendHoles(flow, nowMs);
    flow.timerAtMs = nowMs + flow.rtoMs;
    this.#events.arm(flow);
  }

  /** Asks for a window update without sending data: the guest answers any segment it has seen (RFC 9293 §3.8.6.1). */
  probe(flow: TcpFlow): void {
    this.#segments.sendControl(flow, (flow.unackedToGuest - 1) | 0, tcp.ACK);
  }

  /** Bytes that may be read and sent now; sets the timer or the waiting mark when there are none. */
  #room(flow: TcpFlow, nowMs: number): number {
    const inFlight = (flow.nextToGuest - flow.unackedToGuest) | 0;
    const window = Math.min(flow.windowToGuest, flow.burstToGuest, IN_FLIGHT_CAP);
    let room = window - inFlight;
    if (room <= 0) {
      if (inFlight === 0 && flow.timerAtMs === 0) this.#startProbing(flow, nowMs);
      return 0;
    }
    // Sender's silly window avoidance (RFC 9293 §3.8.6.2.1): a small rest waits for the acknowledgements.
    if (room < flow.mssToGuest && inFlight > 0) return 0;
    const link = flow.port === null ? 0 : flow.port.room();
    if (link < Math.min(room, MAX_SEGMENT)) {
      if (link < 2 * flow.mssToGuest) {
        flow.bits |= STARVED;
        this.#events.starve(flow);
        return 0;
      }
      room = link;
    }
    if (room > MAX_SEGMENT) room = MAX_SEGMENT;
    return room > flow.mssToGuest ? room - (room % flow.mssToGuest) : room;
  }

  #startProbing(flow: TcpFlow, nowMs: number): void {
    flow.bits |= PROBING;
    flow.retries = 0;
    flow.timerAtMs = nowMs + Math.max(flow.rtoMs, RTO_MIN);
    this.#events.arm(flow);
  }

  #sendNew(flow: TcpFlow, n: number, nowMs: number): void {
    const seq = flow.nextToGuest;
    this.#segments.sendData(flow, seq, n, tcp.PSH);
    flow.nextToGuest = (seq + n) | 0;
    if (flow.timedAtMs === 0 && !flow.has(IN_RECOVERY)) {
      flow.timedAtMs = nowMs;
      flow.timedSeq = flow.nextToGuest;
    }
    this.#counters.add(BYTES, n);
    this.#startTimer(flow, nowMs);
  }

  #sendFin(flow: TcpFlow, nowMs: number): void {
    flow.bits |= FIN_TO_GUEST | (flow.has(FIN_FROM_GUEST) ? GUEST_CLOSED_FIRST : 0);
    this.#segments.sendControl(flow, flow.nextToGuest, tcp.FIN | tcp.ACK);
    flow.nextToGuest = (flow.nextToGuest + 1) | 0;
    this.#startTimer(flow, nowMs);
  }

  #startTimer(flow: TcpFlow, nowMs: number): void {
    if (flow.timerAtMs !== 0 && !flow.has(PROBING)) return;
    flow.bits &= ~PROBING;
    flow.timerAtMs = nowMs + flow.rtoMs;
    this.#events.arm(flow);
  }

  #onRecoveryAck(flow: TcpFlow, ack: number, nowMs: number): void {
    if (beforeOrAt(flow.recoverSeq, ack)) {
      flow.bits &= ~(IN_RECOVERY | TIMED_OUT);
      flow.burstToGuest = IN_FLIGHT_CAP;
      return;
    }
    // RFC 6582 §3.2: a partial acknowledgement names the next hole.
    if (before(flow.resentSeq, ack)) flow.resentSeq = ack;
    this.#resendHoles(flow, nowMs);
  }

  /** Up to where unacknowledged bytes count as lost. */
  #lostUpTo(flow: TcpFlow): number {
    const { scoreboard, unackedToGuest } = flow;
    let limit = scoreboard.count > 0 ? scoreboard.highest : (unackedToGuest + flow.mssToGuest) | 0;
    if (flow.has(TIMED_OUT)) {
      const burst = (unackedToGuest + flow.burstToGuest) | 0;
      if (before(limit, burst)) limit = burst;
    }
    return before(flow.recoverSeq, limit) ? flow.recoverSeq : limit;
  }

  /** Sends what counts as lost again, a few segments at a time. */
  #resendHoles(flow: TcpFlow, nowMs: number): void {
    const { scoreboard } = flow;
    const limit = this.#lostUpTo(flow);
    for (let i = 0; i < RESEND_BUDGET; i++) {
      const seq = scoreboard.nextHole(flow.resentSeq);
      if (!before(seq, limit)) return;
      const end = scoreboard.holeEnd(seq, limit);
      const sent = this.#resend(flow, seq, Math.min((end - seq) | 0, flow.mssToGuest));
      if (sent === 0) return;
      flow.resentSeq = (seq + sent) | 0;
      flow.resentAtMs = nowMs;
    }
  }

  /** Sends up to `want` sequence numbers from `seq` again; returns how many. The peek offset is put back behind. */
  #resend(flow: TcpFlow, seq: number, want: number): number {
    const finSeq = flow.has(FIN_TO_GUEST) ? (flow.nextToGuest - 1) | 0 : flow.nextToGuest;
    const len = Math.min(want, (finSeq - seq) | 0);
    this.#counters.count(RETRANSMITTED);
    if (len <= 0) {
      this.#segments.sendControl(flow, finSeq, tcp.FIN | tcp.ACK);
      return 1;
    }
    this.#host.setPeekOffset(flow.fd, (seq - flow.unackedToGuest) | 0);
    const n = this.#host.peek(flow.fd, this.#segments.payload(flow), len);
    if (n > 0) this.#segments.sendData(flow, seq, n, tcp.PSH);
    this.#host.setPeekOffset(flow.fd, (finSeq - flow.unackedToGuest) | 0);
    return Math.max(n, 0);
  }

  /** Round-trip time by one segment at a time (RFC 6298 §2, Karn's rule). */
  #sample(flow: TcpFlow, ack: number, nowMs: number): void {
    if (flow.timedAtMs === 0 || before(ack, flow.timedSeq)) return;
    const rtt = Math.max(nowMs - flow.timedAtMs, 1);
    flow.timedAtMs = 0;
    if (flow.srttMs === 0) {
      flow.srttMs = rtt;
      flow.rttvarMs = rtt / 2;
    } else {
      flow.rttvarMs += (Math.abs(flow.srttMs - rtt) - flow.rttvarMs) / 4;
      flow.srttMs += (rtt - flow.srttMs) / 8;
    }
    flow.rtoMs = Math.min(Math.max(flow.srttMs + 4 * flow.rttvarMs, RTO_MIN), RTO_MAX);
  }
}

/** First values of a flow that is about to speak to its guest. */
export function initSender(flow: TcpFlow, initialSeq: number): void {
  flow.initialToGuest = initialSeq;
  flow.unackedToGuest = initialSeq;
  flow.nextToGuest = initialSeq;
  flow.rtoMs = RTO_INITIAL;
  flow.burstToGuest = IN_FLIGHT_CAP;
}
