/**
 * Host sockets for datagrams as nat needs them; `engine` plugs system calls in.
 *
 * Zone: packet for send and receive, flow for the rest.  Results below zero are `-errno`.  Addresses are mapped words.
 */

import type { Flushable } from '../core/poller.ts';

/** One entry of a socket's error queue: an ICMP error that came for something the guest sent. */
export interface SocketError {
  errno: number;
  /** True when it came in an ICMP message, with `type` and `code`; else the host itself refused. */
  icmp: boolean;
  type: number;
  code: number;
  /** Next-hop MTU of "fragmentation needed" and "packet too big". */
  info: number;
  /** Who sent the ICMP message, mapped words; all zero when unknown. */
  readonly offender: Int32Array;
  /** Start of what the guest had sent, as the kernel gives it back. */
  payload: number;
  payloadLen: number;
}

/** Hears about one socket. */
export interface DatagramListener {
  onReadable(nowMs: number): void;
  /** The error queue has something, or the socket an error. */
  onError(nowMs: number): void;
}

/** Datagrams that one call sends at most: UDP_MAX_SEGMENTS before Linux 6.9. */
export const MAX_RUN = 64;
/** Bytes of all of them, what fits one IPv4 packet. */
export const MAX_PAYLOAD = 65_507;

/** Messages of the last `receive`: each is one datagram, or a run of datagrams of `segment` bytes (0: one). */
export interface Received {
  readonly off: Int32Array;
  readonly len: Int32Array;
  readonly segment: Int32Array;
}

export interface DatagramSockets {
  /** UDP socket connected to the target; `localPort` 0: any. */
  openUdp(w0: number, w1: number, w2: number, w3: number, port: number, localPort: number): number;
  /** Unprivileged ICMP echo socket connected to the target. */
  openEcho(w0: number, w1: number, w2: number, w3: number): number;
  localPort(fd: number): number;
  watch(fd: number, listener: DatagramListener): number;
  setHopLimit(fd: number, family: number, hops: number): void;
  send(fd: number, off: number, len: number): number;
  /** Datagrams of `size` bytes, the last may be shorter, MAX_RUN of them at most; `-errno`: none of them left. */
  sendRun(fd: number, off: number, len: number, size: number): number;
  recv(fd: number, off: number, len: number): number;
  /** Takes at most `max` messages, the first to `to`; returns how many `received` now describes. */
  receive(fd: number, to: number, max: number): number;
  readonly received: Received;
  /** Whether `sendRun` works on this host. */
  readonly sendsRuns: boolean;
  flushLater(target: Flushable): void;
  /** Takes one entry of the error queue into `error`; false when it is empty. */
  takeError(fd: number, error: SocketError): boolean;
  /** Forgets the watch and closes. */
  close(fd: number, token: number): void;
}

export function newSocketError(): SocketError {
  return {
    errno: 0,
    icmp: false,
    type: 0,
    code: 0,
    info: 0,
    offender: new Int32Array(4),
    payload: 0,
    payloadLen: 0,
  };
}
