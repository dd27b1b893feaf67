/**
 * Sockets for load programs: blocking calls through the same syscall table as the engine, so that a generator costs
 * little more than one in C. A failure is an error that names the call: a load program has nothing to recover.
 *
 * Zone: control.
 */
import { parseIpv4 } from '../../packages/vmlan/src/wire/address.ts';
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import { openLibc } from '../../packages/vmlan/src/sys/libc.ts';
import { SockAddr } from '../../packages/vmlan/src/sys/sockaddr.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';

export const SO_RCVBUFFORCE = 33;
const SO_RCVTIMEO = 20;
const TIMEVAL_LEN = 16;
const ARENA_BYTES = 64 << 20; // pages that nobody touches cost nothing

export class CallError extends Error {
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: errno ${errno}`);
    this.errno = errno;
  }
}

/** The result of a call, unless it failed. */
export function ok(call: string, result: number): number {
  if (result < 0) throw new CallError(call, -result);
  return result;
}

export const openSys = (): Sys => openLibc({ arenaBytes: ARENA_BYTES });

/** Payload of every load; what is in it does not matter. */
export const SCRATCH_BYTES = 256 << 10;
const scratches = new WeakMap<Sys, number>();

/** The one buffer of this table that all loads use in turn: arenas only grow. */
export function scratch(sys: Sys): number {
  const buffer = scratches.get(sys) ?? sys.arena.alloc(SCRATCH_BYTES, 4096);
  scratches.set(sys, buffer);
  return buffer;
}

export function ipv4Of(text: string): number {
  const address = parseIpv4(text);
  if (address === null) throw new Error(`not an IPv4 address: ${text}`);
  return address;
}

export function tcpSocket(sys: Sys, flags = 0): number {
  const fd = ok('socket', sys.socket(C.AF_INET, C.SOCK_STREAM | C.SOCK_CLOEXEC | flags, 0));
  ok('TCP_NODELAY', sys.setsockopt(fd, C.IPPROTO_TCP, C.TCP_NODELAY, 1));
  return fd;
}

export function tcpConnect(sys: Sys, to: SockAddr): number {
  const fd = tcpSocket(sys);
  ok('connect', sys.connect(fd, to.off, to.len));
  return fd;
}

export function udpConnect(sys: Sys, to: SockAddr, bufferBytes: number): number {
  const fd = ok('socket', sys.socket(C.AF_INET, C.SOCK_DGRAM | C.SOCK_CLOEXEC, 0));
  ok('SO_RCVBUFFORCE', sys.setsockopt(fd, C.SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes));
  ok('connect', sys.connect(fd, to.off, to.len));
  return fd;
}

/** A listener (TCP) or a bound socket (UDP); non-blocking. */
export function bound(sys: Sys, type: number, address: string, port: number): number {
  const fd = ok('socket', sys.socket(C.AF_INET, type | C.SOCK_CLOEXEC | C.SOCK_NONBLOCK, 0));
  ok('SO_REUSEADDR', sys.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 1));
  const own = new SockAddr(sys.arena).setIpv4(ipv4Of(address), port);
  ok(`bind to port ${port}`, sys.bind(fd, own.off, own.len));
  if (type === C.SOCK_STREAM) ok('listen', sys.listen(fd, 4096));
  return fd;
}

/** Blocking receives give up after this. */
export function setReceiveTimeout(sys: Sys, fd: number, ms: number): void {
  const timeval = sys.arena.alloc(TIMEVAL_LEN, 8);
  sys.arena.u8.fill(0, timeval, timeval + TIMEVAL_LEN);
  sys.arena.view.setUint32(timeval, Math.floor(ms / 1000), true);
  sys.arena.view.setUint32(timeval + 8, (ms % 1000) * 1000, true);
  ok('SO_RCVTIMEO', sys.setsockoptBytes(fd, C.SOL_SOCKET, SO_RCVTIMEO, timeval, TIMEVAL_LEN));
}
