/**
 * One daemon per runtime directory, and one per state directory: a lock file with the owner's identity, and the socket.
 *
 * Zone: control.  The file tells who the other one is; what decides in a race is that only one can bind the socket.
 */
import { rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import type { Paths } from '../model/paths.ts';
import { ownIdentity } from '../sys/process-identity.ts';
import { LOCK_FILE, hold, release } from './lock-file.ts';
import { StateLock } from './state-lock.ts';

const CONNECT_TIMEOUT_MS = 2000;

export type LockedDirectories = Pick<Paths, 'runtime' | 'state'>;

export class DaemonLock {
  readonly #path: string;
  readonly #state: StateLock | null;

  private constructor(path: string, state: StateLock | null) {
    this.#path = path;
    this.#state = state;
  }

  /** Throws `already-running` with the owner's pid. A file that a dead daemon left is replaced. */
  static acquire({ runtime, state }: LockedDirectories): DaemonLock {
    const path = join(runtime, LOCK_FILE);
    const owner = hold(path, ownIdentity());
    if (owner !== null) throw alreadyRunning(runtime, owner.pid);
    try {
      return new DaemonLock(path, state === runtime ? null : StateLock.acquire(state, runtime));
    } catch (error) {
      release(path);
      throw error;
    }
  }

  release(): void {
    this.#state?.release();
    release(this.#path);
  }
}

function alreadyRunning(directory: string, pid: number): VmlanError {
  return new VmlanError('already-running', `a daemon runs in ${directory} already (pid ${pid})`, {
    hint: '`vmlan status` shows it, `vmlan down` stops it',
  });
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
