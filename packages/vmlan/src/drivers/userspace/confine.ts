/**
 * Gives the files of a network to the user that its process becomes, and checks that this user gets to them.
 *
 * Zone: control.  Runs as root, before the process gives root up.  Only directories are given away: the leases are read
 * before, and written by replacing the file.
 */
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { VmlanError } from '../../core/errors.ts';
import type { UserIds } from '../../sys/privileges.ts';
import type { NetworkPaths } from '../network-paths.ts';

const PRIVATE_MODE = 0o700;
const SEARCHABLE_MODE = 0o711;
const MODE_BITS = 0o7777;

/** `user` null: everything stays with the user who runs this. */
export function prepareFiles(paths: NetworkPaths, user: UserIds | null): void {
  // The folders above belong to the daemon; another user only passes through.
  const outer = { recursive: true, mode: user === null ? PRIVATE_MODE : SEARCHABLE_MODE };
  for (const directory of [paths.directory, paths.state]) mkdirSync(dirname(directory), outer);
  for (const directory of [paths.directory, paths.guests, paths.state]) {
    mkdirSync(directory, { recursive: true, mode: PRIVATE_MODE });
    makePrivate(directory, user);
  }
  if (user === null) return;
  for (const directory of [paths.directory, paths.state]) assertReachable(directory, user);
}

/** Nothing is done to what is right already: a disk that is read-only stops no network that has all it needs. */
function makePrivate(directory: string, user: UserIds | null): void {
  const stat = statSync(directory);
  if ((stat.mode & MODE_BITS) !== PRIVATE_MODE) chmodSync(directory, PRIVATE_MODE);
  if (user !== null && (stat.uid !== user.uid || stat.gid !== user.gid)) chownSync(directory, user.uid, user.gid);
}

/** Every directory on the way must let the user through. */
function assertReachable(path: string, user: UserIds): void {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    const { uid, gid, mode } = statSync(directory);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) {
      throw new VmlanError(
        'not-permitted',
        `${directory} is closed to user ${user.name}, as whom the network process runs`,
        {
          hint: `chmod o+x ${directory}, or set VMLAN_RUNTIME_DIR and VMLAN_STATE_DIR elsewhere`,
        },
      );
    }
    if (directory === dirname(directory)) return;
  }
}
