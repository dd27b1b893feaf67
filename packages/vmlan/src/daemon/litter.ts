/**
 * What a daemon left that was killed: half-written files and files of locks. Nothing that a living process uses.
 *
 * Zone: control.  Called by who holds the lock of both directories.  Networks and sockets are looked after by who
 * starts them.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { networkPaths, networksDirectory } from '../drivers/network-paths.ts';
import type { NetworkPaths } from '../drivers/network-paths.ts';
import { clearForgotten } from '../drivers/userspace/network-directory.ts';
import type { Paths } from '../model/paths.ts';
import { isRunning, readIdentity } from '../sys/process-identity.ts';

/** Written beside a state file before it takes its place. */
const HALF_WRITTEN = '.tmp';
/** `daemon.pid.PID` and `daemon.pid.stale-PID`, of those who tried to get the lock. */
const LOCK_ATTEMPT = /^daemon\.pid\.(?:stale-)?(\d+)$/;

export async function removeLitter({ runtime, state }: Paths): Promise<void> {
  for (const directory of [runtime, state]) removeLockAttempts(directory);
  for (const directory of [state, join(state, 'guests')]) removeHalfWritten(directory);
  for (const name of namesIn(networksDirectory(state))) {
    const paths = networkPaths(runtime, state, name);
    if (!isWritten(paths)) removeHalfWritten(paths.state);
  }
  await clearForgotten(runtime);
}

function removeLockAttempts(directory: string): void {
  for (const name of namesIn(directory)) {
    const pid = LOCK_ATTEMPT.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(directory, name), { force: true });
  }
}

/** By whom does not matter here: who names a stranger keeps a half-written file of his own. */
function isWritten({ process }: NetworkPaths): boolean {
  const found = readIdentity(process);
  return found !== null && isRunning(found);
}

function removeHalfWritten(directory: string): void {
  for (const name of namesIn(directory)) {
    if (name.endsWith(HALF_WRITTEN)) rmSync(join(directory, name), { force: true });
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // not there yet
  }
}
