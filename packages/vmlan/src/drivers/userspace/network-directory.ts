/**
 * The directory of a network's sockets: emptied when the network ends, or when what it left is found.
 *
 * Zone: control.  Sockets that a VMM bound there, and still holds, stay: it has no way to bind them again, and its guest
 * would be cut off until it is started anew.
 */
import { existsSync, lstatSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { PEER_SUFFIX, networkPaths, networksDirectory } from '../network-paths.ts';
import type { NetworkPaths } from '../network-paths.ts';
import { isListenedAt } from './socket-path.ts';

type Place = Pick<NetworkPaths, 'directory' | 'guests'>;

export async function clearDirectory({ directory, guests }: Place): Promise<void> {
  const held = new Set(await heldPeers(guests));
  if (held.size === 0) return rmSync(directory, { recursive: true, force: true });
  const others = entriesOf(directory).filter((path) => path !== guests);
  for (const path of [...others, ...entriesOf(guests)]) {
    if (!held.has(path)) rmSync(path, { recursive: true, force: true });
  }
  return undefined;
}

/** Takes away what networks left of which nothing tells any more, and the directory of them all when it is empty. */
export async function clearForgotten(runtime: string): Promise<void> {
  const all = networksDirectory(runtime);
  for (const directory of entriesOf(all)) {
    const { process, control, guests } = networkPaths(runtime, runtime, directory.slice(all.length + 1));
    if (!existsSync(process) && !existsSync(control)) await clearDirectory({ directory, guests });
  }
  try {
    rmdirSync(all);
  } catch {
    // A network is in it, or there never was one.
  }
}

async function heldPeers(guests: string): Promise<readonly string[]> {
  const peers = entriesOf(guests).filter(
    (path) => path.endsWith(PEER_SUFFIX) && lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true,
  );
  const held = await Promise.all(peers.map(isListenedAt));
  return peers.filter((_path, i) => held[i]);
}

function entriesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    return []; // it is not there
  }
}
