/**
 * Lines and counted bytes out of a stream, for HTTP/1.1.
 *
 * Zone: control.
 */
import { GuestError } from '../errors.ts';

/** Start line and headers of a message together. */
export const MAX_HEAD_BYTES = 65_536;
const LF = 10;
const decoder = new TextDecoder('latin1');

/** Where bytes come from; null at the end. */
export interface ByteSource {
  read(): Promise<Uint8Array | null>;
}

export class Reader {
  readonly #source: ByteSource;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Without its end; null when the stream ends before a first byte. */
  async line(): Promise<string | null> {
    for (let searched = 0; ;) {
      const end = this.#rest.indexOf(LF, searched);
      if (end >= 0) {
        const line = decoder.decode(this.#rest.subarray(0, end)).replace(/\r$/, '');
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      searched = this.#rest.length;
      if (searched > MAX_HEAD_BYTES) throw new GuestError('EPROTO', `a line of more than ${MAX_HEAD_BYTES} bytes`);
      if (await this.#more()) continue;
      if (searched === 0) return null;
      throw cutShort();
    }
  }

  /** At least one byte and at most `limit`; null at the end. */
  async some(limit: number): Promise<Uint8Array | null> {
    if (this.#rest.length === 0 && !(await this.#more())) return null;
    const part = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  async #more(): Promise<boolean> {
    const bytes = await this.#source.read();
    if (bytes === null) return false;
    if (this.#rest.length === 0) this.#rest = bytes;
    else {
      const joined = new Uint8Array(this.#rest.length + bytes.length);
      joined.set(this.#rest);
      joined.set(bytes, this.#rest.length);
      this.#rest = joined;
    }
    return true;
  }
}

export const cutShort = (): GuestError => new GuestError('EPROTO', 'the message ends before it is whole');
