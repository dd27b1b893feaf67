/**
 * What the acknowledgement of a guest's segment tells: which bytes it has, how much more it takes, and which pieces behind
 * a hole it holds already.
 *
 *   ACK  RFC 9293 §3.10.7.4 (fifth: check the ACK field)    window  the same, SND.WL1 and SND.WL2
 *   SACK RFC 2018, RFC 2883 (duplicates), RFC 6675 (what counts as a duplicate acknowledgement)
 *
 * Zone: packet.
 */
import { type Counters, counter } from '../../core/counters.ts';
import { before, beforeOrAt } from '../../core/sequence.ts';
import * as tcp from '../../wire/tcp.ts';
import type { TcpAcks } from './acks.ts';
import { ESTABLISHED, SACK_OK, type TcpFlow } from './flow.ts';
import type { TcpSender } from './sender.ts';
import type { TcpTimers } from './timers.ts';

const DROP_BAD_ACK = counter('drop_tcp_unsent_ack');

export class AcksFromGuest {
  readonly #sender: TcpSender;
  readonly #timers: TcpTimers;
  readonly #acks: TcpAcks;
  readonly #counters: Counters;
  readonly #view: DataView;

  /** `view` is the arena's, in which segments lie. */
  constructor(parts: { sender: TcpSender; timers: TcpTimers; acks: TcpAcks; counters: Counters; view: DataView }) {
    this.#sender = parts.sender;
    this.#timers = parts.timers;
    this.#acks = parts.acks;
    this.#counters = parts.counters;
    this.#view = parts.view;
  }

  /** The segment whose header lies at `l4`, with `len` bytes of data; false when the rest of it must be ignored. */
  take(flow: TcpFlow, l4: number, len: number, nowMs: number): boolean {
    const v = this.#view;
    const ack = tcp.ack(v, l4);
    if (before(flow.nextToGuest, ack)) {
      this.#counters.count(DROP_BAD_ACK);
      this.#acks.now(flow); // RFC 9293 §3.10.7.4: something not yet sent
      return false;
    }
    const seq = tcp.seq(v, l4);
    const window = tcp.window(v, l4) << flow.shiftToGuest;
    const wasShut = flow.windowToGuest === 0;
    const sacked = this.#takeSack(flow, l4, ack);
    if (before(flow.unackedToGuest, ack)) {
      this.#updateWindow(flow, seq, ack, window);
      this.#sender.onAck(flow, ack, nowMs);
    } else if (ack === flow.unackedToGuest) {
      // RFC 5681 §2: no data, no FIN, same window — or new SACK information (RFC 6675 §2).
      const duplicate = len === 0 && (tcp.flags(v, l4) & tcp.FIN) === 0 && window === flow.windowToGuest;
      this.#updateWindow(flow, seq, ack, window);
      if (duplicate || sacked) this.#sender.onDuplicateAck(flow, nowMs);
    }
    if (wasShut && flow.windowToGuest > 0) this.#timers.onReopened(flow, nowMs);
    return flow.state === ESTABLISHED;
  }

  /** Whether the segment's SACK blocks tell something new. */
  #takeSack(flow: TcpFlow, l4: number, ack: number): boolean {
    const hasOptions = tcp.dataOffset(this.#view, l4) > tcp.MIN_HEADER_LEN;
    if (!hasOptions || !flow.has(SACK_OK) || !tcp.parseOptions(this.#view, l4)) return false;
    const { sack, sackCount } = tcp.$options;
    const had = flow.scoreboard.bytes();
    for (let i = 0; i < sackCount; i++) {
      const start = sack[2 * i]!;
      const end = sack[2 * i + 1]!;
      // RFC 2883: blocks at or below the ACK report duplicates; beyond what was sent they are lies.
      if (before(ack, start) && beforeOrAt(end, flow.nextToGuest)) flow.scoreboard.add(start, end);
    }
    return flow.scoreboard.bytes() !== had;
  }

  /** RFC 9293 §3.10.7.4: only newer segments move the window. */
  #updateWindow(flow: TcpFlow, seq: number, ack: number, window: number): void {
    if (before(flow.windowSeq, seq) || (flow.windowSeq === seq && beforeOrAt(flow.windowAck, ack))) {
      flow.windowToGuest = window;
      flow.windowSeq = seq;
      flow.windowAck = ack;
    }
  }
}
