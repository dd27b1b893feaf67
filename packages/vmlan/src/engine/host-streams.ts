/**
 * The host's side of TCP flows: sockets, peek offsets, events.
 *
 * Zone: packet.  Where the kernel keeps a peek offset for the socket (SO_PEEK_OFF: TCP since Linux 6.9, AF_UNIX always)
 * it is used; elsewhere the offset is kept here and each peek reads past what was already seen into a dump buffer, which
 * costs a copy and nothing else.  AF_UNIX does not know MSG_TRUNC: what is discarded there is read.
 */
import type { Poller, Source } from '../core/poller.ts';
import { MAPPED } from '../stack/path.ts';
import { CONNECTING, HOST_ENDING, SHORT_IS_ALL, type TcpFlow } from '../stack/tcp/flow.ts';
import type { HostStreams, TcpOpener } from '../stack/tcp/host.ts';
import { MAX_RUN_SEGMENTS } from '../stack/tcp/limits.ts';
import type { TcpTranslator } from '../stack/tcp/translator.ts';
import { $target, type OutboundPolicy, PASS, PASS_LOCAL, PROHIBITED, SERVICE_DNS } from '../nat/policy.ts';
import * as C from '../sys/constants.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';

const DUMP_LEN = 64 * 1024;
const MAX_IOVECS = MAX_RUN_SEGMENTS; // more than the in-flight cap in DUMP_LEN pieces, and the data
const MSGHDR_LEN = 56;
const WATCHED = C.EPOLLIN | C.EPOLLOUT | C.EPOLLRDHUP | C.EPOLLET;
const LOOPBACK_4 = 0x7f00_0001;
const KIND_TCP = 0;
const KIND_UNIX = 1;

/** Starts DNS over TCP at the far end of a socket pair. */
export type ServeDns = (fd: number, flow: TcpFlow) => void;

class FlowSource implements Source {
  readonly #streams: HostStreamIo;
  readonly #flow: TcpFlow;

  constructor(streams: HostStreamIo, flow: TcpFlow) {
    this.#streams = streams;
    this.#flow = flow;
  }

  onReady(mask: number, nowMs: number): void {
    this.#streams.onReady(this.#flow, mask, nowMs);
  }
}

export class HostStreamIo implements HostStreams, TcpOpener {
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #policyOf: (segmentId: number) => OutboundPolicy;
  readonly #serveDns: ServeDns;
  readonly #kernelOffset: boolean;
  readonly #addr: SockAddr;
  readonly #dump: number;
  readonly #iov: number;
  readonly #msg: number;
  /** By flow id. */
  readonly #sources: FlowSource[] = [];
  /** By descriptor: kind, and the peek offset where the kernel keeps none. */
  readonly #kinds: number[] = [];
  readonly #offsets: number[] = [];
  /** By descriptor: whether a refusal sends the flow on to the other loopback address. */
  readonly #hasOther: boolean[] = [];
  tcp: TcpTranslator | null = null;

  constructor(
    sys: Sys,
    poller: Poller,
    policyOf: (segmentId: number) => OutboundPolicy,
    serveDns: ServeDns,
    kernelOffset: boolean,
  ) {
    this.#sys = sys;
    this.#poller = poller;
    this.#policyOf = policyOf;
    this.#serveDns = serveDns;
    this.#kernelOffset = kernelOffset;
    this.#addr = new SockAddr(sys.arena);
    this.#dump = sys.arena.alloc(DUMP_LEN, 64);
    this.#iov = sys.arena.alloc(16 * MAX_IOVECS, 16);
    this.#msg = sys.arena.alloc(MSGHDR_LEN, 16);
  }

  // ---- TcpOpener

  open(flow: TcpFlow): number {
    const { remote0, remote1, remote2, remote3, remotePort } = flow;
    const policy = this.#policyOf(flow.segment!.id);
    const verdict = policy.decide('tcp', remote0, remote1, remote2, remote3, remotePort);
    if (verdict === SERVICE_DNS) return this.#openDns(flow);
    if (verdict === PROHIBITED) return -C.EACCES;
    if (verdict !== PASS && verdict !== PASS_LOCAL) return -C.ECONNREFUSED;
    if ($target.path !== null) return this.#openUnix(flow, $target.path);
    return $target.eitherLoopback ? this.#openLoopback(flow) : this.#openTcp(flow);
  }

  /** Takes over a client's socket that a forward has accepted. */
  adopt(flow: TcpFlow, fd: number, unix: boolean): void {
    this.#take(flow, fd, unix ? KIND_UNIX : KIND_TCP);
  }

  #openTcp(flow: TcpFlow): number {
    const { w0, w1, w2, w3, port } = $target;
    const isV4 = (w0 | w1) === 0 && w2 === MAPPED;
    const family = isV4 ? C.AF_INET : C.AF_INET6;
    const fd = this.#sys.socket(family, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
    if (fd < 0) return fd;
    if (isV4) this.#addr.setIpv4(w3 >>> 0, port);
    else this.#addr.setIpv6(w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0, port);
    return this.#connect(flow, fd, KIND_TCP);
  }

  /** Many servers listen on one of 127.0.0.1 and ::1 alone; the gateway's address stands for both. */
  #openLoopback(flow: TcpFlow): number {
    if (this.#openTcp(flow) < 0) return this.#openOther(flow);
    this.#hasOther[flow.fd] = true;
    return 0;
  }

  /** `$target` is the loopback address where nobody was. */
  #openOther(flow: TcpFlow): number {
    const isV4 = $target.w2 === MAPPED;
    $target.w2 = isV4 ? 0 : MAPPED;
    $target.w3 = isV4 ? 1 : LOOPBACK_4;
    const result = this.#openTcp(flow);
    return result < 0 && result !== -C.EMFILE && result !== -C.ENFILE ? -C.ECONNREFUSED : result;
  }

  /** The first loopback address refused: true when the other one is being tried. */
  #tryOther(flow: TcpFlow): boolean {
    if (this.#hasOther[flow.fd] !== true) return false;
    this.close(flow, false);
    flow.fd = -1;
    const { remote0, remote1, remote2, remote3, remotePort } = flow;
    const policy = this.#policyOf(flow.segment!.id);
    const verdict = policy.decide('tcp', remote0, remote1, remote2, remote3, remotePort);
    return verdict === PASS_LOCAL && $target.eitherLoopback && this.#openOther(flow) === 0;
  }

  #openUnix(flow: TcpFlow, path: string): number {
    const fd = this.#sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
    if (fd < 0) return fd;
    this.#addr.setUnix(path);
    const result = this.#connect(flow, fd, KIND_UNIX);
    // No such socket, or nobody behind it: to a guest that is a port where nobody listens.
    return result === -C.ENOENT || result === -C.EAGAIN ? -C.ECONNREFUSED : result;
  }

  #openDns(flow: TcpFlow): number {
    const fd = this.#sys.socketpair(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC);
    if (fd < 0) return fd;
    this.#serveDns(this.#sys.pairSecond(), flow);
    return this.#take(flow, fd, KIND_UNIX);
  }

  #connect(flow: TcpFlow, fd: number, kind: number): number {
    const result = this.#sys.connect(fd, this.#addr.off, this.#addr.len);
    if (result < 0 && result !== -C.EINPROGRESS) {
      this.#sys.close(fd);
      return result;
    }
    return this.#take(flow, fd, kind);
  }

  #take(flow: TcpFlow, fd: number, kind: number): number {
    const sys = this.#sys;
    this.#kinds[fd] = kind;
    this.#offsets[fd] = 0;
    this.#hasOther[fd] = false;
    flow.bits = (flow.bits & ~(HOST_ENDING | SHORT_IS_ALL)) | (kind === KIND_TCP ? SHORT_IS_ALL : 0);
    if (kind === KIND_UNIX || this.#kernelOffset) sys.setsockopt(fd, C.SOL_SOCKET, C.SO_PEEK_OFF, 0);
    if (kind === KIND_TCP) {
      sys.setsockopt(fd, C.IPPROTO_TCP, C.TCP_NODELAY, 1);
      sys.setsockopt(fd, C.SOL_SOCKET, C.SO_OOBINLINE, 1);
    }
    flow.fd = fd;
    const source = (this.#sources[flow.id] ??= new FlowSource(this, flow));
    flow.token = this.#poller.add(fd, WATCHED, source);
    if (flow.token >= 0) return 0;
    const result = flow.token;
    sys.close(fd);
    flow.fd = -1;
    return result;
  }

  // ---- events

  onReady(flow: TcpFlow, mask: number, nowMs: number): void {
    const tcp = this.tcp!;
    if (flow.fd < 0) return;
    if ((mask & (C.EPOLLRDHUP | C.EPOLLHUP)) !== 0) flow.bits |= HOST_ENDING;
    if (flow.state === CONNECTING) {
      this.#onConnecting(flow, mask, nowMs);
      return;
    }
    if ((mask & C.EPOLLERR) !== 0) {
      const errno = this.error(flow.fd);
      if (errno !== 0) return tcp.onHostError(flow, errno, nowMs);
    }
    if ((mask & C.EPOLLOUT) !== 0) tcp.onHostWritable(flow, nowMs);
    if (flow.fd >= 0 && (mask & (C.EPOLLIN | C.EPOLLRDHUP | C.EPOLLHUP)) !== 0) tcp.onHostReadable(flow, nowMs);
  }

  #onConnecting(flow: TcpFlow, mask: number, nowMs: number): void {
    const tcp = this.tcp!;
    const errno = (mask & (C.EPOLLERR | C.EPOLLHUP)) === 0 ? 0 : this.error(flow.fd);
    // Linux tcp_reset: a refusal is ECONNREFUSED; these two mean that the peer had accepted, and reset since.
    const hasReset = errno === C.ECONNRESET || errno === C.EPIPE;
    if (errno !== 0 && !hasReset) {
      if (!this.#tryOther(flow)) tcp.onHostRefused(flow, errno, nowMs);
    } else if (hasReset || (mask & C.EPOLLOUT) !== 0) {
      tcp.onHostConnected(flow, nowMs);
      // What the server says first may have come with its consent: it is no event of its own any more.
      if ((mask & (C.EPOLLIN | C.EPOLLRDHUP | C.EPOLLHUP)) !== 0) tcp.onHostReadable(flow, nowMs);
      if (hasReset) tcp.onHostError(flow, errno, nowMs);
    }
  }

  // ---- HostStreams

  send(fd: number, off: number, len: number): number {
    return this.#sys.send(fd, off, len, C.MSG_DONTWAIT | C.MSG_NOSIGNAL);
  }

  peek(fd: number, off: number, len: number): number {
    if (this.#kernelOffset || this.#kinds[fd] === KIND_UNIX) {
      return this.#sys.recv(fd, off, len, C.MSG_PEEK | C.MSG_DONTWAIT);
    }
    return this.#peekPast(fd, off, len);
  }

  get peeksFar(): boolean {
    return this.#kernelOffset;
  }

  peekRun(fd: number, off: number, len: number, stride: number, count: number): number {
    for (let i = 0; i < count; i++) this.#sys.setIovec(this.#iov, i, off + i * stride, len);
    this.#sys.setMsghdr(this.#msg, 0, 0, this.#iov, count, 0, 0);
    return this.#sys.recvmsg(fd, this.#msg, C.MSG_PEEK | C.MSG_DONTWAIT);
  }

  setPeekOffset(fd: number, n: number): void {
    if (this.#kernelOffset || this.#kinds[fd] === KIND_UNIX) this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_PEEK_OFF, n);
    else this.#offsets[fd] = n;
  }

  discard(fd: number, n: number): void {
    if (this.#kinds[fd] === KIND_TCP) {
      this.#sys.recv(fd, 0, n, C.MSG_TRUNC | C.MSG_DONTWAIT);
      this.#offsets[fd] = Math.max(this.#offsets[fd]! - n, 0);
      return;
    }
    for (let left = n; left > 0;) {
      const got = this.#sys.recv(fd, this.#dump, Math.min(left, DUMP_LEN), C.MSG_DONTWAIT);
      if (got <= 0) return;
      left -= got;
    }
  }

  shutdownWrite(fd: number): void {
    this.#sys.shutdown(fd, C.SHUT_WR);
  }

  error(fd: number): number {
    const errno = this.#sys.getsockopt(fd, C.SOL_SOCKET, C.SO_ERROR);
    return errno < 0 ? -errno : errno;
  }

  close(flow: TcpFlow, reset: boolean): void {
    const { fd } = flow;
    this.#poller.forget(flow.token);
    flow.token = -1;
    if (reset && this.#kinds[fd] === KIND_TCP) this.#sys.setLingerZero(fd);
    this.#sys.close(fd);
  }

  /** Peeks over what was seen before: the first iovecs all point to the dump. */
  #peekPast(fd: number, off: number, len: number): number {
    const skip = this.#offsets[fd]!;
    let count = 0;
    for (let left = skip; left > 0 && count < MAX_IOVECS - 1; count++) {
      const part = Math.min(left, DUMP_LEN);
      this.#sys.setIovec(this.#iov, count, this.#dump, part);
      left -= part;
    }
    this.#sys.setIovec(this.#iov, count++, off, len);
    this.#sys.setMsghdr(this.#msg, 0, 0, this.#iov, count, 0, 0);
    const n = this.#sys.recvmsg(fd, this.#msg, C.MSG_PEEK | C.MSG_DONTWAIT);
    if (n < 0) return n;
    if (n > skip) {
      this.#offsets[fd] = n;
      return n - skip;
    }
    return skip === 0 ? 0 : this.#isAtEnd(fd);
  }

  /** Nothing behind what was seen: end of stream (0), a reset (its -errno), or nothing yet (-EAGAIN)? */
  #isAtEnd(fd: number): number {
    const room = this.#dump;
    const n = this.#sys.getsockoptBytes(fd, C.IPPROTO_TCP, C.TCP_INFO, room, 1);
    const state = n > 0 ? this.#sys.arena.u8[room]! : 1;
    // tcpi_state after the peer's FIN: TIME_WAIT 6, CLOSE_WAIT 8, LAST_ACK 9, CLOSING 11. CLOSE 7 is a reset, too.
    if (state < 6 || state === 10) return -C.EAGAIN;
    const errno = state === 7 ? this.error(fd) : 0;
    return errno === 0 ? 0 : -errno;
  }
}
