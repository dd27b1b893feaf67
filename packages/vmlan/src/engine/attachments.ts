/**
 * Links as the control plane asks for them: sockets are made and bound here, ports come and go with their far ends.
 *
 * Zone: control.  Whether a unix path may be replaced was decided by the control thread; here it is bound, made private
 * to its owner, and removed at the end.
 */
import { chmodSync, rmSync } from 'node:fs';
import { type Counters, counter } from '../core/counters.ts';
import { VmlanError } from '../core/errors.ts';
import { Connector } from '../links/connector.ts';
import { DatagramLink } from '../links/datagram.ts';
import type { LinkInput } from '../links/link.ts';
import { Listener } from '../links/listener.ts';
import type { StreamBuffers } from '../links/stream-framing.ts';
import { StreamLink } from '../links/stream.ts';
import { TapLink } from '../links/tap.ts';
import type { LinkOutput, Port } from '../switching/port.ts';
import * as C from '../sys/constants.ts';
import { SockAddr, UNIX_PATH_MAX } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';
import { describe, words } from './config.ts';
import type { LinkSpec, SocketAddress } from './control-messages.ts';
import type { EventLoop } from './loop.ts';

const BACKLOG = 1024;
const SOCKET_MODE = 0o600;
const STREAM_BUFFER = 2 << 20; // bytes, as far as the system allows: both ends work at the same time, not in turns
const DATAGRAM_BUFFER = 4 * 1024 * 1024; // bytes; a frame per datagram, and bursts of them
const FLOODS_RESTED = counter('port_floods_rested');
const STREAM_FLAGS = C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;

/** Gives links their ports. */
export interface PortKeeper {
  /** `own`: addresses of the host, where the host itself is behind the link. */
  addPort(link: LinkOutput, nic: string | null, hostSide: boolean, own: readonly string[]): Port | null;
  removePort(port: Port): void;
  onFrame(port: Port, off: number, len: number, nowMs: number): void;
}

interface Closable {
  close(): void;
}

/** A link's side towards its port. */
interface PortInput extends LinkInput {
  /** The network has no port left for it. */
  readonly isRefused: boolean;
}

export class Attachments {
  readonly #sys: Sys;
  readonly #loop: EventLoop;
  readonly #buffers: StreamBuffers;
  readonly #counters: Counters;
  readonly #ports: PortKeeper;
  /** By link id: everything that ends with it. */
  readonly #links = new Map<string, Set<Closable>>();
  readonly #datagramLinks = new Set<DatagramLink>();
  /** Addresses that no link needs any more: the arena frees nothing, and links come and go for months. */
  readonly #spareAddresses: SockAddr[] = [];

  constructor(sys: Sys, loop: EventLoop, buffers: StreamBuffers, counters: Counters, ports: PortKeeper) {
    this.#sys = sys;
    this.#loop = loop;
    this.#buffers = buffers;
    this.#counters = counters;
    this.#ports = ports;
  }

  /** Throws VmlanError when the id is taken or the socket cannot be made; then nothing was changed. */
  add(id: string, spec: LinkSpec): void {
    if (this.#links.has(id)) throw new VmlanError('conflict', `link "${id}" exists already`);
    const parts = new Set<Closable>();
    switch (spec.kind) {
      case 'stream-listen':
        this.#listen(spec.address, spec.nic, parts);
        break;
      case 'stream-connect':
        this.#connect(spec.address, spec.nic, parts);
        break;
      case 'stream-fd':
        this.#stream(spec.fd, spec.nic, parts, () => {});
        break;
      case 'dgram':
        this.#datagram(spec.path, spec.peer, spec.nic, parts);
        break;
      case 'tap':
        this.#tap(spec.fd, spec.nic, spec.hostSide ? (spec.addresses ?? []) : null, parts);
        break;
    }
    this.#links.set(id, parts);
  }

  remove(id: string): void {
    const parts = this.#links.get(id);
    if (parts === undefined) throw new VmlanError('not-found', `no link "${id}"`);
    this.#links.delete(id);
    for (const part of [...parts]) part.close();
  }

  /** Notices peers that came or went without a word; to be called every second or two. */
  checkPeers(): void {
    for (const link of this.#datagramLinks) link.checkPeer();
  }

  closeAll(): void {
    for (const id of [...this.#links.keys()]) this.remove(id);
  }

  /** Link input that gives each up-time of a link a port of its own. */
  #input(nic: string | null, host: readonly string[] | null, onDown: (link: LinkOutput) => void): PortInput {
    let port: Port | null = null;
    let isRefused = false;
    return {
      get isRefused() {
        return isRefused;
      },
      onFrame: (off, len, nowMs) => {
        if (port !== null) this.#ports.onFrame(port, off, len, nowMs);
      },
      restMs: (nowMs) => {
        const rest = port?.floods.restMs(nowMs) ?? 0;
        if (rest > 0) this.#counters.count(FLOODS_RESTED);
        return rest;
      },
      onUp: (link) => {
        port = this.#ports.addPort(link, nic, host !== null, host ?? []);
        isRefused = port === null;
      },
      onDown: (link) => {
        if (port !== null) this.#ports.removePort(port);
        port = null;
        onDown(link);
      },
    };
  }

  #listen(address: SocketAddress, nic: string | null, parts: Set<Closable>): void {
    const fd = this.#bind(address, C.SOCK_STREAM);
    const result = this.#sys.listen(fd, BACKLOG);
    if (result < 0) throw this.#unbound(fd, address, bindError(describe(address), -result));
    // A guest of its own socket has one NIC: who connects last is it (a VM that was killed may still look connected).
    let current: StreamLink | null = null;
    const listener = new Listener(this.#sys, this.#loop, fd, (connection) => {
      if (nic !== null) current?.close();
      current = this.#stream(connection, nic, parts, () => {});
    });
    parts.add({
      close: () => {
        listener.close();
        if ('unix' in address) rmSync(address.unix, { force: true });
      },
    });
  }

  #connect(address: SocketAddress, nic: string | null, parts: Set<Closable>): void {
    const target = this.#address(address);
    const connector = new Connector(this.#sys, this.#loop, target, this.#loop.now, (fd) => {
      this.#stream(fd, nic, parts, () => connector.onLost(this.#loop.now));
    });
    parts.add({
      close: () => {
        connector.close();
        this.#spareAddresses.push(target);
      },
    });
  }

  #stream(fd: number, nic: string | null, parts: Set<Closable>, onLost: () => void): StreamLink {
    if (this.#isTcp(fd)) this.#sys.setsockopt(fd, C.IPPROTO_TCP, C.TCP_NODELAY, 1);
    else this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_SNDBUF, STREAM_BUFFER); // TCP finds its own
    const input = this.#input(nic, null, (link) => {
      parts.delete(link as StreamLink);
      onLost();
    });
    const link = new StreamLink(this.#sys, this.#loop, fd, input, this.#buffers, this.#counters);
    parts.add(link);
    if (input.isRefused) link.close(); // whoever connects again may find a place
    return link;
  }

  #isTcp(fd: number): boolean {
    return this.#sys.getsockopt(fd, C.IPPROTO_TCP, C.TCP_NODELAY) >= 0;
  }

  #datagram(path: string, peer: string | null, nic: string | null, parts: Set<Closable>): void {
    if (peer !== null) checkPath(peer);
    const fd = this.#bind({ unix: path }, C.SOCK_DGRAM);
    this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_SNDBUF, DATAGRAM_BUFFER);
    this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_RCVBUF, DATAGRAM_BUFFER);
    const to = peer === null ? this.#takeAddress() : this.#address({ unix: peer });
    const from = this.#takeAddress();
    const input = this.#input(nic, null, () => {});
    const link = new DatagramLink(this.#sys, this.#loop, fd, to, from, input, this.#buffers, this.#counters);
    this.#datagramLinks.add(link);
    parts.add({
      close: () => {
        this.#datagramLinks.delete(link);
        link.close();
        this.#spareAddresses.push(to, from);
        rmSync(path, { force: true });
      },
    });
  }

  #tap(fd: number, nic: string | null, host: readonly string[] | null, parts: Set<Closable>): void {
    const input = this.#input(nic, host, (link) => parts.delete(link as TapLink));
    parts.add(new TapLink(this.#sys, this.#loop, fd, input, this.#buffers, this.#counters));
  }

  #address(address: SocketAddress): SockAddr {
    if ('unix' in address) {
      checkPath(address.unix);
      return this.#takeAddress().setUnix(address.unix);
    }
    const w = words(address.host);
    if (w === null) throw new VmlanError('invalid', `"${address.host}" is not an IP address`);
    const result = this.#takeAddress();
    if (w[2] === 0xffff && w[0] === 0 && w[1] === 0) return result.setIpv4(w[3]! >>> 0, address.port);
    return result.setIpv6(w[0]! >>> 0, w[1]! >>> 0, w[2]! >>> 0, w[3]! >>> 0, address.port);
  }

  #takeAddress(): SockAddr {
    const address = this.#spareAddresses.pop() ?? new SockAddr(this.#sys.arena);
    address.len = 0;
    return address;
  }

  #bind(address: SocketAddress, type: number): number {
    const target = this.#address(address);
    this.#spareAddresses.push(target); // used up before anybody else takes it
    const flags = (type === C.SOCK_STREAM ? STREAM_FLAGS : C.SOCK_DGRAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC) | 0;
    const fd = this.#sys.socket(target.family, flags, 0);
    if (fd < 0) throw bindError(describe(address), -fd);
    if (!('unix' in address)) this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 1);
    const result = this.#sys.bind(fd, target.off, target.len);
    if (result < 0) {
      this.#sys.close(fd);
      throw bindError(describe(address), -result);
    }
    if ('unix' in address) this.#makePrivate(fd, address.unix);
    return fd;
  }

  #makePrivate(fd: number, path: string): void {
    try {
      chmodSync(path, SOCKET_MODE);
    } catch (cause) {
      const error = new VmlanError('unavailable', `cannot make ${path} private to its owner`, { cause });
      throw this.#unbound(fd, { unix: path }, error);
    }
  }

  /** Takes back what was bound, and gives the error. */
  #unbound(fd: number, address: SocketAddress, error: VmlanError): VmlanError {
    this.#sys.close(fd);
    if ('unix' in address) rmSync(address.unix, { force: true });
    return error;
  }
}

/** Throws VmlanError when no socket can have this path. */
export function checkPath(path: string): void {
  const len = Buffer.byteLength(path);
  if (len <= UNIX_PATH_MAX) return;
  throw new VmlanError('invalid', `${path}: a socket path has at most ${UNIX_PATH_MAX} bytes, this one ${len}`);
}

/** The error for an address that could not be bound. */
export function bindError(what: string, errno: number): VmlanError {
  switch (errno) {
    case C.EADDRINUSE:
      return new VmlanError('address-in-use', `${what} is in use`, {
        hint: 'stop its owner, or choose another port; ss -ltnp shows who has which',
      });
    case C.EACCES:
    case C.EPERM:
      return new VmlanError('not-permitted', `may not listen on ${what}`, {
        hint: 'choose a port above 1023 or a folder that you may write to',
      });
    case C.EADDRNOTAVAIL:
      return new VmlanError('invalid', `${what} is not an address of this host`, {
        hint: 'its addresses are shown by: ip address',
      });
    case C.EMFILE:
    case C.ENFILE:
      return new VmlanError('exhausted', `no descriptor left to listen on ${what}`, { hint: 'raise `ulimit -n`' });
    default:
      return new VmlanError('unavailable', `cannot listen on ${what}: errno ${errno}`);
  }
}
