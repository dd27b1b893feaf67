/**
 * Logs of a network for tests, as its process writes them.
 *
 * Zone: control.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { networkPaths } from '../drivers/network-paths.ts';

/** Whole lines; their path. */
export function writeLog(state: string, network: string, lines: readonly string[]): string {
  const { log } = networkPaths('', state, network);
  mkdirSync(dirname(log), { recursive: true });
  appendFileSync(log, lines.map((line) => `${line}\n`).join(''));
  return log;
}

/** A line of this second of a minute. */
export const lineAt = (second: number, message: string, level = 'info'): string =>
  `2026-01-02T03:04:${String(second).padStart(2, '0')}.000Z ${level} ${message}`;
