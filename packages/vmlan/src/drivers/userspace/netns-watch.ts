/**
 * The end of a process that is not our child: a namespace attached by PID leaves its network with that process.
 *
 * Zone: control.  /proc/PID/stat is read every POLL_INTERVAL_MS; field 22, the start time, tells a process from a later
 * one with its number (proc_pid_stat(5)).  A zombie has ended.
 */
import { readFileSync } from 'node:fs';

const POLL_INTERVAL_MS = 500;
/** After the name in brackets, which may hold anything, come state (field 3) and the rest. */
const START_TIME = 22 - 3;

/** Calls `onExit` once, when the process ends or is not there at all; never before this function has returned. */
export function watchProcess(pid: number, onExit: () => void): Disposable {
  const born = startTime(pid);
  const timer = setInterval(
    () => {
      if (born !== null && startTime(pid) === born) return;
      clearInterval(timer);
      onExit();
    },
    born === null ? 0 : POLL_INTERVAL_MS,
  );
  timer.unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}

/** null for a process that has ended. */
function startTime(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[START_TIME] ?? null);
  } catch {
    return null;
  }
}
