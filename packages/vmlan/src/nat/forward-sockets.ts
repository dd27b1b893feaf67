/**
 * Host sockets that wait for clients of forwards; `engine` plugs system calls in.
 *
 * Zone: flow.  Results below zero are `-errno`.  A forward keeps its port bound for its whole life: while its guest is
 * away the socket is *muted*, and clients are refused by the kernel itself (a bound TCP socket that does not listen
 * answers RST; a UDP socket connected elsewhere answers port unreachable).
 */
import type { Received } from './datagrams.ts';

export interface ListenAddress {
  /** Mapped words; null: `path` is a unix socket. */
  readonly words: Int32Array | null;
  readonly port: number;
  readonly path: string | null;
}

/** The sender of a message, as `readClient` tells it. */
export interface Client {
  readonly words: Int32Array;
  port: number;
  scope: number;
}

export interface ForwardSockets {
  /** Bound, muted. */
  openTcp(address: ListenAddress): number;
  openUdp(address: ListenAddress): number;
  setMuted(fd: number, protocol: 'tcp' | 'udp', muted: boolean): number;
  /** `onReady` runs while the socket is not muted and there is something to accept or receive. */
  watch(fd: number, onReady: (nowMs: number) => void): void;
  /** A client, or `-errno`; out of descriptors, `onReady` does not run for a moment, and the clients wait. */
  accept(fd: number, nowMs: number): number;
  /** Takes at most `max` messages, the first to `to`; returns how many `received` now describes. */
  receive(fd: number, to: number, max: number): number;
  readonly received: Received;
  /** Who sent message `index` of `received`. */
  readClient(index: number, client: Client): void;
  /** One datagram (`size` 0), or a run of `size` bytes each: all of it leaves, or nothing. */
  sendTo(fd: number, off: number, len: number, size: number, words: Int32Array, port: number, scope: number): number;
  /** Closes a connection with RST that no flow has taken over. */
  reset(fd: number): void;
  close(fd: number): void;
}
