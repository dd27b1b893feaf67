/**
 * A small configuration file of the host that may change, vanish and come back at any time.
 *
 * Zone: control.  Looked at when asked for, at most every CHECK_INTERVAL_MS; read again when the file that the path leads to
 * (through symbolic links) is another, or has changed.  A file that cannot be read counts as absent.
 */
import { readFileSync, statSync } from 'node:fs';

const CHECK_INTERVAL_MS = 500;
/** Block lists make long hosts files; beyond this nobody means it. */
export const MAX_FILE_BYTES: number = 16 * 1024 * 1024;

export class WatchedFile<T> {
  readonly path: string;
  readonly #parse: (text: string) => T;
  readonly #nowMs: () => number;
  readonly #onChange: () => void;
  #value: T;
  #identity: string | null = null;
  #checkedMs = Number.NEGATIVE_INFINITY;

  constructor(path: string, parse: (text: string) => T, nowMs: () => number, onChange: () => void) {
    this.path = path;
    this.#parse = parse;
    this.#nowMs = nowMs;
    this.#onChange = onChange;
    this.#value = parse('');
    this.#read(identify(path));
    this.#checkedMs = nowMs();
  }

  /** The value of what the file holds; of an empty text if it is absent. */
  get(): T {
    const nowMs = this.#nowMs();
    if (nowMs - this.#checkedMs >= CHECK_INTERVAL_MS) {
      this.#checkedMs = nowMs;
      const identity = identify(this.path);
      if (identity !== this.#identity) {
        this.#read(identity);
        this.#onChange();
      }
    }
    return this.#value;
  }

  #read(identity: string | null): void {
    this.#identity = identity;
    this.#value = this.#parse(identity === null ? '' : readText(this.path));
  }
}

/** Changes whenever the contents may have; null if there is no regular file of sensible size. */
function identify(path: string): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || stat.size > MAX_FILE_BYTES) return null;
  return [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // gone or closed to us since the look at it
  }
}
