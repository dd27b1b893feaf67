/**
 * Ping from guests, by the host's unprivileged ICMP sockets (net.ipv4.ping_group_range; Linux net/ipv4/ping.c).
 *
 * Zone: flow.  One socket per (guest, identifier, target); the kernel replaces the identifier by its own, so the guest's
 * is put back in replies.  ICMP errors for an echo (traceroute -I) come by the error queue and are passed on.  Where the
 * host does not allow ping sockets, guests are told that echo is prohibited, and the control plane hears of it once.
 */
import { type Counters, counter } from '../core/counters.ts';
import { type IpOutput, pseudoToGuest } from '../stack/ip-output.ts';
import type { Packet } from '../stack/packet.ts';
import type { GuestPort } from '../stack/path.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { PROTO_ICMP, PROTO_ICMPV6 } from '../wire/ipv4.ts';
import type { DatagramSockets, SocketError } from './datagrams.ts';
import { newSocketError } from './datagrams.ts';
import { FlowSet, NatFlow } from './flow-set.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { errorOf } from './icmp-errors.ts';
import { sendQuoted } from './icmp-relay.ts';
import { isNoDescriptor } from './no-descriptor.ts';
import { $target, PASS, PASS_LOCAL } from './policy.ts';

export const MAX_ECHO_FLOWS = 1_024;
export const MAX_ECHO_FLOWS_PER_PORT = 256;
const LIFE_MS = 30_000;
const HOP_LIMIT = 64;
const BUDGET = 32;
const MAX_MESSAGE = 65_507;
const TRACE_HOPS = 32;
const EAGAIN = -11;
const NO_DESCRIPTOR = counter('drop_echo_no_descriptor');

const OPENED = counter('echo_flows_opened');
const REQUESTS = counter('echo_requests_from_guest');
const REPLIES = counter('echo_replies_to_guest');
const DROP_NOT_ALLOWED = counter('drop_echo_not_allowed');
const DROP_LIMIT = counter('drop_echo_limit');

export class EchoFlow extends NatFlow {
  onReadable: (nowMs: number) => void = () => {};
  onError: (nowMs: number) => void = () => {};
}

export class EchoNat {
  readonly #output: IpOutput;
  readonly #sockets: DatagramSockets;
  readonly #gateways: GatewayLookup;
  readonly #counters: Counters;
  readonly #onForbidden: (() => void) | null;
  readonly #flows: FlowSet<EchoFlow>;
  readonly #error: SocketError = newSocketError();
  #told = false;

  /** `onForbidden`: called at the first echo of a host that allows no ping sockets; null where they are allowed. */
  constructor(
    output: IpOutput,
    sockets: DatagramSockets,
    gateways: GatewayLookup,
    counters: Counters,
    onForbidden: (() => void) | null,
    seed: number,
    nowMs: number,
  ) {
    this.#output = output;
    this.#sockets = sockets;
    this.#gateways = gateways;
    this.#counters = counters;
    this.#onForbidden = onForbidden;
    const options = {
      flows: MAX_ECHO_FLOWS,
      flowsPerPort: MAX_ECHO_FLOWS_PER_PORT,
      checkMs: LIFE_MS,
      dropFull: DROP_LIMIT,
      dropPort: DROP_LIMIT,
      create: () => this.#newFlow(),
      onExpired: (flow: EchoFlow) => this.#close(flow),
    };
    this.#flows = new FlowSet(options, counters, seed, nowMs);
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Every record that was ever used; `id` below zero: it is free. */
  get flows(): readonly EchoFlow[] {
    return this.#flows.flows;
  }

  /** Those that count against the share of a port. */
  flowsOf(portId: number): number {
    return this.#flows.flowsOf(portId);
  }

  /** A checked echo request to somebody who is not the gateway. */
  onEcho(packet: Packet, nowMs: number): void {
    this.#counters.count(REQUESTS);
    if (this.#onForbidden !== null) return this.#forbid(packet, this.#onForbidden, nowMs);
    const { view: v } = this.#output;
    const guestId = icmpv4.echoId(v, packet.l4); // same place in both families
    const flow = this.#flows.find(packet, guestId, 0) ?? this.#open(packet, guestId, nowMs);
    if (flow === null) return;
    flow.port = packet.port;
    flow.macHi = packet.macHi;
    flow.macLo = packet.macLo;
    flow.lastMs = nowMs;
    flow.traffic.fromGuest(flow.id, packet.l4Len, 1);
    this.#send(flow, packet, nowMs);
  }

  poll(nowMs: number): void {
    this.#flows.poll(nowMs);
  }

  pollAt(): number {
    return this.#flows.pollAt();
  }

  closePort(port: GuestPort): void {
    this.#flows.forEach(port, (flow) => this.#close(flow));
  }

  /** A guest came back on another port: its flows follow. */
  movePort(from: GuestPort, to: GuestPort): void {
    this.#flows.movePort(from, to);
  }

  #forbid(packet: Packet, tell: () => void, nowMs: number): void {
    this.#counters.count(DROP_NOT_ALLOWED);
    this.#gateways.gatewayOf(packet.segment!.id)?.reject(packet, 'prohibited', nowMs);
    if (this.#told) return;
    this.#told = true;
    tell();
  }

  #open(packet: Packet, guestId: number, nowMs: number): EchoFlow | null {
    const segmentId = packet.segment!.id;
    const { remote0, remote1, remote2, remote3 } = packet;
    const verdict = this.#gateways.policyOf(segmentId).decide('echo', remote0, remote1, remote2, remote3, 0);
    if (verdict !== PASS && verdict !== PASS_LOCAL) {
      this.#gateways.gatewayOf(segmentId)?.reject(packet, 'prohibited', nowMs);
      return null;
    }
    if (!this.#flows.hasRoom(packet)) return null;
    const fd = this.#sockets.openEcho($target.w0, $target.w1, $target.w2, $target.w3);
    if (fd < 0) {
      if (isNoDescriptor(fd)) this.#counters.count(NO_DESCRIPTOR);
      this.#refuse(packet, -fd, nowMs);
      return null;
    }
    const flow = this.#flows.insert(packet, guestId, 0, LIFE_MS, nowMs);
    flow.fd = fd;
    flow.token = this.#sockets.watch(fd, flow);
    this.#counters.count(OPENED);
    return flow;
  }

  #newFlow(): EchoFlow {
    const flow = new EchoFlow();
    flow.onReadable = (nowMs) => this.#onReadable(flow, nowMs);
    flow.onError = (nowMs) => this.#onError(flow, nowMs);
    return flow;
  }

  #refuse(packet: Packet, errno: number, nowMs: number): void {
    const why = errorOf(errno);
    if (why !== null) this.#gateways.gatewayOf(packet.segment!.id)?.reject(packet, why, nowMs);
  }

  #send(flow: EchoFlow, packet: Packet, nowMs: number): void {
    const hops = packet.hopLimit <= TRACE_HOPS ? packet.hopLimit - 1 : 0;
    if (hops !== flow.hops) {
      flow.hops = hops;
      this.#sockets.setHopLimit(flow.fd, flow.family, hops === 0 ? -1 : hops);
    }
    let n = this.#sockets.send(flow.fd, packet.l4, packet.l4Len);
    if (n < 0 && n !== EAGAIN) {
      this.#onError(flow, nowMs); // an earlier echo's error stands before this one
      n = this.#sockets.send(flow.fd, packet.l4, packet.l4Len);
    }
    if (n < 0) this.#refuse(packet, -n, nowMs);
  }

  #onReadable(flow: EchoFlow, nowMs: number): void {
    const { view: v } = this.#output;
    const o = this.#output.l4(flow.family);
    for (let i = 0; i < BUDGET && flow.fd >= 0; i++) {
      const n = this.#sockets.recv(flow.fd, o, MAX_MESSAGE);
      if (n < 0) {
        if (n !== EAGAIN) this.#onError(flow, nowMs);
        return;
      }
      if (n < icmpv4.HEADER_LEN) continue;
      flow.lastMs = nowMs;
      v.setUint16(o + 4, flow.guestPort);
      this.#counters.count(REPLIES);
      flow.traffic.toGuest(flow.id, n, 1);
      if (flow.family === 4) {
        icmpv4.setChecksum(v, o, n);
        this.#output.send(flow, PROTO_ICMP, HOP_LIMIT, n);
      } else {
        icmpv6.setChecksum(v, o, n, pseudoToGuest(flow, PROTO_ICMPV6, 0));
        this.#output.send(flow, PROTO_ICMPV6, HOP_LIMIT, n);
      }
    }
  }

  #onError(flow: EchoFlow, nowMs: number): void {
    const { view: v } = this.#output;
    const error = this.#error;
    const gateway = this.#gateways.gatewayOf(flow.segment!.id);
    for (let i = 0; i < BUDGET && flow.fd >= 0 && this.#sockets.takeError(flow.fd, error); i++) {
      if (!error.icmp || gateway === null) continue;
      // The kernel gives back the echo it sent: type, code and checksum, then its identifier and the sequence number.
      const sequence = error.payloadLen >= icmpv4.HEADER_LEN ? icmpv4.echoSequence(v, error.payload) : 0;
      const type = flow.family === 4 ? icmpv4.TYPE_ECHO_REQUEST : icmpv6.TYPE_ECHO_REQUEST;
      const protocol = flow.family === 4 ? PROTO_ICMP : PROTO_ICMPV6;
      const second = (flow.guestPort << 16) | sequence;
      sendQuoted(gateway, this.#output, flow, protocol, type << 24, second, error, nowMs);
    }
  }

  #close(flow: EchoFlow): void {
    this.#sockets.close(flow.fd, flow.token);
    this.#flows.delete(flow);
  }
}
