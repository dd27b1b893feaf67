/**
 * What this kernel lets this process do, found out by doing it once at start-up.
 *
 * Zone: control (`ipv6DefaultRoute`: flow, it is polled).  Each probe opens its own sockets on loopback, closes them
 * all, and leaves no trace; an answer "no" never fails the start, it picks another way and says so.
 */
import * as c from './constants.ts';
import { SockAddr } from './sockaddr.ts';
import type { Sys } from './sys.ts';

const LOOPBACK_V4 = 0x7f00_0001;
const DISCARD_PORT = 9; // RFC 863
const DELIVERY_MS = 500; // loopback delivers within microseconds; a loaded machine gets this long
const SAMPLE = '0123456789';
const ROOM = 64; // bytes, for each of the two buffers

interface Scratch {
  readonly addr: SockAddr;
  readonly sample: number;
  readonly buffer: number;
}

/** One piece of arena per table, however often probes run. */
const scratches = new WeakMap<Sys, Scratch>();

function scratchOf(sys: Sys): Scratch {
  let scratch = scratches.get(sys);
  if (scratch === undefined) {
    scratch = { addr: new SockAddr(sys.arena), sample: sys.arena.alloc(ROOM), buffer: sys.arena.alloc(ROOM) };
    sys.arena.u8.set(new TextEncoder().encode(SAMPLE), scratch.sample);
    scratches.set(sys, scratch);
  }
  return scratch;
}

/**
 * Whether TCP sockets keep a peek offset (SO_PEEK_OFF, Linux 6.9): peeks advance it, MSG_TRUNC discards without a
 * buffer and moves it back, setting it rewinds.  IPv6 is asked too unless the host has none.
 */
export function peekOffsetWorks(sys: Sys): boolean {
  return peekOffsetWorksOn(sys, c.AF_INET) === true && peekOffsetWorksOn(sys, c.AF_INET6) !== false;
}

function peekOffsetWorksOn(sys: Sys, family: number): boolean | 'no such family' {
  const fds: number[] = [];
  try {
    const pair = connectedPair(sys, family, fds);
    return typeof pair === 'string' ? pair : pair !== undefined && peekOffsetHolds(sys, pair[0], pair[1]);
  } finally {
    for (const fd of fds) sys.close(fd);
  }
}

/** A TCP connection over loopback, its two ends and the listener pushed to `fds`; undefined when it does not come up. */
function connectedPair(sys: Sys, family: number, fds: number[]): [number, number] | 'no such family' | undefined {
  const { addr } = scratchOf(sys);
  setLoopback(addr, family, 0);
  const listener = opened(sys.socket(family, c.SOCK_STREAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0), fds);
  if (listener < 0 || sys.bind(listener, addr.off, addr.len) < 0) return 'no such family';
  if (sys.listen(listener, 1) < 0 || sys.getsockname(listener, addr.off) < 0) return undefined;
  const client = opened(sys.socket(family, c.SOCK_STREAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0), fds);
  const result = sys.connect(client, addr.off, addr.len);
  if (result < 0 && result !== -c.EINPROGRESS) return undefined;
  if (!becomesReadable(sys, listener)) return undefined;
  const server = opened(sys.accept(listener, 0), fds);
  return server < 0 ? undefined : [client, server];
}

function peekOffsetHolds(sys: Sys, client: number, server: number): boolean {
  const { sample } = scratchOf(sys);
  return (
    sys.setsockopt(server, c.SOL_SOCKET, c.SO_PEEK_OFF, 0) === 0 &&
    sys.send(client, sample, SAMPLE.length, 0) === SAMPLE.length &&
    becomesReadable(sys, server) &&
    peeks(sys, server, 4, '0123') &&
    peeks(sys, server, 4, '4567') &&
    sys.recv(server, 0, 3, c.MSG_TRUNC) === 3 &&
    peeks(sys, server, 4, '89') &&
    sys.recv(server, scratchOf(sys).buffer, 1, c.MSG_PEEK) === -c.EAGAIN &&
    sys.setsockopt(server, c.SOL_SOCKET, c.SO_PEEK_OFF, 1) === 0 &&
    peeks(sys, server, 3, '456')
  );
}

function peeks(sys: Sys, fd: number, len: number, want: string): boolean {
  const { buffer } = scratchOf(sys);
  if (sys.recv(fd, buffer, len, c.MSG_PEEK) !== want.length) return false;
  return new TextDecoder().decode(sys.arena.u8.subarray(buffer, buffer + want.length)) === want;
}

/** True, or why guests cannot ping the outside and what to do about it. */
export function pingSocketWorks(sys: Sys): true | string {
  const fd = sys.socket(c.AF_INET, c.SOCK_DGRAM | c.SOCK_CLOEXEC, c.IPPROTO_ICMP);
  if (fd >= 0) {
    sys.close(fd);
    return true;
  }
  if (fd === -c.EACCES) {
    return (
      'guests cannot ping outward: net.ipv4.ping_group_range does not include the group of this process; ' +
      'to allow it: sysctl -w net.ipv4.ping_group_range="0 2147483647"'
    );
  }
  return `guests cannot ping outward: the system refuses ping sockets (errno ${-fd})`;
}

/** Whether one send can carry many datagrams (UDP_SEGMENT, Linux 4.18), tried with two over loopback. */
export function udpGsoWorks(sys: Sys): boolean {
  const { addr, sample, buffer } = scratchOf(sys);
  const half = SAMPLE.length / 2;
  const fds: number[] = [];
  try {
    setLoopback(addr, c.AF_INET, 0);
    const fd = opened(sys.socket(c.AF_INET, c.SOCK_DGRAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0), fds);
    return (
      sys.bind(fd, addr.off, addr.len) === 0 &&
      sys.getsockname(fd, addr.off) === 0 &&
      sys.connect(fd, addr.off, addr.len) === 0 &&
      sys.setsockopt(fd, c.SOL_UDP, c.UDP_SEGMENT, half) === 0 &&
      sys.send(fd, sample, SAMPLE.length, 0) === SAMPLE.length &&
      becomesReadable(sys, fd) &&
      sys.recv(fd, buffer, ROOM, 0) === half &&
      sys.recv(fd, buffer, ROOM, 0) === half
    );
  } finally {
    for (const fd of fds) sys.close(fd);
  }
}

/**
 * Whether the host has a way out over IPv6: a UDP socket can be connected to a global unicast address (RFC 4291 §2.4)
 * from an address of more than link scope.  Sends nothing; four system calls, cheap enough to ask every two seconds.
 */
export function ipv6DefaultRoute(sys: Sys): boolean {
  const { addr } = scratchOf(sys);
  const fd = sys.socket(c.AF_INET6, c.SOCK_DGRAM | c.SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  addr.setIpv6(0x2000_0000, 0, 0, 1, DISCARD_PORT);
  const routed = sys.connect(fd, addr.off, addr.len) === 0 && sys.getsockname(fd, addr.off) === 0;
  sys.close(fd);
  // fe80::/10: a router was heard but no address was given; nothing beyond the link would answer.
  return routed && addr.word(0) >>> 22 !== 0xfe80 >>> 6;
}

function setLoopback(addr: SockAddr, family: number, port: number): void {
  if (family === c.AF_INET6) addr.setIpv6(0, 0, 0, 1, port);
  else addr.setIpv4(LOOPBACK_V4, port);
}

function opened(fd: number, fds: number[]): number {
  if (fd >= 0) fds.push(fd);
  return fd;
}

function becomesReadable(sys: Sys, fd: number): boolean {
  const epoll = sys.epollCreate();
  if (epoll < 0) return false;
  const ready = sys.epollCtl(epoll, c.EPOLL_CTL_ADD, fd, c.EPOLLIN, 0) === 0 && sys.epollWait(epoll, 1, DELIVERY_MS);
  sys.close(epoll);
  return ready === 1;
}
