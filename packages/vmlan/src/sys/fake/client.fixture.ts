/**
 * A program on the fake host, for tests: plain calls with text addresses, and waiting in virtual time.
 *
 * Zone: control.
 */
import * as c from '../constants.ts';
import { SockAddr } from '../sockaddr.ts';
import { parseIp } from './address.ts';
import type { FakeKernel } from './kernel.ts';
import type { FakeSys } from './fake-sys.ts';

const ROOM = 65_536; // bytes

export class Client {
  readonly kernel: FakeKernel;
  readonly sys: FakeSys;
  readonly addr: SockAddr;
  readonly out: number;
  readonly in: number;

  constructor(kernel: FakeKernel) {
    this.kernel = kernel;
    this.sys = kernel.sys;
    this.addr = new SockAddr(this.sys.arena);
    this.out = this.sys.arena.alloc(ROOM);
    this.in = this.sys.arena.alloc(ROOM);
  }

  address(ip: string, port: number): SockAddr {
    const { family, words } = parseIp(ip);
    if (family === c.AF_INET) return this.addr.setIpv4(words[0]!, port);
    return this.addr.setIpv6(words[0]!, words[1]!, words[2]!, words[3]!, port);
  }

  socket(ip: string, type: number = c.SOCK_STREAM, protocol = 0): number {
    return this.sys.socket(parseIp(ip).family, type | c.SOCK_NONBLOCK, protocol);
  }

  bind(fd: number, ip: string, port: number): number {
    const { off, len } = this.address(ip, port);
    return this.sys.bind(fd, off, len);
  }

  connect(fd: number, ip: string, port: number): number {
    const { off, len } = this.address(ip, port);
    return this.sys.connect(fd, off, len);
  }

  /** A TCP connection under way. */
  dial(ip: string, port: number): number {
    const fd = this.socket(ip);
    this.connect(fd, ip, port);
    return fd;
  }

  listen(ip: string, port: number, backlog = 8): number {
    const fd = this.socket(ip);
    this.bind(fd, ip, port);
    this.sys.listen(fd, backlog);
    return fd;
  }

  /** Waits for an event; the mask, 0 after `timeoutMs`. */
  wait(fd: number, events: number, timeoutMs = 1000): number {
    const epoll = this.sys.epollCreate();
    this.sys.epollCtl(epoll, c.EPOLL_CTL_ADD, fd, events, 0);
    const count = this.sys.epollWait(epoll, 1, timeoutMs);
    this.sys.close(epoll);
    return count > 0 ? this.sys.eventMask(0) : 0;
  }

  put(bytes: Uint8Array | string): number {
    const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
    this.sys.arena.u8.set(data, this.out);
    return data.length;
  }

  send(fd: number, bytes: Uint8Array | string): number {
    return this.sys.send(fd, this.out, this.put(bytes), 0);
  }

  sendTo(fd: number, bytes: Uint8Array | string, ip: string, port: number): number {
    const { off, len } = this.address(ip, port);
    return this.sys.sendto(fd, this.out, this.put(bytes), 0, off, len);
  }

  /** What one receive got: bytes, or -errno. */
  recv(fd: number, len: number = ROOM): Uint8Array | number {
    const count = this.sys.recv(fd, this.in, len, 0);
    return count < 0 ? count : this.sys.arena.u8.slice(this.in, this.in + count);
  }

  text(fd: number): string {
    const got = this.recv(fd);
    return typeof got === 'number' ? `error ${-got}` : new TextDecoder().decode(got);
  }

  /** Reads until the end, an error, or `timeoutMs` without anything. */
  readAll(fd: number, timeoutMs = 10_000): Uint8Array {
    const parts: Uint8Array[] = [];
    while (this.wait(fd, c.EPOLLIN, timeoutMs) !== 0) {
      const got = this.recv(fd);
      if (typeof got === 'number' || got.length === 0) break;
      parts.push(got);
    }
    return Buffer.concat(parts);
  }

  /** Sends all of it, waiting for room; how much was taken. */
  sendAll(fd: number, bytes: Uint8Array): number {
    let sent = 0;
    while (sent < bytes.length) {
      const count = this.send(fd, bytes.subarray(sent, sent + ROOM));
      if (count === -c.EAGAIN) {
        if (this.wait(fd, c.EPOLLOUT, 60_000) === 0) break;
      } else if (count < 0) break;
      else sent += count;
    }
    return sent;
  }

  error(fd: number): number {
    return this.sys.getsockopt(fd, c.SOL_SOCKET, c.SO_ERROR);
  }
}
