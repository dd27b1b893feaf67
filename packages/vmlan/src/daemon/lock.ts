/**
 * One daemon per runtime directory: a lock file with the owner's identity, and the socket itself.
 *
 * Zone: control.  The file tells who the other one is; what decides in a race is that only one can bind the socket.
 */
import { linkSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { diskError, errnoOf } from '../sys/disk-error.ts';
import { isRunning, ownIdentity, readIdentity } from '../sys/process-identity.ts';
import type { ProcessIdentity } from '../sys/process-identity.ts';

const CONNECT_TIMEOUT_MS = 2000;

export class DaemonLock {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Throws `already-running` with the owner's pid. A file that a dead daemon left is replaced. */
  static acquire(runtimeDirectory: string): DaemonLock {
    const path = join(runtimeDirectory, 'daemon.pid');
    for (let attempt = 0; attempt < 3; attempt++) {
      if (tryCreate(path)) return new DaemonLock(path);
      const owner = readIdentity(path);
      if (owner !== null && isRunning(owner)) throw alreadyRunning(runtimeDirectory, owner.pid);
      removeStale(path, owner);
    }
    throw new VmlanError('already-running', `another daemon is starting in ${runtimeDirectory}`);
  }

  release(): void {
    if (readIdentity(this.#path)?.pid === process.pid) rmSync(this.#path, { force: true });
  }
}

function alreadyRunning(directory: string, pid: number): VmlanError {
  return new VmlanError('already-running', `a daemon runs in ${directory} already (pid ${pid})`, {
    hint: '`vmlan status` shows it, `vmlan down` stops it',
  });
}

/** The file appears whole or not at all: written aside, then linked, which fails if the name is taken. */
function tryCreate(path: string): boolean {
  const aside = `${path}.${process.pid}`;
  try {
    rmSync(aside, { force: true, recursive: true });
    writeFileSync(aside, `${JSON.stringify(ownIdentity())}\n`, { mode: 0o600 });
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

/** Makes room for the API's socket: a socket nobody answers at is removed, anything else is not ours to remove. */
export async function clearSocketPath(path: string): Promise<void> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new VmlanError('address-in-use', `${path} exists and is no socket`, {
      hint: 'move it away, or set VMLAN_RUNTIME_DIR',
    });
  }
  if (await answers(path)) {
    throw new VmlanError('already-running', `another daemon answers at ${path}`, { hint: '`vmlan down` stops it' });
  }
  rmSync(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(true));
    socket.once('connect', () => settle(true));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}
