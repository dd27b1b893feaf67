/**
 * A file that one process has at a time, and that tells which one.
 *
 * Zone: control.  It appears whole or not at all; one that a dead process left, or that makes no sense, is replaced.
 */
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { diskError, errnoOf } from '../sys/disk-error.ts';
import { isRunning, readIdentity } from '../sys/process-identity.ts';
import type { ProcessIdentity } from '../sys/process-identity.ts';

export const LOCK_FILE = 'daemon.pid';

/** null: the file is ours now; else who has it. */
export function hold(
  path: string,
  record: ProcessIdentity,
  isOwner: (path: string, owner: ProcessIdentity) => boolean = (_path, owner) => isRunning(owner),
): ProcessIdentity | null {
  for (let attempt = 0; attempt < 3; attempt++) {
    if (tryCreate(path, record)) return null;
    const owner = readIdentity(path);
    if (owner !== null && isOwner(path, owner)) return owner;
    removeStale(path, owner);
  }
  throw new VmlanError('already-running', `another daemon is starting in ${dirname(path)}`);
}

export function release(path: string): void {
  if (readIdentity(path)?.pid === process.pid) rmSync(path, { force: true });
}

/** The file appears whole or not at all: written aside, then linked, which fails if the name is taken. */
function tryCreate(path: string, record: ProcessIdentity): boolean {
  const aside = `${path}.${process.pid}`;
  try {
    rmSync(aside, { force: true, recursive: true });
    writeFileSync(aside, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    linkSync(aside, path);
    return true;
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST') return false;
    throw diskError(path, 'written', cause);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Takes the file away under another name first: if it has become somebody else's meanwhile, it is put back. */
function removeStale(path: string, stale: ProcessIdentity | null): void {
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
    const moved = readIdentity(aside);
    if (moved !== null && moved.pid !== stale?.pid && isRunning(moved)) linkSync(aside, path);
  } catch {
    // Another starter was faster; the next attempt sees what it made.
  } finally {
    rmSync(aside, { force: true, recursive: true });
  }
}
