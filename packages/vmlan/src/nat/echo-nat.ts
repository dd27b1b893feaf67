/**
 * Ping from guests, by the host's unprivileged ICMP sockets (net.ipv4.ping_group_range; Linux net/ipv4/ping.c).
 *
 * Zone: flow.  One socket per (guest, identifier, target); the kernel replaces the identifier by its own, so the guest's
 * is put back in replies.  ICMP errors for an echo (traceroute -I) come by the error queue and are passed on.  Where the
 * host does not allow ping sockets, guests are told that echo is prohibited, and the control plane hears of it once.
 */
import { type Counters, counter } from '../core/counters.ts';
import { FlowTable, KEY_WORDS } from '../core/flow-table.ts';
import { TimerWheel } from '../core/timer-wheel.ts';
import { type IpOutput, pseudoToGuest } from '../stack/ip-output.ts';
import type { Packet } from '../stack/packet.ts';
import { type GuestPort, Path, fillKey } from '../stack/path.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { PROTO_ICMP, PROTO_ICMPV6 } from '../wire/ipv4.ts';
import type { DatagramSockets, SocketError } from './datagrams.ts';
import { newSocketError } from './datagrams.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { errorOf } from './icmp-errors.ts';
import { sendQuoted } from './icmp-relay.ts';
import { $target, PASS, PASS_LOCAL } from './policy.ts';

export const MAX_ECHO_FLOWS = 1_024;
export const MAX_ECHO_FLOWS_PER_PORT = 256;
const LIFE_MS = 30_000;
const HOP_LIMIT = 64;
const BUDGET = 32;
const MAX_MESSAGE = 65_507;
const TRACE_HOPS = 32;
const EAGAIN = -11;

const OPENED = counter('echo_flows_opened');
const REQUESTS = counter('echo_requests_from_guest');
const REPLIES = counter('echo_replies_to_guest');
const DROP_NOT_ALLOWED = counter('drop_echo_not_allowed');
const DROP_LIMIT = counter('drop_echo_limit');

class EchoFlow extends Path {
  id = -1;
  fd = -1;
  token = -1;
  guestId = 0;
  hops = 0;
  lastMs = 0;
  countedPort = -1;
  onReadable: (nowMs: number) => void = () => {};
  onError: (nowMs: number) => void = () => {};
}

export class EchoNat {
  readonly #output: IpOutput;
  readonly #sockets: DatagramSockets;
  readonly #gateways: GatewayLookup;
  readonly #counters: Counters;
  readonly #onForbidden: (() => void) | null;
  readonly #table: FlowTable;
  readonly #wheel: TimerWheel;
  readonly #flows: EchoFlow[] = [];
  readonly #key = new Int32Array(KEY_WORDS);
  readonly #portUse = new Map<number, number>();
  readonly #error: SocketError = newSocketError();
  #now: number;
  #told = false;
  readonly #fire = (id: number): void => this.#onTimer(this.#flows[id]!);

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
    this.#table = new FlowTable(MAX_ECHO_FLOWS, seed);
    this.#wheel = new TimerWheel(MAX_ECHO_FLOWS, nowMs);
    this.#now = nowMs;
  }

  get size(): number {
    return this.#table.size;
  }

  /** A checked echo request to somebody who is not the gateway. */
  onEcho(packet: Packet, nowMs: number): void {
    this.#now = nowMs;
    this.#counters.count(REQUESTS);
    if (this.#onForbidden !== null) return this.#forbid(packet, this.#onForbidden, nowMs);
    const { view: v } = this.#output;
    const guestId = icmpv4.echoId(v, packet.l4); // same place in both families
    fillKey(this.#key, packet, guestId, 0);
    const id = this.#table.find(this.#key);
    const flow = id >= 0 ? this.#flows[id]! : this.#open(packet, guestId, nowMs);
    if (flow === null) return;
    flow.port = packet.port;
    flow.macHi = packet.macHi;
    flow.macLo = packet.macLo;
    flow.lastMs = nowMs;
    this.#send(flow, packet, nowMs);
  }

  poll(nowMs: number): void {
    this.#now = nowMs;
    this.#wheel.poll(nowMs, this.#fire);
  }

  pollAt(): number {
    return this.#wheel.pollAt();
  }

  closePort(port: GuestPort): void {
    for (const flow of this.#flows) if (flow.id >= 0 && flow.port === port) this.#close(flow);
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
    const used = this.#portUse.get(packet.port!.id) ?? 0;
    const id = used >= MAX_ECHO_FLOWS_PER_PORT ? -1 : this.#table.insert(this.#key);
    if (id < 0) {
      this.#counters.count(DROP_LIMIT);
      return null;
    }
    const fd = this.#sockets.openEcho($target.w0, $target.w1, $target.w2, $target.w3);
    if (fd < 0) {
      this.#table.delete(id);
      this.#refuse(packet, -fd, nowMs);
      return null;
    }
    const flow = (this.#flows[id] ??= this.#newFlow());
    flow.copyFrom(packet);
    flow.id = id;
    flow.fd = fd;
    flow.guestId = guestId;
    flow.hops = 0;
    flow.token = this.#sockets.watch(fd, flow);
    this.#count(flow, packet.port!.id);
    this.#wheel.schedule(id, nowMs + LIFE_MS);
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
      v.setUint16(o + 4, flow.guestId);
      this.#counters.count(REPLIES);
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
      const second = (flow.guestId << 16) | sequence;
      sendQuoted(gateway, this.#output, flow, protocol, type << 24, second, error, nowMs);
    }
  }

  #onTimer(flow: EchoFlow): void {
    if (flow.id < 0) return;
    const dueMs = flow.lastMs + LIFE_MS;
    if (this.#now < dueMs) this.#wheel.schedule(flow.id, dueMs);
    else this.#close(flow);
  }

  #close(flow: EchoFlow): void {
    this.#wheel.cancel(flow.id);
    this.#sockets.close(flow.fd, flow.token);
    this.#uncount(flow);
    this.#table.delete(flow.id);
    flow.id = -1;
    flow.fd = -1;
  }

  #count(flow: EchoFlow, portId: number): void {
    flow.countedPort = portId;
    this.#portUse.set(portId, (this.#portUse.get(portId) ?? 0) + 1);
  }

  #uncount(flow: EchoFlow): void {
    const used = (this.#portUse.get(flow.countedPort) ?? 1) - 1;
    if (used > 0) this.#portUse.set(flow.countedPort, used);
    else this.#portUse.delete(flow.countedPort);
  }
}
