/**
 * What the daemon's program does without serving: judging a file, taking a backup, restoring one.
 *
 * Zone: control.  The command line starts it for that, and reads the answer, one JSON document, from its stdout.
 */
import { fstatSync, openSync, readFileSync } from 'node:fs';
import { ERROR_CODES, VmlanError, toErrorData } from '../core/errors.ts';
import type { ErrorData } from '../core/errors.ts';
import type { Driver } from '../drivers/driver.ts';
import type { Paths } from '../model/paths.ts';
import { diskError } from '../sys/disk-error.ts';
import { MAX_BACKUP_BYTES } from './backup-file.ts';
import { backupOfDirectories } from './backup.ts';
import { prepareDirectories } from './directories.ts';
import { readHostRoutes } from './host-routes.ts';
import { DaemonLock, clearSocketPath } from './lock.ts';
import { finishRestore } from './restore-steps.ts';
import { restoreBackup } from './restore.ts';

export interface OfflineAnswer {
  readonly result: unknown;
  readonly error: ErrorData | null;
}

export interface OfflineOptions {
  readonly version: string;
  readonly paths: Paths;
  readonly uid: number;
  readonly makeDriver: () => Driver;
}

export const offlineBackup = ({ version, paths, uid }: OfflineOptions): Promise<OfflineAnswer> =>
  answer(() => alone(paths, uid, () => backupOfDirectories(version, paths)));

/** `file`: `-` is stdin. */
export const offlineRestore = (
  { paths, uid, makeDriver }: OfflineOptions,
  file: string,
  { dryRun, force }: { readonly dryRun: boolean; readonly force: boolean },
): Promise<OfflineAnswer> =>
  answer(async () => {
    const bytes = readBackupBytes(file);
    const restore = async (): Promise<unknown> => {
      const running = await makeDriver().list();
      const hostRoutes = readHostRoutes();
      return restoreBackup({ name: file === '-' ? 'stdin' : file, bytes, paths, hostRoutes, running, dryRun, force });
    };
    return dryRun ? restore() : alone(paths, uid, restore);
  });

export const exitCodeOf = ({ error }: OfflineAnswer): number => (error === null ? 0 : ERROR_CODES[error.code].exitCode);

async function answer(task: () => Promise<unknown>): Promise<OfflineAnswer> {
  try {
    return { result: await task(), error: null };
  } catch (error) {
    return { result: null, error: toErrorData(error) };
  }
}

/** While no daemon runs, and none can start. */
async function alone<T>(paths: Paths, uid: number, task: () => Promise<T>): Promise<T> {
  prepareDirectories(paths, uid);
  const lock = acquire(paths);
  try {
    await clearSocketPath(paths.socket);
    await finishRestore(paths.state);
    return await task();
  } finally {
    lock.release();
  }
}

function acquire(paths: Paths): DaemonLock {
  try {
    return DaemonLock.acquire(paths);
  } catch (error) {
    if (!(error instanceof VmlanError) || error.code !== 'already-running') throw error;
    throw new VmlanError(error.code, error.message, { hint: '`vmlan down` first, then again', cause: error });
  }
}

function readBackupBytes(file: string): Uint8Array {
  try {
    if (file === '-') return readFileSync(0);
    const fd = openSync(file, 'r');
    if (fstatSync(fd).size > MAX_BACKUP_BYTES) throw new VmlanError('invalid', `${file} is no backup of vmlan`);
    return readFileSync(fd);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw new VmlanError('not-found', `no file ${file}`);
    throw diskError(file, 'read', cause);
  }
}
