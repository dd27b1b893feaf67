/**
 * One datagram after the other to a unix socket: what sd_notify(3) wants, and Node has no socket for.
 *
 * Zone: control.  A full or absent reader loses messages; nobody waits.
 */
import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts';
import { openLibc } from './libc.ts';
import { SockAddr } from './sockaddr.ts';
import type { Sys } from './sys.ts';

const ARENA_BYTES = 1 << 17;
const MAX_MESSAGE_BYTES = 4096;
const ABSTRACT = '@';

export class NotifySocket implements Disposable {
  readonly #sys: Sys;
  readonly #address: SockAddr;
  readonly #message: number;
  readonly #fd: number;

  /** `path` is absolute, or begins with `@` for an abstract name. */
  constructor(path: string) {
    this.#sys = openLibc({ arenaBytes: ARENA_BYTES });
    this.#address = new SockAddr(this.#sys.arena);
    if (path.startsWith(ABSTRACT)) this.#address.setAbstract(path.slice(ABSTRACT.length));
    else this.#address.setUnix(path);
    this.#message = this.#sys.arena.alloc(MAX_MESSAGE_BYTES);
    this.#fd = this.#sys.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  }

  /** False when nobody took it. */
  send(text: string): boolean {
    const bytes = new TextEncoder().encode(text).subarray(0, MAX_MESSAGE_BYTES);
    this.#sys.arena.u8.set(bytes, this.#message);
    const { off, len } = this.#address;
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return this.#sys.sendto(this.#fd, this.#message, bytes.length, flags, off, len) === bytes.length;
  }

  [Symbol.dispose](): void {
    this.#sys.close(this.#fd);
  }
}
