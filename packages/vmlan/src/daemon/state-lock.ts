/**
 * One daemon per state directory, whatever its runtime directory is.
 *
 * Zone: control.  The runtime directory of a user depends on how he logged in (XDG_RUNTIME_DIR is not there under cron or
 * sudo), the state directory does not: two daemons would write the same files, and two processes the same leases.  So
 * the lock tells its runtime directory, and stays when the daemon ends before its networks do.  It outlives a reboot,
 * after which its pid may be anybody's: it holds for the boot that it was made in.
 */
import { lstatSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { networkPaths, networksDirectory } from '../drivers/network-paths.ts';
import { runningProcess } from '../drivers/userspace/process-file.ts';
import { isRunning, ownIdentity, readIdentity } from '../sys/process-identity.ts';
import type { ProcessIdentity } from '../sys/process-identity.ts';
import { LOCK_FILE, hold, release } from './lock-file.ts';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
/** The pid of a lock whose owner has ended, in order, before its networks. */
const NOBODY = 0;

interface StateLockRecord extends ProcessIdentity {
  /** Empty where the system does not tell. */
  readonly boot: string;
  readonly runtime: string;
}

export class StateLock {
  readonly #path: string;
  readonly #runtime: string;

  private constructor(path: string, runtime: string) {
    this.#path = path;
    this.#runtime = runtime;
  }

  /** null: the disk takes no lock; what is on it can still be read.  Throws `already-running`. */
  static acquire(state: string, runtime: string): StateLock | null {
    const path = join(state, LOCK_FILE);
    const before = readRecord(path);
    refuseLeftNetworks(before, state, runtime);
    const record: StateLockRecord = { ...ownIdentity(), boot: bootId(), runtime };
    let owner: ProcessIdentity | null;
    try {
      owner = hold(path, record, isOwner);
    } catch (error) {
      if (error instanceof VmlanError && error.code === 'already-running') throw error;
      return null;
    }
    if (owner !== null) throw alreadyRunning(state, owner.pid, readRecord(path)?.runtime ?? before?.runtime ?? '');
    return new StateLock(path, runtime);
  }

  release(): void {
    if (networksIn(this.#runtime).length > 0) abandon(this.#path, this.#runtime);
    else release(this.#path);
  }
}

/** What is left to tell is where the networks are. */
function abandon(path: string, runtime: string): void {
  if (readIdentity(path)?.pid !== process.pid) return;
  const record: StateLockRecord = { pid: NOBODY, startTime: '', boot: bootId(), runtime };
  try {
    writeFileSync(`${path}.${process.pid}`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    renameSync(`${path}.${process.pid}`, path);
  } catch {
    // The disk is full: the pid in the file is that of a process that ends now.
  }
}

const isOwner = (path: string, owner: ProcessIdentity): boolean =>
  isRunning(owner) && readRecord(path)?.boot === bootId();

function refuseLeftNetworks(record: StateLockRecord | null, state: string, runtime: string): void {
  if (record === null || record.runtime === runtime || record.boot !== bootId()) return;
  const left = networksIn(record.runtime);
  if (left.length === 0 || (record.pid !== NOBODY && isRunning(record))) return; // the lock itself says the latter
  throw new VmlanError(
    'already-running',
    `networks of ${state} run already, with the runtime directory ${record.runtime}: ${left.join(', ')}`,
    { hint: `set VMLAN_RUNTIME_DIR=${record.runtime}, and they are taken over` },
  );
}

const alreadyRunning = (state: string, pid: number, runtime: string): VmlanError =>
  new VmlanError('already-running', `a daemon works with ${state} already (pid ${pid})`, {
    hint: `\`VMLAN_RUNTIME_DIR=${runtime} vmlan status\` shows it; a second one needs a VMLAN_STATE_DIR of its own, too`,
  });

/** Those whose process runs. */
function networksIn(runtime: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(networksDirectory(runtime));
  } catch {
    return [];
  }
  return names.filter((name) => runningProcess(networkPaths(runtime, '', name)) !== null);
}

function readRecord(path: string): StateLockRecord | null {
  try {
    if (!lstatSync(path).isFile()) return null; // a pipe would be waited for
    const { pid, startTime, boot, runtime } = JSON.parse(readFileSync(path, 'utf8')) as Partial<StateLockRecord>;
    const isWhole = typeof pid === 'number' && [startTime, boot, runtime].every((value) => typeof value === 'string');
    return isWhole ? { pid, startTime: startTime!, boot: boot!, runtime: runtime! } : null;
  } catch {
    return null;
  }
}

function bootId(): string {
  try {
    return readFileSync(BOOT_ID_FILE, 'utf8').trim();
  } catch {
    return '';
  }
}
