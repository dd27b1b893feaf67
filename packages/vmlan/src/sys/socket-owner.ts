/**
 * Who holds a port or a unix socket path: the process behind an "address in use".
 *
 * Zone: control.  Sources: /proc/net/{tcp,tcp6,udp,udp6,unix} (proc_net(5)) give the socket's inode, /proc/PID/fd says
 * who has it open.  Another user's process is seen by root alone; then the owner is unknown, which is no error.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface SocketOwner {
  readonly pid: number;
  readonly name: string;
}

const TCP_LISTEN = '0A';
const NODE_THREAD_NAME = 'MainThread';

export function ownerOfPort(protocol: 'tcp' | 'udp', port: number, proc = '/proc'): SocketOwner | null {
  const rows = [protocol, `${protocol}6`].flatMap((file) => readRows(join(proc, 'net', file)));
  const inodes = rows.flatMap((row) => inodeAtPort(row.trim().split(/\s+/), protocol, port));
  return ownerOfInodes(new Set(inodes), proc);
}

export function ownerOfPath(path: string, proc = '/proc'): SocketOwner | null {
  // Num: RefCount Protocol Flags Type St Inode Path
  const rows = readRows(join(proc, 'net', 'unix')).map((row) => /^\S+(?: +\S+){5} +(\d+) (.*)$/.exec(row.trim()));
  const inodes = rows.flatMap((match) => (match?.[2] === path ? match[1]! : []));
  return ownerOfInodes(new Set(inodes), proc);
}

export const describeOwner = ({ name, pid }: SocketOwner): string => `${name} (pid ${pid})`;

function readRows(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(1);
  } catch {
    return []; // no IPv6, or no /proc: nothing is known
  }
}

/** Columns: sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode. */
function inodeAtPort(columns: readonly string[], protocol: 'tcp' | 'udp', port: number): readonly string[] {
  const [, local, , state, , , , , , inode] = columns;
  if (local === undefined || inode === undefined || inode === '0') return [];
  if (protocol === 'tcp' && state !== TCP_LISTEN) return [];
  return Number.parseInt(local.split(':')[1] ?? '', 16) === port ? [inode] : [];
}

function ownerOfInodes(inodes: ReadonlySet<string>, proc: string): SocketOwner | null {
  if (inodes.size === 0) return null;
  const links = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  const pids = readdirSync(proc).filter((name) => /^\d+$/.test(name));
  const pid = pids.find((candidate) => holdsOneOf(join(proc, candidate, 'fd'), links));
  return pid === undefined ? null : { pid: Number(pid), name: processName(proc, pid) };
}

function holdsOneOf(fdDirectory: string, links: ReadonlySet<string>): boolean {
  try {
    return readdirSync(fdDirectory).some((fd) => links.has(linkTarget(join(fdDirectory, fd))));
  } catch {
    return false; // gone, or another user's
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** The command's name; the thread name that comm holds says nothing about a Node.js program. */
function processName(proc: string, pid: string): string {
  try {
    const name = readFileSync(join(proc, pid, 'comm'), 'utf8').trim();
    if (name !== NODE_THREAD_NAME) return name;
    return basename(readFileSync(join(proc, pid, 'cmdline'), 'utf8').split('\0')[0]!);
  } catch {
    return 'unknown';
  }
}
