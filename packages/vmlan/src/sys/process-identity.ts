/**
 * Which process a pid means: a pid alone is given again after a while, together with its start time it is not.
 *
 * Zone: control.  proc(5): field 22 of /proc/PID/stat is the start time in clock ticks since boot.  A file that holds an
 * identity may have been written by anybody: a pid of 0 or below would mean many processes (kill(2)), and is none.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot; empty where there is no /proc. */
  readonly startTime: string;
}

/** Fields behind the command's closing parenthesis start with the state, field 3. */
const START_TIME_FIELD = 22 - 3;
const ZOMBIE = 'Z';
/** More than any identity takes. */
const MAX_RECORD_BYTES = 4096;

export const identityOf = (pid: number): ProcessIdentity => ({ pid, startTime: startTimeOf(pid) ?? '' });

export const ownIdentity = (): ProcessIdentity => identityOf(process.pid);

/** Of whoever runs under a pid. */
export interface ProcessFacts {
  /** Real, effective, saved, and of the file system. */
  readonly uids: readonly number[];
  /** As the process shows it: it may have written over it. */
  readonly argv: readonly string[];
}

/** null: it has ended, or there is no /proc. */
export function factsOf(pid: number): ProcessFacts | null {
  try {
    const [, uids = ''] = /^Uid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '').split('\0');
    return { uids: uids.trim().split(/\s+/).map(Number), argv };
  } catch {
    return null;
  }
}

/** What a small file of JSON holds; null for one that makes no sense, or is none. A pipe is not waited for. */
export function readRecord(path: string): Readonly<Record<string, unknown>> | null {
  let fd = -1;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) return null;
    const bytes = Buffer.alloc(MAX_RECORD_BYTES);
    const value: unknown = JSON.parse(bytes.toString('utf8', 0, readSync(fd, bytes)));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

export const isPid = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

/** The identity that a file holds; null for a file that makes no sense, or is none. */
export function readIdentity(path: string): ProcessIdentity | null {
  const { pid, startTime } = readRecord(path) ?? {};
  return isPid(pid) && typeof startTime === 'string' ? { pid, startTime } : null;
}

/** Whether that very process still runs; one that only waits to be reaped does not. */
export function isRunning({ pid, startTime }: ProcessIdentity): boolean {
  return startTime === '' ? answersSignal(pid) : startTimeOf(pid) === startTime;
}

function startTimeOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === ZOMBIE && !hasThreads(pid) ? null : (fields[START_TIME_FIELD] ?? null);
  } catch {
    return null;
  }
}

/** The first thread of a process may have ended while others still hold its files. */
const hasThreads = (pid: number): boolean => readdirSync(`/proc/${pid}/task`).length > 1;

function answersSignal(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
