/**
 * The host's side of a TCP conversation, as the translator needs it; `engine` plugs system calls in.
 *
 * Zone: packet.  Results below zero are `-errno`.  Unacknowledged data towards the guest stays in the host's kernel:
 * `peek` reads on from the peek offset without consuming, `discard` consumes what the guest has acknowledged.
 */
import type { TcpFlow } from './flow.ts';

export interface HostStreams {
  /** Bytes the kernel took, or `-errno`. */
  send(fd: number, off: number, len: number): number;
  /** Bytes read at the peek offset, which moves on; 0 at the end of the stream. */
  peek(fd: number, off: number, len: number): number;
  /** The same for `count` pieces of `len` bytes that lie `stride` apart, filled one after the other. */
  peekRun(fd: number, off: number, len: number, stride: number, count: number): number;
  /** Peeking costs the same however much was peeked before. */
  readonly peeksFar: boolean;
  /** The next peek starts `n` bytes behind the first unconsumed byte. */
  setPeekOffset(fd: number, n: number): void;
  /** Consumes `n` bytes that were peeked; the peek offset stays at the same byte. */
  discard(fd: number, n: number): void;
  shutdownWrite(fd: number): void;
  /** Pending error of the socket (SO_ERROR), positive errno, 0 for none. */
  error(fd: number): number;
  /** Closes the flow's socket; `reset` sends RST to the peer. Also stops watching it. */
  close(flow: TcpFlow, reset: boolean): void;
}

/** Chooses and opens the host's side for a guest's SYN. */
export interface TcpOpener {
  /**
   * Starts to connect to where the flow's remote address leads and watches the socket: sets `flow.fd` and returns 0, or
   * returns `-errno` (ECONNREFUSED: answer RST; ENETUNREACH, EHOSTUNREACH, EACCES: ICMP; anything else: stay silent).
   */
  open(flow: TcpFlow, nowMs: number): number;
}

/** How the translator resolves a guest's MAC and says ICMP for a flow's segment. */
export interface TcpErrors {
  /** Sends the ICMP unreachable that stands for `errno` about the flow's SYN. */
  unreachable(flow: TcpFlow, errno: number, nowMs: number): void;
}
