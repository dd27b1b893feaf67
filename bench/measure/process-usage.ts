/**
 * What processes have used so far, from /proc (man 5 proc): CPU of all their threads, also ended ones, and resident
 * memory.
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const UTIME = 11; // fields after the command's name: state is 0, utime 11, stime 12
const STIME = 12;
const KIB = 1024;

/** Seconds of one core that `/proc/PID/stat` tells of. The name may hold spaces and brackets, so look from its end. */
export function cpuSecondsOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND;
}

export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsOf(readFileSync(`/proc/${pid}/stat`, 'utf8')), 0);
}

/** A line of /proc/PID/status or smaps_rollup that is given in kB, in bytes. */
export function fieldBytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? NaN) * KIB;
}

/** Resident memory, bytes. */
export function residentBytes(pid: number): number {
  return fieldBytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmRSS');
}
