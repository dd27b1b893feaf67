/**
 * eventfd of the fake kernel: a counter that is read whole (man 2 eventfd).
 *
 * Zone: control.
 */
import { EAGAIN, EINVAL, EPOLLIN, EPOLLOUT } from '../constants.ts';
import { OpenFile } from './open-file.ts';

const SIZE = 8; // bytes
const COUNT_MAX = 2n ** 64n - 2n;

export class EventFile extends OpenFile {
  #count = 0n;

  override read(memory: Uint8Array, off: number, len: number): number {
    if (len < SIZE) return -EINVAL;
    if (this.#count === 0n) return -EAGAIN;
    viewOf(memory, off).setBigUint64(0, this.#count, true);
    this.#count = 0n;
    this.wake(EPOLLOUT);
    return SIZE;
  }

  override write(memory: Uint8Array, off: number, len: number): number {
    if (len < SIZE) return -EINVAL;
    const added = viewOf(memory, off).getBigUint64(0, true);
    if (added > COUNT_MAX) return -EINVAL;
    if (added > COUNT_MAX - this.#count) return -EAGAIN;
    this.#count += added;
    this.wake(EPOLLIN);
    return SIZE;
  }

  poll(): number {
    return (this.#count < COUNT_MAX ? EPOLLOUT : 0) | (this.#count > 0n ? EPOLLIN : 0);
  }

  describe(): string {
    return `eventfd at ${this.#count}`;
  }

  protected onClose(): void {
    this.#count = 0n;
  }
}

function viewOf(memory: Uint8Array, off: number): DataView {
  return new DataView(memory.buffer, memory.byteOffset + off, SIZE);
}
