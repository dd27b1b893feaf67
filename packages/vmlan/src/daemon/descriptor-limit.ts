/**
 * How many descriptors this process may open (setrlimit(2), RLIMIT_NOFILE), and what of them is for API clients.
 *
 * Zone: control.  Node.js raises the soft limit to the hard one when it starts.
 */
import { readFileSync } from 'node:fs';
import { MAX_CONNECTIONS } from '../api/connections.ts';

/** What every system grants. */
const DEFAULT_OPEN_FILES = 256;
/** The rest is for state files, networks, their processes and what is started. */
const CLIENTS_SHARE = 0.5;

export function openFileLimit(file = '/proc/self/limits'): number {
  try {
    const soft = /^Max open files +(\d+|unlimited)/m.exec(readFileSync(file, 'utf8'))?.[1];
    if (soft === 'unlimited') return Number.MAX_SAFE_INTEGER;
    return soft === undefined ? DEFAULT_OPEN_FILES : Number(soft);
  } catch {
    return DEFAULT_OPEN_FILES;
  }
}

export const connectionsWithin = (openFiles: number): number =>
  Math.min(MAX_CONNECTIONS, Math.max(1, Math.floor(openFiles * CLIENTS_SHARE)));
