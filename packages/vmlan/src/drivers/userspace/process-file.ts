/**
 * The file that tells which process runs a network, and ending that process whatever it speaks.
 *
 * Zone: control.  The daemon writes the file before the process is told what to do, so that no process does anything
 * that the next daemon could not find; the process writes it again once it serves.
 */
import { lstatSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { identityOf, isRunning } from '../../sys/process-identity.ts';
import type { ProcessIdentity } from '../../sys/process-identity.ts';
import { PROTOCOL_VERSION } from './protocol.ts';

/** What SIGTERM gets before SIGKILL, and SIGKILL before we go on without. */
const KILL_TIMEOUT_MS = 2000;
const POLL_INTERVAL_MS = 10;

export interface NetworkProcess extends ProcessIdentity {
  readonly protocol: number;
}

export const processRecord = (identity: ProcessIdentity): string =>
  `${JSON.stringify({ ...identity, protocol: PROTOCOL_VERSION } satisfies NetworkProcess)}\n`;

/** For a process that has just been made and waits for its request. */
export function writeProcessFile(path: string, pid: number): void {
  writeFileSync(`${path}.tmp`, processRecord(identityOf(pid)), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** null: there is none, or half of one. */
export function readProcessFile(path: string): NetworkProcess | null {
  try {
    if (!lstatSync(path).isFile()) return null; // a pipe would be waited for
    const { pid, startTime, protocol } = JSON.parse(readFileSync(path, 'utf8')) as Partial<NetworkProcess>;
    if (typeof pid !== 'number' || typeof startTime !== 'string') return null;
    return { pid, startTime, protocol: protocol ?? PROTOCOL_VERSION };
  } catch {
    return null;
  }
}

/** The process that runs, going by the file. */
export function runningProcess(path: string): NetworkProcess | null {
  const found = readProcessFile(path);
  return found !== null && isRunning(found) ? found : null;
}

export async function hasEnded(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(identity)) {
    if (performance.now() >= deadline) return false;
    await delay(POLL_INTERVAL_MS);
  }
  return true;
}

export async function endProcess(identity: ProcessIdentity): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isRunning(identity)) return;
    try {
      process.kill(identity.pid, signal);
    } catch {
      return; // it ended meanwhile, or is another user's
    }
    if (await hasEnded(identity, KILL_TIMEOUT_MS)) return;
  }
}
