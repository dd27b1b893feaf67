/**
 * UDP between guests and host sockets.
 *
 * Zone: packet for datagrams, flow to open.  One connected socket per (guest endpoint, remote endpoint), so the kernel
 * filters by address and port and reports ICMP errors to the right flow (IP_RECVERR).  All sockets of one guest endpoint
 * are bound to the same host port where that is free: endpoint-independent mapping (RFC 4787 §4.1).  Flows end after a
 * time of silence that depends on what they are (RFC 4787 §4.3, RFC 8085 §3.5).
 *
 * A forward's flow has no socket of its own: it answers through its forward's socket (`FlowOwner`).
 */
import { type Counters, counter } from '../core/counters.ts';
import { FlowTable, KEY_WORDS } from '../core/flow-table.ts';
import { TimerWheel } from '../core/timer-wheel.ts';
import type { IpOutput } from '../stack/ip-output.ts';
import type { Packet } from '../stack/packet.ts';
import { type GuestPort, Path, fillKey } from '../stack/path.ts';
import { PROTO_UDP } from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import type { DatagramSockets, SocketError } from './datagrams.ts';
import { newSocketError } from './datagrams.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { errorOf } from './icmp-errors.ts';
import { sendQuoted } from './icmp-relay.ts';
import { $target, PASS, PASS_LOCAL, REFUSED } from './policy.ts';

export const MAX_UDP_FLOWS = 16_384;
export const MAX_UDP_FLOWS_PER_PORT = 8_192;
const ENDPOINTS_MAX = MAX_UDP_FLOWS;
/** Milliseconds of silence that end a flow. */
const QUERY_MS = 10_000; // DNS, NTP
const UNREPLIED_MS = 30_000;
const ASSURED_MS = 180_000;
const RECV_BUDGET = 64;
const ERROR_BUDGET = 16;
const MAX_PAYLOAD = 65_507;
/** Below this a guest is tracing a route: its hop limit is passed on; others leave with the host's own. */
const TRACE_HOPS = 32;
const EAGAIN = -11;

const OPENED = counter('udp_flows_opened');
const EXPIRED = counter('udp_flows_expired');
const FROM_GUEST = counter('udp_datagrams_from_guest');
const TO_GUEST = counter('udp_datagrams_to_guest');
const REFUSED_FULL = counter('drop_udp_flow_table_full');
const REFUSED_PORT = counter('drop_udp_guest_limit');
const SEND_FAILED = counter('drop_udp_send_failed');
const NO_SOCKET = counter('drop_udp_no_socket');

/** Who answers for flows that share a socket: a UDP forward. */
export interface FlowOwner {
  /** The guest's payload for the flow's client. */
  onReply(flow: UdpFlow, off: number, len: number): void;
}

export class UdpFlow extends Path {
  id = -1;
  fd = -1;
  token = -1;
  guestPort = 0;
  remotePort = 0;
  hops = 0;
  lastMs = 0;
  lifeMs = 0;
  /** Port id whose limit this flow counts against. */
  countedPort = -1;
  endpoint = '';
  owner: FlowOwner | null = null;
  /** A forward's client: mapped words, port, IPv6 scope. */
  readonly client: Int32Array = new Int32Array(4);
  clientPort = 0;
  clientScope = 0;
  onReadable: (nowMs: number) => void = () => {};
  onError: (nowMs: number) => void = () => {};
}

interface Endpoint {
  localPort: number;
  flows: number;
}

export class UdpNat {
  readonly #output: IpOutput;
  readonly #sockets: DatagramSockets;
  readonly #gateways: GatewayLookup;
  readonly #counters: Counters;
  readonly #table: FlowTable;
  readonly #wheel: TimerWheel;
  readonly #flows: UdpFlow[] = [];
  readonly #key = new Int32Array(KEY_WORDS);
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #portUse = new Map<number, number>();
  readonly #error: SocketError = newSocketError();
  #now: number;
  readonly #fire = (id: number): void => this.#onTimer(this.#flows[id]!);

  constructor(
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
    this.#table = new FlowTable(MAX_UDP_FLOWS, seed);
    this.#wheel = new TimerWheel(MAX_UDP_FLOWS, nowMs);
    this.#now = nowMs;
  }

  get size(): number {
    return this.#table.size;
  }

  /** A checked datagram from a guest, not for a service of the gateway. */
  onUdp(packet: Packet, nowMs: number): void {
    const { view: v } = this.#output;
    const srcPort = udp.srcPort(v, packet.l4);
    const dstPort = udp.dstPort(v, packet.l4);
    this.#now = nowMs;
    fillKey(this.#key, packet, srcPort, dstPort);
    const id = this.#table.find(this.#key);
    const flow = id >= 0 ? this.#flows[id]! : this.#open(packet, srcPort, dstPort, nowMs);
    if (flow === null) return;
    flow.port = packet.port;
    flow.macHi = packet.macHi;
    flow.macLo = packet.macLo;
    flow.lastMs = nowMs;
    this.#counters.count(FROM_GUEST);
    const data = packet.l4 + udp.HEADER_LEN;
    const len = udp.payloadLen(v, packet.l4);
    if (flow.owner !== null) flow.owner.onReply(flow, data, len);
    else this.#send(flow, packet, data, len, nowMs);
  }

  /** The flow of a forward's client, opened when it is new; null when a table is full. */
  openForward(path: Path, guestPort: number, remotePort: number, owner: FlowOwner, nowMs: number): UdpFlow | null {
    this.#now = nowMs;
    if (!this.#hasRoom(path)) return null;
    const flow = this.#insert(path, guestPort, remotePort, nowMs);
    flow.owner = owner;
    flow.lifeMs = ASSURED_MS;
    return flow;
  }

  isTaken(path: Path, guestPort: number, remotePort: number): boolean {
    fillKey(this.#key, path, guestPort, remotePort);
    return this.#table.find(this.#key) >= 0;
  }

  /** Payload of `len` bytes at `payload(flow)` for the guest. */
  sendToGuest(flow: UdpFlow, len: number, nowMs: number): void {
    flow.lastMs = nowMs;
    this.#counters.count(TO_GUEST);
    this.#output.sendUdp(flow, flow.remotePort, flow.guestPort, len);
  }

  payload(flow: Path): number {
    return this.#output.l4(flow.family) + udp.HEADER_LEN;
  }

  poll(nowMs: number): void {
    this.#now = nowMs;
    this.#wheel.poll(nowMs, this.#fire);
  }

  pollAt(): number {
    return this.#wheel.pollAt();
  }

  /** Ends the flows of a port that is gone, or (with `owner`) of a forward. */
  closeAll(port: GuestPort | null, owner: FlowOwner | null): void {
    for (const flow of this.#flows) {
      if (flow.id >= 0 && (port === null || flow.port === port) && (owner === null || flow.owner === owner)) {
        this.#close(flow);
      }
    }
  }

  /** A guest came back on another port: its flows follow. */
  movePort(from: GuestPort, to: GuestPort): void {
    for (const flow of this.#flows) {
      if (flow.id < 0 || flow.port !== from) continue;
      flow.port = to;
      this.#uncount(flow);
      this.#count(flow, to.id);
    }
  }

  #open(packet: Packet, srcPort: number, dstPort: number, nowMs: number): UdpFlow | null {
    if (!this.#hasRoom(packet)) return null; // before anything costs a system call
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
      this.#counters.count(NO_SOCKET);
      this.#refuse(packet, -fd, nowMs);
      return null;
    }
    const flow = this.#insert(packet, srcPort, dstPort, nowMs);
    flow.fd = fd;
    flow.endpoint = endpoint;
    flow.lifeMs = dstPort === 53 || dstPort === 123 ? QUERY_MS : UNREPLIED_MS;
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

  /** Whether the guest's share and the table take one more flow. */
  #hasRoom(path: Path): boolean {
    if ((this.#portUse.get(path.port?.id ?? -1) ?? 0) >= MAX_UDP_FLOWS_PER_PORT) {
      this.#counters.count(REFUSED_PORT);
      return false;
    }
    if (this.#table.size < MAX_UDP_FLOWS) return true;
    this.#counters.count(REFUSED_FULL);
    return false;
  }

  #insert(path: Path, guestPort: number, remotePort: number, nowMs: number): UdpFlow {
    fillKey(this.#key, path, guestPort, remotePort);
    const id = this.#table.insert(this.#key);
    const flow = (this.#flows[id] ??= this.#newFlow());
    flow.copyFrom(path);
    flow.id = id;
    flow.fd = -1;
    flow.token = -1;
    flow.guestPort = guestPort;
    flow.remotePort = remotePort;
    flow.hops = 0;
    flow.owner = null;
    flow.endpoint = '';
    flow.lastMs = nowMs;
    flow.lifeMs = UNREPLIED_MS;
    this.#count(flow, path.port?.id ?? -1);
    this.#wheel.schedule(id, nowMs + QUERY_MS);
    this.#counters.count(OPENED);
    return flow;
  }

  #newFlow(): UdpFlow {
    const flow = new UdpFlow();
    flow.onReadable = (nowMs) => this.#onReadable(flow, nowMs);
    flow.onError = (nowMs) => this.#onError(flow, nowMs);
    return flow;
  }

  #send(flow: UdpFlow, packet: Packet, off: number, len: number, nowMs: number): void {
    const hops = packet.hopLimit <= TRACE_HOPS ? packet.hopLimit - 1 : 0;
    if (hops !== flow.hops) {
      flow.hops = hops;
      this.#sockets.setHopLimit(flow.fd, flow.family, hops === 0 ? -1 : hops);
    }
    let n = this.#sockets.send(flow.fd, off, len);
    if (n < 0 && n !== EAGAIN) {
      // What came for an earlier datagram is reported at this one (man 7 ip): take it, then send.
      this.#onError(flow, nowMs);
      n = this.#sockets.send(flow.fd, off, len);
    }
    if (n >= 0) return;
    this.#counters.count(SEND_FAILED);
    this.#refuse(packet, -n, nowMs);
  }

  #onReadable(flow: UdpFlow, nowMs: number): void {
    const to = this.payload(flow);
    for (let i = 0; i < RECV_BUDGET && flow.fd >= 0; i++) {
      const n = this.#sockets.recv(flow.fd, to, MAX_PAYLOAD);
      if (n < 0) {
        if (n !== EAGAIN) this.#onError(flow, nowMs);
        return;
      }
      if (flow.lifeMs === UNREPLIED_MS) flow.lifeMs = ASSURED_MS;
      this.sendToGuest(flow, n, nowMs);
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

  #onTimer(flow: UdpFlow): void {
    if (flow.id < 0) return;
    const dueMs = flow.lastMs + flow.lifeMs;
    if (this.#now < dueMs) return this.#wheel.schedule(flow.id, dueMs);
    this.#counters.count(EXPIRED);
    this.#close(flow);
  }

  #close(flow: UdpFlow): void {
    this.#wheel.cancel(flow.id);
    if (flow.fd >= 0) this.#sockets.close(flow.fd, flow.token);
    const endpoint = this.#endpoints.get(flow.endpoint);
    if (endpoint !== undefined && --endpoint.flows === 0) this.#endpoints.delete(flow.endpoint);
    this.#uncount(flow);
    this.#table.delete(flow.id);
    flow.id = -1;
    flow.fd = -1;
    flow.owner = null;
  }

  #count(flow: UdpFlow, portId: number): void {
    flow.countedPort = portId;
    this.#portUse.set(portId, (this.#portUse.get(portId) ?? 0) + 1);
  }

  #uncount(flow: UdpFlow): void {
    const used = (this.#portUse.get(flow.countedPort) ?? 1) - 1;
    if (used > 0) this.#portUse.set(flow.countedPort, used);
    else this.#portUse.delete(flow.countedPort);
  }
}
