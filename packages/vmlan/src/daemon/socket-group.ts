/**
 * The group that may use the daemon beside its owner: by `--socket-group`, VMLAN_SOCKET_GROUP, or `group` of networks.yaml.
 *
 * Zone: control.  Its members reach the socket and nothing else: the directory becomes searchable for them, not readable.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { VmlanError } from '../core/errors.ts';

const LOOKUP_TIMEOUT_MS = 2000;
const GROUP_SEARCH = 0o010;
const OTHERS_SEARCH = 0o001;
const NAME = /^[A-Za-z0-9_][\w.-]{0,75}$/;

/** By number, by /etc/group, or by whatever else the host looks groups up with. */
export function groupId(group: string, file = '/etc/group'): number {
  if (/^\d{1,10}$/.test(group)) return Number(group);
  const known = NAME.test(group) ? (fromFile(group, file) ?? fromNameService(group)) : null;
  if (known !== null) return known;
  throw new VmlanError('not-found', `there is no group ${JSON.stringify(group)} on this host`, {
    hint: 'make it with `groupadd`, or name another with --socket-group',
  });
}

const parseLine = (line: string, group: string): number | null => {
  const [name, , gid] = line.split(':');
  return name === group && gid !== undefined && /^\d+$/.test(gid) ? Number(gid) : null;
};

function fromFile(group: string, file: string): number | null {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.map((line) => parseLine(line, group)).find((gid) => gid !== null) ?? null;
  } catch {
    return null;
  }
}

function fromNameService(group: string): number | null {
  try {
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    const line = execFileSync('getent', ['group', group], { encoding: 'utf8', timeout: LOOKUP_TIMEOUT_MS, stdio });
    return parseLine(line.trim(), group);
  } catch {
    return null;
  }
}

/** Lets the group through the directory of the socket, where it does not get there already. */
export function openDirectoryTo(gid: number, socket: string): void {
  const directory = dirname(socket);
  const { mode, gid: present } = statSync(directory);
  if ((mode & OTHERS_SEARCH) !== 0 || (present === gid && (mode & GROUP_SEARCH) !== 0)) return;
  try {
    chownSync(directory, -1, gid);
    chmodSync(directory, (mode & 0o707) | GROUP_SEARCH);
  } catch (cause) {
    throw new VmlanError(
      'not-permitted',
      `${directory} cannot be opened to group ${gid}: ${(cause as Error).message}`,
      {
        hint: 'an ordinary user can open it to a group that they are a member of (`id` lists them)',
        cause,
      },
    );
  }
}
