/**
 * Host sockets that forwards wait on.
 *
 * Zone: flow.  Muting (man 7 tcp, man 7 udp): a TCP socket that is bound but does not listen answers RST, and
 * shutdown(SHUT_RD) takes a listening one back to that state; a UDP socket connected to a peer that never sends makes
 * the kernel answer everybody else with port unreachable.
 */
import { chmodSync, rmSync } from 'node:fs';
import type { Poller, Source } from '../core/poller.ts';
import { MAX_PAYLOAD } from '../nat/datagrams.ts';
import type { Client, ForwardSockets, ListenAddress } from '../nat/forward-sockets.ts';
import { MAPPED } from '../stack/path.ts';
import * as C from '../sys/constants.ts';
import { DatagramReader, RunWriter } from '../sys/datagram-io.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';

const BACKLOG = 1024;
/** How long clients wait for the next look when no descriptor or memory is left. */
const REST_MS = 100;
const EXHAUSTED: readonly number[] = [-C.EMFILE, -C.ENFILE, -C.ENOMEM, -C.ENOBUFS];
const MODE_OWNER_ONLY = 0o600;
const DISCARD_PORT = 9;
const LOOPBACK_4 = 0x7f00_0001;

export class HostForwards implements ForwardSockets {
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #addr: SockAddr;
  readonly #writer: RunWriter;
  readonly received: DatagramReader;
  readonly #families: number[] = []; // by descriptor
  readonly #tokens: number[] = []; // by descriptor; -1 while muted
  readonly #sources: Source[] = [];
  readonly #paths = new Map<number, string>();

  constructor(sys: Sys, poller: Poller) {
    this.#sys = sys;
    this.#poller = poller;
    this.#addr = new SockAddr(sys.arena);
    this.#writer = new RunWriter(sys);
    this.received = new DatagramReader(sys, true);
  }

  openTcp(address: ListenAddress): number {
    const fd = this.#bind(address, C.SOCK_STREAM);
    return fd < 0 || address.path === null ? fd : this.#makePrivate(fd, address.path);
  }

  openUdp(address: ListenAddress): number {
    const fd = this.#bind(address, C.SOCK_DGRAM);
    if (fd < 0) return fd;
    this.#sys.setsockopt(fd, C.SOL_UDP, C.UDP_GRO, 1);
    this.#muteUdp(fd);
    return fd;
  }

  setMuted(fd: number, protocol: 'tcp' | 'udp', muted: boolean): number {
    const result = protocol === 'tcp' ? this.#muteTcp(fd, muted) : this.#setUdpMuted(fd, muted);
    if (result < 0) return result;
    // A TCP socket that does not listen reports EPOLLHUP all the time: muted sockets are not watched.
    if (muted) this.#unwatch(fd);
    else this.#tokens[fd] = this.#poller.add(fd, C.EPOLLIN, this.#sources[fd]!);
    return result;
  }

  watch(fd: number, onReady: (nowMs: number) => void): void {
    this.#tokens[fd] = -1;
    this.#sources[fd] = { onReady: (mask, nowMs) => this.#onReady(fd, mask, nowMs, onReady) };
  }

  accept(fd: number, nowMs: number): number {
    const client = this.#sys.accept(fd, 0);
    if (EXHAUSTED.includes(client)) this.#rest(fd, nowMs);
    return client;
  }

  receive(fd: number, to: number, max: number): number {
    return this.received.receive(fd, to, MAX_PAYLOAD, max);
  }

  readClient(index: number, client: Client): void {
    const { view } = this.#sys.arena;
    const name = this.received.name(index);
    client.port = view.getUint16(name + 2);
    client.words.fill(0);
    client.scope = 0;
    if (view.getUint16(name, true) === C.AF_INET) {
      client.words[2] = MAPPED;
      client.words[3] = view.getInt32(name + 4);
    } else {
      for (let i = 0; i < 4; i++) client.words[i] = view.getInt32(name + 8 + 4 * i);
      client.scope = view.getUint32(name + 24, true);
    }
  }

  sendTo(fd: number, off: number, len: number, size: number, words: Int32Array, port: number, scope: number): number {
    const addr = this.#addr;
    const [w0, w1, w2, w3] = words;
    const mapped = (w0! | w1!) === 0 && w2 === MAPPED;
    if (mapped && this.#families[fd] === C.AF_INET) addr.setIpv4(w3! >>> 0, port);
    else addr.setIpv6(w0! >>> 0, w1! >>> 0, w2! >>> 0, w3! >>> 0, port, scope);
    if (size > 0) return this.#writer.send(fd, off, len, size, addr.off, addr.len);
    return this.#sys.sendto(fd, off, len, C.MSG_DONTWAIT | C.MSG_NOSIGNAL, addr.off, addr.len);
  }

  reset(fd: number): void {
    this.#sys.setLingerZero(fd);
    this.#sys.close(fd);
  }

  close(fd: number): void {
    this.#unwatch(fd);
    this.#sys.close(fd);
    const path = this.#paths.get(fd);
    if (path !== undefined) rmSync(path, { force: true });
    this.#paths.delete(fd);
  }

  #onReady(fd: number, mask: number, nowMs: number, onReady: (nowMs: number) => void): void {
    if (mask === 0) this.#poller.modify(this.#tokens[fd]!, C.EPOLLIN); // it has rested
    if ((mask & C.EPOLLERR) !== 0) this.#sys.getsockopt(fd, C.SOL_SOCKET, C.SO_ERROR);
    if ((mask & C.EPOLLIN) !== 0) onReady(nowMs);
  }

  /** A socket whose clients nobody can take stays readable: it is looked at again later, and not all the time. */
  #rest(fd: number, nowMs: number): void {
    const token = this.#tokens[fd] ?? -1;
    if (token < 0) return;
    this.#poller.modify(token, 0);
    this.#poller.wakeAt(token, nowMs + REST_MS);
  }

  #unwatch(fd: number): void {
    const token = this.#tokens[fd] ?? -1;
    if (token >= 0) this.#poller.remove(token);
    this.#tokens[fd] = -1;
  }

  /** A unix socket that once listened cannot stop: its clients are accepted and closed. */
  #muteTcp(fd: number, muted: boolean): number {
    if (this.#families[fd] === C.AF_UNIX) return muted ? -C.ENOTSUP : this.#sys.listen(fd, BACKLOG);
    // A socket that does not listen keeps its port to itself only without SO_REUSEADDR; one that begins to listen again
    // needs it, because its earlier connections have the port too (Linux inet_csk_bind_conflict).
    if (!muted) this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 1);
    const result = muted ? this.#sys.shutdown(fd, C.SHUT_RD) : this.#sys.listen(fd, BACKLOG);
    if (muted || result < 0) this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 0);
    return result;
  }

  #setUdpMuted(fd: number, muted: boolean): number {
    if (muted) return this.#muteUdp(fd);
    this.#addr.setIpv4(0, 0);
    this.#sys.arena.view.setUint16(this.#addr.off, C.AF_UNSPEC, true);
    return this.#sys.connect(fd, this.#addr.off, this.#addr.len);
  }

  /** Bound for us alone; where only connections of an earlier run hold the port (TIME_WAIT), beside them. */
  #bind(address: ListenAddress, type: number): number {
    const fd = this.#bindOnce(address, type, false);
    return fd === -C.EADDRINUSE && type === C.SOCK_STREAM ? this.#bindOnce(address, type, true) : fd;
  }

  #bindOnce(address: ListenAddress, type: number, reuse: boolean): number {
    const { words, path, port } = address;
    const family = words === null ? C.AF_UNIX : isMapped(words) ? C.AF_INET : C.AF_INET6;
    if (words === null) this.#addr.setUnix(path!);
    else if (family === C.AF_INET) this.#addr.setIpv4(words[3]! >>> 0, port);
    else this.#addr.setIpv6(words[0]! >>> 0, words[1]! >>> 0, words[2]! >>> 0, words[3]! >>> 0, port);
    const fd = this.#sys.socket(family, type | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
    if (fd < 0) return fd;
    this.#families[fd] = family;
    if (reuse) this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 1);
    if (family === C.AF_INET6) this.#sys.setsockopt(fd, C.IPPROTO_IPV6, C.IPV6_V6ONLY, isAny(words!) ? 0 : 1);
    const result = this.#sys.bind(fd, this.#addr.off, this.#addr.len);
    if (result >= 0 && reuse) this.#sys.setsockopt(fd, C.SOL_SOCKET, C.SO_REUSEADDR, 0);
    if (result >= 0) return fd;
    this.#sys.close(fd);
    return result;
  }

  /** Takes the path's socket away from everybody else; its descriptor, or `-errno` and neither is left. */
  #makePrivate(fd: number, path: string): number {
    this.#paths.set(fd, path);
    try {
      chmodSync(path, MODE_OWNER_ONLY);
      return fd;
    } catch (error) {
      this.close(fd);
      return (error as NodeJS.ErrnoException).errno ?? -C.EACCES;
    }
  }

  #muteUdp(fd: number): number {
    if (this.#families[fd] === C.AF_INET) this.#addr.setIpv4(LOOPBACK_4, DISCARD_PORT);
    else this.#addr.setIpv6(0, 0, 0, 1, DISCARD_PORT);
    return this.#sys.connect(fd, this.#addr.off, this.#addr.len);
  }
}

const isMapped = (w: Int32Array): boolean => (w[0]! | w[1]!) === 0 && w[2] === MAPPED;
const isAny = (w: Int32Array): boolean => (w[0]! | w[1]! | w[2]! | w[3]!) === 0;
