/**
 * What waits to be read at a unix socket of the fake kernel: bytes, or messages with their borders kept.
 *
 * Zone: control.  Linux charges what waits here to the *sender's* SO_SNDBUF, so that is what `put` is bounded by.
 */
import { EAGAIN, EMSGSIZE, MSG_PEEK, MSG_TRUNC } from '../constants.ts';
import { ByteQueue } from './byte-queue.ts';
import { reportedLength } from './socket.ts';

/** What a message costs beside its bytes, roughly the kernel's own overhead; bytes. */
const OVERHEAD = 768;

export interface UnixInbox {
  readonly isEmpty: boolean;
  /** Messages waiting; a stream has none. */
  readonly messages: number;
  /** Bytes charged to the sender. */
  readonly charged: number;
  /** Bytes that wait, of the first message alone or of all. */
  readable(firstOnly: boolean): number;
  /** How many bytes were taken, or -errno. */
  put(memory: Uint8Array, off: number, len: number, sendBuffer: number, from: string): number;
  /** How many bytes were read, `skip` bytes from the first; only called when something waits there. */
  take(memory: Uint8Array, off: number, len: number, flags: number, from: Origin, skip: number): number;
  clear(): void;
}

/** Who sent the message taken last. */
export interface Origin {
  path: string;
  truncated: boolean;
}

export class StreamInbox implements UnixInbox {
  readonly #bytes = new ByteQueue(0);

  get isEmpty(): boolean {
    return this.#bytes.length === 0;
  }

  get messages(): number {
    return 0;
  }

  get charged(): number {
    return this.#bytes.length;
  }

  readable(): number {
    return this.#bytes.length;
  }

  put(memory: Uint8Array, off: number, len: number, sendBuffer: number): number {
    this.#bytes.capacity = sendBuffer;
    const count = this.#bytes.push(memory, off, len);
    return count === 0 && len > 0 ? -EAGAIN : count;
  }

  take(memory: Uint8Array, off: number, len: number, flags: number, from: Origin, skip: number): number {
    from.truncated = false;
    const count = this.#bytes.copy(skip, memory, off, Math.min(len, this.#bytes.length - skip));
    if ((flags & MSG_PEEK) === 0) this.#bytes.drop(count);
    return count;
  }

  clear(): void {
    this.#bytes.clear();
  }
}

export class MessageInbox implements UnixInbox {
  readonly #messages: { readonly bytes: Uint8Array; readonly from: string }[] = [];
  #charged = 0;

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  get messages(): number {
    return this.#messages.length;
  }

  get charged(): number {
    return this.#charged;
  }

  readable(firstOnly: boolean): number {
    const first = this.#messages[0]?.bytes.length ?? 0;
    return firstOnly ? first : this.#charged - OVERHEAD * this.#messages.length;
  }

  put(memory: Uint8Array, off: number, len: number, sendBuffer: number, from: string): number {
    if (len + 32 > sendBuffer) return -EMSGSIZE;
    if (this.#charged >= sendBuffer) return -EAGAIN;
    this.#messages.push({ bytes: memory.slice(off, off + len), from });
    this.#charged += len + OVERHEAD;
    return len;
  }

  take(memory: Uint8Array, off: number, len: number, flags: number, from: Origin): number {
    const { bytes, from: path } = this.#messages[0]!;
    if ((flags & MSG_PEEK) === 0) {
      this.#messages.shift();
      this.#charged -= bytes.length + OVERHEAD;
    }
    from.path = path;
    from.truncated = bytes.length > len;
    memory.set(bytes.subarray(0, Math.min(len, bytes.length)), off);
    return reportedLength(bytes.length, len, flags & MSG_TRUNC);
  }

  clear(): void {
    this.#messages.length = 0;
    this.#charged = 0;
  }
}
