/**
 * What this process uses, as monitors of Prometheus know it by name.
 *
 * Zone: control.
 */
import { readdirSync } from 'node:fs';

export interface ProcessFacts {
  readonly residentBytes: number;
  readonly cpuSeconds: number;
  /** Null: this system does not tell. */
  readonly openFiles: number | null;
}

const MICROSECONDS = 1e6;

export function processFacts(): ProcessFacts {
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / MICROSECONDS,
    openFiles: openFiles(),
  };
}

/** proc(5): a name for each; one of them is that of the directory itself. */
function openFiles(): number | null {
  try {
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return null;
  }
}
