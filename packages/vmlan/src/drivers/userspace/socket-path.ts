/**
 * Whether a unix socket path is free to be bound, and making it so where only a dead process's socket is in the way.
 *
 * Zone: control.  A socket that somebody listens at, and anything that is no socket, is never touched.
 */
import { lstatSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { VmlanError } from '../../core/errors.ts';

const PROBE_TIMEOUT_MS = 1000;

export async function clearPath(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return assertDirectory(dirname(path));
  if (!stat.isSocket()) {
    throw new VmlanError('address-in-use', `${path} exists and is no socket`, {
      hint: `look at it: ls -l ${path}; move it away, or use another path`,
    });
  }
  if (await isListenedAt(path)) throw new VmlanError('address-in-use', `the socket ${path} is in use`);
  rmSync(path, { force: true });
}

function assertDirectory(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new VmlanError('not-found', `the directory ${path} does not exist`, {
      hint: `make it first: mkdir -p ${path}`,
    });
  if (!stat.isDirectory()) throw new VmlanError('invalid', `${path} is no directory`);
}

/** Connecting tells: nobody there is ECONNREFUSED; a datagram socket that lives says EPROTOTYPE. */
export function isListenedAt(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle(true));
    socket.once('connect', () => settle(true));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

/** Takes our own socket file away once it is closed; what somebody else put there stays. */
export function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path, { force: true });
}
