/**
 * The link of a guest that is made of JavaScript: a pair of sockets, one end the engine's, the other one ours.
 *
 * Zone: control.  QEMU's framing: four bytes of length, big-endian, before each frame.  Nothing of it has a name in the
 * file system, so nothing is left when the process is killed.
 */
import { Socket } from 'node:net';
import { VmlanError } from '../core/errors.ts';
import * as C from '../sys/constants.ts';
import { openLibc } from '../sys/libc.ts';
import type { Sys } from '../sys/sys.ts';

const ARENA_BYTES = 1 << 18; // an event buffer of the syscall table and a few structures
const LENGTH_BYTES = 4;
/** What the engine's link takes; longer frames would end it. */
const MAX_FRAME_BYTES = 65_550;
/** Bytes that may wait for the engine; frames beyond are dropped, as a network card does whose ring is full. */
export const MAX_WAITING_BYTES = 4_194_304; // 4 MiB

let table: Sys | null = null;

/** The system calls that Node does not have, for this thread. */
export function systemCalls(): Sys {
  table ??= openLibc({ arenaBytes: ARENA_BYTES });
  return table;
}

export interface FrameListener {
  /** Lies in a larger buffer that nobody else writes to. */
  readonly onFrame: (frame: Uint8Array) => void;
  /** The frames that came together were all given. */
  readonly onPause: () => void;
  readonly onClose: () => void;
}

export class FrameLink {
  readonly #socket: Socket;
  #rest: Uint8Array = new Uint8Array(0);
  /** Frames that found no room. */
  dropped = 0;

  private constructor(fd: number, { onFrame, onPause, onClose }: FrameListener) {
    this.#socket = new Socket({ fd, readable: true, writable: true });
    this.#socket.on('data', (chunk) => {
      this.#onData(chunk, onFrame);
      onPause();
    });
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', onClose);
  }

  /** `theirs`: the descriptor for the engine, which closes it; whoever fails to hand it over does. */
  static open(listener: FrameListener): { readonly link: FrameLink; readonly theirs: number } {
    const sys = systemCalls();
    const theirs = sys.socketpair(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC);
    if (theirs < 0) {
      throw new VmlanError('exhausted', `no socket is left for a guest: errno ${-theirs}`, {
        hint: 'raise `ulimit -n`',
      });
    }
    return { link: new FrameLink(sys.pairSecond(), listener), theirs };
  }

  /** Whether the frame was taken. It is read until this returns. */
  send(frame: Uint8Array): boolean {
    if (frame.length > MAX_FRAME_BYTES) {
      throw new RangeError(`a frame has at most ${MAX_FRAME_BYTES} bytes, this one ${frame.length}`);
    }
    if (!this.#socket.writable || this.#socket.writableLength + frame.length > MAX_WAITING_BYTES) {
      this.dropped++;
      return false;
    }
    const message = Buffer.allocUnsafe(LENGTH_BYTES + frame.length);
    message.writeUInt32BE(frame.length);
    message.set(frame, LENGTH_BYTES);
    this.#socket.write(message);
    return true;
  }

  close(): Promise<void> {
    if (this.#socket.closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.destroy();
    });
  }

  #onData(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (bytes.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + view.getUint32(at);
      if (end > bytes.length) break;
      onFrame(bytes.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}
