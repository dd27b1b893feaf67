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
 * each read, so nothing is sent to be dropped.  What is lost all the same is the business of recovery.ts.
 */
import { type Counters, counter } from '../../core/counters.ts';
import * as tcp from '../../wire/tcp.ts';
import {
  ESTABLISHED,
  FIN_FROM_GUEST,
  FIN_TO_GUEST,
  FIN_TO_GUEST_ACKED,
  GUEST_CLOSED_FIRST,
  HOST_ENDING,
  HOST_READABLE,
  HOST_RESET,
  IN_RECOVERY,
  PROBING,
  SHORT_IS_ALL,
  STARVED,
  type TcpFlow,
} from './flow.ts';
import type { HostStreams } from './host.ts';
import { IN_FLIGHT_CAP, IN_FLIGHT_FAR, MAX_SEGMENT, PUMP_BUDGET, RTO_INITIAL, RTO_MIN } from './limits.ts';
import { TcpOutgoing } from './outgoing.ts';
import { TcpRecovery } from './recovery.ts';
import type { TcpSegments } from './segments.ts';

const EAGAIN = -11;
const ECONNRESET = 104;
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
  readonly #recovery: TcpRecovery;
  readonly #outgoing: TcpOutgoing;

  constructor(segments: TcpSegments, host: HostStreams, events: SenderEvents, counters: Counters) {
    this.#segments = segments;
    this.#host = host;
    this.#events = events;
    this.#counters = counters;
    this.#recovery = new TcpRecovery(segments, host, counters);
    this.#outgoing = new TcpOutgoing(segments, host);
  }

  /** Our SYN or SYN-ACK goes out, for the first time or again. */
  onSyn(flow: TcpFlow, nowMs: number): void {
    this.#recovery.onSyn(flow, nowMs);
  }

  /** The guest acknowledges it: data may follow. */
  onEstablished(flow: TcpFlow, ack: number, nowMs: number): void {
    flow.unackedToGuest = ack;
    this.#recovery.onEstablished(flow, ack, nowMs);
  }

  /** Sends what was lost, then what the host has, as far as the guest's window, the cap and the link allow. */
  pump(flow: TcpFlow, nowMs: number): void {
    if (flow.state !== ESTABLISHED) return;
    if (flow.has(IN_RECOVERY) && !this.#recovery.resend(flow, nowMs)) return this.#starve(flow);
    if (flow.has(FIN_TO_GUEST)) return;
    for (let turn = 0; turn < PUMP_BUDGET; turn++) {
      if (!flow.has(HOST_READABLE)) return;
      const room = this.#room(flow, this.#outgoing.most(flow), nowMs);
      if (room <= 0) return;
      const n = this.#outgoing.send(flow, room);
      if (n > 0) {
        this.#onSent(flow, n, nowMs);
        turn += Math.floor(n / MAX_SEGMENT);
        if (this.#outgoing.wasFull || (flow.bits & (SHORT_IS_ALL | HOST_ENDING | HOST_RESET)) !== SHORT_IS_ALL)
          continue;
        flow.bits &= ~HOST_READABLE; // the next byte is an event
        return;
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
    this.#recovery.onAdvance(flow, ack, bytes, nowMs);
    flow.timerAtMs = ack === flow.nextToGuest ? 0 : nowMs + this.#recovery.patience(flow); // RFC 6298 §5.2, §5.3
    if (flow.timerAtMs !== 0) this.#events.arm(flow);
  }

  /** An acknowledgement that repeats the last one, or one with new SACK blocks. */
  onDuplicateAck(flow: TcpFlow, nowMs: number): void {
    this.#recovery.onDuplicate(flow, nowMs);
  }

  /** No acknowledgement came in time. */
  onTimeout(flow: TcpFlow, nowMs: number): void {
    this.#recovery.onTimer(flow, nowMs);
    flow.timerAtMs = nowMs + flow.rtoMs;
    this.#events.arm(flow);
    this.pump(flow, nowMs);
  }

  /** The guest has room again for what was sent in vain while its window was shut. */
  onReopened(flow: TcpFlow, nowMs: number): void {
    this.#recovery.onReopened(flow);
    flow.timerAtMs = nowMs + flow.rtoMs;
    this.#events.arm(flow);
    this.pump(flow, nowMs);
  }

  /** Asks for a window update without sending data: the guest answers any segment it has seen (RFC 9293 §3.8.6.1). */
  probe(flow: TcpFlow): void {
    this.#segments.sendControl(flow, (flow.unackedToGuest - 1) | 0, tcp.ACK);
  }

  /** Bytes that may be read and sent now; sets the timer or the waiting mark when there are none. */
  #room(flow: TcpFlow, most: number, nowMs: number): number {
    const inFlight = (flow.nextToGuest - flow.unackedToGuest) | 0;
    const held = flow.scoreboard.count === 0 ? 0 : flow.scoreboard.bytes(); // by the guest, behind a hole
    const isFar = flow.burstToGuest >= IN_FLIGHT_CAP && this.#host.peeksFar && flow.port?.isBounded === true;
    const cap = (isFar ? IN_FLIGHT_FAR : Math.min(flow.burstToGuest, IN_FLIGHT_CAP)) + Math.min(held, IN_FLIGHT_CAP);
    let room = Math.min(flow.windowToGuest, cap) - inFlight;
    if (room <= 0) {
      if (inFlight === 0 && flow.timerAtMs === 0) this.#startProbing(flow, nowMs);
      return 0;
    }
    // Sender's silly window avoidance (RFC 9293 §3.8.6.2.1): a small rest waits for the acknowledgements.
    if (room < flow.mssToGuest && inFlight > 0) return 0;
    const link = flow.port === null ? 0 : flow.port.room();
    if (link < Math.min(room, most)) {
      if (link < 2 * flow.mssToGuest) {
        this.#starve(flow);
        return 0;
      }
      room = link;
    }
    if (room > most) room = most;
    return room > flow.mssToGuest ? room - (room % flow.mssToGuest) : room;
  }

  #starve(flow: TcpFlow): void {
    flow.bits |= STARVED;
    this.#events.starve(flow);
  }

  #startProbing(flow: TcpFlow, nowMs: number): void {
    flow.bits |= PROBING;
    flow.retries = 0;
    flow.timerAtMs = nowMs + Math.max(flow.rtoMs, RTO_MIN);
    this.#events.arm(flow);
  }

  #onSent(flow: TcpFlow, n: number, nowMs: number): void {
    flow.nextToGuest = (flow.nextToGuest + n) | 0;
    if (flow.timedAtMs === 0 && !flow.has(IN_RECOVERY)) {
      flow.timedAtMs = nowMs;
      flow.timedSeq = flow.nextToGuest;
    }
    this.#counters.add(BYTES, n);
    flow.traffic.toGuest(flow.id, n, 0);
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
    flow.timerAtMs = nowMs + this.#recovery.patience(flow);
    this.#events.arm(flow);
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
