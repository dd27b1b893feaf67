/**
 * A listening stream socket, unix or TCP: each connection it accepts is one guest.
 *
 * Zone: flow.  Non-blocking and level-triggered; at most ACCEPT_BUDGET connections a wake-up.  Out of descriptors, it
 * waits RETRY_MS instead of spinning on a socket that stays readable.
 */
import type { Poller, Source } from '../core/poller.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';

const ACCEPT_BUDGET = 64;
const RETRY_MS = 100;

export class Listener implements Source {
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #onConnection: (fd: number, nowMs: number) => void;
  #fd: number;
  readonly #token: number;

  /** Takes over `fd`, which listens and does not block. */
  constructor(sys: Sys, poller: Poller, fd: number, onConnection: (fd: number, nowMs: number) => void) {
    this.#sys = sys;
    this.#poller = poller;
    this.#fd = fd;
    this.#onConnection = onConnection;
    this.#token = poller.add(fd, C.EPOLLIN, this);
  }

  onReady(mask: number, nowMs: number): void {
    if (mask === 0) this.#poller.modify(this.#token, C.EPOLLIN);
    for (let i = 0; i < ACCEPT_BUDGET && this.#fd >= 0; i++) {
      const fd = this.#sys.accept(this.#fd, 0);
      if (fd >= 0) {
        this.#onConnection(fd, nowMs);
      } else if (fd === -C.EMFILE || fd === -C.ENFILE || fd === -C.ENOMEM || fd === -C.ENOBUFS) {
        this.#poller.modify(this.#token, 0);
        this.#poller.wakeAt(this.#token, nowMs + RETRY_MS);
        return;
      } else if (fd !== -C.ECONNABORTED && fd !== -C.EINTR) {
        return;
      }
    }
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#poller.remove(this.#token);
    this.#sys.close(this.#fd);
    this.#fd = -1;
  }
}
