/**
 * Host sockets for UDP and echo flows.
 *
 * Zone: packet to send and receive, flow for the rest.  IP_RECVERR makes the kernel keep ICMP errors per socket; UDP
 * sockets of one guest endpoint share a local port through SO_REUSEADDR (each is connected elsewhere).
 */
import type { Flushable, Poller } from '../core/poller.ts';
import { type DatagramListener, type DatagramSockets, MAX_PAYLOAD, type SocketError } from '../nat/datagrams.ts';
import { MAPPED } from '../stack/path.ts';
import * as C from '../sys/constants.ts';
import { DatagramReader, RunWriter } from '../sys/datagram-io.ts';
import { ErrorQueue, SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 } from '../sys/error-queue.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';

const DATAGRAM = C.SOCK_DGRAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;
const IP_PMTUDISC_DONT = 0;

export class HostDatagrams implements DatagramSockets {
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #addr: SockAddr;
  readonly #errors: ErrorQueue;
  readonly #writer: RunWriter;
  readonly received: DatagramReader;
  readonly sendsRuns: boolean;

  /** `sendsRuns`: what sys/probe.ts says of UDP_SEGMENT. */
  constructor(sys: Sys, poller: Poller, sendsRuns: boolean) {
    this.#sys = sys;
    this.sendsRuns = sendsRuns;
    this.received = new DatagramReader(sys, false);
    this.#writer = new RunWriter(sys);
    this.#poller = poller;
    this.#addr = new SockAddr(sys.arena);
    this.#errors = new ErrorQueue(sys);
  }

  openUdp(w0: number, w1: number, w2: number, w3: number, port: number, localPort: number): number {
    const isV4 = isMapped(w0, w1, w2);
    const fd = this.#sys.socket(isV4 ? C.AF_INET : C.AF_INET6, DATAGRAM, 0);
    if (fd < 0) return fd;
    this.#reportErrors(fd, isV4);
    // A port that the kernel chooses is nobody else's only while the socket does not share: it would hand out a port
    // of other sharing sockets, and answers to one guest's flow would go to another's.
    if (localPort !== 0) this.#share(fd);
    // Guests fragment for themselves: what they send whole may be cut on the host's way (as a router would, RFC 1812).
    if (isV4) this.#sys.setsockopt(fd, C.IPPROTO_IP, C.IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    else this.#sys.setsockopt(fd, C.IPPROTO_IPV6, C.IPV6_MTU_DISCOVER, IP_PMTUDISC_DONT);
    this.#sys.setsockopt(fd, C.SOL_UDP, C.UDP_GRO, 1);
    if (isV4) this.#addr.setIpv4(0, localPort);
    else this.#addr.setIpv6(0, 0, 0, 0, localPort);
    const bound = this.#sys.bind(fd, this.#addr.off, this.#addr.len);
    if (bound < 0) return this.#fail(fd, bound);
    if (localPort === 0) this.#share(fd);
    return this.#connect(fd, isV4, w0, w1, w2, w3, port);
  }

  openEcho(w0: number, w1: number, w2: number, w3: number): number {
    const isV4 = isMapped(w0, w1, w2);
    const fd = isV4
      ? this.#sys.socket(C.AF_INET, DATAGRAM, C.IPPROTO_ICMP)
      : this.#sys.socket(C.AF_INET6, DATAGRAM, C.IPPROTO_ICMPV6);
    if (fd < 0) return fd;
    this.#reportErrors(fd, isV4);
    return this.#connect(fd, isV4, w0, w1, w2, w3, 0);
  }

  /** Whether packets to this address stay on the host: the kernel would send them from that very address. */
  isHostAddress(w0: number, w1: number, w2: number, w3: number): boolean {
    const fd = this.openUdp(w0, w1, w2, w3, 9, 0);
    if (fd < 0) return false;
    const known = this.#sys.getsockname(fd, this.#addr.off) >= 0;
    const same = isMapped(w0, w1, w2)
      ? this.#addr.ip4 === w3 >>> 0
      : this.#addr.word(0) === w0 >>> 0 &&
        this.#addr.word(1) === w1 >>> 0 &&
        this.#addr.word(2) === w2 >>> 0 &&
        this.#addr.word(3) === w3 >>> 0;
    this.#sys.close(fd);
    return known && same;
  }

  localPort(fd: number): number {
    return this.#sys.getsockname(fd, this.#addr.off) < 0 ? 0 : this.#addr.port;
  }

  watch(fd: number, listener: DatagramListener): number {
    return this.#poller.add(fd, C.EPOLLIN, {
      onReady: (mask, nowMs) => {
        if ((mask & C.EPOLLERR) !== 0) listener.onError(nowMs);
        if ((mask & C.EPOLLIN) !== 0) listener.onReadable(nowMs);
      },
    });
  }

  setHopLimit(fd: number, family: number, hops: number): void {
    if (family === 4) this.#sys.setsockopt(fd, C.IPPROTO_IP, C.IP_TTL, hops);
    else this.#sys.setsockopt(fd, C.IPPROTO_IPV6, C.IPV6_UNICAST_HOPS, hops);
  }

  send(fd: number, off: number, len: number): number {
    return this.#sys.send(fd, off, len, C.MSG_DONTWAIT | C.MSG_NOSIGNAL);
  }

  sendRun(fd: number, off: number, len: number, size: number): number {
    return this.#writer.send(fd, off, len, size, 0, 0);
  }

  receive(fd: number, to: number, max: number): number {
    return this.received.receive(fd, to, MAX_PAYLOAD, max);
  }

  flushLater(target: Flushable): void {
    this.#poller.flushLater(target);
  }

  recv(fd: number, off: number, len: number): number {
    return this.#sys.recv(fd, off, len, C.MSG_DONTWAIT);
  }

  takeError(fd: number, error: SocketError): boolean {
    const queue = this.#errors;
    if (queue.read(fd) < 0) {
      this.#sys.getsockopt(fd, C.SOL_SOCKET, C.SO_ERROR); // or EPOLLERR would come back for ever
      return false;
    }
    error.errno = queue.errno;
    error.icmp = queue.origin === SO_EE_ORIGIN_ICMP || queue.origin === SO_EE_ORIGIN_ICMP6;
    error.type = queue.type;
    error.code = queue.code;
    error.info = queue.info;
    error.payload = queue.payloadOff;
    error.payloadLen = queue.payloadLen;
    error.offender.fill(0);
    if (queue.offenderFamily === C.AF_INET) {
      error.offender[2] = MAPPED;
      error.offender[3] = queue.offender[0]!;
    } else if (queue.offenderFamily === C.AF_INET6) {
      error.offender.set(queue.offender);
    }
    return true;
  }

  close(fd: number, token: number): void {
    if (token >= 0) this.#poller.remove(token);
    this.#sys.close(fd);
  }

  /** Lets other sockets of the same guest endpoint have the same port. */
  #share(fd: number): void {
    this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 1);
  }

  #reportErrors(fd: number, isV4: boolean): void {
    if (isV4) this.#sys.setsockopt(fd, C.IPPROTO_IP, C.IP_RECVERR, 1);
    else this.#sys.setsockopt(fd, C.IPPROTO_IPV6, C.IPV6_RECVERR, 1);
  }

  #connect(fd: number, isV4: boolean, w0: number, w1: number, w2: number, w3: number, port: number): number {
    if (isV4) this.#addr.setIpv4(w3 >>> 0, port);
    else this.#addr.setIpv6(w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0, port);
    const result = this.#sys.connect(fd, this.#addr.off, this.#addr.len);
    return result < 0 ? this.#fail(fd, result) : fd;
  }

  #fail(fd: number, result: number): number {
    this.#sys.close(fd);
    return result;
  }
}

const isMapped = (w0: number, w1: number, w2: number): boolean => (w0 | w1) === 0 && w2 === MAPPED;
