/**
 * Which process a pid means: a pid alone is given again after a while, together with its start time it is not.
 *
 * Zone: control.  proc(5): field 22 of /proc/PID/stat is the start time in clock ticks since boot.
 */
import { lstatSync, readFileSync, readdirSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot; empty where there is no /proc. */
  readonly startTime: string;
}

/** Fields behind the command's closing parenthesis start with the state, field 3. */
const START_TIME_FIELD = 22 - 3;
const ZOMBIE = 'Z';

export const identityOf = (pid: number): ProcessIdentity => ({ pid, startTime: startTimeOf(pid) ?? '' });

export const ownIdentity = (): ProcessIdentity => identityOf(process.pid);

/** The identity that a file holds; null for a file that makes no sense, or is none. */
export function readIdentity(path: string): ProcessIdentity | null {
  try {
    if (!lstatSync(path).isFile()) return null; // a pipe would be waited for
    const { pid, startTime } = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessIdentity>;
    const isPid = typeof pid === 'number' && Number.isInteger(pid) && pid > 0;
    return isPid && typeof startTime === 'string' ? { pid, startTime } : null;
  } catch {
    return null;
  }
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
