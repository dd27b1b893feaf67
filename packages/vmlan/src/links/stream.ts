/**
 * A guest on a stream socket with QEMU's framing (`-netdev stream`, `-netdev socket`, socket_vmnet).
 *
 * Zone: packet.  Edge-triggered: the socket is read until it is empty or the budget is spent, then it gets another turn
 * through `wakeAt`.  Frames queue while the socket is full; a full queue drops and counts.
 */
import type { Counters } from '../core/counters.ts';
import type { FrameRun } from '../core/frame-run.ts';
import type { Flushable, Poller, Source } from '../core/poller.ts';
import * as C from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import type { LinkOutput } from '../switching/port.ts';
import { Joiner } from './joiner.ts';
import type { LinkInput } from './link.ts';
import { sendPlain } from './offload.ts';
import { DROP_BAD_FRAMING, LENGTH_FIELD, type StreamBuffers, StreamDecoder, StreamQueue } from './stream-framing.ts';

/** Per wake-up: reads, and frames after which no further read begins. */
const READ_BUDGET = 2;
const FRAME_BUDGET = 256;
const ENDED = C.EPOLLRDHUP | C.EPOLLHUP | C.EPOLLERR;
/** Queued bytes at which frames leave at once instead of at the end of the wake-up: two long segments and more. */
const FLUSH_AT = 160 * 1024;

export class StreamLink implements LinkOutput, FrameRun, Source, Flushable {
  readonly kind = 'stream';
  readonly run: FrameRun = this;
  readonly #sys: Sys;
  readonly #poller: Poller;
  readonly #input: LinkInput;
  readonly #counters: Counters;
  readonly #decoder: StreamDecoder;
  readonly #joiner: Joiner;
  readonly #queue: StreamQueue;
  readonly #onFrame: (off: number, len: number, nowMs: number) => void;
  #fd: number;
  #token: number;
  #frames = 0; // since the wake-up
  #restUntilMs = 0;
  #blocked = false;
  #flushing = false;

  /** Takes over `fd`, a connected non-blocking socket. */
  constructor(sys: Sys, poller: Poller, fd: number, input: LinkInput, shared: StreamBuffers, counters: Counters) {
    this.#sys = sys;
    this.#poller = poller;
    this.#fd = fd;
    this.#input = input;
    this.#counters = counters;
    this.#decoder = new StreamDecoder(shared);
    this.#joiner = new Joiner(sys.arena.view, sys.arena.u8, shared.joined, input, counters);
    this.#queue = new StreamQueue(shared, counters);
    this.#onFrame = (off, len, nowMs) => {
      this.#frames++;
      this.#joiner.onFrame(off, len, nowMs);
    };
    this.#token = poller.add(fd, C.EPOLLIN | C.EPOLLOUT | C.EPOLLRDHUP | C.EPOLLET, this);
    input.onUp(this);
  }

  get open(): boolean {
    return this.#fd >= 0;
  }

  send(off: number, len: number): boolean {
    if (this.#fd < 0) return false;
    const { view, u8 } = this.#sys.arena;
    const whole = sendPlain(view, u8, off, len, this.#queue);
    this.endRun();
    return whole;
  }

  get runOffset(): number {
    return this.#queue.runOffset;
  }

  reserveRun(len: number, count: number): number {
    return this.#fd < 0 ? 0 : this.#queue.reserveRun(len, count);
  }

  runStride(len: number): number {
    return LENGTH_FIELD + len;
  }

  commitRun(len: number): void {
    this.#queue.commit(len);
  }

  endRun(): void {
    if (this.#queue.length === 0) this.#queue.reset();
    else if (this.#queue.length >= FLUSH_AT) this.flush();
    else this.#flushSoon();
  }

  room(): number {
    return this.#fd < 0 ? 0 : this.#queue.plannable;
  }

  flush(): void {
    this.#flushing = false;
    if (this.#blocked || this.#fd < 0) return;
    while (this.#queue.length > 0) {
      const sent = this.#sys.send(this.#fd, this.#queue.offset, this.#queue.length, C.MSG_DONTWAIT | C.MSG_NOSIGNAL);
      if (sent > 0) {
        this.#queue.consume(sent);
      } else if (sent === -C.EAGAIN) {
        this.#blocked = true; // EPOLLOUT says when it goes on
        return;
      } else {
        this.close();
        return;
      }
    }
  }

  onReady(mask: number, nowMs: number): void {
    if ((mask & C.EPOLLOUT) !== 0 && this.#blocked) {
      this.#blocked = false;
      this.flush();
    }
    if (mask === 0 || (mask & (C.EPOLLIN | ENDED)) !== 0) this.#read(mask, nowMs);
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#poller.remove(this.#token);
    this.#sys.close(this.#fd);
    this.#fd = -1;
    this.#decoder.stop();
    this.#joiner.stop();
    this.#queue.reset();
    this.#input.onDown(this);
  }

  #flushSoon(): void {
    if (this.#flushing || this.#blocked) return;
    this.#flushing = true;
    this.#poller.flushLater(this);
  }

  #rest(untilMs: number): void {
    this.#restUntilMs = untilMs;
    this.#poller.wakeAt(this.#token, untilMs);
  }

  #read(mask: number, nowMs: number): void {
    if (nowMs < this.#restUntilMs) return; // its wake comes
    this.#frames = 0;
    for (let i = 0; i < READ_BUDGET && this.#frames < FRAME_BUDGET; i++) {
      this.#decoder.prepare();
      const asked = this.#decoder.readLen;
      const n = this.#sys.recv(this.#fd, this.#decoder.readOffset, asked, C.MSG_DONTWAIT);
      if (n === -C.EAGAIN || n === -C.EINTR) return;
      if (n <= 0) return this.close();
      const isFramed = this.#decoder.onBytes(n, nowMs, this.#onFrame);
      this.#joiner.flush(nowMs);
      if (this.#fd < 0) return; // closed by what a frame led to
      if (!isFramed) {
        this.#counters.count(DROP_BAD_FRAMING);
        return this.close();
      }
      const rest = this.#input.restMs(nowMs);
      if (rest > 0) return this.#rest(nowMs + rest);
      // The socket is empty: what comes next is a new edge (man 7 epoll), but the end that was reported is not, and it may
      // have been reported during a rest.
      if (n < asked && mask !== 0 && (mask & ENDED) === 0) return;
    }
    this.#poller.wakeAt(this.#token, nowMs);
  }
}
