/**
 * Does a guest answer at a port?  The gateway tries it, as a client of a forward would.
 *
 * Zone: flow.  TCP: a conversation is opened and ended in order, without a byte.  UDP has no such thing: an empty datagram
 * is sent; an answer says open, port unreachable says closed, and silence of a guest that is there says nothing.
 */
import type { Neighbor } from '../stack/neighbor.ts';
import type { Packet } from '../stack/packet.ts';
import type { Path } from '../stack/path.ts';
import { CLOSED, ESTABLISHED, RESOLVING, TIME_WAIT, type TcpFlow } from '../stack/tcp/flow.ts';
import type { TcpTranslator } from '../stack/tcp/translator.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as udp from '../wire/udp.ts';
import { type GuestTarget, aim, freePort, pathTo } from './guest-path.ts';
import type { FlowOwner, UdpFlow } from './udp-flow.ts';
import type { UdpNat } from './udp-nat.ts';

/** Of a network at one time. */
export const MAX_PROBES = 64;
export const TCP_PATIENCE_MS = 1_000;
export const UDP_PATIENCE_MS = 500;

/** `silent`: nothing came back; `absent`: nobody has the address. */
export type ProbeState = 'open' | 'closed' | 'silent' | 'absent';

/** The host's end of a conversation that nobody has at the other end. */
export interface ProbeSockets {
  /** A connected pair: the first is returned, `second` the other; below zero: `-errno`. */
  openPair(): number;
  second(): number;
  close(fd: number): void;
  /** The first becomes the flow's. */
  adopt(flow: TcpFlow, fd: number): void;
}

interface Probe {
  readonly onDone: (state: ProbeState) => void;
  readonly dueMs: number;
  /** What is known by now; null: nothing yet. */
  look(): ProbeState | null;
  /** At `dueMs`, when nothing is known. */
  readonly late: () => ProbeState;
  end(): void;
}

interface ProbesParts {
  readonly tcp: TcpTranslator;
  readonly udp: UdpNat;
  readonly sockets: ProbeSockets;
  readonly view: DataView;
}

class UdpProbe implements Probe, FlowOwner {
  readonly id: string = '';
  readonly onDone: (state: ProbeState) => void;
  readonly dueMs: number;
  readonly #udp: UdpNat;
  flow: UdpFlow | null = null;
  state: ProbeState | null = null;

  constructor(udp: UdpNat, dueMs: number, onDone: (state: ProbeState) => void) {
    this.#udp = udp;
    this.dueMs = dueMs;
    this.onDone = onDone;
  }

  sendToClient(): number {
    this.state = 'open';
    return 0;
  }

  look(): ProbeState | null {
    return this.state;
  }

  late = (): ProbeState => (this.flow === null ? 'absent' : 'silent');

  end(): void {
    this.#udp.closeAll(null, this);
  }
}

export class Probes {
  readonly #parts: ProbesParts;
  readonly #running: Probe[] = [];

  constructor(parts: ProbesParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#running.length;
  }

  /** Tries TCP; `onDone` is called later, once. */
  tcp(target: GuestTarget, port: number, nowMs: number, onDone: (state: ProbeState) => void): void {
    const { tcp, sockets } = this.#parts;
    const path = pathTo(target);
    const remotePort = freePort((one) => tcp.isTaken(path, port, one));
    const fd = sockets.openPair();
    const flow = fd < 0 || remotePort < 0 ? null : tcp.openToGuest(path, port, remotePort, nowMs);
    if (flow === null) {
      if (fd >= 0) for (const each of [fd, sockets.second()]) sockets.close(each);
      return onDone('silent');
    }
    const second = sockets.second();
    sockets.adopt(flow, fd);
    const isOurs = (): boolean => flow.fd === fd && flow.remotePort === remotePort;
    let isResolved = path.port !== null;
    const look = (): ProbeState | null => {
      // Ended: another may have the record by now.
      if (flow.state === CLOSED || (!isOurs() && flow.state !== TIME_WAIT)) return isResolved ? 'closed' : 'absent';
      return flow.state === ESTABLISHED || flow.state === TIME_WAIT ? 'open' : null;
    };
    this.#running.push({
      onDone,
      dueMs: nowMs + TCP_PATIENCE_MS,
      look,
      late: () => {
        if (isOurs()) tcp.abort(flow);
        return isResolved ? 'silent' : 'absent';
      },
      end: () => sockets.close(second), // an open conversation ends as its client's would
    });
    if (isResolved) return tcp.onResolved(flow, nowMs);
    this.#resolve(target, nowMs, (neighbor, at) => {
      if (!isOurs() || flow.state !== RESOLVING) return;
      if (neighbor === null) return tcp.abort(flow);
      isResolved = true;
      aim(flow, neighbor);
      tcp.onResolved(flow, at);
    });
  }

  /** Tries UDP; `onDone` is called later, once. */
  udp(target: GuestTarget, port: number, nowMs: number, onDone: (state: ProbeState) => void): void {
    const { udp } = this.#parts;
    const path = pathTo(target);
    const probe = new UdpProbe(udp, nowMs + UDP_PATIENCE_MS, onDone);
    this.#running.push(probe);
    const send = (at: number): void => {
      const remotePort = freePort((one) => udp.isTaken(path, port, one));
      probe.flow = remotePort < 0 ? null : udp.openForward(path, port, remotePort, probe, at);
      if (probe.flow !== null) udp.sendToGuest(probe.flow, 0, 0, at);
    };
    if (path.port !== null) return send(nowMs);
    this.#resolve(target, nowMs, (neighbor, at) => {
      if (neighbor === null || !this.#running.includes(probe)) return;
      aim(path, neighbor);
      send(at);
    });
  }

  /** A guest says that a datagram for its port was in vain. The quoted packet is the guest's word. */
  onUnreachable(packet: Packet): void {
    if (this.#running.length === 0) return;
    const { view: v } = this.#parts;
    const quoted = packet.l4 + icmpv4.HEADER_LEN; // the same in both families
    const l4 = quotedUdp(v, quoted, packet.l4Len - icmpv4.HEADER_LEN, packet.family);
    if (l4 < 0) return;
    for (const probe of this.#running) {
      if (!(probe instanceof UdpProbe) || probe.flow === null || !isOf(probe.flow, packet)) continue;
      if (udp.srcPort(v, l4) !== probe.flow.remotePort || udp.dstPort(v, l4) !== probe.flow.guestPort) continue;
      probe.state = 'closed';
    }
  }

  poll(nowMs: number): void {
    for (let i = this.#running.length - 1; i >= 0; i--) {
      const probe = this.#running[i]!;
      const state = probe.look() ?? (nowMs >= probe.dueMs ? probe.late() : null);
      if (state === null) continue;
      this.#running.splice(i, 1);
      probe.end();
      probe.onDone(state);
    }
  }

  pollAt(): number {
    if (this.#running.length === 0) return Infinity;
    let at = Infinity;
    for (const probe of this.#running) at = Math.min(at, probe.dueMs);
    return at;
  }

  #resolve(target: GuestTarget, nowMs: number, then: (neighbor: Neighbor | null, atMs: number) => void): void {
    target.gateway.neighbors.resolve(target.words, nowMs, then);
  }
}

const isOf = (flow: Path, packet: Path): boolean =>
  flow.segment === packet.segment &&
  flow.guest0 === packet.guest0 &&
  flow.guest1 === packet.guest1 &&
  flow.guest2 === packet.guest2 &&
  flow.guest3 === packet.guest3;

/** Where the UDP header of a quoted packet lies, or -1. */
function quotedUdp(v: DataView, ip: number, len: number, family: number): number {
  if (family === 4) {
    if (ipv4.checkQuoted(v, ip, len) !== 0 || ipv4.protocol(v, ip) !== ipv4.PROTO_UDP) return -1;
    const l4 = ipv4.payload(v, ip);
    return l4 + udp.HEADER_LEN <= ip + len ? l4 : -1;
  }
  if (ipv6.checkQuoted(v, ip, len) !== 0 || ipv6.nextHeader(v, ip) !== ipv4.PROTO_UDP) return -1;
  return ipv6.HEADER_LEN + udp.HEADER_LEN <= len ? ip + ipv6.HEADER_LEN : -1;
}
