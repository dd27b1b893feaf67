/**
 * Keeps one stream connection up: connects, hands the socket over, and connects again after it was lost.
 *
 * Zone: flow.  Retries every RETRY_MS, for ever: the other end may not have started yet.
 */
import type { Poller, Source } from '../core/poller.ts';
import * as C from '../sys/constants.ts';
import type { SockAddr } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';

const RETRY_MS = 200;

export class Connector implements Source {
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #address: SockAddr;
  readonly #onConnected: (fd: number, nowMs: number) => void;
  /** An eventfd that is never written: it gives the retry timer a token while there is no socket. */
  readonly #timerFd: number;
  readonly #timerToken: number;
  #fd = -1;
  #token = -1;
  #closed = false;

  constructor(
    sys: Sys,
    poller: Poller,
    address: SockAddr,
    nowMs: number,
    onConnected: (fd: number, nowMs: number) => void,
  ) {
    this.#sys = sys;
    this.#poller = poller;
    this.#address = address;
    this.#onConnected = onConnected;
    this.#timerFd = sys.eventfd();
    this.#timerToken = poller.add(this.#timerFd, 0, { onReady: (_mask, now) => this.#connect(now) });
    poller.wakeAt(this.#timerToken, nowMs);
  }

  /** The connection that was handed over is gone. */
  onLost(nowMs: number): void {
    if (!this.#closed) this.#poller.wakeAt(this.#timerToken, nowMs + RETRY_MS);
  }

  onReady(_mask: number, nowMs: number): void {
    const fd = this.#fd;
    const error = this.#sys.getsockopt(fd, C.SOL_SOCKET, C.SO_ERROR);
    this.#poller.remove(this.#token);
    this.#fd = -1;
    if (error === 0) {
      this.#onConnected(fd, nowMs);
    } else {
      this.#sys.close(fd);
      this.onLost(nowMs);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poller.remove(this.#timerToken);
    this.#sys.close(this.#timerFd);
    if (this.#fd < 0) return;
    this.#poller.remove(this.#token);
    this.#sys.close(this.#fd);
    this.#fd = -1;
  }

  #connect(nowMs: number): void {
    if (this.#closed || this.#fd >= 0) return;
    const { family, off, len } = this.#address;
    const fd = this.#sys.socket(family, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
    if (fd < 0) return this.onLost(nowMs);
    const result = this.#sys.connect(fd, off, len);
    if (result === 0) return this.#onConnected(fd, nowMs);
    if (result !== -C.EINPROGRESS) {
      this.#sys.close(fd);
      return this.onLost(nowMs);
    }
    this.#fd = fd;
    this.#token = this.#poller.add(fd, C.EPOLLOUT, this);
  }
}
