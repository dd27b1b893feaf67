/**
 * The resolver of a named network namespace: /etc/netns/NAME/resolv.conf, which `ip netns exec` puts over
 * /etc/resolv.conf (ip-netns(8)).
 *
 * Zone: control.  Needs root.  A file that somebody else wrote is never touched; ours is known by its first line.
 */
import { mkdirSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MARK = '# written by vmlan; removed when the namespace leaves its network';
const ROOT = '/etc/netns';

export interface ResolverHints {
  readonly dns: string;
  readonly searchDomains: readonly string[];
}

/** False when the namespace has a resolver of its own, which stays. */
export function writeResolver(namespace: string, { dns, searchDomains }: ResolverHints, root: string = ROOT): boolean {
  const directory = join(root, namespace);
  const path = join(directory, 'resolv.conf');
  if (!isOurs(path) && read(path) !== null) return false;
  const search = searchDomains.length === 0 ? [] : [`search ${searchDomains.join(' ')}`];
  mkdirSync(directory, { recursive: true });
  writeFileSync(path, `${[MARK, ...search, `nameserver ${dns}`].join('\n')}\n`);
  return true;
}

/** Takes our file away, and its folders when nothing else is in them. */
export function removeResolver(namespace: string, root: string = ROOT): void {
  const directory = join(root, namespace);
  const path = join(directory, 'resolv.conf');
  if (!isOurs(path)) return;
  rmSync(path, { force: true });
  for (const folder of [directory, root]) removeIfEmpty(folder);
}

const isOurs = (path: string): boolean => read(path)?.startsWith(`${MARK}\n`) ?? false;

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}
