/**
 * Keeps the logs of the daemon and of its networks within their bounds, while the daemon runs.
 *
 * Zone: control.
 */
import type { Paths } from '../model/paths.ts';
import { boundLog } from '../sys/bounded-log.ts';
import { logFiles } from './log-files.ts';

const INTERVAL_MS = 5000;

/** Told of each log that was put aside, without its first `lost` bytes. */
export type OnPutAside = (path: string, lost: number) => void;

export function boundLogs({ state }: Pick<Paths, 'state'>, onPutAside: OnPutAside = () => undefined): void {
  for (const { path } of logFiles(state)) {
    const lost = boundLog(path);
    if (lost !== null) onPutAside(path, lost);
  }
}

/** From now on, until disposed. */
export function keepLogsBounded(paths: Pick<Paths, 'state'>, onPutAside: OnPutAside): Disposable {
  boundLogs(paths, onPutAside);
  const timer = setInterval(() => boundLogs(paths, onPutAside), INTERVAL_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
