/**
 * struct sockaddr_in, _in6 and _un in the arena (man 7 ip, ipv6, unix).
 *
 * Zone: packet (unix paths: control).  A SockAddr owns ROOM bytes; `len` is the length system calls want.
 * IPv4 addresses are uint32, IPv6 four uint32, ports host order.
 */
import type { Arena } from '../core/arena.ts';
import { AF_INET, AF_INET6, AF_UNIX } from './constants.ts';

export const ROOM = 128; // bytes, struct sockaddr_storage
const V4_LEN = 16;
const V6_LEN = 28;
/** Longest unix path, bytes (sun_path is 108 with its final NUL). */
export const UNIX_PATH_MAX = 107;

export class SockAddr {
  readonly off: number;
  len = 0;
  readonly #view: DataView;
  readonly #u8: Uint8Array;

  constructor(arena: Arena) {
    this.off = arena.alloc(ROOM, 16);
    this.#view = arena.view;
    this.#u8 = arena.u8;
  }

  setIpv4(ip: number, port: number): this {
    const { off } = this;
    this.#u8.fill(0, off, off + V4_LEN);
    this.#view.setUint16(off, AF_INET, true);
    this.#view.setUint16(off + 2, port);
    this.#view.setUint32(off + 4, ip);
    this.len = V4_LEN;
    return this;
  }

  setIpv6(w0: number, w1: number, w2: number, w3: number, port: number, scopeId = 0): this {
    const { off } = this;
    this.#u8.fill(0, off, off + V6_LEN);
    this.#view.setUint16(off, AF_INET6, true);
    this.#view.setUint16(off + 2, port);
    this.#view.setUint32(off + 8, w0);
    this.#view.setUint32(off + 12, w1);
    this.#view.setUint32(off + 16, w2);
    this.#view.setUint32(off + 20, w3);
    this.#view.setUint32(off + 24, scopeId, true);
    this.len = V6_LEN;
    return this;
  }

  /** Throws RangeError when the path is longer than UNIX_PATH_MAX bytes. */
  setUnix(path: string): this {
    const bytes = new TextEncoder().encode(path);
    if (bytes.length > UNIX_PATH_MAX) {
      throw new RangeError(`unix socket path is ${bytes.length} bytes, at most ${UNIX_PATH_MAX} fit: ${path}`);
    }
    this.#u8.fill(0, this.off, this.off + ROOM);
    this.#view.setUint16(this.off, AF_UNIX, true);
    this.#u8.set(bytes, this.off + 2);
    this.len = 2 + bytes.length + 1;
    return this;
  }

  /** A name outside the file system (man 7 unix): it begins with a NUL byte and has no final one. */
  setAbstract(name: string): this {
    this.setUnix(` ${name}`);
    this.#u8[this.off + 2] = 0;
    this.len--;
    return this;
  }

  get family(): number {
    return this.#view.getUint16(this.off, true);
  }

  get port(): number {
    return this.#view.getUint16(this.off + 2);
  }

  get ip4(): number {
    return this.#view.getUint32(this.off + 4);
  }

  /** Word `index` (0–3) of an IPv6 address. */
  word(index: number): number {
    return this.#view.getUint32(this.off + 8 + 4 * index);
  }

  /** Path of a unix address of `len` bytes; empty for an unnamed peer. */
  unixPath(len: number): string {
    let end = this.off + 2;
    while (end < this.off + len && this.#u8[end] !== 0) end++;
    return new TextDecoder().decode(this.#u8.subarray(this.off + 2, end));
  }
}
