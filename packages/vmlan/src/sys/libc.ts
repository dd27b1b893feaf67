/**
 * The real syscall table: libc through koffi.
 *
 * Zone: packet (opening it: control).  Pointers are declared uint64 and passed as numbers: offset 0 becomes NULL, any
 * other offset gets the arena's base added.  Every call is bound by its own signature, so that nothing is allocated
 * per call; a call costs about 110 ns over C.  Structures are the 64-bit little-endian Linux ones.
 * Descriptors made here are unknown to Node: never hand the same one to both.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { Arena } from '../core/arena.ts';
import { VmlanError } from '../core/errors.ts';
import {
  EINTR,
  EMFILE,
  ENAMETOOLONG,
  F_DUPFD_CLOEXEC,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  SO_LINGER,
} from './constants.ts';
import { mapLowMemory, shareWithWasm, unmapLowMemory } from './low-memory.ts';
import { ROOM } from './sockaddr.ts';
import type { Sys } from './sys.ts';

/** Most events one epollWait returns. */
export const EPOLL_EVENTS_MAX = 1024;
const PATH_ROOM = 4096; // bytes, PATH_MAX
const EPOLL_CLOEXEC = 0x80000;
const EFD_CLOEXEC_NONBLOCK = 0x80800;
// struct epoll_event is packed on x86-64 alone (man 2 epoll_ctl).
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16; // bytes
const EVENT_DATA = EVENT_SIZE - 8;
const IOVEC_SIZE = 16; // bytes
const TWO_TO_32 = 2 ** 32;
const ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64'];

type Call0 = () => number;
type Call1 = (a: number) => number;
type Call2 = (a: number, b: number) => number;
type Call3 = (a: number, b: number, c: number) => number;
type Call4 = (a: number, b: number, c: number, d: number) => number;
type Call5 = (a: number, b: number, c: number, d: number, e: number) => number;
type Call6 = (a: number, b: number, c: number, d: number, e: number, f: number) => number;

export interface LibcOptions {
  readonly arenaBytes: number;
  /** Sockets get no descriptor from this number on: the lowest free one is given (POSIX), the rest is for others. */
  readonly socketsBelow?: number;
}

/** Opens the table with an arena of its own. Throws VmlanError `unsupported` where there is no Linux or no koffi. */
export function openLibc(options: LibcOptions): Sys {
  if (process.platform !== 'linux' || !ARCHITECTURES.includes(process.arch)) {
    throw new VmlanError('unsupported', `the userspace engine does not run on ${process.platform}/${process.arch}`, {
      hint: 'use 64-bit little-endian Linux',
    });
  }
  return new Libc(loadKoffi(), options);
}

/**
 * Gives the arena back to the system: the last thing that a thread does with its table. Touching the arena afterwards
 * ends the process.
 */
export function releaseArena({ arena }: Sys): void {
  unmapLowMemory(loadKoffi(), arena.base, arena.buffer.byteLength);
}

/** Milliseconds from `performance.now()` to CLOCK_MONOTONIC: of some readings the one that the least came between. */
function monotonicOffset(): number {
  let offset = 0;
  let shortest = Infinity;
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    const monotonic = Number(process.hrtime.bigint()) / 1e6;
    const spent = performance.now() - before;
    if (spent >= shortest) continue;
    shortest = spent;
    offset = monotonic - before;
  }
  return offset;
}

function loadKoffi(): typeof Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as typeof Koffi;
  } catch (cause) {
    throw new VmlanError('unsupported', 'the userspace engine needs the package koffi, which cannot be loaded here', {
      hint: 'install it with its native part: npm install koffi',
      cause,
    });
  }
}

class Libc implements Sys {
  readonly arena: Arena;
  readonly #base: number;
  readonly #socketsBelow: number;
  readonly #view: DataView;
  readonly #monotonicOffset: number; // ms from this thread's performance.now() to CLOCK_MONOTONIC
  readonly #events: number; // offset of EPOLL_EVENTS_MAX events
  readonly #control: number; // offset of the event that epoll_ctl reads
  readonly #int: number; // offset of an int, or of a struct linger
  readonly #len: number; // offset of a socklen_t
  readonly #path: number; // offset of PATH_ROOM bytes

  readonly #errno: Call0;
  readonly #epollCreate1: Call1;
  readonly #epollCtl: Call4;
  readonly #epollWait: Call4;
  readonly #eventfd: Call2;
  readonly #read: Call3;
  readonly #write: Call3;
  readonly #readv: Call3;
  readonly #writev: Call3;
  readonly #socket: Call3;
  readonly #socketpair: Call4;
  readonly #bind: Call3;
  readonly #connect: Call3;
  readonly #listen: Call2;
  readonly #accept4: Call4;
  readonly #getsockname: Call3;
  readonly #getpeername: Call3;
  readonly #recv: Call4;
  readonly #send: Call4;
  readonly #recvfrom: Call6;
  readonly #sendto: Call6;
  readonly #recvmsg: Call3;
  readonly #recvmmsg: Call5;
  readonly #sendmsg: Call3;
  readonly #setsockopt: Call5;
  readonly #getsockopt: Call5;
  readonly #shutdown: Call2;
  readonly #close: Call1;
  readonly #fcntl: Call3;
  readonly #ioctl: Call3;
  readonly #open: Call2;

  constructor(koffi: typeof Koffi, { arenaBytes, socketsBelow = Infinity }: LibcOptions) {
    this.#socketsBelow = socketsBelow;
    const memory = mapLowMemory(koffi, arenaBytes);
    this.arena = new Arena(memory.buffer, memory.base, shareWithWasm(koffi, memory));
    this.#base = memory.base;
    this.#view = this.arena.view;
    this.#monotonicOffset = monotonicOffset();
    this.#events = this.arena.alloc(EPOLL_EVENTS_MAX * EVENT_SIZE);
    this.#control = this.arena.alloc(EVENT_SIZE, 16);
    this.#int = this.arena.alloc(8, 8);
    this.#len = this.arena.alloc(8, 8);
    this.#path = this.arena.alloc(PATH_ROOM);

    // null: the symbols of the process itself, be its libc glibc or musl.
    const libc = koffi.load(null);
    // i: int (also for ssize_t: no length here reaches 2^31), p: address, size or unsigned long.
    const bind = (name: string, args: string): ((...values: number[]) => number) =>
      libc.func(
        name,
        'int',
        Array.from(args, (letter) => (letter === 'i' ? 'int' : 'uint64')),
      );
    this.#errno = koffi.errno;
    this.#epollCreate1 = bind('epoll_create1', 'i');
    this.#epollCtl = bind('epoll_ctl', 'iiip');
    this.#epollWait = bind('epoll_wait', 'ipii');
    this.#eventfd = bind('eventfd', 'ii');
    this.#read = bind('read', 'ipp');
    this.#write = bind('write', 'ipp');
    this.#readv = bind('readv', 'ipi');
    this.#writev = bind('writev', 'ipi');
    this.#socket = bind('socket', 'iii');
    this.#socketpair = bind('socketpair', 'iiip');
    this.#bind = bind('bind', 'ipi');
    this.#connect = bind('connect', 'ipi');
    this.#listen = bind('listen', 'ii');
    this.#accept4 = bind('accept4', 'ippi');
    this.#getsockname = bind('getsockname', 'ipp');
    this.#getpeername = bind('getpeername', 'ipp');
    this.#recv = bind('recv', 'ippi');
    this.#send = bind('send', 'ippi');
    this.#recvfrom = bind('recvfrom', 'ippipp');
    this.#sendto = bind('sendto', 'ippipi');
    this.#recvmsg = bind('recvmsg', 'ipi');
    this.#recvmmsg = bind('recvmmsg', 'ipiip');
    this.#sendmsg = bind('sendmsg', 'ipi');
    this.#setsockopt = bind('setsockopt', 'iiipi');
    this.#getsockopt = bind('getsockopt', 'iiipp');
    this.#shutdown = bind('shutdown', 'ii');
    this.#close = bind('close', 'i');
    this.#fcntl = bind('fcntl', 'iip');
    this.#ioctl = bind('ioctl', 'ipp');
    this.#open = bind('open', 'pi');
  }

  /** A call's result, or -errno. Only valid directly after the call. */
  #result(value: number): number {
    return value < 0 ? -this.#errno() : value;
  }

  /** What is kept for others is given back; a client that was accepted hears a reset. */
  #kept(fd: number): number {
    if (fd < this.#socketsBelow) return fd;
    this.setLingerZero(fd);
    this.close(fd);
    return -EMFILE;
  }

  /** The address of an offset; 0 stays NULL. */
  #address(off: number): number {
    return off === 0 ? 0 : this.#base + off;
  }

  #setPointer(at: number, off: number): void {
    const address = this.#address(off);
    this.#view.setUint32(at, address, true);
    this.#view.setUint32(at + 4, Math.floor(address / TWO_TO_32), true);
  }

  #setSize(at: number, size: number): void {
    this.#view.setUint32(at, size, true);
    this.#view.setUint32(at + 4, 0, true);
  }

  /** Gives `#len` the room there is for an address and returns its own address, NULL without an address. */
  #lenFor(addrOff: number): number {
    this.#view.setUint32(this.#len, addrOff === 0 ? 0 : ROOM, true);
    return addrOff === 0 ? 0 : this.#base + this.#len;
  }

  monotonicMs(): number {
    // Measured: performance.now() 60 ns, clock_gettime through FFI 77 ns.
    return Math.floor(this.#monotonicOffset + performance.now());
  }

  monotonicUs(): number {
    return performance.now() * 1000;
  }

  epochMs(): number {
    return Date.now();
  }

  epollCreate(): number {
    return this.#result(this.#epollCreate1(EPOLL_CLOEXEC));
  }

  epollCtl(epollFd: number, op: number, fd: number, events: number, data: number): number {
    this.#view.setInt32(this.#control, events, true);
    this.#view.setInt32(this.#control + EVENT_DATA, data, true);
    return this.#result(this.#epollCtl(epollFd, op, fd, this.#base + this.#control));
  }

  epollWait(epollFd: number, maxEvents: number, timeoutMs: number): number {
    const max = maxEvents < EPOLL_EVENTS_MAX ? maxEvents : EPOLL_EVENTS_MAX;
    const count = this.#result(this.#epollWait(epollFd, this.#base + this.#events, max, timeoutMs));
    return count === -EINTR ? 0 : count;
  }

  eventMask(index: number): number {
    return this.#view.getInt32(this.#events + index * EVENT_SIZE, true);
  }

  eventData(index: number): number {
    return this.#view.getInt32(this.#events + index * EVENT_SIZE + EVENT_DATA, true);
  }

  eventfd(): number {
    return this.#result(this.#eventfd(0, EFD_CLOEXEC_NONBLOCK));
  }

  read(fd: number, off: number, len: number): number {
    return this.#result(this.#read(fd, this.#address(off), len));
  }

  write(fd: number, off: number, len: number): number {
    return this.#result(this.#write(fd, this.#address(off), len));
  }

  readv(fd: number, iovOff: number, count: number): number {
    return this.#result(this.#readv(fd, this.#base + iovOff, count));
  }

  writev(fd: number, iovOff: number, count: number): number {
    return this.#result(this.#writev(fd, this.#base + iovOff, count));
  }

  setIovec(iovOff: number, index: number, off: number, len: number): void {
    const at = iovOff + index * IOVEC_SIZE;
    this.#setPointer(at, off);
    this.#setSize(at + 8, len);
  }

  socket(domain: number, type: number, protocol: number): number {
    return this.#kept(this.#result(this.#socket(domain, type, protocol)));
  }

  socketpair(domain: number, type: number): number {
    const result = this.#result(this.#socketpair(domain, type, 0, this.#base + this.#int));
    if (result < 0) return result;
    const first = this.#view.getInt32(this.#int, true);
    if (this.#kept(this.pairSecond()) >= 0) return first;
    this.close(first);
    return -EMFILE;
  }

  pairSecond(): number {
    return this.#view.getInt32(this.#int + 4, true);
  }

  bind(fd: number, addrOff: number, addrLen: number): number {
    return this.#result(this.#bind(fd, this.#address(addrOff), addrLen));
  }

  connect(fd: number, addrOff: number, addrLen: number): number {
    return this.#result(this.#connect(fd, this.#address(addrOff), addrLen));
  }

  listen(fd: number, backlog: number): number {
    return this.#result(this.#listen(fd, backlog));
  }

  accept(fd: number, addrOff: number): number {
    const len = this.#lenFor(addrOff);
    return this.#kept(this.#result(this.#accept4(fd, this.#address(addrOff), len, SOCK_NONBLOCK | SOCK_CLOEXEC)));
  }

  getsockname(fd: number, addrOff: number): number {
    return this.#result(this.#getsockname(fd, this.#address(addrOff), this.#lenFor(addrOff)));
  }

  getpeername(fd: number, addrOff: number): number {
    return this.#result(this.#getpeername(fd, this.#address(addrOff), this.#lenFor(addrOff)));
  }

  addrLen(): number {
    return this.#view.getUint32(this.#len, true);
  }

  recv(fd: number, off: number, len: number, flags: number): number {
    return this.#result(this.#recv(fd, this.#address(off), len, flags));
  }

  send(fd: number, off: number, len: number, flags: number): number {
    return this.#result(this.#send(fd, this.#address(off), len, flags | MSG_NOSIGNAL));
  }

  recvfrom(fd: number, off: number, len: number, flags: number, addrOff: number): number {
    const room = this.#lenFor(addrOff);
    return this.#result(this.#recvfrom(fd, this.#address(off), len, flags, this.#address(addrOff), room));
  }

  sendto(fd: number, off: number, len: number, flags: number, addrOff: number, addrLen: number): number {
    const address = this.#address(addrOff);
    return this.#result(this.#sendto(fd, this.#address(off), len, flags | MSG_NOSIGNAL, address, addrLen));
  }

  recvmsg(fd: number, msgOff: number, flags: number): number {
    return this.#result(this.#recvmsg(fd, this.#base + msgOff, flags));
  }

  recvmmsg(fd: number, vecOff: number, count: number, flags: number): number {
    return this.#result(this.#recvmmsg(fd, this.#base + vecOff, count, flags, 0));
  }

  sendmsg(fd: number, msgOff: number, flags: number): number {
    return this.#result(this.#sendmsg(fd, this.#base + msgOff, flags | MSG_NOSIGNAL));
  }

  setMsghdr(
    msgOff: number,
    nameOff: number,
    nameLen: number,
    iovOff: number,
    iovCount: number,
    controlOff: number,
    controlLen: number,
  ): void {
    this.#setPointer(msgOff, nameOff);
    this.#setSize(msgOff + 8, nameLen);
    this.#setPointer(msgOff + 16, iovOff);
    this.#setSize(msgOff + 24, iovCount);
    this.#setPointer(msgOff + 32, controlOff);
    this.#setSize(msgOff + 40, controlLen);
    this.#setSize(msgOff + 48, 0);
  }

  setsockopt(fd: number, level: number, name: number, value: number): number {
    this.#view.setInt32(this.#int, value, true);
    return this.#result(this.#setsockopt(fd, level, name, this.#base + this.#int, 4));
  }

  getsockopt(fd: number, level: number, name: number): number {
    this.#view.setUint32(this.#len, 4, true);
    this.#view.setInt32(this.#int, 0, true);
    const result = this.#result(this.#getsockopt(fd, level, name, this.#base + this.#int, this.#base + this.#len));
    return result < 0 ? result : this.#view.getInt32(this.#int, true);
  }

  setsockoptBytes(fd: number, level: number, name: number, off: number, len: number): number {
    return this.#result(this.#setsockopt(fd, level, name, this.#address(off), len));
  }

  getsockoptBytes(fd: number, level: number, name: number, off: number, len: number): number {
    this.#view.setUint32(this.#len, len, true);
    const result = this.#result(this.#getsockopt(fd, level, name, this.#address(off), this.#base + this.#len));
    return result < 0 ? result : this.#view.getUint32(this.#len, true);
  }

  setLingerZero(fd: number): number {
    this.#view.setInt32(this.#int, 1, true);
    this.#view.setInt32(this.#int + 4, 0, true);
    return this.#result(this.#setsockopt(fd, SOL_SOCKET, SO_LINGER, this.#base + this.#int, 8));
  }

  shutdown(fd: number, how: number): number {
    return this.#result(this.#shutdown(fd, how));
  }

  close(fd: number): number {
    return this.#result(this.#close(fd));
  }

  dup(fd: number): number {
    return this.#result(this.#fcntl(fd, F_DUPFD_CLOEXEC, 0));
  }

  fcntl(fd: number, command: number, value: number): number {
    return this.#result(this.#fcntl(fd, command, value));
  }

  ioctl(fd: number, request: number, argOff: number, value: number): number {
    return this.#result(this.#ioctl(fd, request, argOff < 0 ? value : this.#base + argOff));
  }

  open(path: string, flags: number): number {
    const bytes = new TextEncoder().encode(path);
    if (bytes.length >= PATH_ROOM) return -ENAMETOOLONG;
    this.arena.u8.set(bytes, this.#path);
    this.arena.u8[this.#path + bytes.length] = 0;
    return this.#result(this.#open(this.#base + this.#path, flags));
  }
}
