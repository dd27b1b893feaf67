/**
 * Host → guest, when something is lost: what to send again, and when.
 *
 * Zone: packet.
 *
 * Three signs of loss, from quick to slow:
 *   - duplicate acknowledgements or SACK blocks beyond a hole (RFC 5681, RFC 6675): the holes below what was selectively
 *     acknowledged are sent again, a few segments for each acknowledgement that comes;
 *   - two round trips without an acknowledgement while more than one segment is under way (RFC 8985 §7): the last
 *     segment goes again, so that the guest tells what is missing before it; in recovery, all holes do, because what was
 *     sent again was lost again;
 *   - the retransmission time-out (RFC 6298): all that is not selectively acknowledged, in a burst that starts small and
 *     grows with each acknowledgement.
 * There is no congestion window: the path is one queue on this host, and its room is asked before anything is sent.
 */
import { type Counters, counter } from '../../core/counters.ts';
import { before, beforeOrAt } from '../../core/sequence.ts';
import * as tcp from '../../wire/tcp.ts';
import { FIN_TO_GUEST, IN_RECOVERY, TAIL_PROBED, TIMED_OUT, type TcpFlow } from './flow.ts';
import type { HostStreams } from './host.ts';
import { IN_FLIGHT_CAP, PROBE_MIN, RTO_INITIAL, RTO_MAX, RTO_MIN } from './limits.ts';
import type { TcpSegments } from './segments.ts';

const DUP_THRESHOLD = 3; // RFC 5681 §3.2
/** Segments resent for one acknowledgement: twice what it can have freed. */
const RESEND_BUDGET = 4;
/** Something that was sent again this long ago was lost again, at least. */
const RESEND_AGAIN_MS = 10;
const RETRANSMITTED = counter('tcp_segments_retransmitted');
const FAST_RECOVERIES = counter('tcp_fast_recoveries');
const TAIL_PROBES = counter('tcp_tail_probes');
const TIMEOUTS = counter('tcp_retransmission_timeouts');

export class TcpRecovery {
  readonly #segments: TcpSegments;
  readonly #host: HostStreams;
  readonly #counters: Counters;

  constructor(segments: TcpSegments, host: HostStreams, counters: Counters) {
    this.#segments = segments;
    this.#host = host;
    this.#counters = counters;
  }

  /** The handshake is the first round trip there is to measure, unless it had to be repeated (Karn). */
  onSyn(flow: TcpFlow, nowMs: number): void {
    flow.timedAtMs = flow.retries === 0 ? nowMs : 0;
    flow.timedSeq = (flow.initialToGuest + 1) | 0;
  }

  onEstablished(flow: TcpFlow, ack: number, nowMs: number): void {
    if (flow.retries > 0) flow.rtoMs = RTO_INITIAL; // the waits for the handshake say nothing about data
    flow.retries = 0;
    sample(flow, ack, nowMs);
  }

  /** The guest acknowledges `bytes` more, up to `ack`; `flow.unackedToGuest` says so already. */
  onAdvance(flow: TcpFlow, ack: number, bytes: number, nowMs: number): void {
    flow.scoreboard.advance(ack);
    sample(flow, ack, nowMs);
    // What came through shows that the path works: the waits are as long as before the time-outs.
    if (flow.retries > 0 && flow.srttMs > 0) flow.rtoMs = timeoutOf(flow);
    flow.retries = 0;
    flow.dupAcks = 0;
    flow.bits &= ~TAIL_PROBED;
    if (flow.burstToGuest < IN_FLIGHT_CAP) flow.burstToGuest = Math.min(flow.burstToGuest + 2 * bytes, IN_FLIGHT_CAP);
    if (!flow.has(IN_RECOVERY)) return;
    if (!beforeOrAt(flow.recoverSeq, ack)) {
      // RFC 6582 §3.2: a partial acknowledgement names the next hole.
      if (before(flow.resentSeq, ack)) flow.resentSeq = ack;
      return;
    }
    flow.bits &= ~(IN_RECOVERY | TIMED_OUT);
    flow.burstToGuest = IN_FLIGHT_CAP;
    if (looksLost(flow)) this.#enter(flow); // beyond what this recovery was about
  }

  /** An acknowledgement that repeats the last one, or one with new SACK blocks. */
  onDuplicate(flow: TcpFlow, nowMs: number): void {
    if (flow.unackedToGuest === flow.nextToGuest) return;
    flow.dupAcks++;
    if (!flow.has(IN_RECOVERY)) {
      if (looksLost(flow)) this.#enter(flow);
    } else if (nowMs - flow.resentAtMs > Math.max(2 * flow.srttMs, RESEND_AGAIN_MS)) {
      flow.resentSeq = flow.unackedToGuest;
    }
  }

  /** How long to wait for an acknowledgement: two round trips where a probe may help, else the whole time-out. */
  patience(flow: TcpFlow): number {
    return mayProbe(flow) ? Math.min(Math.max(2 * flow.srttMs, PROBE_MIN), flow.rtoMs) : flow.rtoMs;
  }

  /** No acknowledgement came in time. What is lost is sent again by `resend`. */
  onTimer(flow: TcpFlow, nowMs: number): void {
    if (mayProbe(flow)) this.#probeTail(flow, nowMs);
    else this.#timeOut(flow);
  }

  /** Sends what counts as lost again, as much as one acknowledgement allows; false when the link lacks room for it. */
  resend(flow: TcpFlow, nowMs: number): boolean {
    if (!flow.has(IN_RECOVERY)) return true;
    const { scoreboard } = flow;
    const limit = lostUpTo(flow);
    for (let i = 0; i < RESEND_BUDGET; i++) {
      const seq = scoreboard.nextHole(flow.resentSeq);
      if (!before(seq, limit)) return true;
      if ((flow.port?.room() ?? 0) < 2 * flow.mssToGuest) return false;
      const end = scoreboard.holeEnd(seq, limit);
      const sent = this.#resend(flow, seq, Math.min((end - seq) | 0, flow.mssToGuest));
      if (sent === 0) return true;
      flow.resentSeq = (seq + sent) | 0;
      flow.resentAtMs = nowMs;
    }
    return true;
  }

  #enter(flow: TcpFlow): void {
    this.#counters.count(FAST_RECOVERIES);
    flow.bits |= IN_RECOVERY;
    flow.recoverSeq = flow.nextToGuest;
    flow.resentSeq = flow.unackedToGuest;
    flow.timedAtMs = 0; // Karn: no samples from what is resent
  }

  #probeTail(flow: TcpFlow, nowMs: number): void {
    this.#counters.count(TAIL_PROBES);
    flow.bits |= TAIL_PROBED;
    flow.timedAtMs = 0;
    if (flow.has(IN_RECOVERY)) {
      flow.resentSeq = flow.unackedToGuest;
    } else if (flow.scoreboard.count > 0) {
      this.#enter(flow);
    } else {
      const from = (dataEnd(flow) - flow.mssToGuest) | 0;
      const seq = before(from, flow.unackedToGuest) ? flow.unackedToGuest : from;
      this.#resend(flow, seq, flow.mssToGuest);
      flow.resentAtMs = nowMs;
    }
  }

  /** RFC 6298 §5.4–5.7. */
  #timeOut(flow: TcpFlow): void {
    this.#counters.count(TIMEOUTS);
    // RFC 2018 §8: the guest may have reneged. One that has not is spared what it has; a second time-out tells.
    if (flow.retries > 0) flow.scoreboard.clear();
    flow.bits |= IN_RECOVERY | TIMED_OUT;
    flow.recoverSeq = flow.nextToGuest;
    flow.resentSeq = flow.unackedToGuest;
    flow.dupAcks = 0;
    flow.timedAtMs = 0;
    flow.retries++;
    flow.rtoMs = Math.min(flow.rtoMs * 2, RTO_MAX);
    flow.burstToGuest = 2 * flow.mssToGuest;
  }

  /** The time-outs behind us were of a shut window, not of a path that loses. */
  onReopened(flow: TcpFlow): void {
    flow.retries = 0;
    flow.rtoMs = flow.srttMs > 0 ? timeoutOf(flow) : RTO_INITIAL;
    flow.resentSeq = flow.unackedToGuest;
  }

  /** Sends up to `want` sequence numbers from `seq` again; returns how many. The peek offset is put back behind. */
  #resend(flow: TcpFlow, seq: number, want: number): number {
    const end = dataEnd(flow);
    const len = Math.min(want, (end - seq) | 0);
    this.#counters.count(RETRANSMITTED);
    flow.resent++;
    if (len <= 0) {
      this.#segments.sendControl(flow, end, tcp.FIN | tcp.ACK);
      return 1;
    }
    this.#host.setPeekOffset(flow.fd, (seq - flow.unackedToGuest) | 0);
    const n = this.#host.peek(flow.fd, this.#segments.payload(flow), len);
    if (n > 0) this.#segments.sendData(flow, seq, n, tcp.PSH);
    this.#host.setPeekOffset(flow.fd, (end - flow.unackedToGuest) | 0);
    return Math.max(n, 0);
  }
}

/** Sequence number behind the last byte that was sent: where the FIN is, if it was. */
const dataEnd = (flow: TcpFlow): number => (flow.has(FIN_TO_GUEST) ? (flow.nextToGuest - 1) | 0 : flow.nextToGuest);

function looksLost(flow: TcpFlow): boolean {
  if (flow.dupAcks >= DUP_THRESHOLD) return true;
  if (flow.scoreboard.count === 0) return false;
  return flow.has(TAIL_PROBED) || flow.scoreboard.bytes() > DUP_THRESHOLD * flow.mssToGuest;
}

/** RFC 8985 §7.2. A single segment may just wait for a delayed acknowledgement. */
function mayProbe(flow: TcpFlow): boolean {
  const inFlight = (flow.nextToGuest - flow.unackedToGuest) | 0;
  return flow.srttMs > 0 && inFlight > flow.mssToGuest && !flow.has(TAIL_PROBED | TIMED_OUT);
}

/** Up to where unacknowledged bytes count as lost. */
function lostUpTo(flow: TcpFlow): number {
  const { scoreboard, unackedToGuest } = flow;
  let limit = scoreboard.count > 0 ? scoreboard.highest : (unackedToGuest + flow.mssToGuest) | 0;
  if (flow.has(TIMED_OUT)) {
    const burst = (unackedToGuest + flow.burstToGuest) | 0;
    if (before(limit, burst)) limit = burst;
  }
  return before(flow.recoverSeq, limit) ? flow.recoverSeq : limit;
}

/** Round-trip time by one segment at a time (RFC 6298 §2, Karn's rule). */
function sample(flow: TcpFlow, ack: number, nowMs: number): void {
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
  flow.rtoMs = timeoutOf(flow);
}

function timeoutOf(flow: TcpFlow): number {
  return Math.min(Math.max(flow.srttMs + 4 * flow.rttvarMs, RTO_MIN), RTO_MAX);
}
