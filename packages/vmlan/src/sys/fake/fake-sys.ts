/**
 * The syscall table over the fake kernel: descriptors and memory on one side, sockets and files on the other.
 *
 * Zone: control.  Offset 0 is NULL, as in the real table.  Differences from Linux, on purpose:
 * - sockets never block, whether SOCK_NONBLOCK was asked for or not;
 * - buffers are counted in bytes of data (Linux counts its own overhead, and lets TCP buffers grow by themselves);
 * - no urgent data, no keep-alive probes, no TIME_WAIT, no retransmission;
 * - of control data `sendmsg` knows UDP_SEGMENT alone; `open` knows only /dev/net/tun.
 */
import { Arena } from '../../core/arena.ts';
import * as c from '../constants.ts';
import type { Sys } from '../sys.ts';
import { readName, type SocketName, writeEndpoint, writePath } from './address.ts';
import { Epoll, type EpollEvent } from './epoll.ts';
import { EventFile } from './eventfd.ts';
import { FrameFile } from './frame-file.ts';
import type { CallName, FakeKernel } from './kernel.ts';
import { Memory } from './memory.ts';
import type { OpenFile } from './open-file.ts';
import { PingSocket } from './ping-socket.ts';
import { Socket } from './socket.ts';
import { TcpSocket } from './tcp-socket.ts';
import { UdpSocket } from './udp-socket.ts';
import { UnixSocket } from './unix-socket.ts';

const EVENTS_MAX = 1024;
const TYPE_MASK = 0xf; // SOCK_* without its flags
const FD_CLOEXEC = 1;
const MMSGHDR_SIZE = 64; // bytes
const MMSGHDR_LEN = 56; // offset of msg_len
const TUN_DEVICE = '/dev/net/tun';

export class FakeSys implements Sys {
  readonly arena: Arena;
  readonly #kernel: FakeKernel;
  readonly #memory: Memory;
  readonly #events: EpollEvent[] = [];
  #addrLen = 0;
  #pairSecond = -1;

  constructor(kernel: FakeKernel, arenaBytes: number) {
    this.#kernel = kernel;
    this.arena = new Arena(new ArrayBuffer(arenaBytes));
    this.#memory = new Memory(this.arena);
  }

  monotonicMs(): number {
    return Math.floor(this.#kernel.now);
  }

  monotonicUs(): number {
    return this.#kernel.now * 1000;
  }

  epochMs(): number {
    return this.#kernel.startEpochMs + Math.floor(this.#kernel.now) - this.#kernel.startMs;
  }

  /** The socket of a descriptor, or -errno: also a failure that was ordered for this call. */
  #socketOf(fd: number, call: CallName): Socket | number {
    const failure = this.#kernel.injected(call);
    if (failure < 0) return failure;
    const file = this.#kernel.file(fd);
    if (file === undefined) return -c.EBADF;
    return file instanceof Socket ? file : -c.ENOTSOCK;
  }

  #fileOf(fd: number, call: CallName): OpenFile | number {
    const failure = this.#kernel.injected(call);
    if (failure < 0) return failure;
    return this.#kernel.file(fd) ?? -c.EBADF;
  }

  #install(file: OpenFile, call: CallName): number {
    const failure = this.#kernel.injected(call);
    return failure < 0 ? failure : this.#kernel.install(file);
  }

  #name(addrOff: number, addrLen: number): SocketName {
    return readName(this.arena.view, addrOff, addrLen);
  }

  #writeName(addrOff: number, name: SocketName | undefined): void {
    if (addrOff === 0) return;
    if (name?.kind === 'inet') this.#addrLen = writeEndpoint(this.arena.view, addrOff, name.family, name);
    else if (name?.kind === 'unix') this.#addrLen = writePath(this.arena.view, addrOff, name.path);
    else this.#addrLen = 0;
  }

  // epoll and eventfd

  epollCreate(): number {
    return this.#install(new Epoll(), 'epollCreate');
  }

  epollCtl(epollFd: number, op: number, fd: number, events: number, data: number): number {
    const epoll = this.#fileOf(epollFd, 'epollCtl');
    if (typeof epoll === 'number') return epoll;
    const file = this.#kernel.file(fd);
    if (file === undefined) return -c.EBADF;
    return epoll instanceof Epoll ? epoll.control(op, fd, file, events, data) : -c.EINVAL;
  }

  epollWait(epollFd: number, maxEvents: number, timeoutMs: number): number {
    const epoll = this.#fileOf(epollFd, 'epollWait');
    if (typeof epoll === 'number') return epoll === -c.EINTR ? 0 : epoll;
    if (!(epoll instanceof Epoll) || maxEvents <= 0) return -c.EINVAL;
    const { timeline } = this.#kernel;
    const deadline = timeoutMs < 0 ? Infinity : timeline.now + timeoutMs;
    for (;;) {
      timeline.runDue();
      const count = epoll.collect(Math.min(maxEvents, EVENTS_MAX), this.#events);
      if (count > 0) return count;
      if (timeline.nextAt <= deadline && timeline.nextAt !== Infinity) timeline.advanceTo(timeline.nextAt);
      else if (deadline === Infinity) {
        this.#kernel.onIdle();
        return 0;
      } else {
        timeline.advanceTo(deadline);
        return 0;
      }
    }
  }

  eventMask(index: number): number {
    return this.#events[index]?.mask ?? 0;
  }

  eventData(index: number): number {
    return this.#events[index]?.data ?? 0;
  }

  eventfd(): number {
    return this.#install(new EventFile(), 'eventfd');
  }

  // Any file

  read(fd: number, off: number, len: number): number {
    const file = this.#fileOf(fd, 'read');
    return typeof file === 'number' ? file : file.read(this.arena.u8, off, len);
  }

  write(fd: number, off: number, len: number): number {
    const file = this.#fileOf(fd, 'write');
    return typeof file === 'number' ? file : file.write(this.arena.u8, off, len);
  }

  readv(fd: number, iovOff: number, count: number): number {
    const file = this.#fileOf(fd, 'readv');
    if (typeof file === 'number') return file;
    return this.#memory.scatter(iovOff, count, (bytes, off, len) => file.read(bytes, off, len));
  }

  writev(fd: number, iovOff: number, count: number): number {
    const file = this.#fileOf(fd, 'writev');
    if (typeof file === 'number') return file;
    return this.#memory.gather(iovOff, count, (bytes, off, len) => file.write(bytes, off, len));
  }

  setIovec(iovOff: number, index: number, off: number, len: number): void {
    this.#memory.setIovec(iovOff, index, off, len);
  }

  close(fd: number): number {
    const failure = this.#kernel.injected('close');
    return failure < 0 ? failure : this.#kernel.close(fd);
  }

  dup(fd: number): number {
    const file = this.#fileOf(fd, 'dup');
    if (typeof file === 'number') return file;
    const copy = this.#kernel.install(file);
    if (copy >= 0) file.references++;
    return copy;
  }

  fcntl(fd: number, command: number, value: number): number {
    const file = this.#fileOf(fd, 'fcntl');
    if (typeof file === 'number') return file;
    if (command === c.F_GETFL) return file.statusFlags;
    if (command === c.F_SETFL) file.statusFlags = c.O_RDWR | (value & c.O_NONBLOCK);
    else if (command === c.F_GETFD) return FD_CLOEXEC;
    else if (command === c.F_DUPFD_CLOEXEC) return this.dup(fd);
    else if (command !== c.F_SETFD) return -c.EINVAL;
    return 0;
  }

  ioctl(fd: number, request: number, argOff: number, value: number): number {
    const file = this.#fileOf(fd, 'ioctl');
    return typeof file === 'number' ? file : file.ioctl(this.arena.view, request, argOff, value);
  }

  open(path: string, _flags: number): number {
    if (path !== TUN_DEVICE) return this.#kernel.injected('open') || -c.ENOENT;
    return this.#install(new FrameFile(), 'open');
  }

  // Sockets

  socket(domain: number, type: number, protocol: number): number {
    const failure = this.#kernel.injected('socket');
    if (failure < 0) return failure;
    const socket = this.#newSocket(domain, type & TYPE_MASK, protocol);
    if (typeof socket === 'number') return socket;
    socket.statusFlags |= type & c.SOCK_NONBLOCK;
    return this.#kernel.install(socket);
  }

  #newSocket(domain: number, type: number, protocol: number): Socket | number {
    const { network, unixPaths } = this.#kernel;
    if (domain === c.AF_UNIX) {
      const isKnown = type === c.SOCK_STREAM || type === c.SOCK_DGRAM || type === c.SOCK_SEQPACKET;
      return isKnown ? new UnixSocket(unixPaths, type) : -c.ESOCKTNOSUPPORT;
    }
    if (domain !== c.AF_INET && domain !== c.AF_INET6) return -c.EAFNOSUPPORT;
    const icmp = domain === c.AF_INET ? c.IPPROTO_ICMP : c.IPPROTO_ICMPV6;
    if (type === c.SOCK_STREAM && (protocol === 0 || protocol === c.IPPROTO_TCP)) return new TcpSocket(network, domain);
    if (type === c.SOCK_DGRAM && (protocol === 0 || protocol === c.IPPROTO_UDP)) return new UdpSocket(network, domain);
    if (type === c.SOCK_DGRAM && protocol === icmp) {
      return this.#kernel.pingAllowed ? new PingSocket(network, domain) : -c.EACCES;
    }
    return type === c.SOCK_STREAM || type === c.SOCK_DGRAM ? -c.EPROTONOSUPPORT : -c.ESOCKTNOSUPPORT;
  }

  socketpair(domain: number, type: number): number {
    const failure = this.#kernel.injected('socketpair');
    if (failure < 0) return failure;
    const first = this.#newSocket(domain, type & TYPE_MASK, 0);
    if (typeof first === 'number') return first;
    if (!(first instanceof UnixSocket)) return -c.ENOTSUP;
    const second = new UnixSocket(this.#kernel.unixPaths, first.type);
    first.pairWith(second);
    const fd = this.#kernel.install(first);
    this.#pairSecond = this.#kernel.install(second);
    if (fd >= 0 && this.#pairSecond < 0) this.#kernel.close(fd);
    return this.#pairSecond < 0 ? this.#pairSecond : fd;
  }

  pairSecond(): number {
    return this.#pairSecond;
  }

  bind(fd: number, addrOff: number, addrLen: number): number {
    const socket = this.#socketOf(fd, 'bind');
    return typeof socket === 'number' ? socket : socket.bind(this.#name(addrOff, addrLen));
  }

  connect(fd: number, addrOff: number, addrLen: number): number {
    const socket = this.#socketOf(fd, 'connect');
    return typeof socket === 'number' ? socket : socket.connect(this.#name(addrOff, addrLen));
  }

  listen(fd: number, backlog: number): number {
    const socket = this.#socketOf(fd, 'listen');
    return typeof socket === 'number' ? socket : socket.listen(backlog);
  }

  accept(fd: number, addrOff: number): number {
    const listener = this.#socketOf(fd, 'accept');
    if (typeof listener === 'number') return listener;
    // Without a descriptor for it the connection stays in the queue.
    const free = this.#kernel.freeFd();
    if (free < 0) return free;
    const socket = listener.accept();
    if (typeof socket === 'number') return socket;
    socket.statusFlags |= c.O_NONBLOCK;
    this.#writeName(addrOff, socket.peerName());
    return this.#kernel.install(socket);
  }

  getsockname(fd: number, addrOff: number): number {
    const socket = this.#socketOf(fd, 'getsockname');
    if (typeof socket === 'number') return socket;
    this.#writeName(addrOff, socket.localName());
    return 0;
  }

  getpeername(fd: number, addrOff: number): number {
    const socket = this.#socketOf(fd, 'getpeername');
    if (typeof socket === 'number') return socket;
    const name = socket.peerName();
    if (name === undefined) return -c.ENOTCONN;
    this.#writeName(addrOff, name);
    return 0;
  }

  addrLen(): number {
    return this.#addrLen;
  }

  recv(fd: number, off: number, len: number, flags: number): number {
    const socket = this.#socketOf(fd, 'recv');
    return typeof socket === 'number' ? socket : socket.receive(this.arena.u8, off, len, flags);
  }

  send(fd: number, off: number, len: number, flags: number): number {
    const socket = this.#socketOf(fd, 'send');
    return typeof socket === 'number' ? socket : socket.transmit(this.arena.u8, off, len, flags, undefined);
  }

  recvfrom(fd: number, off: number, len: number, flags: number, addrOff: number): number {
    const socket = this.#socketOf(fd, 'recvfrom');
    if (typeof socket === 'number') return socket;
    const count = socket.receive(this.arena.u8, off, len, flags);
    if (count >= 0) this.#writeName(addrOff, socket.received.name);
    return count;
  }

  sendto(fd: number, off: number, len: number, flags: number, addrOff: number, addrLen: number): number {
    const socket = this.#socketOf(fd, 'sendto');
    if (typeof socket === 'number') return socket;
    const name = addrOff === 0 ? undefined : this.#name(addrOff, addrLen);
    return socket.transmit(this.arena.u8, off, len, flags, name);
  }

  recvmsg(fd: number, msgOff: number, flags: number): number {
    const socket = this.#socketOf(fd, 'recvmsg');
    if (typeof socket === 'number') return socket;
    const memory = this.#memory;
    const message = memory.readMsghdr(msgOff);
    const count = memory.scatter(message.iovOff, message.iovCount, (bytes, off, len) =>
      socket.receive(bytes, off, len, flags),
    );
    if (count < 0) return count;
    this.#addrLen = 0;
    this.#writeName(message.nameOff, socket.received.name);
    memory.finishMsghdr(msgOff, this.#addrLen, socket, flags);
    return count;
  }

  recvmmsg(fd: number, vecOff: number, count: number, flags: number): number {
    const socket = this.#socketOf(fd, 'recvmmsg');
    if (typeof socket === 'number') return socket;
    for (let i = 0; i < count; i++) {
      const at = vecOff + i * MMSGHDR_SIZE;
      const got = this.recvmsg(fd, at, flags);
      if (got < 0) return i > 0 ? i : got;
      this.arena.view.setUint32(at + MMSGHDR_LEN, got, true);
    }
    return count;
  }

  sendmsg(fd: number, msgOff: number, flags: number): number {
    const socket = this.#socketOf(fd, 'sendmsg');
    if (typeof socket === 'number') return socket;
    const message = this.#memory.readMsghdr(msgOff);
    const name = message.nameOff === 0 ? undefined : this.#name(message.nameOff, message.nameLen);
    const segment = this.#memory.sentSegment(msgOff);
    return this.#memory.gather(message.iovOff, message.iovCount, (bytes, off, len) =>
      segment > 0 && socket instanceof UdpSocket
        ? socket.transmitSegments(bytes, off, len, segment, name)
        : socket.transmit(bytes, off, len, flags, name),
    );
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
    this.#memory.setMsghdr(msgOff, nameOff, nameLen, iovOff, iovCount, controlOff, controlLen);
  }

  setsockopt(fd: number, level: number, name: number, value: number): number {
    const socket = this.#socketOf(fd, 'setsockopt');
    return typeof socket === 'number' ? socket : socket.setOption(level, name, value);
  }

  getsockopt(fd: number, level: number, name: number): number {
    const socket = this.#socketOf(fd, 'getsockopt');
    return typeof socket === 'number' ? socket : socket.getOption(level, name);
  }

  setsockoptBytes(fd: number, level: number, name: number, off: number, len: number): number {
    const socket = this.#socketOf(fd, 'setsockoptBytes');
    if (typeof socket === 'number') return socket;
    if (level !== c.SOL_SOCKET || name !== c.SO_LINGER) {
      return len < 4 ? -c.EINVAL : socket.setOption(level, name, this.arena.view.getInt32(off, true));
    }
    socket.lingerZero = this.arena.view.getInt32(off, true) !== 0 && this.arena.view.getInt32(off + 4, true) === 0;
    return 0;
  }

  getsockoptBytes(fd: number, level: number, name: number, off: number, len: number): number {
    const socket = this.#socketOf(fd, 'getsockoptBytes');
    if (typeof socket === 'number') return socket;
    const bytes = socket.getOptionBytes(level, name);
    if (typeof bytes !== 'number') {
      this.arena.u8.set(bytes.subarray(0, len), off);
      return Math.min(bytes.length, len);
    }
    const value = socket.getOption(level, name);
    if (value < 0) return value;
    this.arena.view.setInt32(off, value, true);
    return 4;
  }

  setLingerZero(fd: number): number {
    const socket = this.#socketOf(fd, 'setLingerZero');
    if (typeof socket === 'number') return socket;
    socket.lingerZero = true;
    return 0;
  }

  shutdown(fd: number, how: number): number {
    const socket = this.#socketOf(fd, 'shutdown');
    return typeof socket === 'number' ? socket : socket.shutdown(how);
  }
}
