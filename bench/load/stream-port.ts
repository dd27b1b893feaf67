/**
 * A network card's end of QEMU's stream framing (a 32-bit big-endian length before each frame), for load programs: many
 * frames to a call both ways. While the far end does not take what is sent, what it sends is read, so that two full
 * sockets never wait for each other.
 *
 * Zone: control. Frames are offset and length in the table's arena, borrowed until the handler returns.
 */
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import { SockAddr } from '../../packages/vmlan/src/sys/sockaddr.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { CallError, ok } from './sockets.ts';

export const LENGTH_LEN = 4;
const RX_BYTES = 1 << 20;
const buffers = new WeakMap<Sys, number[]>();

export type FrameHandler = (off: number, len: number) => void;

/** A network card's end of some link, whose frames lie in memory as the stream framing has them. */
export interface FramePort {
  readonly fd: number;
  /** `count` frames, `stride` bytes from one to the next, each with its length in front. */
  sendFrames(off: number, count: number, stride: number): void;
  /** Hands out the frames that one read completes; false when there was nothing to read. */
  receive(): boolean;
  close(): void;
}

export class StreamPort implements FramePort {
  readonly #sys: Sys;
  readonly fd: number;
  readonly #epoll: number;
  readonly #rx: number;
  readonly #onFrame: FrameHandler;
  #filled = 0;

  constructor(sys: Sys, path: string, onFrame: FrameHandler) {
    this.#sys = sys;
    this.#onFrame = onFrame;
    this.#rx = buffers.get(sys)?.pop() ?? sys.arena.alloc(RX_BYTES, 4096);
    const address = new SockAddr(sys.arena).setUnix(path);
    this.fd = ok('socket', sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_CLOEXEC, 0));
    ok(`connect to ${path}`, sys.connect(this.fd, address.off, address.len));
    this.#epoll = ok('epoll', sys.epollCreate());
    ok('epoll_ctl', sys.epollCtl(this.#epoll, C.EPOLL_CTL_ADD, this.fd, C.EPOLLIN, 0));
  }

  receive(): boolean {
    const n = this.#sys.recv(this.fd, this.#rx + this.#filled, RX_BYTES - this.#filled, C.MSG_DONTWAIT);
    if (n === -C.EAGAIN) return false;
    if (ok('recv', n) === 0) throw new CallError('recv: the far end has closed', C.EPIPE);
    this.#filled += n;
    const { view, u8 } = this.#sys.arena;
    let at = 0;
    while (this.#filled - at >= LENGTH_LEN) {
      const len = view.getUint32(this.#rx + at);
      if (this.#filled - at - LENGTH_LEN < len) break;
      this.#onFrame(this.#rx + at + LENGTH_LEN, len);
      at += LENGTH_LEN + len;
    }
    if (at > 0) u8.copyWithin(this.#rx, this.#rx + at, this.#rx + this.#filled);
    this.#filled -= at;
    return true;
  }

  /** Waits until something can be read; false when nothing came. */
  wait(timeoutMs: number): boolean {
    return this.#sys.epollWait(this.#epoll, 1, timeoutMs) > 0;
  }

  sendFrames(off: number, count: number, stride: number): void {
    this.send(off, count * stride);
  }

  /** Sends `len` bytes of whole frames with their lengths in front. */
  send(off: number, len: number): void {
    for (let sent = 0; sent < len;) {
      const n = this.#sys.send(this.fd, off + sent, len - sent, C.MSG_DONTWAIT);
      if (n >= 0) sent += n;
      else if (n === -C.EAGAIN) this.#untilWritable();
      else throw new CallError('send', -n);
    }
  }

  close(): void {
    this.#sys.close(this.#epoll);
    this.#sys.close(this.fd);
    buffers.set(this.#sys, [...(buffers.get(this.#sys) ?? []), this.#rx]);
  }

  #untilWritable(): void {
    const { EPOLLIN, EPOLLOUT, EPOLL_CTL_MOD } = C;
    ok('epoll_ctl', this.#sys.epollCtl(this.#epoll, EPOLL_CTL_MOD, this.fd, EPOLLIN | EPOLLOUT, 0));
    const n = this.#sys.epollWait(this.#epoll, 1, STALL_MS);
    if (n === 0) throw new Error(`the far end has taken nothing for ${STALL_MS} ms`);
    if ((this.#sys.eventMask(0) & EPOLLIN) !== 0) this.receive();
    ok('epoll_ctl', this.#sys.epollCtl(this.#epoll, EPOLL_CTL_MOD, this.fd, EPOLLIN, 0));
  }
}

const STALL_MS = 5000;
