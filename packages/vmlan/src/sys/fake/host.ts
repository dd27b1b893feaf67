/**
 * A scripted host: which ports it listens on, how it behaves there, how far it is.
 *
 * Zone: control.  For tests: `network.host('198.51.100.7').listenTcp(80, echo())`.
 */
import { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH } from '../constants.ts';
import { type Endpoint, type Ip, parseIp } from './address.ts';
import type { Network, TcpRoute } from './network.ts';
import { ScriptedListener, type StreamService } from './scripted-stream.ts';
import type { TcpSocket } from './tcp-socket.ts';

/** `silent` drops everything; the errors come from the last router before the host. */
export type Reach = 'up' | 'silent' | 'host-unreachable' | 'net-unreachable' | 'prohibited';
export type ClosedPort = 'refuse' | 'silent';

/** A datagram as a scripted service gets it. */
export interface ScriptedDatagram {
  readonly payload: Uint8Array;
  readonly from: Endpoint;
  /** Answers from the port it came to. */
  reply(payload: Uint8Array): void;
  /** Answers from another port of the same host. */
  replyFrom(port: number, payload: Uint8Array): void;
}

export type DatagramService = (datagram: ScriptedDatagram) => void;

const ERRNO: Readonly<Record<Reach, number>> = {
  up: ECONNREFUSED,
  silent: 0,
  'host-unreachable': EHOSTUNREACH,
  'net-unreachable': ENETUNREACH,
  prohibited: EHOSTUNREACH,
};

export class FakeHost {
  readonly ip: Ip;
  /** One way, in milliseconds; 0 makes everything happen inside the calls. */
  delayMs: number;
  reach: Reach = 'up';
  /** What a SYN to a port without a listener meets. */
  closedPorts: ClosedPort = 'refuse';
  answersPing = true;
  /** Smallest MTU on the path, bytes. */
  mtu = 65_535;
  /** What this host's kernel has learnt of it. */
  knownMtu = 65_535;
  hops: Ip[] = [];
  datagrams = 0;
  readonly #network: Network;
  readonly #tcp = new Map<number, ScriptedListener>();
  readonly #udp = new Map<number, DatagramService>();

  constructor(network: Network, ip: Ip, delayMs: number) {
    this.#network = network;
    this.ip = ip;
    this.delayMs = delayMs;
  }

  /** The routers on the way, nearest first. */
  behind(...routers: string[]): this {
    this.hops = routers.map(parseIp);
    return this;
  }

  listenTcp(port: number, service: StreamService, backlog = 128): ScriptedListener {
    const listener = new ScriptedListener(this.#network, { ip: this.ip, port }, service, backlog);
    this.#tcp.set(port, listener);
    return listener;
  }

  closeTcp(port: number): void {
    this.#tcp.get(port)?.close();
    this.#tcp.delete(port);
  }

  listenUdp(port: number, service: DatagramService): this {
    this.#udp.set(port, service);
    return this;
  }

  closeUdp(port: number): void {
    this.#udp.delete(port);
  }

  tcpListener(port: number): TcpSocket | undefined {
    return this.#tcp.get(port)?.socket;
  }

  udpService(port: number): DatagramService | undefined {
    return this.#udp.get(port);
  }

  routeTcp(port: number): TcpRoute {
    const listener = this.reach === 'up' ? this.tcpListener(port) : undefined;
    const isSilent = listener !== undefined || (this.reach === 'up' && this.closedPorts === 'silent');
    return { delayMs: this.delayMs, listener, errno: isSilent ? 0 : ERRNO[this.reach] };
  }

  /** False when nobody listens there. */
  receiveUdp(from: Endpoint, port: number, payload: Uint8Array): boolean {
    const service = this.#udp.get(port);
    if (service === undefined) return false;
    this.datagrams++;
    const replyFrom = (source: number, bytes: Uint8Array): void => this.sendUdp(source, from, bytes);
    service({ payload, from, reply: (bytes) => replyFrom(port, bytes), replyFrom });
    return true;
  }

  /** Sends a datagram of its own accord. */
  sendUdp(fromPort: number, to: Endpoint, payload: Uint8Array): void {
    const from = { ip: this.ip, port: fromPort };
    this.#network.timeline.after(this.delayMs, () => this.#network.deliverUdp(from, to, payload));
  }
}
