/**
 * The syscall table: everything the datapath asks of an operating system, and the only door to FFI.
 *
 * Zone: packet.  Memory is named by offsets into `arena`; a result below zero is `-errno`.  Structures follow the
 * Linux ABI (man 2 of each call).  `libc.ts` is the real table (koffi); `fake/` holds an in-memory kernel with the
 * same behaviour for tests, fuzzing and simulation.  Not thread safe: one table per thread.
 */
import type { Arena } from '../core/arena.ts';

export interface Sys {
  readonly arena: Arena;
  /** Milliseconds of CLOCK_MONOTONIC, fraction dropped. */
  monotonicMs(): number;
  /** Microseconds since some moment, for short intervals. */
  monotonicUs(): number;
  /** Milliseconds since 1970 (for leases, which outlive the process). */
  epochMs(): number;

  epollCreate(): number;
  /** `op` is EPOLL_CTL_*; `data` is any int32 and comes back from `eventData`. */
  epollCtl(epollFd: number, op: number, fd: number, events: number, data: number): number;
  /** Waits at most `timeoutMs` (-1: for ever) and returns how many events `eventMask`/`eventData` now describe. */
  epollWait(epollFd: number, maxEvents: number, timeoutMs: number): number;
  eventMask(index: number): number;
  eventData(index: number): number;
  eventfd(): number;

  read(fd: number, off: number, len: number): number;
  write(fd: number, off: number, len: number): number;
  /** `iovOff` is an array of struct iovec made with `setIovec`. */
  readv(fd: number, iovOff: number, count: number): number;
  writev(fd: number, iovOff: number, count: number): number;
  setIovec(iovOff: number, index: number, off: number, len: number): void;

  socket(domain: number, type: number, protocol: number): number;
  /** Connected pair; returns the first descriptor, the second is `pairSecond()`. */
  socketpair(domain: number, type: number): number;
  pairSecond(): number;
  bind(fd: number, addrOff: number, addrLen: number): number;
  connect(fd: number, addrOff: number, addrLen: number): number;
  listen(fd: number, backlog: number): number;
  /** Non-blocking, close-on-exec. Writes the peer at `addrOff` (128 bytes) unless it is 0; its length is `addrLen()`. */
  accept(fd: number, addrOff: number): number;
  getsockname(fd: number, addrOff: number): number;
  getpeername(fd: number, addrOff: number): number;
  /** Length of the address that the last accept, getsockname, getpeername, recvfrom wrote. */
  addrLen(): number;
  recv(fd: number, off: number, len: number, flags: number): number;
  send(fd: number, off: number, len: number, flags: number): number;
  recvfrom(fd: number, off: number, len: number, flags: number, addrOff: number): number;
  sendto(fd: number, off: number, len: number, flags: number, addrOff: number, addrLen: number): number;
  /** `msgOff` is a struct msghdr (56 bytes on 64-bit), filled with `setMsghdr`. */
  recvmsg(fd: number, msgOff: number, flags: number): number;
  /** Several messages: `vecOff` is an array of `count` struct mmsghdr (64 bytes each); returns how many came. */
  recvmmsg(fd: number, vecOff: number, count: number, flags: number): number;
  sendmsg(fd: number, msgOff: number, flags: number): number;
  setMsghdr(
    msgOff: number,
    nameOff: number,
    nameLen: number,
    iovOff: number,
    iovCount: number,
    controlOff: number,
    controlLen: number,
  ): void;
  setsockopt(fd: number, level: number, name: number, value: number): number;
  /** The option's int value, or `-errno`; not for options whose value may be negative (SO_PEEK_OFF). */
  getsockopt(fd: number, level: number, name: number): number;
  /** An option that is not an int: `len` bytes at `off`. */
  setsockoptBytes(fd: number, level: number, name: number, off: number, len: number): number;
  /** Writes at most `len` bytes of the option at `off`; returns how many, or `-errno`. */
  getsockoptBytes(fd: number, level: number, name: number, off: number, len: number): number;
  /** SO_LINGER with time 0: the next close sends RST. */
  setLingerZero(fd: number): number;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
  /** A second, close-on-exec descriptor of the same open file. */
  dup(fd: number): number;
  /** fcntl with an integer argument. */
  fcntl(fd: number, command: number, value: number): number;
  /** ioctl with a pointer (offset) argument, or a plain value when `argOff` is below zero: then `value` is passed. */
  ioctl(fd: number, request: number, argOff: number, value: number): number;
  open(path: string, flags: number): number;
}
