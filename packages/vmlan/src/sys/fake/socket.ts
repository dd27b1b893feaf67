/**
 * What all sockets of the fake kernel share: options, the pending error, the answers to calls they do not have.
 *
 * Zone: control.  Sockets never block, whatever their flags.  Calls answer 0 or more, or -errno.
 */
import * as c from '../constants.ts';
import type { SocketName } from './address.ts';
import { OpenFile } from './open-file.ts';

const BUFFER_MIN = 4608; // bytes, what Linux makes of a smaller SO_SNDBUF or SO_RCVBUF at least
const BUFFER_MAX = 425_984; // bytes, twice net.core.wmem_max
export const BUFFER_DEFAULT = 212_992; // bytes, net.core.wmem_default

const key = (level: number, name: number): number => level * 0x1_0000 + name;

/** Options that are an int, with their first value; others answer ENOPROTOOPT. */
const SOCKET_OPTIONS: readonly (readonly [number, number, number])[] = [
  [c.SOL_SOCKET, c.SO_REUSEADDR, 0],
  [c.SOL_SOCKET, c.SO_BROADCAST, 0],
  [c.SOL_SOCKET, c.SO_SNDBUF, BUFFER_DEFAULT],
  [c.SOL_SOCKET, c.SO_RCVBUF, BUFFER_DEFAULT],
  [c.SOL_SOCKET, c.SO_KEEPALIVE, 0],
  [c.SOL_SOCKET, c.SO_OOBINLINE, 0],
  [c.SOL_SOCKET, c.SO_PEEK_OFF, -1],
];
const INET_OPTIONS: typeof SOCKET_OPTIONS = [
  [c.IPPROTO_IP, c.IP_TTL, 64],
  [c.IPPROTO_IP, c.IP_RECVERR, 0],
  [c.IPPROTO_IP, c.IP_RECVTTL, 0],
  [c.IPPROTO_IP, c.IP_MTU_DISCOVER, 1],
];
const INET6_OPTIONS: typeof SOCKET_OPTIONS = [
  [c.IPPROTO_IPV6, c.IPV6_V6ONLY, 0],
  [c.IPPROTO_IPV6, c.IPV6_UNICAST_HOPS, 64],
  [c.IPPROTO_IPV6, c.IPV6_RECVERR, 0],
  [c.IPPROTO_IPV6, c.IPV6_RECVHOPLIMIT, 0],
  [c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER, 1],
];
const TCP_OPTIONS: typeof SOCKET_OPTIONS = [
  [c.IPPROTO_TCP, c.TCP_NODELAY, 0],
  [c.IPPROTO_TCP, c.TCP_KEEPIDLE, 7200],
  [c.IPPROTO_TCP, c.TCP_KEEPINTVL, 75],
  [c.IPPROTO_TCP, c.TCP_KEEPCNT, 9],
  [c.IPPROTO_TCP, c.TCP_QUICKACK, 1],
];
const UDP_OPTIONS: typeof SOCKET_OPTIONS = [
  [c.SOL_UDP, c.UDP_SEGMENT, 0],
  [c.SOL_UDP, c.UDP_GRO, 0],
];

/** Where a datagram came from and what came with it; the last one a receive took. */
export interface Received {
  name: SocketName | undefined;
  ttl: number;
  truncated: boolean;
  /** Size of the datagrams that were joined; 0: it was one. */
  segment: number;
}

/** Ancillary data of a message (man 3 cmsg). */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly bytes: Uint8Array;
}

export abstract class Socket extends OpenFile {
  readonly domain: number;
  readonly type: number;
  /** The pending error: told once, by SO_ERROR or by the next call. */
  error = 0;
  lingerZero = false;
  readonly received: Received = { name: undefined, ttl: 0, truncated: false, segment: 0 };
  readonly #options = new Map<number, number>();

  constructor(domain: number, type: number) {
    super();
    this.domain = domain;
    this.type = type;
    for (const [level, name, value] of SOCKET_OPTIONS) this.#options.set(key(level, name), value);
    if (domain === c.AF_INET || domain === c.AF_INET6) this.#addOptions(INET_OPTIONS);
    if (domain === c.AF_INET6) this.#addOptions(INET6_OPTIONS);
    if (domain !== c.AF_UNIX) this.#addOptions(type === c.SOCK_STREAM ? TCP_OPTIONS : UDP_OPTIONS);
  }

  #addOptions(options: typeof SOCKET_OPTIONS): void {
    for (const [level, name, value] of options) this.#options.set(key(level, name), value);
  }

  option(level: number, name: number): number {
    return this.#options.get(key(level, name)) ?? 0;
  }

  getOption(level: number, name: number): number {
    if (level === c.SOL_SOCKET && name === c.SO_ERROR) return this.takeError();
    if (level === c.SOL_SOCKET && name === c.SO_TYPE) return this.type;
    return this.#options.get(key(level, name)) ?? -c.ENOPROTOOPT;
  }

  setOption(level: number, name: number, value: number): number {
    if (!this.#options.has(key(level, name))) return -c.ENOPROTOOPT;
    const isBuffer = level === c.SOL_SOCKET && (name === c.SO_SNDBUF || name === c.SO_RCVBUF);
    const kept = isBuffer ? Math.min(Math.max(2 * value, BUFFER_MIN), BUFFER_MAX) : value;
    this.#options.set(key(level, name), kept);
    this.onOption(level, name, kept);
    return 0;
  }

  inheritOptions(from: Socket): void {
    for (const [option, value] of from.#options) this.#options.set(option, value);
    this.lingerZero = from.lingerZero;
  }

  get reuseAddress(): boolean {
    return this.option(c.SOL_SOCKET, c.SO_REUSEADDR) !== 0;
  }

  get v6Only(): boolean {
    return this.option(c.IPPROTO_IPV6, c.IPV6_V6ONLY) !== 0;
  }

  get sendBuffer(): number {
    return this.option(c.SOL_SOCKET, c.SO_SNDBUF);
  }

  get receiveBuffer(): number {
    return this.option(c.SOL_SOCKET, c.SO_RCVBUF);
  }

  /** The pending error, which is thereby told. */
  takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  fail(errno: number): void {
    this.error = errno;
    this.wake(c.EPOLLERR);
  }

  override read(memory: Uint8Array, off: number, len: number): number {
    return this.receive(memory, off, len, 0);
  }

  override write(memory: Uint8Array, off: number, len: number): number {
    return this.transmit(memory, off, len, 0, undefined);
  }

  protected onOption(_level: number, _name: number, _value: number): void {}

  abstract bind(name: SocketName): number;
  abstract connect(name: SocketName): number;
  /** Copies nothing when `off` is 0. */
  abstract receive(memory: Uint8Array, off: number, len: number, flags: number): number;
  abstract transmit(memory: Uint8Array, off: number, len: number, flags: number, to: SocketName | undefined): number;
  abstract shutdown(how: number): number;
  abstract localName(): SocketName;
  /** Undefined: not connected. */
  abstract peerName(): SocketName | undefined;

  listen(_backlog: number): number {
    return -c.ENOTSUP;
  }

  accept(): Socket | number {
    return -c.ENOTSUP;
  }

  /** What came with the message that `receive` took last. */
  controlMessages(): ControlMessage[] {
    return [];
  }

  /** The bytes of an option that is not an int, or -errno. */
  getOptionBytes(_level: number, _name: number): Uint8Array | number {
    return -c.ENOPROTOOPT;
  }
}

/** The lower of room and size, as a receive with these flags reports a datagram of `size` bytes. */
export function reportedLength(size: number, room: number, flags: number): number {
  return (flags & c.MSG_TRUNC) === 0 ? Math.min(size, room) : size;
}
