/**
 * Which logs there are in a state directory.
 *
 * Zone: control.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { networkPaths, networksDirectory } from '../drivers/network-paths.ts';
import { DAEMON_SOURCE } from '../model/log-words.ts';
import type { LogFile } from './log-cursor.ts';

export const daemonLog = (state: string): string => join(state, 'daemon.log');

/** Of the daemon, and of every network that ever ran. */
export function logFiles(state: string): readonly LogFile[] {
  return [
    { source: DAEMON_SOURCE, path: daemonLog(state) },
    ...networkNames(state).map((source) => ({ source, path: networkPaths('', state, source).log })),
  ];
}

function networkNames(state: string): readonly string[] {
  try {
    return readdirSync(networksDirectory(state)).toSorted((a, b) => (a < b ? -1 : 1));
  } catch {
    return []; // none ever ran
  }
}
