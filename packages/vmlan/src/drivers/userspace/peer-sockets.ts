/**
 * Datagram sockets that VMMs bind beside ours: opened to the network process when root's daemon started it as somebody
 * else, for sending to a unix socket needs write permission on its file (man 7 unix), which a VMM's umask denies.
 *
 * Zone: control.  Runs as root in a folder that the unprivileged process may write, so nothing there is trusted: the
 * file is pinned by a descriptor that follows no link, must be a socket, and is changed by that descriptor alone.
 */
import { chownSync, closeSync, constants, fstatSync, openSync, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { UserIds } from '../../sys/privileges.ts';
import { PEER_SUFFIX } from '../network-paths.ts';

/** man 2 open: names a file without opening it. */
const O_PATH = 0x20_0000;

/** Gives each peer socket in `directory`, there or to come, to the user. */
export function sharePeerSockets(directory: string, user: UserIds): Disposable {
  const share = (name: string | null): void => {
    if (name?.endsWith(PEER_SUFFIX) === true) giveSocket(join(directory, name), user);
  };
  const watcher = watch(directory, { persistent: false }, (_event, name) => share(name));
  watcher.on('error', () => watcher.close()); // the folder is gone, and the network with it
  for (const name of readdirSync(directory)) share(name);
  return { [Symbol.dispose]: () => watcher.close() };
}

/** False when there is no socket, or it is the user's already. */
export function giveSocket(path: string, user: UserIds): boolean {
  let fd = -1;
  try {
    fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
    const stat = fstatSync(fd);
    if (!stat.isSocket() || stat.uid === user.uid) return false;
    chownSync(`/proc/self/fd/${fd}`, user.uid, user.gid);
    return true;
  } catch {
    return false; // it is gone again
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
