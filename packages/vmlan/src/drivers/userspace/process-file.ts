/**
 * The file that tells which process runs a network, and ending that process whatever it speaks.
 *
 * Zone: control.  The daemon writes the file before the process is told what to do, so that no process does anything
 * that the next daemon could not find; the process writes it again once it serves.  So it holds what the process wants,
 * and that one has guests' traffic in its hands: what the file says, or the process says of itself at its socket, is
 * believed of a process alone that is recognised as one of this network (`isOfNetwork`), and nobody else is ever sent a
 * signal.  From the look at it to the signal a pid could in theory be given to another; kernels hand them out in turn.
 */
import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { factsOf, identityOf, isRunning, readIdentity, readRecord } from '../../sys/process-identity.ts';
import type { ProcessIdentity } from '../../sys/process-identity.ts';
import type { NetworkPaths } from '../network-paths.ts';
import { PROTOCOL_VERSION } from './protocol.ts';

/** What SIGTERM gets before SIGKILL, and SIGKILL before we go on without. */
const KILL_TIMEOUT_MS = 2000;
const POLL_INTERVAL_MS = 10;

export interface NetworkProcess extends ProcessIdentity {
  readonly protocol: number;
}

type Place = Pick<NetworkPaths, 'directory' | 'process'>;

export const processRecord = (identity: ProcessIdentity): string =>
  `${JSON.stringify({ ...identity, protocol: PROTOCOL_VERSION } satisfies NetworkProcess)}\n`;

/** For a process that has just been made and waits for its request. A link in the way is not followed. */
export function writeProcessFile(path: string, pid: number): void {
  rmSync(`${path}.tmp`, { force: true });
  writeFileSync(`${path}.tmp`, processRecord(identityOf(pid)), { mode: 0o600, flag: 'wx' });
  renameSync(`${path}.tmp`, path);
}

/** What the file says, whoever that is; null: there is none, or half of one. */
export function readProcessFile(path: string): NetworkProcess | null {
  const identity = readIdentity(path);
  if (identity === null) return null;
  const { protocol } = readRecord(path) ?? {};
  return { ...identity, protocol: typeof protocol === 'number' ? protocol : PROTOCOL_VERSION };
}

/** The process of the network that runs, going by the file. */
export function runningProcess({ directory, process: path }: Place): NetworkProcess | null {
  const found = readProcessFile(path);
  return found !== null && isOfNetwork(found, directory) ? found : null;
}

/** How a network process calls itself once it serves, and has become who it shall be. */
export const processTitle = (network: string): string => `vmlan network ${network}`;

/**
 * Whether that very process runs, and is one of the network with this directory.  One that serves has the user to whom
 * the directory was given, and its title; one that is starting may still be its daemon's user, and has the directory as
 * its last argument.  So a process that writes somebody else into its record names, at worst, one that it might have
 * sent the signal itself.
 */
export function isOfNetwork(identity: ProcessIdentity, directory: string): boolean {
  if (!isRunning(identity)) return false;
  const owner = lstatSync(directory, { throwIfNoEntry: false })?.uid;
  const own = factsOf(process.pid);
  if (own === null) return true; // there is no /proc, and nothing else to go by
  const facts = factsOf(identity.pid);
  if (facts === null || owner === undefined || identity.startTime === '') return false;
  const isAll = (uid: number | undefined): boolean => facts.uids.every((one) => one === uid);
  if (facts.argv[0] === processTitle(basename(directory))) return isAll(owner);
  return facts.argv.at(-1) === directory && (isAll(owner) || isAll(own.uids[0]));
}

export async function hasEnded(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(identity)) {
    if (performance.now() >= deadline) return false;
    await delay(POLL_INTERVAL_MS);
  }
  return true;
}

export async function endProcess(identity: ProcessIdentity): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isRunning(identity)) return;
    try {
      process.kill(identity.pid, signal);
    } catch {
      return; // it ended meanwhile, or is another user's
    }
    if (await hasEnded(identity, KILL_TIMEOUT_MS)) return;
  }
}
