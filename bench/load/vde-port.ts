/**
 * A port of a VDE switch, in vde2's own protocol: a request on the control socket, then one datagram a frame.
 *
 * Zone: control. The control connection keeps the port; the data socket is bound to a path of ours.
 */
import { rmSync } from 'node:fs';
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import { SockAddr } from '../../packages/vmlan/src/sys/sockaddr.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { CallError, ok, scratch, SCRATCH_BYTES } from './sockets.ts';
import { LENGTH_LEN, type FrameHandler, type FramePort } from './stream-port.ts';

const MAGIC = 0xfeedface;
const VERSION = 3;
const REQUEST_NEW_PORT = 0;
const SOCKADDR_UN_LEN = 110; // bytes
const ADDRESS = 12; // in the request: magic, version, type come before it
const DESCRIPTION = 'bench';
const BURST = 64; // frames of one receive

export class VdePort implements FramePort {
  readonly fd: number;
  readonly #sys: Sys;
  readonly #control: number;
  readonly #path: string;
  readonly #onFrame: FrameHandler;
  readonly #buffer: number;

  /** `folder` is the switch's; `path` a name for our own socket, not yet there. */
  constructor(sys: Sys, folder: string, path: string, onFrame: FrameHandler) {
    this.#sys = sys;
    this.#path = path;
    this.#onFrame = onFrame;
    this.#buffer = scratch(sys);
    const control = new SockAddr(sys.arena).setUnix(`${folder}/ctl`);
    this.#control = ok('socket', sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_CLOEXEC, 0));
    ok('connect to the switch', sys.connect(this.#control, control.off, control.len));
    const own = new SockAddr(sys.arena).setUnix(path);
    this.fd = ok('socket', sys.socket(C.AF_UNIX, C.SOCK_DGRAM | C.SOCK_CLOEXEC, 0));
    ok(`bind ${path}`, sys.bind(this.fd, own.off, own.len));
    const peer = this.#ask(own);
    ok('connect to the port', sys.connect(this.fd, peer, SOCKADDR_UN_LEN));
  }

  sendFrames(off: number, count: number, stride: number): void {
    const { view } = this.#sys.arena;
    for (let i = 0; i < count; i++) {
      const at = off + i * stride;
      const n = this.#sys.send(this.fd, at + LENGTH_LEN, view.getUint32(at), 0);
      if (n < 0 && n !== -C.ENOBUFS) throw new CallError('send', -n);
    }
  }

  receive(): boolean {
    for (let i = 0; i < BURST; i++) {
      const n = this.#sys.recv(this.fd, this.#buffer, SCRATCH_BYTES, C.MSG_DONTWAIT);
      if (n === -C.EAGAIN) return i > 0;
      this.#onFrame(this.#buffer, ok('recv', n));
    }
    return true;
  }

  close(): void {
    this.#sys.close(this.fd);
    this.#sys.close(this.#control);
    rmSync(this.#path, { force: true });
  }

  /** Offset of the address to send to. */
  #ask(own: SockAddr): number {
    const { view, u8 } = this.#sys.arena;
    const request = this.#sys.arena.alloc(ADDRESS + SOCKADDR_UN_LEN + DESCRIPTION.length + 1);
    view.setUint32(request, MAGIC, true);
    view.setUint32(request + 4, VERSION, true);
    view.setUint32(request + 8, REQUEST_NEW_PORT, true);
    u8.copyWithin(request + ADDRESS, own.off, own.off + SOCKADDR_UN_LEN);
    u8.set(new TextEncoder().encode(DESCRIPTION), request + ADDRESS + SOCKADDR_UN_LEN);
    const len = ADDRESS + SOCKADDR_UN_LEN + DESCRIPTION.length + 1;
    ok('send', this.#sys.send(this.#control, request, len, 0));
    const answer = this.#sys.arena.alloc(SOCKADDR_UN_LEN, 16);
    const n = ok('recv', this.#sys.recv(this.#control, answer, SOCKADDR_UN_LEN, 0));
    if (n < SOCKADDR_UN_LEN) throw new Error(`the switch refused a port: ${n} bytes came`);
    return answer;
  }
}
