/**
 * How many descriptors this process may open (setrlimit(2), RLIMIT_NOFILE).
 *
 * Zone: control.  Node.js raises the soft limit to the hard one when it starts.  To read it takes a descriptor: when there
 * is none left, it is as it was when this was loaded.
 */
import { readFileSync } from 'node:fs';

/** What every system grants. */
const DEFAULT_OPEN_FILES = 256;

function readLimit(file: string): number | null {
  try {
    const soft = /^Max open files +(\d+|unlimited)/m.exec(readFileSync(file, 'utf8'))?.[1];
    if (soft === 'unlimited') return Number.MAX_SAFE_INTEGER;
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}

const OWN = '/proc/self/limits';
const atStart = readLimit(OWN) ?? DEFAULT_OPEN_FILES;

export const openFileLimit = (file: string = OWN): number =>
  readLimit(file) ?? (file === OWN ? atStart : DEFAULT_OPEN_FILES);
