/**
 * Runs socket scenarios on any syscall table and writes down what every call answered, for comparison.
 *
 * Zone: control.  Descriptors have names, ports are never written down (they differ from run to run), errors are
 * written as their names, event masks as the letters of their bits. `until` waits for what loopback delivers at once.
 */
import * as c from '../constants.ts';
import { ErrorQueue } from '../error-queue.ts';
import { SockAddr } from '../sockaddr.ts';
import type { Sys } from '../sys.ts';

const ROOM = 262_144; // bytes, for each of the two buffers
const WAIT_MS = 1000;
const LOOPBACK = 0x7f00_0001;
const ALL_EVENTS = c.EPOLLIN | c.EPOLLOUT | c.EPOLLRDHUP | c.EPOLLPRI;
/** EWOULDBLOCK and others are second names of the same number. */
const ERRNO_NAMES = new Map<number, string>(
  Object.entries(c).flatMap(([name, value]) =>
    /^E(?!POLL)[A-Z0-9]+$/.test(name) ? [[value, name] as [number, string]] : [],
  ),
);
const EVENT_NAMES: readonly (readonly [number, string])[] = [
  [c.EPOLLIN, 'IN'],
  [c.EPOLLPRI, 'PRI'],
  [c.EPOLLOUT, 'OUT'],
  [c.EPOLLERR, 'ERR'],
  [c.EPOLLHUP, 'HUP'],
  [c.EPOLLRDHUP, 'RDHUP'],
];

export type Where = 'v4' | 'v6' | 'any4' | 'any6' | 'mapped' | { readonly path: string };

/** A program: what it does on a bench. */
export type Scenario = (t: Bench) => void;

function maskName(mask: number): string {
  return EVENT_NAMES.flatMap(([bit, name]) => ((mask & bit) === 0 ? [] : [name])).join('|') || '-';
}

export class Bench {
  readonly sys: Sys;
  lines: string[] = [];
  /** Where unix sockets may be made. */
  dir: string;
  /** How long to wait after each call that sends something: loopback needs none, a loaded machine may. */
  patienceMs = 0;
  readonly #fds = new Map<string, number>();
  readonly #names = new Map<number, string>();
  readonly #addr: SockAddr;
  readonly #queue: ErrorQueue;
  readonly #out: number;
  readonly #in: number;
  readonly #msg: number;

  constructor(sys: Sys, dir: string) {
    this.sys = sys;
    this.dir = dir;
    this.#addr = new SockAddr(sys.arena);
    this.#queue = new ErrorQueue(sys);
    this.#out = sys.arena.alloc(ROOM);
    this.#in = sys.arena.alloc(ROOM);
    this.#msg = sys.arena.alloc(256, 16);
    for (let i = 0; i < ROOM; i++) sys.arena.u8[this.#out + i] = 97 + (i % 26);
  }

  /** Starts a new transcript. */
  begin(dir: string, patienceMs: number): void {
    this.lines = [];
    this.patienceMs = patienceMs;
    this.dir = dir;
  }

  /** Writes down a result and hands it on. */
  note(what: string, result: number | string): void {
    const text = typeof result === 'number' && result < 0 ? `-${ERRNO_NAMES.get(-result) ?? -result}` : `${result}`;
    this.lines.push(`${what}: ${text}`);
  }

  fd(name: string): number {
    return this.#fds.get(name) ?? -1;
  }

  /** Gives the descriptor a name, or writes down the error. */
  #keep(what: string, name: string, fd: number): void {
    this.note(what, fd < 0 ? fd : 'fd');
    if (fd < 0) return;
    this.#fds.set(name, fd);
    this.#names.set(fd, name);
  }

  #setAddress(where: Where, port: number): SockAddr {
    const addr = this.#addr;
    if (typeof where === 'object') return addr.setUnix(`${this.dir}/${where.path}`);
    if (where === 'v4') return addr.setIpv4(LOOPBACK, port);
    if (where === 'any4') return addr.setIpv4(0, port);
    if (where === 'any6') return addr.setIpv6(0, 0, 0, 0, port);
    return where === 'v6' ? addr.setIpv6(0, 0, 0, 1, port) : addr.setIpv6(0, 0, 0xffff, LOOPBACK, port);
  }

  /** The local port of a descriptor. */
  port(name: string): number {
    this.sys.getsockname(this.fd(name), this.#addr.off);
    return this.#addr.port;
  }

  // Making

  socket(name: string, domain: number, type: number, protocol = 0): void {
    this.#keep(`socket ${name}`, name, this.sys.socket(domain, type | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, protocol));
  }

  pair(first: string, second: string, type: number): void {
    const fd = this.sys.socketpair(c.AF_UNIX, type | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC);
    this.#keep(`pair ${first}`, first, fd);
    if (fd >= 0) this.#keep(`pair ${second}`, second, this.sys.pairSecond());
  }

  eventfd(name: string): void {
    this.#keep(`eventfd ${name}`, name, this.sys.eventfd());
  }

  epoll(name: string): void {
    this.#keep(`epoll ${name}`, name, this.sys.epollCreate());
  }

  dup(name: string, from: string): void {
    this.#keep(`dup ${from}`, name, this.sys.dup(this.fd(from)));
  }

  bind(name: string, where: Where, port = 0): void {
    const { off, len } = this.#setAddress(where, port);
    this.note(`bind ${name} ${JSON.stringify(where)}`, this.sys.bind(this.fd(name), off, len));
  }

  listen(name: string, backlog = 8): void {
    this.note(`listen ${name}`, this.sys.listen(this.fd(name), backlog));
  }

  connect(name: string, where: Where, port = 0): void {
    const { off, len } = this.#setAddress(where, port);
    this.note(`connect ${name} ${JSON.stringify(where)}`, this.sys.connect(this.fd(name), off, len));
    this.#settle();
  }

  /** Connects with AF_UNSPEC: a datagram socket forgets its peer. */
  disconnect(name: string): void {
    this.#addr.setIpv4(0, 0);
    this.sys.arena.view.setUint16(this.#addr.off, c.AF_UNSPEC, true);
    this.note(`disconnect ${name}`, this.sys.connect(this.fd(name), this.#addr.off, 16));
  }

  accept(name: string, from: string): void {
    this.#keep(`accept ${from}`, name, this.sys.accept(this.fd(from), this.#addr.off));
  }

  /** Listener `l`, connected client `a` and server `b` over TCP. */
  tcp(where: 'v4' | 'v6' = 'v4', names: readonly [string, string, string] = ['l', 'a', 'b']): void {
    const [l, a, b] = names;
    const domain = where === 'v4' ? c.AF_INET : c.AF_INET6;
    this.socket(l, domain, c.SOCK_STREAM);
    this.bind(l, where);
    this.listen(l);
    this.socket(a, domain, c.SOCK_STREAM);
    this.connect(a, where, this.port(l));
    this.until(l, c.EPOLLIN);
    this.accept(b, l);
    // Nagle's algorithm would hold small pieces back until a delayed acknowledgement.
    for (const end of [a, b]) this.set(end, c.IPPROTO_TCP, c.TCP_NODELAY, 1);
  }

  close(...names: string[]): void {
    for (const name of names) this.note(`close ${name}`, this.sys.close(this.fd(name)));
    this.#settle();
  }

  closeAll(): void {
    for (const fd of this.#fds.values()) this.sys.close(fd);
    this.#fds.clear();
  }

  // Data

  send(name: string, len: number, flags = 0): void {
    this.note(`send ${name} ${len}`, this.sys.send(this.fd(name), this.#out, len, flags));
    this.#settle();
  }

  write(name: string, len: number): void {
    this.note(`write ${name} ${len}`, this.sys.write(this.fd(name), this.#out, len));
    this.#settle();
  }

  sendTo(name: string, len: number, where: Where, port = 0): void {
    const { off, len: addrLen } = this.#setAddress(where, port);
    this.note(`sendto ${name} ${len}`, this.sys.sendto(this.fd(name), this.#out, len, 0, off, addrLen));
    this.#settle();
  }

  /** Sends an ICMP message of this type with sequence number 7. */
  ping(name: string, type: number, len: number, where: Where): void {
    const { u8 } = this.sys.arena;
    const saved = u8.slice(this.#out, this.#out + 8);
    u8.set([type, 0, 0, 0, 0, 0, 0, 7], this.#out);
    this.sendTo(name, len, where);
    u8.set(saved, this.#out);
  }

  /** Whether the last message received begins with this type, carries the socket's identifier and has a right sum. */
  isReply(name: string, type: number, len: number): void {
    const view = new DataView(this.sys.arena.buffer, this.#in, len);
    let sum = type === 129 ? 2 + len + c.IPPROTO_ICMPV6 : 0; // ::1 twice, length and protocol
    for (let i = 0; i < len; i += 2) sum += view.getUint16(i);
    this.note('  type', String(view.getUint8(0) === type));
    this.note('  identifier', String(view.getUint16(4) === this.port(name)));
    this.note('  sum', String(sum % 0xffff === 0));
  }

  /** Sends as much as the buffers take, and tells only that it ended with what. */
  fill(name: string): void {
    let result = 0;
    do result = this.sys.send(this.fd(name), this.#out, ROOM, 0);
    while (result > 0);
    this.note(`fill ${name}`, result);
  }

  /** Reads everything there is, and tells only how that ended. */
  drain(name: string): void {
    let result = 0;
    do result = this.sys.recv(this.fd(name), this.#in, ROOM, 0);
    while (result > 0);
    this.note(`drain ${name}`, result);
  }

  recv(name: string, len: number, flags = 0): void {
    this.#received(`recv ${name} ${len}`, this.sys.recv(this.fd(name), this.#in, len, flags), len);
  }

  read(name: string, len: number): void {
    this.#received(`read ${name} ${len}`, this.sys.read(this.fd(name), this.#in, len), len);
  }

  /** recv without a buffer, MSG_TRUNC. */
  discard(name: string, len: number): void {
    this.note(`discard ${name} ${len}`, this.sys.recv(this.fd(name), 0, len, c.MSG_TRUNC));
  }

  /** Writes down also who sent it: the name of the descriptor that has that port or path. */
  recvFrom(name: string, len: number, flags = 0): void {
    const result = this.sys.recvfrom(this.fd(name), this.#in, len, flags, this.#addr.off);
    this.#received(`recvfrom ${name} ${len}`, result, len);
    if (result >= 0) this.note('  from', this.#addressText(this.sys.addrLen()));
  }

  /** Also flags and control messages. */
  recvMsg(name: string, len: number, flags = 0): void {
    const { sys } = this;
    const iov = this.#msg + 64;
    const control = this.#msg + 96;
    sys.setIovec(iov, 0, this.#in, len >> 1);
    sys.setIovec(iov, 1, this.#in + (len >> 1), len - (len >> 1));
    sys.setMsghdr(this.#msg, this.#addr.off, 128, iov, 2, control, 128);
    const result = sys.recvmsg(this.fd(name), this.#msg, flags);
    this.#received(`recvmsg ${name} ${len}`, result, len);
    if (result < 0) return;
    const { view } = sys.arena;
    const controlLen = view.getUint32(this.#msg + 40, true);
    this.note('  flags', view.getInt32(this.#msg + 48, true) & ~0x4000_0000); // less MSG_CMSG_CLOEXEC
    this.note('  control', Buffer.from(sys.arena.u8.subarray(control, control + controlLen)).toString('hex'));
  }

  #received(what: string, result: number, len: number): void {
    this.note(what, result);
    if (result <= 0) return;
    // What an ICMP message begins with differs from run to run: its identifier, and so its sum.
    const from = this.sys.arena.u8[this.#in]! < 97 || this.sys.arena.u8[this.#in]! > 122 ? 6 : 0;
    const bytes = this.sys.arena.u8.subarray(this.#in + from, this.#in + Math.min(result, len, 40));
    this.note('  bytes', Buffer.from(bytes).toString('latin1'));
  }

  readError(name: string): void {
    const queue = this.#queue;
    const result = queue.read(this.fd(name));
    this.note(`error queue ${name}`, result);
    if (result < 0) return;
    const { errno, origin, type, code, info, offenderFamily, offender, destination, payloadLen } = queue;
    const report = { errno, origin, type, code, info, offenderFamily, payloadLen };
    this.note('  report', JSON.stringify({ ...report, offender: [...offender], destination: [...destination] }));
  }

  // State

  #addressText(len: number): string {
    if (len === 0) return 'nobody';
    const { family, port } = this.#addr;
    if (family === c.AF_UNIX) return this.#addr.unixPath(len).replace(this.dir, '');
    const words = family === c.AF_INET ? [this.#addr.ip4] : [0, 1, 2, 3].map((i) => this.#addr.word(i));
    return `${family} ${words.join(' ')} ${port === 0 ? 'no port' : 'port'} length ${len}`;
  }

  localName(name: string): void {
    const result = this.sys.getsockname(this.fd(name), this.#addr.off);
    this.note(`getsockname ${name}`, result < 0 ? result : this.#addressText(this.sys.addrLen()));
  }

  peerName(name: string): void {
    const result = this.sys.getpeername(this.fd(name), this.#addr.off);
    this.note(`getpeername ${name}`, result < 0 ? result : this.#addressText(this.sys.addrLen()));
  }

  set(name: string, level: number, option: number, value: number): void {
    this.note(`setsockopt ${name} ${level}/${option}`, this.sys.setsockopt(this.fd(name), level, option, value));
  }

  get(name: string, level: number, option: number): void {
    this.note(`getsockopt ${name} ${level}/${option}`, this.sys.getsockopt(this.fd(name), level, option));
  }

  error(name: string): void {
    const errno = this.sys.getsockopt(this.fd(name), c.SOL_SOCKET, c.SO_ERROR);
    this.note(`SO_ERROR ${name}`, errno > 0 ? (ERRNO_NAMES.get(errno) ?? errno) : errno);
  }

  linger(name: string): void {
    this.note(`linger ${name}`, this.sys.setLingerZero(this.fd(name)));
  }

  shutdown(name: string, how: number): void {
    this.note(`shutdown ${name} ${how}`, this.sys.shutdown(this.fd(name), how));
    this.#settle();
  }

  /** FIONREAD or SIOCOUTQ. */
  queued(name: string, request: number): void {
    const result = this.sys.ioctl(this.fd(name), request, this.#msg, 0);
    this.note(`ioctl ${name} ${request}`, result < 0 ? result : this.sys.arena.view.getInt32(this.#msg, true));
  }

  // Events

  /** Gives what is on its way `patienceMs` to arrive. */
  #settle(): void {
    if (this.patienceMs === 0) return;
    const epoll = this.sys.epollCreate();
    this.sys.epollWait(epoll, 1, this.patienceMs);
    this.sys.close(epoll);
  }

  #poll(name: string, events: number, timeoutMs: number): number {
    const epoll = this.sys.epollCreate();
    this.sys.epollCtl(epoll, c.EPOLL_CTL_ADD, this.fd(name), events, 0);
    const count = this.sys.epollWait(epoll, 1, timeoutMs);
    this.sys.close(epoll);
    return count === 1 ? this.sys.eventMask(0) : 0;
  }

  /** Writes down what holds now. */
  poll(...names: string[]): void {
    for (const name of names) this.note(`poll ${name}`, maskName(this.#poll(name, ALL_EVENTS, 0)));
  }

  /** Waits until one of the events holds (EPOLLERR and EPOLLHUP always count), then writes down what holds. */
  until(name: string, events: number): void {
    this.#poll(name, events, WAIT_MS);
    this.poll(name);
  }

  watch(epoll: string, op: number, name: string, events: number): void {
    const fd = this.fd(name);
    this.note(`epoll_ctl ${epoll} ${op} ${name}`, this.sys.epollCtl(this.fd(epoll), op, fd, events, fd));
  }

  /** Collects events until `count` descriptors had some, then those that are there anyway; writes them down by name. */
  events(epoll: string, count: number): void {
    const masks = new Map<string, number>();
    let timeoutMs = count > 0 ? WAIT_MS : 0;
    for (;;) {
      const got = this.sys.epollWait(this.fd(epoll), 16, timeoutMs);
      for (let i = 0; i < got; i++) {
        const name = this.#names.get(this.sys.eventData(i)) ?? '?';
        masks.set(name, (masks.get(name) ?? 0) | this.sys.eventMask(i));
      }
      if (got <= 0 || masks.size >= count) break;
      timeoutMs = WAIT_MS;
    }
    const sorted = [...masks].toSorted(([a], [b]) => a.localeCompare(b));
    this.note(`events ${epoll}`, sorted.map(([name, mask]) => `${name} ${maskName(mask)}`).join(', ') || 'none');
  }
}
