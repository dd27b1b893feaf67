/**
 * How a TCP conversation begins: from a guest's SYN until the host's socket and the guest have both agreed, or from a
 * connection that the host opens until the guest has answered (RFC 9293 §3.10.7.3; the states are drawn in translator.ts).
 *
 * Zone: flow.  No SYN is answered before the host's socket is connected; what goes wrong there reaches the guest as it
 * would a program on the host.
 */
import { type Counters, counter } from '../../core/counters.ts';
import * as tcp from '../../wire/tcp.ts';
import type { Packet } from '../packet.ts';
import type { Path } from '../path.ts';
import {
  ACTIVE_OPEN,
  CONNECTING,
  ESTABLISHED,
  HOST_READABLE,
  RESOLVING,
  SACK_OK,
  SYN_RECEIVED,
  SYN_SENT,
  type TcpFlow,
} from './flow.ts';
import type { TcpFlows } from './flows.ts';
import type { TcpErrors, TcpOpener } from './host.ts';
import { WINDOW_SHIFT } from './limits.ts';
import type { TcpSegments } from './segments.ts';
import { type TcpSender, initSender } from './sender.ts';
import type { TcpTimers } from './timers.ts';

const ECONNREFUSED = 111;
const ENETUNREACH = 101;
const EHOSTUNREACH = 113;
const EACCES = 13;
const EPERM = 1;
const ENFILE = 23;
const EMFILE = 24;

const DROP_OPTIONS = counter('drop_tcp_bad_options');
const HOST_FAILED = counter('tcp_host_failures');
const NO_DESCRIPTOR = counter('drop_tcp_no_descriptor');

interface OpeningParts {
  readonly flows: TcpFlows;
  readonly segments: TcpSegments;
  readonly sender: TcpSender;
  readonly timers: TcpTimers;
  readonly opener: TcpOpener;
  readonly errors: TcpErrors;
  readonly counters: Counters;
  readonly random: () => number;
}

export interface OpeningEvents {
  /** Ends a flow; `reset`: the host's peer sees RST, else FIN. */
  release(flow: TcpFlow, reset: boolean): void;
  /** A segment that belongs to no conversation is to be answered by RST. */
  refuse(packet: Packet, nowMs: number): void;
}

export class TcpOpening {
  readonly #flows: TcpFlows;
  readonly #segments: TcpSegments;
  readonly #sender: TcpSender;
  readonly #timers: TcpTimers;
  readonly #opener: TcpOpener;
  readonly #errors: TcpErrors;
  readonly #counters: Counters;
  readonly #random: () => number;
  readonly #events: OpeningEvents;

  constructor(parts: OpeningParts, events: OpeningEvents) {
    this.#flows = parts.flows;
    this.#segments = parts.segments;
    this.#sender = parts.sender;
    this.#timers = parts.timers;
    this.#opener = parts.opener;
    this.#errors = parts.errors;
    this.#counters = parts.counters;
    this.#random = parts.random;
    this.#events = events;
  }

  // ---- the guest opens

  onSyn(packet: Packet, v: DataView, nowMs: number): void {
    if (!tcp.parseOptions(v, packet.l4)) return this.#counters.count(DROP_OPTIONS);
    const flow = this.#flows.open(packet, tcp.srcPort(v, packet.l4), tcp.dstPort(v, packet.l4), nowMs);
    if (flow === null) return;
    flow.state = CONNECTING;
    flow.nextFromGuest = (tcp.seq(v, packet.l4) + 1) | 0;
    flow.edgeFromGuest = flow.nextFromGuest;
    this.#takeOptions(flow, v, packet.l4);
    const result = this.#opener.open(flow, nowMs);
    if (result < 0) this.fail(flow, -result, nowMs);
  }

  /** The host's connect is under way: only a reset or a SYN with another number matters. */
  inConnecting(flow: TcpFlow, packet: Packet, v: DataView, flags: number, nowMs: number): void {
    if ((flags & tcp.RST) !== 0) return this.#events.release(flow, true);
    if ((flags & tcp.SYN) === 0) return;
    if (((tcp.seq(v, packet.l4) + 1) | 0) === flow.nextFromGuest) return; // retransmitted
    this.#events.release(flow, true);
    this.onSyn(packet, v, nowMs);
  }

  /** The host's connect has succeeded: now the guest's SYN is answered. */
  onHostConnected(flow: TcpFlow, nowMs: number): void {
    flow.state = SYN_RECEIVED;
    this.#sendSyn(flow, tcp.SYN | tcp.ACK, nowMs);
  }

  /** Whether the guest has agreed: then the segment may carry more. */
  inSynReceived(flow: TcpFlow, packet: Packet, v: DataView, flags: number, nowMs: number): boolean {
    const { l4 } = packet;
    const seq = tcp.seq(v, l4);
    if ((flags & tcp.RST) !== 0) {
      if (seq === flow.nextFromGuest) this.#events.release(flow, true);
      return false;
    }
    if ((flags & tcp.SYN) !== 0) {
      if (((seq + 1) | 0) === flow.nextFromGuest)
        this.#segments.sendControl(flow, flow.initialToGuest, tcp.SYN | tcp.ACK);
      return false;
    }
    if ((flags & tcp.ACK) === 0) return false;
    const ack = tcp.ack(v, l4);
    if (ack !== ((flow.initialToGuest + 1) | 0)) {
      this.#events.refuse(packet, nowMs);
      return false;
    }
    this.#establish(flow, ack, nowMs);
    return true;
  }

  /** The host's side could not be opened: the guest hears why, as promptly as we did. */
  fail(flow: TcpFlow, errno: number, nowMs: number): void {
    this.#counters.count(HOST_FAILED);
    if (errno === ENETUNREACH || errno === EHOSTUNREACH || errno === EACCES || errno === EPERM) {
      this.#errors.unreachable(flow, errno, nowMs);
    } else if (errno === ECONNREFUSED) {
      // RFC 9293 §3.10.7.1: the answer to a SYN that nobody listens for.
      this.#segments.sendControl(flow, 0, tcp.RST | tcp.ACK);
    } else if (errno === EMFILE || errno === ENFILE) {
      this.#counters.count(NO_DESCRIPTOR);
    }
    // Anything else (ETIMEDOUT, no descriptors) is silence: the guest tries again and gives up when a host would.
    this.#events.release(flow, false);
  }

  // ---- the host opens

  openToGuest(path: Path, guestPort: number, remotePort: number, nowMs: number): TcpFlow | null {
    const flow = this.#flows.open(path, guestPort, remotePort, nowMs);
    if (flow === null) return null;
    flow.state = RESOLVING;
    flow.bits |= ACTIVE_OPEN;
    return flow;
  }

  onResolved(flow: TcpFlow, nowMs: number): void {
    if (flow.port !== null) this.#flows.countFor(flow, flow.port);
    flow.state = SYN_SENT;
    this.#sendSyn(flow, tcp.SYN, nowMs);
  }

  /** RFC 9293 §3.10.7.3. */
  inSynSent(flow: TcpFlow, v: DataView, l4: number, flags: number, nowMs: number): void {
    const ack = tcp.ack(v, l4);
    const acksOurSyn = (flags & tcp.ACK) !== 0 && ack === ((flow.initialToGuest + 1) | 0);
    if ((flags & tcp.RST) !== 0) {
      if (acksOurSyn) this.#events.release(flow, true);
      return;
    }
    if ((flags & tcp.SYN) === 0 || !acksOurSyn || !tcp.parseOptions(v, l4)) return;
    flow.nextFromGuest = (tcp.seq(v, l4) + 1) | 0;
    flow.edgeFromGuest = flow.nextFromGuest;
    this.#takeOptions(flow, v, l4);
    this.#establish(flow, ack, nowMs);
    this.#segments.sendControl(flow, flow.nextToGuest, tcp.ACK);
    flow.bits |= HOST_READABLE;
    this.#sender.pump(flow, nowMs);
  }

  // ---- both

  /** Ours, for the first time. */
  #sendSyn(flow: TcpFlow, flags: number, nowMs: number): void {
    initSender(flow, this.#random() | 0);
    this.#segments.sendControl(flow, flow.initialToGuest, flags);
    flow.nextToGuest = (flow.initialToGuest + 1) | 0;
    this.#sender.onSyn(flow, nowMs);
    flow.timerAtMs = nowMs + flow.rtoMs;
    this.#flows.arm(flow);
  }

  /** Options and window of the guest's SYN or SYN-ACK; the options are parsed into `$options`. */
  #takeOptions(flow: TcpFlow, v: DataView, l4: number): void {
    const { mss, windowScale, sackPermitted } = tcp.$options;
    const most = this.#segments.maxMss(flow.family);
    // RFC 9293 §3.7.1: 536 or 1220 when the option is absent; tiny values only waste work (SACK panic, CVE-2019-11479).
    const said = mss > 0 ? mss : flow.family === 4 ? 536 : 1220;
    flow.mssToGuest = Math.max(Math.min(said, most), 48);
    if (windowScale >= 0) {
      flow.shiftToGuest = windowScale;
      flow.shiftFromGuest = WINDOW_SHIFT;
    }
    if (sackPermitted) flow.bits |= SACK_OK;
    flow.windowToGuest = tcp.window(v, l4);
    flow.windowSeq = tcp.seq(v, l4);
  }

  #establish(flow: TcpFlow, ack: number, nowMs: number): void {
    flow.state = ESTABLISHED;
    this.#sender.onEstablished(flow, ack, nowMs);
    flow.timerAtMs = 0;
    flow.lastHeardMs = nowMs;
    flow.windowAck = ack;
    this.#flows.markOpen(flow);
    this.#timers.watchSilence(flow, nowMs);
  }
}
