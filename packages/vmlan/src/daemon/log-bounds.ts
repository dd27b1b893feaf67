/**
 * Keeps the logs of the daemon and of its networks within their bounds, while the daemon runs.
 *
 * Zone: control.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { networkPaths, networksDirectory } from '../drivers/network-paths.ts';
import type { Paths } from '../model/paths.ts';
import { boundLog } from '../sys/bounded-log.ts';

const INTERVAL_MS = 5000;

export const daemonLog = (state: string): string => join(state, 'daemon.log');

export function boundLogs({ runtime, state }: Pick<Paths, 'runtime' | 'state'>): void {
  boundLog(daemonLog(state));
  for (const name of networkNames(state)) boundLog(networkPaths(runtime, state, name).log);
}

/** From now on, until disposed. */
export function keepLogsBounded(paths: Paths): Disposable {
  boundLogs(paths);
  const timer = setInterval(() => boundLogs(paths), INTERVAL_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function networkNames(state: string): readonly string[] {
  try {
    return readdirSync(networksDirectory(state));
  } catch {
    return []; // none ever ran
  }
}
