/**
 * A link inside the process: guests made of code, for tests, fuzzing and embedding.
 *
 * Zone: packet.  Frames towards the guest are plain (checksums complete, cut to size) and borrowed until the callback
 * returns.
 */
import type { Arena } from '../core/arena.ts';
import type { LinkOutput } from '../switching/port.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { type LinkInput, MAX_FRAME_LEN } from './link.ts';
import { type FrameSink, sendPlain } from './offload.ts';

export class LoopbackLink implements LinkOutput, FrameSink {
  readonly kind = 'loopback';
  readonly #arena: Arena;
  readonly #input: LinkInput;
  readonly #rx: number;
  readonly #tx: number;
  readonly #onFrame: (frame: Uint8Array) => void;
  /** What `room` answers: lets a test play a guest whose queue is full. */
  window: number = 1024 * 1024;

  constructor(arena: Arena, input: LinkInput, onFrame: (frame: Uint8Array) => void) {
    this.#arena = arena;
    this.#input = input;
    this.#rx = arena.alloc(64 + MAX_FRAME_LEN, 64) + 64;
    this.#tx = arena.alloc(64 + MAX_FRAME_LEN, 64) + 64;
    this.#onFrame = onFrame;
    input.onUp(this);
  }

  /** The guest sends a frame. */
  inject(frame: Uint8Array, nowMs: number): void {
    const len = Math.min(frame.length, MAX_FRAME_LEN);
    this.#arena.u8.set(len === frame.length ? frame : frame.subarray(0, len), this.#rx);
    vnetHdr.clear(this.#arena.view, this.#rx - vnetHdr.LEN);
    this.#input.onFrame(this.#rx, len, nowMs);
  }

  send(off: number, len: number): boolean {
    if (this.window < len) return false;
    return sendPlain(this.#arena.view, this.#arena.u8, off, len, this);
  }

  room(): number {
    return this.window;
  }

  reserve(len: number): number {
    return len <= MAX_FRAME_LEN ? this.#tx : -1;
  }

  commit(len: number): void {
    this.#onFrame(this.#arena.u8.subarray(this.#tx, this.#tx + len));
  }
}
