/**
 * A descriptor that carries whole frames, as a TAP device does: one read or write is one frame.
 *
 * Zone: control.  The test is the other side: `push` puts a frame in, `take` gets what was written.  Both queues are
 * bounded and drop at the end, as a device queue does; `dropped` counts.
 */
import { EAGAIN, EINVAL, EPOLLIN, EPOLLOUT } from '../constants.ts';
import { OpenFile } from './open-file.ts';

const TUNSETIFF = 0x4004_54ca;
const IFNAMSIZ = 16; // bytes
export const FRAME_QUEUE_MAX = 4096; // frames, each way

export class FrameFile extends OpenFile {
  /** Interface name given by TUNSETIFF. */
  name = '';
  /** Flags given by TUNSETIFF (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR …). */
  flags = 0;
  dropped = 0;
  /** False makes writes answer -EAGAIN: a device whose queue is full. */
  writable = true;
  /** Called for each frame written, instead of keeping it. */
  onFrame: ((frame: Uint8Array) => void) | undefined;
  readonly #toRead: Uint8Array[] = [];
  #written: Uint8Array[] = [];

  /** Gives a frame to whoever reads the descriptor; false when its queue is full. */
  push(frame: Uint8Array): boolean {
    if (this.#toRead.length === FRAME_QUEUE_MAX) {
      this.dropped++;
      return false;
    }
    this.#toRead.push(frame);
    this.wake(EPOLLIN);
    return true;
  }

  /** The frames written since the last call. */
  take(): Uint8Array[] {
    const frames = this.#written;
    this.#written = [];
    return frames;
  }

  setWritable(writable: boolean): void {
    this.writable = writable;
    if (writable) this.wake(EPOLLOUT);
  }

  override read(memory: Uint8Array, off: number, len: number): number {
    const frame = this.#toRead.shift();
    if (frame === undefined) return -EAGAIN;
    const count = Math.min(len, frame.length); // what does not fit is lost
    memory.set(frame.subarray(0, count), off);
    return count;
  }

  override write(memory: Uint8Array, off: number, len: number): number {
    if (!this.writable) return -EAGAIN;
    if (len === 0) return -EINVAL;
    const frame = memory.slice(off, off + len);
    if (this.onFrame !== undefined) this.onFrame(frame);
    else if (this.#written.length < FRAME_QUEUE_MAX) this.#written.push(frame);
    else this.dropped++;
    return len;
  }

  override ioctl(view: DataView, request: number, argument: number, _value: number): number {
    if (request >>> 0 === TUNSETIFF && argument > 0) {
      const bytes = new Uint8Array(view.buffer, view.byteOffset + argument, IFNAMSIZ);
      const end = bytes.indexOf(0);
      this.name = new TextDecoder().decode(bytes.subarray(0, end < 0 ? IFNAMSIZ : end));
      this.flags = view.getUint16(argument + IFNAMSIZ, true);
    }
    return 0;
  }

  poll(): number {
    return (this.#toRead.length > 0 ? EPOLLIN : 0) | (this.writable ? EPOLLOUT : 0);
  }

  describe(): string {
    return `frames ${this.name}`;
  }

  protected onClose(): void {
    this.#toRead.length = 0;
  }
}
