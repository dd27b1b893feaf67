/**
 * UDP between guests and host sockets.
 *
 * Zone: packet for datagrams, flow to open.  One connected socket per (guest endpoint, remote endpoint), so the kernel
 * filters by address and port and reports ICMP errors to the right flow (IP_RECVERR).  All sockets of one guest endpoint
 * are bound to the same host port where that is free: endpoint-independent mapping (RFC 4787 §4.1).  Flows end after a
 * time of silence that depends on what they are (RFC 4787 §4.3, RFC 8085 §3.5).  Datagrams are
 * joined both ways (outgoing-runs.ts, incoming-run.ts): a run leaves in one call and reaches the guest as one frame.
 *
 * A forward's flow has no socket of its own: it answers through its forward's socket (`FlowOwner`).
 */
import type { Arena } from '../core/arena.ts';
import { type Counters, counter } from '../core/counters.ts';
import { quote } from '../stack/icmp-quote.ts';
import type { IpOutput } from '../stack/ip-output.ts';
import { Packet } from '../stack/packet.ts';
import type { GuestPort, Path } from '../stack/path.ts';
import { PROTO_UDP } from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { type DatagramSockets, MAX_PAYLOAD, MAX_RUN, type SocketError, newSocketError } from './datagrams.ts';
import { FlowSet } from './flow-set.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { errorOf } from './icmp-errors.ts';
import { sendQuoted } from './icmp-relay.ts';
import { IncomingRun } from './incoming-run.ts';
import { isNoDescriptor } from './no-descriptor.ts';
import { OutgoingRuns } from './outgoing-runs.ts';
import { $target, PASS, PASS_LOCAL, REFUSED } from './policy.ts';
import { type FlowOwner, UdpFlow } from './udp-flow.ts';

export const MAX_UDP_FLOWS = 16_384;
export const MAX_UDP_FLOWS_PER_PORT = 8_192;
const ENDPOINTS_MAX = MAX_UDP_FLOWS;
/** Milliseconds of silence that end a flow. */
const QUERY_MS = 10_000; // DNS, NTP
const UNREPLIED_MS = 30_000;
const ASSURED_MS = 180_000;
/** Messages taken from a socket in a wake-up. */
const RECV_BUDGET = 64;
const RECV_AT_ONCE = 64;
const RECV_BULK = 16; // messages, of long ones
/** A message above this fills a cache by itself: the next is read where it was. */
const BULK_BYTES = 16_384;
const ERROR_BUDGET = 16;
/** Below this a guest is tracing a route: its hop limit is passed on; others leave with the host's own. */
const TRACE_HOPS = 32;
const EAGAIN = -11;
const ENOBUFS = -105;
/** Why the host's way takes no run: none of this size (EINVAL, EMSGSIZE), or none at all (EIO). */
const EINVAL = -22;
const EMSGSIZE = -90;
const EIO = -5;

const OPENED = counter('udp_flows_opened');
const EXPIRED = counter('udp_flows_expired');
const FROM_GUEST = counter('udp_datagrams_from_guest');
const TO_GUEST = counter('udp_datagrams_to_guest');
const REFUSED_FULL = counter('drop_udp_flow_table_full');
const REFUSED_PORT = counter('drop_udp_guest_limit');
const SEND_FAILED = counter('drop_udp_send_failed');
const FORWARD_SEND_FAILED = counter('drop_forward_send_failed');
const NO_SOCKET = counter('drop_udp_no_socket');
const NO_DESCRIPTOR = counter('drop_udp_no_descriptor');

interface Endpoint {
  localPort: number;
  flows: number;
}

export class UdpNat {
  readonly #output: IpOutput;
  readonly #sockets: DatagramSockets;
  readonly #gateways: GatewayLookup;
  readonly #counters: Counters;
  readonly #flows: FlowSet<UdpFlow>;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #error: SocketError = newSocketError();
  readonly #runs: OutgoingRuns;
  /** What is on its way to a guest; also of forwards. */
  readonly toGuest: IncomingRun;
  readonly #refused = new Packet();

  constructor(
    arena: Arena,
    output: IpOutput,
    sockets: DatagramSockets,
    gateways: GatewayLookup,
    counters: Counters,
    seed: number,
    nowMs: number,
  ) {
    this.#output = output;
    this.#sockets = sockets;
    this.#gateways = gateways;
    this.#counters = counters;
    this.#runs = new OutgoingRuns(arena, sockets, (flow, off, len, size, now) => this.#send(flow, off, len, size, now));
    this.toGuest = new IncomingRun(output.u8, this);
    const options = {
      flows: MAX_UDP_FLOWS,
      flowsPerPort: MAX_UDP_FLOWS_PER_PORT,
      checkMs: QUERY_MS,
      dropFull: REFUSED_FULL,
      dropPort: REFUSED_PORT,
      create: () => this.#newFlow(),
      onExpired: (flow: UdpFlow) => this.#onExpired(flow),
    };
    this.#flows = new FlowSet(options, counters, seed, nowMs);
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Every record that was ever used; `id` below zero: it is free. */
  get flows(): readonly UdpFlow[] {
    return this.#flows.flows;
  }

  /** Those that count against the share of a port. */
  flowsOf(portId: number): number {
    return this.#flows.flowsOf(portId);
  }

  /** A checked datagram (or a run of them) from a guest, not for a service of the gateway. */
  onUdp(packet: Packet, nowMs: number): void {
    const { view: v } = this.#output;
    const srcPort = udp.srcPort(v, packet.l4);
    const dstPort = udp.dstPort(v, packet.l4);
    const flow = this.#flows.find(packet, srcPort, dstPort) ?? this.#open(packet, srcPort, dstPort, nowMs);
    if (flow === null) return;
    flow.port = packet.port;
    flow.macHi = packet.macHi;
    flow.macLo = packet.macLo;
    flow.lastMs = nowMs;
    const data = packet.l4 + udp.HEADER_LEN;
    const len = udp.payloadLen(v, packet.l4);
    const size = packet.runSize;
    this.#counters.add(FROM_GUEST, datagramsOf(len, size));
    flow.traffic.fromGuest(flow.id, len, datagramsOf(len, size));
    if (flow.owner === null) this.#setHops(flow, packet.hopLimit, nowMs);
    if (size === 0) return this.#runs.add(flow, data, len, nowMs);
    this.#runs.end(flow, nowMs);
    this.#send(flow, data, len, size, nowMs);
  }

  /** The flow of a forward's client, opened when it is new; null when a table is full. */
  openForward(path: Path, guestPort: number, remotePort: number, owner: FlowOwner, nowMs: number): UdpFlow | null {
    if (!this.#flows.hasRoom(path)) return null;
    const flow = this.#insert(path, guestPort, remotePort, ASSURED_MS, nowMs);
    flow.owner = owner;
    return flow;
  }

  isTaken(path: Path, guestPort: number, remotePort: number): boolean {
    return this.#flows.find(path, guestPort, remotePort) !== null;
  }

  sendToGuest(flow: UdpFlow, len: number, size: number, nowMs: number): void {
    flow.lastMs = nowMs;
    this.#counters.add(TO_GUEST, datagramsOf(len, size));
    flow.traffic.toGuest(flow.id, len, datagramsOf(len, size));
    this.#output.sendUdp(flow, flow.remotePort, flow.guestPort, len, size);
  }

  payload(flow: Path): number {
    return this.#output.l4(flow.family) + udp.HEADER_LEN;
  }

  poll(nowMs: number): void {
    this.#flows.poll(nowMs);
  }

  pollAt(): number {
    return this.#flows.pollAt();
  }

  /** Ends the flows of a port that is gone, or (with `owner`) of a forward. */
  closeAll(port: GuestPort | null, owner: FlowOwner | null): void {
    this.#flows.forEach(port, (flow) => {
      if (owner === null || flow.owner === owner) this.#close(flow);
    });
  }

  /** A guest came back on another port: its flows follow. */
  movePort(from: GuestPort, to: GuestPort): void {
    this.#flows.movePort(from, to);
  }

  #open(packet: Packet, srcPort: number, dstPort: number, nowMs: number): UdpFlow | null {
    if (!this.#flows.hasRoom(packet)) return null; // before anything costs a system call
    const { remote0, remote1, remote2, remote3 } = packet;
    const segmentId = packet.segment!.id;
    const verdict = this.#gateways.policyOf(segmentId).decide('udp', remote0, remote1, remote2, remote3, dstPort);
    if (verdict !== PASS && verdict !== PASS_LOCAL) {
      const why = verdict === REFUSED ? 'port' : 'prohibited';
      this.#gateways.gatewayOf(segmentId)?.reject(packet, why, nowMs);
      return null;
    }
    const endpoint = `${segmentId},${packet.guest0},${packet.guest1},${packet.guest2},${packet.guest3},${srcPort}`;
    const local = this.#endpoints.get(endpoint)?.localPort ?? 0;
    const { w0, w1, w2, w3, port } = $target;
    let fd = this.#sockets.openUdp(w0, w1, w2, w3, port, local);
    if (fd < 0 && local !== 0) fd = this.#sockets.openUdp(w0, w1, w2, w3, port, 0);
    if (fd < 0) {
      this.#counters.count(isNoDescriptor(fd) ? NO_DESCRIPTOR : NO_SOCKET);
      this.#refuse(packet, -fd, nowMs);
      return null;
    }
    const lifeMs = dstPort === 53 || dstPort === 123 ? QUERY_MS : UNREPLIED_MS;
    const flow = this.#insert(packet, srcPort, dstPort, lifeMs, nowMs);
    flow.fd = fd;
    flow.endpoint = endpoint;
    this.#useEndpoint(endpoint, fd);
    flow.token = this.#sockets.watch(fd, flow);
    return flow;
  }

  #refuse(packet: Packet, errno: number, nowMs: number): void {
    const why = errorOf(errno);
    if (why !== null) this.#gateways.gatewayOf(packet.segment!.id)?.reject(packet, why, nowMs);
  }

  #useEndpoint(key: string, fd: number): void {
    const known = this.#endpoints.get(key);
    if (known !== undefined) known.flows++;
    else if (this.#endpoints.size < ENDPOINTS_MAX) {
      this.#endpoints.set(key, { localPort: this.#sockets.localPort(fd), flows: 1 });
    }
  }

  #insert(path: Path, guestPort: number, remotePort: number, lifeMs: number, nowMs: number): UdpFlow {
    const flow = this.#flows.insert(path, guestPort, remotePort, lifeMs, nowMs);
    flow.owner = null;
    flow.endpoint = '';
    flow.joinMax = this.#sockets.sendsRuns ? MAX_PAYLOAD : 0;
    flow.bulk = false;
    this.#counters.count(OPENED);
    return flow;
  }

  #newFlow(): UdpFlow {
    const flow = new UdpFlow();
    flow.onReadable = (nowMs) => this.#onReadable(flow, nowMs);
    flow.onError = (nowMs) => this.#onError(flow, nowMs);
    return flow;
  }

  /** A socket has one hop limit: what waits was sent with the one before. */
  #setHops(flow: UdpFlow, hopLimit: number, nowMs: number): void {
    const hops = hopLimit <= TRACE_HOPS ? hopLimit - 1 : 0;
    if (hops === flow.hops) return;
    this.#runs.end(flow, nowMs);
    flow.hops = hops;
    this.#sockets.setHopLimit(flow.fd, flow.family, hops === 0 ? -1 : hops);
  }

  /** One datagram (`size` 0) or a run: in as few calls as the kernel takes it. */
  #send(flow: UdpFlow, off: number, len: number, size: number, nowMs: number): void {
    if (size === 0) return this.#sendOne(flow, off, len, nowMs);
    const atOnce = size > flow.joinMax ? size : size * Math.min(MAX_RUN, Math.floor(MAX_PAYLOAD / size));
    for (let at = 0; at < len; at += atOnce) {
      const part = Math.min(atOnce, len - at);
      if (part <= size) this.#sendOne(flow, off + at, part, nowMs);
      else this.#sendRun(flow, off + at, part, size, nowMs);
    }
  }

  #sendRun(flow: UdpFlow, off: number, len: number, size: number, nowMs: number): void {
    let n = this.#trySend(flow, off, len, size);
    if (n < 0 && !isFull(n)) {
      this.#onError(flow, nowMs);
      n = this.#trySend(flow, off, len, size);
    }
    if (n >= 0) return;
    if (isFull(n)) return this.#counters.add(failureOf(flow), datagramsOf(len, size));
    if (n === EINVAL || n === EMSGSIZE) flow.joinMax = size - 1;
    else if (n === EIO) flow.joinMax = 0;
    // Each by itself: an error hits the datagram that causes it.
    for (let at = 0; at < len; at += size) this.#sendOne(flow, off + at, Math.min(size, len - at), nowMs);
  }

  #sendOne(flow: UdpFlow, off: number, len: number, nowMs: number): void {
    let n = this.#trySend(flow, off, len, 0);
    if (n < 0 && n !== EAGAIN) {
      // What came for an earlier datagram is reported at this one (man 7 ip): take it, then send.
      this.#onError(flow, nowMs);
      n = this.#trySend(flow, off, len, 0);
    }
    if (n >= 0) return;
    this.#counters.count(failureOf(flow));
    if (flow.owner === null) this.#refuseSent(flow, len, -n, nowMs);
  }

  #trySend(flow: UdpFlow, off: number, len: number, size: number): number {
    if (flow.owner !== null) return flow.owner.sendToClient(flow, off, len, size);
    return size === 0 ? this.#sockets.send(flow.fd, off, len) : this.#sockets.sendRun(flow.fd, off, len, size);
  }

  /** Tells the guest that the host refuses what it sent: the packet is gone, its header is written again. */
  #refuseSent(flow: UdpFlow, len: number, errno: number, nowMs: number): void {
    const gateway = this.#gateways.gatewayOf(flow.segment!.id);
    const why = errorOf(errno);
    if (why === null || gateway === null) return;
    const packet = this.#refused;
    packet.copyFrom(flow);
    packet.protocol = PROTO_UDP;
    packet.ip = gateway.icmp.quoteOffset(flow.family);
    const ports = (flow.guestPort << 16) | flow.remotePort;
    packet.ipLen = quote(this.#output, gateway.icmp, flow, PROTO_UDP, ports, (udp.HEADER_LEN + len) << 16);
    gateway.reject(packet, why, nowMs);
  }

  #onReadable(flow: UdpFlow, nowMs: number): void {
    const { off, len, segment } = this.#sockets.received;
    const to = this.payload(flow);
    for (let left = RECV_BUDGET; left > 0 && flow.fd >= 0;) {
      const max = flow.bulk ? 1 : RECV_AT_ONCE;
      const n = this.#sockets.receive(flow.fd, to, max);
      if (n < 0) {
        if (n !== EAGAIN) this.#onError(flow, nowMs);
        return;
      }
      if (flow.lifeMs === UNREPLIED_MS) flow.lifeMs = ASSURED_MS;
      for (let i = 0; i < n; i++) this.toGuest.add(flow, off[i]!, len[i]!, segment[i]!, nowMs);
      this.toGuest.end(nowMs);
      if (n < max) return; // no more waits; else epoll says so
      flow.bulk = len[n - 1]! > BULK_BYTES;
      left -= flow.bulk ? RECV_BUDGET / RECV_BULK : n;
    }
  }

  #onError(flow: UdpFlow, nowMs: number): void {
    const error = this.#error;
    for (let i = 0; i < ERROR_BUDGET && flow.fd >= 0 && this.#sockets.takeError(flow.fd, error); i++) {
      if (!error.icmp) continue; // the host's own refusals are answered when they happen
      const gateway = this.#gateways.gatewayOf(flow.segment!.id);
      if (gateway === null) continue;
      const ports = (flow.guestPort << 16) | flow.remotePort;
      sendQuoted(gateway, this.#output, flow, PROTO_UDP, ports, udp.HEADER_LEN << 16, error, nowMs);
    }
  }

  #onExpired(flow: UdpFlow): void {
    this.#counters.count(EXPIRED);
    this.#close(flow);
  }

  #close(flow: UdpFlow): void {
    this.#runs.end(flow, flow.lastMs);
    if (flow.fd >= 0) this.#sockets.close(flow.fd, flow.token);
    const endpoint = this.#endpoints.get(flow.endpoint);
    if (endpoint !== undefined && --endpoint.flows === 0) this.#endpoints.delete(flow.endpoint);
    this.#flows.delete(flow);
    flow.owner = null;
  }
}

const failureOf = (flow: UdpFlow): number => (flow.owner === null ? SEND_FAILED : FORWARD_SEND_FAILED);

const isFull = (result: number): boolean => result === EAGAIN || result === ENOBUFS;

const datagramsOf = (len: number, size: number): number => (size === 0 ? 1 : Math.ceil(len / size));
