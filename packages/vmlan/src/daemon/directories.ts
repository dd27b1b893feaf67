/**
 * The state and runtime directories: made with the right modes, refused when they are somebody else's.
 *
 * Zone: control.  Root's are searchable by all, for network processes run as another user; what is in them is not.
 */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import type { Paths } from '../model/paths.ts';

const PRIVATE_MODE = 0o700;
const SEARCHABLE_MODE = 0o711;

export function prepareDirectories(paths: Paths, uid: number): void {
  for (const directory of new Set([paths.state, paths.runtime, dirname(paths.socket)])) {
    prepareDirectory(directory, uid);
  }
}

function prepareDirectory(path: string, uid: number): void {
  try {
    const isNew = mkdirSync(path, { recursive: true, mode: uid === 0 ? SEARCHABLE_MODE : PRIVATE_MODE }) !== undefined;
    const stat = statSync(path);
    if (!isNew && stat.uid !== uid && uid !== 0) {
      throw new VmlanError('not-permitted', `${path} belongs to another user (uid ${stat.uid})`, {
        hint: 'set VMLAN_RUNTIME_DIR and VMLAN_STATE_DIR to directories of your own',
      });
    }
    // The sockets are 0600; still, nobody else may put something in their place.
    if (stat.uid === uid && (stat.mode & 0o022) !== 0 && (stat.mode & 0o1000) === 0) chmodSync(path, stat.mode & 0o755);
    if (uid === 0 && stat.uid === 0 && (stat.mode & 0o001) === 0)
      chmodSync(path, (stat.mode & 0o777) | SEARCHABLE_MODE);
  } catch (cause) {
    if (cause instanceof VmlanError) throw cause;
    throw new VmlanError('not-permitted', `${path} cannot be used: ${(cause as Error).message}`, {
      hint: 'set VMLAN_RUNTIME_DIR and VMLAN_STATE_DIR to directories of your own',
      cause,
    });
  }
}
