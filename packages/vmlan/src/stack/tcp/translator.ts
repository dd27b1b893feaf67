/**
 * TCP between guests and host sockets.
 *
 * Theory of operation.  This is not a TCP stack with its own buffers: towards the guest it speaks TCP, towards the host
 * it uses a socket, and each byte lives in the host's kernel until the guest (or the host) has taken it.  One flow passes
 * through these states; everything else is event bits that may come in any order (flow.ts):
 *
 *   guest opens:  SYN ─> CONNECTING ──host connected──> SYN_RECEIVED ──ACK──> ESTABLISHED
 *                            └─ host failed: RST or ICMP with the host's own reason, at once
 *   host opens:   accept ─> RESOLVING ──neighbor──> SYN_SENT ──SYN-ACK──> ESTABLISHED
 *                            └─ nobody there, or RST from the guest: the host's connection is reset
 *   the end:      FIN both ways, each acknowledged ─> TIME_WAIT when we were first, else gone
 *                 RST from either side ─> RST to the other, gone
 *
 * Zone: packet for segments, flow for opening and closing.  Time comes in as an argument; sequence checks follow
 * RFC 9293 §3.10.7 and RFC 5961.
 */
import { type Counters, counter } from '../../core/counters.ts';
import { before, beforeOrAt } from '../../core/sequence.ts';
import { TokenBucket } from '../../core/token-bucket.ts';
import { TurnList } from '../../core/turn-list.ts';
import * as tcp from '../../wire/tcp.ts';
import type { Packet } from '../packet.ts';
import type { GuestPort, Path } from '../path.ts';
import { TcpAcks } from './acks.ts';
import { AcksFromGuest } from './acks-from-guest.ts';
import {
  CLOSED,
  CONNECTING,
  ESTABLISHED,
  FIN_FROM_GUEST,
  FIN_NOTED,
  FIN_TO_GUEST,
  FIN_TO_GUEST_ACKED,
  GUEST_CLOSED_FIRST,
  HOST_BLOCKED,
  HOST_READABLE,
  HOST_RESET,
  HOST_SHUT,
  SYN_RECEIVED,
  SYN_SENT,
  type TcpFlow,
  TIME_WAIT,
} from './flow.ts';
import { TcpFlows } from './flows.ts';
import type { HostStreams, TcpErrors, TcpOpener } from './host.ts';
import { ACK_DELAY, MAX_TIME_WAIT, RESPONSE_BURST, RESPONSES_PER_SECOND, TIME_WAIT_MS } from './limits.ts';
import { TcpOpening } from './opening.ts';
import { TcpReceiver, acceptable } from './receiver.ts';
import type { ReceiveQueues } from './receive-queue.ts';
import type { TcpSegments } from './segments.ts';
import { TcpSender } from './sender.ts';
import { StarvedFlows } from './starved.ts';
import { TimeWaits } from './time-waits.ts';
import { TcpTimers } from './timers.ts';

const NO_FLOW = counter('tcp_segments_without_flow');
const CHALLENGES = counter('tcp_challenge_acks');
const DROP_RATE = counter('drop_tcp_response_rate');
const DROP_SEQUENCE = counter('drop_tcp_outside_window');
const HOST_FAILED = counter('tcp_host_failures');

export class TcpTranslator {
  readonly #flows: TcpFlows;
  readonly #segments: TcpSegments;
  readonly #host: HostStreams;
  readonly #counters: Counters;
  readonly #sender: TcpSender;
  readonly #receiver: TcpReceiver;
  readonly #timers: TcpTimers;
  readonly #acks: TcpAcks;
  readonly #acksFromGuest: AcksFromGuest;
  readonly #opening: TcpOpening;
  readonly #timeWaits = new TimeWaits(MAX_TIME_WAIT, (flow) => this.#release(flow, false));
  readonly #view: DataView;
  readonly #responses = new TokenBucket(RESPONSES_PER_SECOND, RESPONSE_BURST);
  readonly #fire: (id: number) => void;
  readonly #again = new TurnList<TcpFlow>();
  readonly #starved = new StarvedFlows();
  readonly #pump: (flow: TcpFlow, nowMs: number) => void;
  #now: number;

  /** `random` gives 32 random bits (initial sequence numbers). */
  constructor(
    parts: {
      segments: TcpSegments;
      queues: ReceiveQueues;
      host: HostStreams;
      opener: TcpOpener;
      errors: TcpErrors;
      counters: Counters;
      random: () => number;
      /** How long a small acknowledgement may wait for data to travel with. */
      ackDelayMs?: number;
      /** The arena's view, in which packets lie. */
      view: DataView;
    },
    maxFlows: number,
    nowMs: number,
  ) {
    this.#segments = parts.segments;
    this.#host = parts.host;
    this.#counters = parts.counters;
    this.#view = parts.view;
    this.#now = nowMs;
    this.#flows = new TcpFlows(maxFlows, parts.random(), nowMs, this.#counters);
    this.#fire = (id) => this.#timers.onTimer(this.#flows.records[id]!, this.#now);
    const events = {
      onHostFailed: (flow: TcpFlow, errno: number) => this.#onHostFailed(flow, errno),
      onHostClosed: (flow: TcpFlow, errno: number) => this.onHostError(flow, errno, this.#now),
      again: (flow: TcpFlow) => this.#again.add(flow),
      starve: (flow: TcpFlow) => this.#starved.add(flow),
      arm: (flow: TcpFlow) => this.#flows.arm(flow),
    };
    this.#sender = new TcpSender(this.#segments, this.#host, events, this.#counters);
    this.#pump = (flow, at) => this.#sender.pump(flow, at);
    this.#acks = new TcpAcks(this.#segments, parts.ackDelayMs ?? ACK_DELAY);
    this.#receiver = new TcpReceiver({ ...parts, acks: this.#acks }, events);
    this.#timers = new TcpTimers(
      { flows: this.#flows, segments: this.#segments, sender: this.#sender, counters: this.#counters },
      { release: (flow) => this.#release(flow, false), abort: (flow) => this.abort(flow) },
    );
    const { counters, view } = parts;
    const [flows, sender, timers, acks] = [this.#flows, this.#sender, this.#timers, this.#acks];
    this.#opening = new TcpOpening(
      { ...parts, flows, sender, timers },
      {
        release: (flow, reset) => this.#release(flow, reset),
        refuse: (packet, at) => this.#refuse(packet, at),
      },
    );
    this.#acksFromGuest = new AcksFromGuest({ sender, timers, acks, counters, view });
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Every record that was ever used; those that are free are CLOSED. */
  get flows(): readonly TcpFlow[] {
    return this.#flows.records;
  }

  /** Those that count against the share of a port. */
  flowsOf(portId: number): number {
    return this.#flows.flowsOf(portId);
  }

  /** Flows that a wake-up left work for: the loop must not sleep. */
  get busy(): boolean {
    return this.#again.length > 0;
  }

  // ---- from the guest

  /** A checked segment for an address that is not the gateway's service. */
  onSegment(packet: Packet, nowMs: number): void {
    const v = this.#view;
    const { l4 } = packet;
    this.#now = nowMs;
    const flow = this.#flows.find(packet, tcp.srcPort(v, l4), tcp.dstPort(v, l4));
    if (flow !== null) this.#onFlowSegment(flow, packet, v, nowMs);
    else if ((tcp.flags(v, l4) & (tcp.SYN | tcp.ACK | tcp.RST)) === tcp.SYN) this.#opening.onSyn(packet, v, nowMs);
    else this.#onStray(packet, v, nowMs);
  }

  #onStray(packet: Packet, v: DataView, nowMs: number): void {
    this.#counters.count(NO_FLOW);
    if ((tcp.flags(v, packet.l4) & tcp.RST) !== 0) return;
    this.#refuse(packet, nowMs);
  }

  #refuse(packet: Packet, nowMs: number): void {
    if (this.#mayRespond(nowMs)) this.#segments.sendReset(packet);
  }

  #onFlowSegment(flow: TcpFlow, packet: Packet, v: DataView, nowMs: number): void {
    const { l4 } = packet;
    const flags = tcp.flags(v, l4);
    flow.port = packet.port; // a guest that came back on another link goes on where it was
    flow.macHi = packet.macHi;
    flow.macLo = packet.macLo;
    flow.traffic.fromGuest(flow.id, 0, 1);
    switch (flow.state) {
      case CONNECTING:
        return this.#opening.inConnecting(flow, packet, v, flags, nowMs);
      case SYN_RECEIVED:
        return this.#inSynReceived(flow, packet, v, flags, nowMs);
      case SYN_SENT:
        return this.#opening.inSynSent(flow, v, l4, flags, nowMs);
      case ESTABLISHED:
        return this.#inEstablished(flow, packet, v, flags, nowMs);
      case TIME_WAIT:
        return this.#inTimeWait(flow, packet, v, flags, nowMs);
    }
  }

  #inSynReceived(flow: TcpFlow, packet: Packet, v: DataView, flags: number, nowMs: number): void {
    if (this.#opening.inSynReceived(flow, packet, v, flags, nowMs)) this.#inEstablished(flow, packet, v, flags, nowMs);
  }

  #inEstablished(flow: TcpFlow, packet: Packet, v: DataView, flags: number, nowMs: number): void {
    const { l4 } = packet;
    const seq = tcp.seq(v, l4);
    const header = tcp.dataOffset(v, l4);
    const len = packet.l4Len - header;
    if ((flags & (tcp.RST | tcp.SYN)) !== 0) return this.#onResetOrSyn(flow, seq, flags, nowMs);
    if (!acceptable(flow, seq, len + (flags & tcp.FIN)) && !this.#onOutside(flow, seq, len, flags)) return;
    if ((flags & tcp.ACK) === 0) return;
    this.#timers.onHeard(flow, nowMs);
    if (!this.#acksFromGuest.take(flow, l4, len, nowMs)) return;
    if (len > 0) this.#receiver.onData(flow, seq, l4 + header, len);
    if (flow.state !== ESTABLISHED) return; // the host's socket failed
    // A FIN before what has been received is a duplicate of another conversation, or a lie.
    if ((flags & tcp.FIN) !== 0 && !flow.has(FIN_NOTED) && !before((seq + len) | 0, flow.nextFromGuest)) {
      flow.bits |= FIN_NOTED;
      flow.finFromGuest = (seq + len) | 0;
    }
    if ((flags & tcp.FIN) !== 0) this.#acks.soon(flow);
    this.#receiver.checkFin(flow);
    if (flow.state === ESTABLISHED) this.#sender.pump(flow, nowMs);
    this.#finishIfDone(flow, nowMs);
  }

  /** RFC 5961 §3.2, §4.2: only an exact RST counts; the rest draws a challenge. */
  #onResetOrSyn(flow: TcpFlow, seq: number, flags: number, nowMs: number): void {
    if ((flags & tcp.RST) !== 0) {
      // RFC 1337, in spirit: for the guest the conversation is over, and what it said is still on its way to the host.
      if (flow.has(FIN_FROM_GUEST) && flow.has(FIN_TO_GUEST_ACKED)) return;
      if (seq === flow.nextFromGuest) return this.#release(flow, true);
      if (before(seq, flow.nextFromGuest) || !before(seq, flow.edgeFromGuest))
        return this.#counters.count(DROP_SEQUENCE);
    }
    if (!this.#mayRespond(nowMs)) return;
    this.#counters.count(CHALLENGES);
    this.#segments.sendControl(flow, flow.nextToGuest, tcp.ACK);
  }

  /** A segment outside the window: acknowledged so that the sender learns where we are. True: use its ACK anyway. */
  #onOutside(flow: TcpFlow, seq: number, len: number, flags: number): boolean {
    this.#counters.count(DROP_SEQUENCE);
    this.#acks.now(flow);
    // An old duplicate still tells about our data (and carries the SACK blocks we wait for).
    return len === 0 && (flags & tcp.ACK) !== 0 && beforeOrAt(seq, flow.edgeFromGuest);
  }

  /** Answers a retransmitted FIN, and lets a new SYN take the place (RFC 9293 §3.10.7.4, RFC 6191). */
  #inTimeWait(flow: TcpFlow, packet: Packet, v: DataView, flags: number, nowMs: number): void {
    if ((flags & tcp.RST) !== 0) return; // RFC 1337
    const seq = tcp.seq(v, packet.l4);
    if ((flags & tcp.SYN) !== 0 && before(flow.nextFromGuest, (seq + 1) | 0)) {
      this.#release(flow, false);
      this.#opening.onSyn(packet, v, nowMs);
    } else if ((flags & (tcp.FIN | tcp.SYN)) !== 0) {
      this.#acks.now(flow);
    }
  }

  // ---- from the host

  /** The host's connect has succeeded. */
  onHostConnected(flow: TcpFlow, nowMs: number): void {
    this.#now = nowMs;
    this.#opening.onHostConnected(flow, nowMs);
  }

  /** The host's connect has failed. */
  onHostRefused(flow: TcpFlow, errno: number, nowMs: number): void {
    this.#now = nowMs;
    this.#opening.fail(flow, errno, nowMs);
  }

  /** The host's socket has something to read. */
  onHostReadable(flow: TcpFlow, nowMs: number): void {
    this.#now = nowMs;
    flow.bits |= HOST_READABLE;
    this.#sender.pump(flow, nowMs);
    this.#finishIfDone(flow, nowMs);
  }

  /** The host's socket takes bytes again. */
  onHostWritable(flow: TcpFlow, nowMs: number): void {
    this.#now = nowMs;
    if (flow.has(HOST_BLOCKED)) this.#receiver.flush(flow);
    this.#finishIfDone(flow, nowMs);
  }

  /**
   * The host's socket failed: the peer has reset, or the path is gone. What the peer said before is still in the socket,
   * and a program on the host would read it first: so does the guest, then it is reset.
   */
  onHostError(flow: TcpFlow, errno: number, nowMs: number): void {
    this.#now = nowMs;
    if (flow.has(HOST_RESET | FIN_TO_GUEST)) return this.#onHostFailed(flow, errno);
    if (flow.state === SYN_RECEIVED) {
      flow.bits |= HOST_RESET | HOST_READABLE;
    } else if (flow.state === ESTABLISHED) {
      flow.bits |= HOST_RESET | HOST_READABLE;
      this.#sender.pump(flow, nowMs);
    } else {
      this.#onHostFailed(flow, errno);
    }
  }

  /**
   * A conversation that the host opens (a forward): the flow, waiting for its guest's MAC, or null when a table is full.
   * `path` names segment and addresses; its port may be null until `onResolved`.
   */
  openToGuest(path: Path, guestPort: number, remotePort: number, nowMs: number): TcpFlow | null {
    this.#now = nowMs;
    return this.#opening.openToGuest(path, guestPort, remotePort, nowMs);
  }

  /** The guest's port and MAC are known and set: says SYN. */
  onResolved(flow: TcpFlow, nowMs: number): void {
    this.#now = nowMs;
    this.#opening.onResolved(flow, nowMs);
  }

  /** Whether another flow has these addresses and ports already. */
  isTaken(path: Path, guestPort: number, remotePort: number): boolean {
    return this.#flows.find(path, guestPort, remotePort) !== null;
  }

  /** Ends a flow at once: RST to the host, and to the guest when it knows of the flow. */
  abort(flow: TcpFlow): void {
    if (flow.state === CLOSED) return;
    if (flow.state === SYN_RECEIVED || flow.state === ESTABLISHED) this.#resetGuest(flow);
    this.#release(flow, true);
  }

  /** Ends every flow of a port that is gone. */
  closePort(port: GuestPort): void {
    for (const flow of this.#flows.records) if (flow.state !== CLOSED && flow.port === port) this.#release(flow, true);
  }

  /** A guest came back on another port: its flows follow. */
  movePort(from: GuestPort, to: GuestPort): void {
    for (const flow of this.#flows.records) {
      if (flow.state === CLOSED || flow.port !== from) continue;
      this.#flows.move(flow, to);
      this.#timers.onReturned(flow, this.#now);
    }
  }

  // ---- turns of the loop

  /** Flows that want another turn, timers, flows that waited for room, then the acknowledgements that are due. */
  poll(nowMs: number): void {
    this.#now = nowMs;
    const again = this.#again.begin();
    for (let i = 0; i < again; i++) this.#sender.pump(this.#again.take(i), nowMs);
    this.#starved.poll(nowMs, this.#pump);
    this.#flows.poll(nowMs, this.#fire);
    this.flush();
  }

  /** Sends the acknowledgements that are due. */
  flush(): void {
    this.#acks.flush(this.#now);
  }

  pollAt(): number {
    if (this.#again.length > 0) return this.#now;
    return Math.min(this.#flows.pollAt(), this.#starved.pollAt(this.#now), this.#acks.pollAt());
  }

  // ---- closing

  #onHostFailed(flow: TcpFlow, errno: number): void {
    if (flow.state === CLOSED) return;
    this.#counters.count(HOST_FAILED);
    if (flow.state === CONNECTING) return this.#opening.fail(flow, errno, this.#now);
    if (flow.state === SYN_RECEIVED || flow.state === ESTABLISHED) this.#resetGuest(flow);
    this.#release(flow, false);
  }

  #resetGuest(flow: TcpFlow): void {
    this.#segments.sendControl(flow, flow.nextToGuest, tcp.RST | tcp.ACK);
  }

  /** Both directions are closed and acknowledged. */
  #finishIfDone(flow: TcpFlow, nowMs: number): void {
    if (flow.state !== ESTABLISHED || !flow.has(FIN_TO_GUEST_ACKED) || !flow.has(HOST_SHUT)) return;
    if (flow.has(GUEST_CLOSED_FIRST)) return this.#release(flow, false); // the guest waits
    this.#receiver.release(flow);
    this.#host.close(flow, false);
    flow.fd = -1;
    flow.state = TIME_WAIT;
    flow.timerAtMs = nowMs + TIME_WAIT_MS;
    this.#flows.schedule(flow, flow.timerAtMs);
    this.#timeWaits.add(flow);
  }

  /** Frees the record; `reset`: the host's peer sees RST, else FIN. */
  #release(flow: TcpFlow, reset: boolean): void {
    this.#receiver.release(flow);
    if (flow.fd >= 0) this.#host.close(flow, reset);
    flow.fd = -1;
    this.#flows.free(flow);
  }

  #mayRespond(nowMs: number): boolean {
    if (this.#responses.take(nowMs)) return true;
    this.#counters.count(DROP_RATE);
    return false;
  }
}
