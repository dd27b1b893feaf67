/**
 * Which network namespace is meant, and how a helper program gets to where it may give it an interface.
 *
 * Zone: control.  The TAP is made in a network namespace of its own (`unshare --net`) and then moved into the target:
 * an open TAP keeps the namespace alive in which it was opened (drivers/net/tun.c), and that must never be the
 * target's, or `ip netns del` and the end of a container would free nothing.  Root needs no more than that.  An
 * ordinary user first enters the user namespace that owns the target (user_namespaces(7)); that goes by process only.
 */
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { VmlanError } from '../../core/errors.ts';

export interface NamespaceTarget {
  readonly pid: number | null;
  readonly path: string | null;
}

export interface NamespaceWay {
  /** Path of the target, as the helper sees it. */
  readonly path: string;
  /** What comes before the helper's own argument vector. */
  readonly prefix: readonly string[];
}

const OWN_NAMESPACE = ['unshare', '--net', '--'] as const;
const PROCESS_NAMESPACE = /^\/proc\/(\d+)\/ns\/net$/;

/** Looks at the target and throws before anything is started when it is gone, foreign, or none of its own. */
export function wayInto(target: NamespaceTarget, uid: number): NamespaceWay {
  const pid = target.pid ?? pidOf(target.path ?? '');
  if (pid !== null) return wayIntoProcess(pid, uid);
  const path = target.path ?? '';
  assertNamespaceFile(path);
  if (uid !== 0) {
    throw new VmlanError('not-permitted', `only root may enter the network namespace ${path}`, {
      hint: 'name a process of yours that is inside it instead: --netns PID',
    });
  }
  return { path, prefix: OWN_NAMESPACE };
}

/** `ip netns` keeps names as files in /run/netns; those have a folder for a resolver of their own. */
export function nameOfNamespace(target: NamespaceTarget): string | null {
  return /^(?:\/var)?\/run\/netns\/([^/]+)$/.exec(target.path ?? '')?.[1] ?? null;
}

function pidOf(path: string): number | null {
  const pid = PROCESS_NAMESPACE.exec(path)?.[1];
  return pid === undefined ? null : Number(pid);
}

function wayIntoProcess(pid: number, uid: number): NamespaceWay {
  const path = `/proc/${pid}/ns/net`;
  const network = readNamespace(pid, 'net');
  if (network === readlinkSync('/proc/self/ns/net')) {
    throw new VmlanError('invalid', `process ${pid} has no network namespace of its own`, {
      hint: 'start it with one, for example: unshare --user --map-root-user --net',
    });
  }
  if (uid === 0) return { path, prefix: OWN_NAMESPACE };
  if (readNamespace(pid, 'user') === readlinkSync('/proc/self/ns/user')) {
    throw new VmlanError('not-permitted', `the network namespace of process ${pid} belongs to root`, {
      hint: 'use a process that has a user namespace of its own, or run the daemon as root',
    });
  }
  assertRootInside(pid, uid);
  const enter = ['nsenter', '--target', String(pid), '--user', '--preserve-credentials', '--'];
  return { path, prefix: [...enter, ...OWN_NAMESPACE] };
}

function readNamespace(pid: number, kind: 'net' | 'user'): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') {
      throw new VmlanError('not-found', `there is no process ${pid}`, { cause });
    }
    throw new VmlanError('not-permitted', `process ${pid} belongs to another user`, { cause });
  }
}

/**
 * Capabilities survive the start of a program only for user 0 of the namespace (capabilities(7)), so this user must be
 * the one that is mapped to 0: lines of `inside outside count`.
 */
function assertRootInside(pid: number, uid: number): void {
  const lines = readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split('\n');
  const isRoot = lines.some((line) => {
    const [inside, outside] = line.trim().split(/\s+/, 2).map(Number);
    return inside === 0 && outside === uid;
  });
  if (isRoot) return;
  throw new VmlanError('not-permitted', `this user is not root in the user namespace of process ${pid}`, {
    hint: 'make the namespace with your own user mapped to root, or run the daemon as root',
  });
}

function assertNamespaceFile(path: string): void {
  try {
    statSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES')
      throw new VmlanError('not-permitted', `${path} may not be looked at by this user`, { cause });
    throw new VmlanError('not-found', `there is no network namespace ${path}`, {
      hint: 'list them with: ip netns list',
      cause,
    });
  }
}
