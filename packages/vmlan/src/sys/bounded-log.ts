/**
 * Logs that do not grow without bound: what is old moves to NAME.1 and NAME.2, and the file itself is emptied in place,
 * for others hold it open to append.
 *
 * Zone: control.  Runs as root in folders that an unprivileged process may write: no link is followed, and nothing that is
 * there already is written over.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';

/** A log that has grown beyond is put aside. */
export const MAX_LOG_BYTES = 4_194_304;
/** `NAME.1`, `NAME.2`, the newest first. */
export const OLD_LOGS = 2;
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/** For a child's output. A pipe that somebody put there is not waited for. */
export const openLog = (path: string): number =>
  openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600);

/** The last `bytes` of a log; throws when there is none. */
export function readLogEnd(path: string, bytes: number): string {
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    return stat.isFile() ? readEnd(fd, stat.size, bytes).toString('utf8') : '';
  } finally {
    closeSync(fd);
  }
}

/** Puts the log aside when it is too long; one that cannot be is left alone. How much of its start is lost; null: nothing was done. */
export function boundLog(path: string, maxBytes: number = MAX_LOG_BYTES): number | null {
  let fd = -1;
  try {
    fd = openSync(path, O_RDWR | O_NOFOLLOW);
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size <= maxBytes) return null;
    putAside(path, readEnd(fd, stat.size, maxBytes));
    ftruncateSync(fd);
    return stat.size - maxBytes;
  } catch {
    return null; // there is none, or the disk takes nothing: then it does not grow either
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

function readEnd(fd: number, size: number, maxBytes: number): Buffer {
  const buffer = Buffer.alloc(Math.min(size, maxBytes));
  return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, size - buffer.length));
}

function putAside(path: string, content: Buffer): void {
  for (let i = OLD_LOGS; i > 1; i--) {
    try {
      renameSync(`${path}.${i - 1}`, `${path}.${i}`);
    } catch {
      continue; // not that many yet
    }
  }
  rmSync(`${path}.1`, { force: true });
  const fd = openSync(`${path}.1`, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeSync(fd, content);
  } finally {
    closeSync(fd);
  }
}

/** For a process that may not read its log: empties it when nobody has put it aside for long. */
export function boundOwnOutput(fd: number, maxBytes: number = (OLD_LOGS + 1) * MAX_LOG_BYTES): void {
  const stat = fstatSync(fd);
  if (stat.isFile() && stat.size > maxBytes) ftruncateSync(fd);
}
