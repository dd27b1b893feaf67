/**
 * Real sockets and a real epoll around one link: the input that keeps what it is told, and the guest's end of a socket.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Counters } from '../core/counters.ts';
import type { LinkOutput } from '../switching/port.ts';
import * as C from '../sys/constants.ts';
import { openLibc } from '../sys/libc.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import type { LinkInput } from './link.ts';
import { TestPoller } from './poller.fixture.ts';
import { StreamBuffers } from './stream-framing.ts';

const ARENA_BYTES = 64 << 20;
export const STREAM: number = C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;
export const DATAGRAM: number = C.SOCK_DGRAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;

export const some = (len: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => (i * 13 + seed) & 0xff);

/** QEMU's framing of frames, one after the other. */
export function framed(...frames: Uint8Array[]): Uint8Array {
  const parts = frames.flatMap((frame) => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, frame.length);
    return [length, frame];
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** `sys` with some of its calls replaced: failures that cannot be had from a real kernel on demand. */
export function withCalls(sys: Sys, calls: Partial<Sys>): Sys {
  return new Proxy(sys, {
    get: (target, name) => {
      const own: unknown = Reflect.get(calls, name) ?? Reflect.get(target, name, target);
      return typeof own === 'function' ? (own.bind(target) as unknown) : own;
    },
  });
}

export class LinkBench implements LinkInput {
  readonly sys: Sys = openLibc({ arenaBytes: ARENA_BYTES });
  readonly poller: TestPoller = new TestPoller(this.sys);
  readonly counters: Counters = new Counters();
  readonly shared: StreamBuffers = new StreamBuffers(this.sys.arena);
  readonly frames: Uint8Array[] = [];
  readonly events: string[] = [];
  readonly address: SockAddr = new SockAddr(this.sys.arena);
  readonly sender: SockAddr = new SockAddr(this.sys.arena);
  /** What the port says when it is asked whether to rest, ms. */
  rest = 0;
  /** What a frame from the guest leads to. */
  react: () => void = () => {};
  readonly #buffer = this.sys.arena.alloc(1 << 20, 64);
  readonly #tx = this.sys.arena.alloc(1 << 17, 64) + 64;
  #dir = '';

  // ---- LinkInput

  restMs(): number {
    return this.rest;
  }

  onFrame(off: number, len: number): void {
    this.frames.push(this.sys.arena.u8.slice(off, off + len));
    this.react();
  }

  onUp(link: LinkOutput): void {
    this.events.push(`${link.kind} up`);
  }

  onDown(link: LinkOutput): void {
    this.events.push(`${link.kind} down`);
  }

  // ---- towards the guest

  /** Sends a plain frame by `link`. */
  send(link: LinkOutput, frame: Uint8Array, header?: (v: DataView, o: number) => void): boolean {
    const { view, u8 } = this.sys.arena;
    u8.set(frame, this.#tx);
    vnetHdr.clear(view, this.#tx - vnetHdr.LEN);
    header?.(view, this.#tx - vnetHdr.LEN);
    return link.send(this.#tx, frame.length);
  }

  // ---- the guest's end

  /** Both ends of a connected pair: ours and the guest's. */
  pair(type: number): [number, number] {
    const ours = this.sys.socketpair(C.AF_UNIX, type);
    assert.ok(ours >= 0);
    return [ours, this.sys.pairSecond()];
  }

  /** Everything that waits at a socket, at most `max` bytes. */
  readAll(fd: number, max: number = Infinity): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let left = max; left > 0;) {
      const n = this.sys.recv(fd, this.#buffer, Math.min(1 << 20, left), C.MSG_DONTWAIT);
      if (n <= 0) break;
      parts.push(this.sys.arena.u8.slice(this.#buffer, this.#buffer + n));
      left -= n;
    }
    return new Uint8Array(Buffer.concat(parts));
  }

  /** The next datagram, or null. */
  readDatagram(fd: number): Uint8Array | null {
    const n = this.sys.recv(fd, this.#buffer, 1 << 17, C.MSG_DONTWAIT);
    return n < 0 ? null : this.sys.arena.u8.slice(this.#buffer, this.#buffer + n);
  }

  write(fd: number, bytes: Uint8Array, to: SockAddr | null = null): number {
    this.sys.arena.u8.set(bytes, this.#buffer);
    if (to === null) return this.sys.send(fd, this.#buffer, bytes.length, C.MSG_DONTWAIT);
    return this.sys.sendto(fd, this.#buffer, bytes.length, C.MSG_DONTWAIT, to.off, to.len);
  }

  // ---- paths

  /** A path in a folder of its own, gone with `cleanUp`. */
  path(name: string): string {
    if (this.#dir === '') this.#dir = mkdtempSync(join(tmpdir(), 'vmlan-links-'));
    return join(this.#dir, name);
  }

  /** A datagram socket bound to a path. */
  bound(name: string): number {
    const fd = this.sys.socket(C.AF_UNIX, DATAGRAM, 0);
    const address = new SockAddr(this.sys.arena).setUnix(this.path(name));
    assert.equal(this.sys.bind(fd, address.off, address.len), 0);
    return fd;
  }

  /** A listening stream socket at a path. */
  listening(name: string): number {
    const fd = this.sys.socket(C.AF_UNIX, STREAM, 0);
    const address = new SockAddr(this.sys.arena).setUnix(this.path(name));
    assert.equal(this.sys.bind(fd, address.off, address.len), 0);
    assert.equal(this.sys.listen(fd, 8), 0);
    return fd;
  }

  addressOf(name: string): SockAddr {
    return new SockAddr(this.sys.arena).setUnix(this.path(name));
  }

  cleanUp(): void {
    if (this.#dir !== '') rmSync(this.#dir, { recursive: true });
  }
}
