/**
 * A place in the log of one source, which may lie in the files that were put aside: what comes behind it in whole lines,
 * the oldest first.
 *
 * Zone: control.  The directories belong to unprivileged processes: no link is followed, and nothing but a file is read.
 * Nothing is kept but the place, so that who reads slowly costs nothing.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { VmlanError } from '../core/errors.ts';
import { OLD_LOGS } from '../sys/bounded-log.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
/** A line that is longer comes in parts. */
const CHUNK_BYTES = 262_144;
const NEWLINE = 0x0a;

export interface LogFile {
  /** `daemon`, or the name of a network. */
  readonly source: string;
  readonly path: string;
}

export class LogCursor {
  readonly file: LogFile;
  /** It began where the log begins. */
  readonly fromStart: boolean;
  /** 0: the file itself; n: NAME.n. */
  #age = 0;
  #offset = 0;
  #isInsideLine: boolean;

  /** `back`: how many bytes before the end. */
  constructor(file: LogFile, back: number) {
    this.file = file;
    let left = back;
    for (this.#age = 0; ; this.#age++) {
      const size = sizeOf(nameOf(file.path, this.#age));
      this.#offset = Math.max(0, size - left);
      left -= size;
      if (left <= 0 || this.#age === OLD_LOGS) break;
    }
    this.fromStart = left > 0;
    this.#isInsideLine = !this.fromStart && back > 0;
  }

  /** Null: there is no more for now. */
  read(): readonly string[] | null {
    for (;;) {
      const lines = this.#readFile();
      if (lines.length > 0) return lines;
      if (this.#age === 0) return null;
      this.#age--;
      this.#offset = 0;
    }
  }

  /** The file was put aside, without its first `lost` bytes. */
  onPutAside(lost: number): void {
    if (this.#age === 0) {
      this.#isInsideLine ||= lost > this.#offset;
      this.#offset = Math.max(0, this.#offset - lost);
    }
    if (this.#age === OLD_LOGS) this.#offset = 0; // what was there is gone, the next one is in its place
    this.#age = Math.min(this.#age + 1, OLD_LOGS);
  }

  #readFile(): readonly string[] {
    const path = nameOf(this.file.path, this.#age);
    const bytes = readAt(path, (size) => {
      if (size < this.#offset) this.#offset = 0; // emptied, by who writes it
      return this.#offset;
    });
    // The end of an old file is the end of its last line; that of the newest may be in the middle of one.
    const isWhole = bytes.length === CHUNK_BYTES || this.#age > 0;
    const end = bytes.lastIndexOf(NEWLINE) + 1 || (isWhole ? bytes.length : 0);
    const firstEnd = bytes.indexOf(NEWLINE) + 1;
    const start = this.#isInsideLine ? firstEnd || end : 0;
    this.#isInsideLine &&= firstEnd === 0;
    this.#offset += end;
    return end === 0 ? [] : bytes.toString('utf8', start, end).split('\n');
  }
}

const nameOf = (path: string, age: number): string => (age === 0 ? path : `${path}.${age}`);

const sizeOf = (path: string): number => withFile(path, (_fd, size) => size) ?? 0;

const readAt = (path: string, place: (size: number) => number): Buffer =>
  withFile(path, (fd, size) => {
    const offset = place(size);
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, size - offset));
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, offset));
  }) ?? Buffer.alloc(0);

/** When it was written to last; null: there is none. */
export const writtenMs = (path: string): number | null => withFile(path, (_fd, _size, mtimeMs) => mtimeMs);

function withFile<T>(path: string, use: (fd: number, size: number, mtimeMs: number) => T): T | null {
  let fd = -1;
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const stat = fstatSync(fd);
    return stat.isFile() ? use(fd, stat.size, stat.mtimeMs) : null;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO') return null;
    throw new VmlanError(code === 'EACCES' ? 'not-permitted' : 'unavailable', `${path} cannot be read: ${message}`, {
      hint: 'the logs belong to who runs the daemon; ask them, or be root',
      cause,
    });
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
