/**
 * What UDP and ping sockets of the fake kernel share: the receive queue, the error queue, their control messages.
 *
 * Zone: control.  Both queues count against SO_RCVBUF; what does not fit is dropped and counted, as in Linux.
 */
import * as c from '../constants.ts';
import { type Endpoint, type Ip, sameEndpoint, type SocketName, writeEndpoint } from './address.ts';
import type { IcmpError } from './icmp-errors.ts';
import { InetSocket } from './inet-socket.ts';
import { type ControlMessage, reportedLength } from './socket.ts';

/** What a queued datagram costs beside its payload, roughly the kernel's own overhead; bytes. */
const OVERHEAD = 512;
const ORIGIN_LOCAL = 1;
const ORIGIN_ICMP = 2;
const ORIGIN_ICMP6 = 3;
const SHUT_BOTH = 3;
const JOINED_MAX = 64; // UDP_MAX_SEGMENTS before Linux 6.9
const JOINED_BYTES_MAX = 65_507;

interface Datagram {
  readonly payload: Uint8Array;
  readonly from: Endpoint;
  readonly ttl: number;
  /** Above 0: several datagrams of this many bytes, joined. */
  readonly segment: number;
}

interface ErrorReport {
  readonly error: IcmpError;
  readonly origin: number;
  readonly info: number;
  readonly offender: Ip | undefined;
  readonly destination: Endpoint;
  readonly payload: Uint8Array;
}

export abstract class DatagramSocket extends InetSocket {
  dropped = 0;
  #queue: Datagram[] = [];
  #errors: ErrorReport[] = [];
  #queuedBytes = 0;
  #shut = 0;
  #reported: ErrorReport | undefined;

  get sharesPort(): boolean {
    return true;
  }

  protected get recvErr(): boolean {
    return this.domain === c.AF_INET
      ? this.option(c.IPPROTO_IP, c.IP_RECVERR) !== 0
      : this.option(c.IPPROTO_IPV6, c.IPV6_RECVERR) !== 0;
  }

  protected get hopLimit(): number {
    return this.domain === c.AF_INET
      ? this.option(c.IPPROTO_IP, c.IP_TTL)
      : this.option(c.IPPROTO_IPV6, c.IPV6_UNICAST_HOPS);
  }

  get dontFragment(): boolean {
    const discover =
      this.domain === c.AF_INET
        ? this.option(c.IPPROTO_IP, c.IP_MTU_DISCOVER)
        : this.option(c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER);
    return discover === c.IP_PMTUDISC_DO;
  }

  protected override onBound(): void {
    this.ports().receive(this);
  }

  connect(name: SocketName): number {
    if (name.kind === 'unspec') {
      this.forgetRemote();
      return 0;
    }
    const to = this.destination(name);
    if (typeof to === 'number') return to;
    const result = this.prepareFor(to.ip);
    if (result === 0) this.remote = to;
    return result;
  }

  /** Where to send, or -errno; the socket is bound after it. */
  protected target(to: SocketName | undefined): Endpoint | number {
    if ((this.#shut & 2) !== 0) return -c.EPIPE;
    if (this.localPort === 0) {
      const claimed = this.claim(this.localIp, 0);
      if (claimed < 0) return claimed === -c.EADDRINUSE ? -c.EAGAIN : claimed;
    }
    const endpoint = to === undefined ? (this.remote ?? -c.EDESTADDRREQ) : this.destination(to);
    if (typeof endpoint === 'number') return endpoint;
    if (this.network.sourceFor(endpoint.ip) === undefined) return -c.ENETUNREACH;
    if (this.error !== 0) return -this.takeError();
    return endpoint;
  }

  /** The address that datagrams to `to` carry. */
  protected sourceEndpoint(to: Endpoint): Endpoint {
    const isBound = this.localIp.words.some((word) => word !== 0);
    return { ip: isBound ? this.localIp : this.network.sourceFor(to.ip)!, port: this.localPort };
  }

  /** A datagram arrives. */
  deliver(payload: Uint8Array, from: Endpoint, ttl: number): void {
    if ((this.#shut & 1) !== 0 || !this.#reserve(payload)) return;
    this.#queue.push({ payload, from, ttl, segment: 0 });
    this.wake(c.EPOLLIN);
  }

  /** An ICMP error arrives for a datagram that was sent to `destination`. */
  report(error: IcmpError, info: number, offender: Ip, destination: Endpoint, payload: Uint8Array): void {
    const origin = this.domain === c.AF_INET ? ORIGIN_ICMP : ORIGIN_ICMP6;
    if (this.recvErr) this.#queueError({ error, origin, info, offender, destination, payload });
    else if (!error.isHard || this.remote === undefined) return;
    this.fail(error.errno);
  }

  /** A datagram above the path's MTU was refused; -EMSGSIZE. */
  protected refuseTooBig(mtu: number, destination: Endpoint): number {
    const error: IcmpError = { type: 0, code: 0, errno: c.EMSGSIZE, isHard: true };
    if (this.recvErr) {
      const payload = new Uint8Array(0);
      this.#queueError({ error, origin: ORIGIN_LOCAL, info: mtu, offender: undefined, destination, payload });
    }
    return -c.EMSGSIZE;
  }

  #queueError(report: ErrorReport): void {
    if (this.#reserve(report.payload)) this.#errors.push(report);
  }

  #reserve(payload: Uint8Array): boolean {
    if (this.#queuedBytes + payload.length + OVERHEAD > this.receiveBuffer) {
      this.dropped++;
      return false;
    }
    this.#queuedBytes += payload.length + OVERHEAD;
    return true;
  }

  receive(memory: Uint8Array, off: number, len: number, flags: number): number {
    this.#reported = undefined;
    if ((flags & c.MSG_ERRQUEUE) !== 0) return this.#receiveError(memory, off, len);
    if (off === 0 && len > 0) return -c.EFAULT;
    if (this.error !== 0) return -this.takeError();
    if (this.option(c.SOL_UDP, c.UDP_GRO) !== 0 && (flags & c.MSG_PEEK) === 0) this.#join();
    const datagram = this.#queue[0];
    if (datagram === undefined) return -c.EAGAIN;
    if ((flags & c.MSG_PEEK) === 0) {
      this.#queue.shift();
      this.#queuedBytes -= datagram.payload.length + OVERHEAD;
    }
    const { payload, from, ttl } = datagram;
    memory.set(payload.subarray(0, Math.min(len, payload.length)), off);
    this.received.name = { kind: 'inet', family: this.domain, ...from };
    this.received.ttl = ttl;
    this.received.segment = datagram.segment;
    this.received.truncated = payload.length > len;
    return reportedLength(payload.length, len, flags);
  }

  /** UDP_GRO: what waits in front and came from one sender becomes one message. Linux joins less, never more. */
  #join(): void {
    const first = this.#queue[0];
    if (first === undefined || first.payload.length === 0) return;
    const size = first.payload.length;
    let count = 1;
    let total = size;
    for (const next of this.#queue.slice(1, JOINED_MAX)) {
      const len = next.payload.length;
      if (len === 0 || len > size || total + len > JOINED_BYTES_MAX || total % size !== 0) break;
      if (!sameEndpoint(next.from, first.from) || next.ttl !== first.ttl) break;
      total += len;
      count++;
    }
    if (count === 1) return;
    const payload = new Uint8Array(total);
    for (const [i, part] of this.#queue.splice(0, count).entries()) payload.set(part.payload, i * size);
    this.#queue.unshift({ payload, from: first.from, ttl: first.ttl, segment: size });
    this.#queuedBytes -= (count - 1) * OVERHEAD;
  }

  #receiveError(memory: Uint8Array, off: number, len: number): number {
    const report = this.#errors.shift();
    if (report === undefined) return -c.EAGAIN;
    this.#queuedBytes -= report.payload.length + OVERHEAD;
    // The pending error becomes that of the next report, or none.
    this.error = this.#errors[0]?.error.errno ?? 0;
    this.#reported = report;
    memory.set(report.payload.subarray(0, Math.min(len, report.payload.length)), off);
    this.received.name = { kind: 'inet', family: this.domain, ...report.destination };
    this.received.truncated = report.payload.length > len;
    return Math.min(len, report.payload.length);
  }

  override controlMessages(): ControlMessage[] {
    if (this.#reported !== undefined) return [this.#errorMessage(this.#reported)];
    return [...this.#groMessage(), ...this.#hopLimitMessage()];
  }

  #groMessage(): ControlMessage[] {
    const { segment } = this.received;
    if (segment === 0) return [];
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, segment, true);
    return [{ level: c.SOL_UDP, type: c.UDP_GRO, bytes }];
  }

  #hopLimitMessage(): ControlMessage[] {
    const isV4 = this.domain === c.AF_INET;
    const wanted = isV4 ? this.option(c.IPPROTO_IP, c.IP_RECVTTL) : this.option(c.IPPROTO_IPV6, c.IPV6_RECVHOPLIMIT);
    if (wanted === 0) return [];
    const bytes = new Uint8Array(4);
    bytes[0] = this.received.ttl;
    return isV4
      ? [{ level: c.IPPROTO_IP, type: c.IP_TTL, bytes }]
      : [{ level: c.IPPROTO_IPV6, type: c.IPV6_HOPLIMIT, bytes }];
  }

  /** struct sock_extended_err and the offender's address (linux/errqueue.h). */
  #errorMessage(report: ErrorReport): ControlMessage {
    const isV4 = this.domain === c.AF_INET;
    const bytes = new Uint8Array(16 + (isV4 ? 16 : 28));
    const view = new DataView(bytes.buffer);
    view.setUint32(0, report.error.errno, true);
    view.setUint8(4, report.origin);
    view.setUint8(5, report.error.type);
    view.setUint8(6, report.error.code);
    view.setUint32(8, report.info, true);
    if (report.offender !== undefined) writeEndpoint(view, 16, this.domain, { ip: report.offender, port: 0 });
    return isV4
      ? { level: c.IPPROTO_IP, type: c.IP_RECVERR, bytes }
      : { level: c.IPPROTO_IPV6, type: c.IPV6_RECVERR, bytes };
  }

  override ioctl(view: DataView, request: number, argument: number, _value: number): number {
    if (request !== c.FIONREAD && request !== c.SIOCOUTQ) return -c.ENOTTY;
    view.setInt32(argument, request === c.FIONREAD ? (this.#queue[0]?.payload.length ?? 0) : 0, true);
    return 0;
  }

  shutdown(how: number): number {
    if (how < 0 || how > 2) return -c.EINVAL;
    if (this.remote === undefined) return -c.ENOTCONN;
    this.#shut |= how + 1;
    this.wake();
    return 0;
  }

  poll(): number {
    let mask = c.EPOLLOUT;
    if (this.error !== 0 || this.#errors.length > 0) mask |= c.EPOLLERR;
    if ((this.#shut & 1) !== 0) mask |= c.EPOLLIN | c.EPOLLRDHUP;
    if (this.#shut === SHUT_BOTH) mask |= c.EPOLLHUP;
    if (this.#queue.length > 0) mask |= c.EPOLLIN;
    return mask;
  }

  protected onClose(): void {
    this.#queue = [];
    this.#errors = [];
    this.ports().remove(this);
  }
}
