/**
 * Giving up privileges for good, and the proof of it.
 *
 * Zone: control.  `no_new_privs` (prctl(2)) is per thread and inherited: set it before further threads start.  Node's
 * setgid and setuid go through libc, which changes every thread.  The proof is read from the
 * status of each thread (proc(5)).
 */
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { VmlanError } from '../core/errors.ts';

const PR_SET_NO_NEW_PRIVS = 38;
const CAPABILITY_SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'];

export interface UserIds {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** From now on no program that this thread starts gains privileges by its file. */
export function setNoNewPrivileges(): void {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const prctl = koffi.load(null).func('int prctl(int, ulong, ulong, ulong, ulong)') as unknown as PrCtl;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) === 0) return;
  throw new VmlanError('not-permitted', 'the kernel refused no_new_privs', { hint: 'vmlan needs Linux 3.5 or newer' });
}

type PrCtl = (option: number, a: number, b: number, c: number, d: number) => number;

/** Becomes the user of that name, without supplementary groups and without a way back. */
export function becomeUser(user: UserIds): void {
  try {
    process.setgroups!([]);
    process.setgid!(user.gid);
    process.setuid!(user.uid);
  } catch (cause) {
    throw new VmlanError('not-permitted', `cannot become user ${user.name}: ${(cause as Error).message}`, {
      hint: 'start vmlan as an ordinary user, or as root with CAP_SETUID and CAP_SETGID',
      cause,
    });
  }
}

/** The group alone, for what is probed before the user changes. */
export function becomeGroup(user: UserIds): void {
  becomeUser({ ...user, uid: process.getuid!() });
}

export interface ThreadPrivileges {
  readonly thread: string;
  readonly uids: readonly string[];
  readonly noNewPrivileges: boolean;
  /** Capability sets that are not empty. */
  readonly held: readonly string[];
}

export function readPrivileges(task = '/proc/self/task'): readonly ThreadPrivileges[] {
  return readdirSync(task).map((thread) => parseStatus(thread, readFileSync(`${task}/${thread}/status`, 'utf8')));
}

export function parseStatus(thread: string, text: string): ThreadPrivileges {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  return {
    thread,
    uids: field('Uid').split(/\s+/),
    noNewPrivileges: field('NoNewPrivs') === '1',
    held: CAPABILITY_SETS.filter((set) => /[^0]/.test(field(set))),
  };
}

/** Throws unless no thread of this process is root or holds a capability, and this thread cannot gain any. */
export function assertUnprivileged(threads: readonly ThreadPrivileges[] = readPrivileges()): void {
  const fail = (what: string): never => {
    throw new VmlanError('not-permitted', `the network process still has privileges: ${what}`, {
      hint: 'start it as an ordinary user, or as root so that it can become one',
    });
  };
  if (threads.length === 0) fail('its threads cannot be inspected');
  for (const { thread, uids, held } of threads) {
    if (uids.includes('0')) fail(`thread ${thread} is root`);
    if (held.length > 0) fail(`thread ${thread} has ${held.join(', ')}`);
  }
  if (threads.every(({ noNewPrivileges }) => !noNewPrivileges)) fail('no_new_privs is not set');
}

/** The account that network processes of root run as: `preferred`, else `vmlan` if it exists, else `nobody`. */
export function unprivilegedUser(preferred: string | undefined, passwd = '/etc/passwd'): UserIds {
  const lines = readFileSync(passwd, 'utf8').split('\n');
  const users = new Map(lines.map((line) => [line.split(':')[0]!, line.split(':')]));
  const names = preferred === undefined ? ['vmlan', 'nobody'] : [preferred];
  for (const name of names) {
    const [, , uid, gid] = users.get(name) ?? [];
    if (uid === undefined || gid === undefined) continue;
    if (uid === '0') break;
    return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new VmlanError('not-permitted', `no account for network processes: ${names.join(', ')} is unknown or root`, {
    hint: 'name an ordinary user in VMLAN_USER',
  });
}
