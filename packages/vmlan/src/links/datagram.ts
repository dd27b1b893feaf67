/**
 * A guest on a unix datagram socket: one datagram is one frame (vfkit's unixgram, QEMU's `-netdev dgram`).
 *
 * Zone: packet.  The peer is who sent last: a guest that comes back may bind another path.  vfkit's first datagram may be
 * the four bytes `VFKT`; it is swallowed.  A receiver whose queue is full answers EAGAIN and there is nothing to wait
 * for on an unconnected socket, so frames queue (framed as on a stream) and are tried again after RETRY_MS, then ever
 * more slowly.  Nor does the socket tell when the peer ends: `checkPeer` looks, from time to time.
 */
import { type Counters, counter } from '../core/counters.ts';
import type { Flushable, Poller, Source } from '../core/poller.ts';
import * as C from '../sys/constants.ts';
import type { SockAddr } from '../sys/sockaddr.ts';
import { ROOM } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';
import type { LinkOutput } from '../switching/port.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { BUDGET, type LinkInput, MAX_FRAME_LEN } from './link.ts';
import { sendPlain } from './offload.ts';
import { type StreamBuffers, StreamQueue } from './stream-framing.ts';

const RETRY_MS = 1;
const RETRY_MAX_MS = 32;
const HELLO = 0x56464b54; // "VFKT"
const LENGTH_FIELD = 4;
const DROP_NO_PEER = counter('drop_datagram_no_peer');
const DROP_TOO_LONG = counter('drop_datagram_too_long');

export class DatagramLink implements LinkOutput, Source, Flushable {
  readonly kind = 'dgram';
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #input: LinkInput;
  readonly #counters: Counters;
  readonly #shared: StreamBuffers;
  readonly #queue: StreamQueue;
  readonly #peer: SockAddr;
  readonly #sender: SockAddr;
  readonly #fixedPeer: boolean;
  #fd: number;
  readonly #token: number;
  #up = false;
  #waiting = false;
  #resting = false;
  #retryMs = RETRY_MS;
  #flushing = false;

  /** Takes over `fd`, bound and non-blocking. `peer.len` 0: the sender of the first datagram. */
  constructor(
    sys: Sys,
    poller: Poller,
    fd: number,
    peer: SockAddr,
    sender: SockAddr,
    input: LinkInput,
    shared: StreamBuffers,
    counters: Counters,
  ) {
    this.#sys = sys;
    this.#poller = poller;
    this.#fd = fd;
    this.#peer = peer;
    this.#sender = sender;
    this.#fixedPeer = peer.len > 0;
    this.#input = input;
    this.#shared = shared;
    this.#counters = counters;
    this.#queue = new StreamQueue(shared, counters);
    this.#token = poller.add(fd, C.EPOLLIN, this);
    this.checkPeer();
  }

  /** Whether somebody is bound at the peer's path: the link is up, or down, as that says. */
  checkPeer(): void {
    if (this.#fd < 0 || this.#peer.len === 0) return;
    if (!this.#isPeerThere()) this.#goDown();
    else if (this.#fixedPeer) this.#goUp();
  }

  send(off: number, len: number): boolean {
    if (this.#fd < 0 || this.#peer.len === 0) {
      this.#counters.count(DROP_NO_PEER);
      return false;
    }
    const { view, u8 } = this.#sys.arena;
    const whole = sendPlain(view, u8, off, len, this.#queue);
    if (!this.#flushing && !this.#waiting) {
      this.#flushing = true;
      this.#poller.flushLater(this);
    }
    return whole;
  }

  room(): number {
    return this.#peer.len === 0 ? 0 : this.#queue.plannable;
  }

  flush(nowMs: number): void {
    this.#flushing = false;
    const { view } = this.#sys.arena;
    while (this.#queue.length > 0 && this.#fd >= 0) {
      const at = this.#queue.offset;
      const len = view.getUint32(at);
      const flags = C.MSG_DONTWAIT | C.MSG_NOSIGNAL;
      const sent = this.#sys.sendto(this.#fd, at + LENGTH_FIELD, len, flags, this.#peer.off, this.#peer.len);
      if (sent === -C.EAGAIN || sent === -C.ENOBUFS) {
        this.#waiting = true;
        this.#poller.wakeAt(this.#token, nowMs + this.#retryMs);
        this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MAX_MS);
        return;
      }
      this.#retryMs = RETRY_MS;
      if (sent === -C.EMSGSIZE) this.#counters.count(DROP_TOO_LONG);
      else if (sent < 0) return this.#goDown();
      this.#queue.consume(LENGTH_FIELD + len);
    }
  }

  onReady(mask: number, nowMs: number): void {
    if (mask === 0) {
      if (this.#resting) this.#poller.modify(this.#token, C.EPOLLIN);
      this.#resting = false;
      this.#waiting = false;
      this.flush(nowMs);
      return;
    }
    const { rx } = this.#shared;
    for (let i = 0; i < BUDGET && this.#fd >= 0; i++) {
      const n = this.#sys.recvfrom(this.#fd, rx, MAX_FRAME_LEN + 1, C.MSG_DONTWAIT, this.#sender.off);
      if (n < 0) return;
      this.#onDatagram(rx, n, nowMs);
      const rest = this.#input.restMs(nowMs);
      if (rest > 0 && this.#fd >= 0) return this.#rest(nowMs + rest);
    }
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#poller.remove(this.#token);
    this.#sys.close(this.#fd);
    this.#fd = -1;
    this.#goDown();
  }

  /** Connecting a socket of its own sends nothing, and fails where nobody is (unix(7)). */
  #isPeerThere(): boolean {
    const fd = this.#sys.socket(C.AF_UNIX, C.SOCK_DGRAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, 0);
    if (fd < 0) return this.#up; // no descriptor is left to look with
    const result = this.#sys.connect(fd, this.#peer.off, this.#peer.len);
    this.#sys.close(fd);
    return result !== -C.ECONNREFUSED && result !== -C.ENOENT;
  }

  #rest(untilMs: number): void {
    this.#resting = true;
    this.#poller.modify(this.#token, 0);
    this.#poller.wakeAt(this.#token, untilMs);
  }

  #onDatagram(off: number, len: number, nowMs: number): void {
    const { view } = this.#sys.arena;
    this.#learnPeer();
    if (len === 4 && view.getUint32(off) === HELLO) return;
    if (len > MAX_FRAME_LEN) return this.#counters.count(DROP_TOO_LONG);
    vnetHdr.clear(view, off - vnetHdr.LEN);
    this.#input.onFrame(off, len, nowMs);
  }

  #learnPeer(): void {
    const len = this.#sys.addrLen();
    if (this.#fixedPeer || len <= 2) {
      this.#goUp();
      return;
    }
    const { u8 } = this.#sys.arena;
    if (len === this.#peer.len && sameBytes(u8, this.#peer.off, this.#sender.off, len)) {
      this.#goUp();
      return;
    }
    u8.copyWithin(this.#peer.off, this.#sender.off, this.#sender.off + Math.min(len, ROOM));
    this.#peer.len = len;
    this.#queue.reset();
    this.#goUp();
  }

  #goUp(): void {
    if (this.#up) return;
    this.#up = true;
    this.#input.onUp(this);
  }

  #goDown(): void {
    this.#queue.reset();
    if (!this.#fixedPeer) this.#peer.len = 0;
    if (!this.#up) return;
    this.#up = false;
    this.#input.onDown(this);
  }
}

function sameBytes(u8: Uint8Array, a: number, b: number, len: number): boolean {
  for (let i = 0; i < len; i++) if (u8[a + i] !== u8[b + i]) return false;
  return true;
}
