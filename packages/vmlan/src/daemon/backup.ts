/**
 * Takes a backup: everything that the daemon remembers, as it is at one moment.
 *
 * Zone: control.  What is in the store is copied when no change is half made.  Leases are read from their files, which
 * are replaced as a whole and hold every lease that a guest has been told of; so no network is asked, or stopped.
 */
import { readdir } from 'node:fs/promises';
import { networkPaths, networksDirectory } from '../drivers/network-paths.ts';
import { LEASE_FORMAT } from '../drivers/userspace/lease-file.ts';
import type { Backup, BackupContent, BackupLeases } from '../model/backup.ts';
import { isNetworkName } from '../model/names.ts';
import type { Paths } from '../model/paths.ts';
import { reasonText } from '../sys/disk-error.ts';
import { readText } from '../sys/durable-file.ts';
import { unseal } from '../sys/sealed-text.ts';
import { sealBackup } from './backup-file.ts';
import { parseConfig, readConfigText } from './config.ts';
import type { Context } from './context.ts';
import { identifyBy, loadIdentity } from './identity.ts';
import { Store } from './store.ts';

interface Source {
  readonly version: string;
  readonly paths: Paths;
  readonly store: Store;
  readonly identity: string;
  /** networks.yaml as it holds. */
  readonly text: string | null;
  readonly warnings: readonly string[];
}

/** Of a daemon that runs, and of networks that run. */
export function backupOfDaemon({ version, paths, store, identity, config, configuration }: Context): Promise<Backup> {
  const isEdited = readQuietly(() => configuration.read()) !== config.text;
  const warning = `${configuration.file} was edited since it was loaded: the backup has what holds, not the edit`;
  return takeBackup({ version, paths, store, identity, text: config.text, warnings: isEdited ? [warning] : [] });
}

/** For who holds the lock of the runtime directory: no daemon runs. */
export async function backupOfDirectories(version: string, paths: Paths): Promise<Backup> {
  const store = await Store.open(paths.state);
  const { id: identity, warning } = await loadIdentity(paths.state);
  const text = readConfigText({ file: paths.config, required: paths.configRequired });
  // A backup is there to be restored: one of a file with a fault could not be.
  parseConfig(text, {
    file: paths.config,
    required: paths.configRequired,
    identify: identifyBy(identity),
    hostRoutes: [],
    picked: store.picks,
    running: new Set(),
  });
  const warnings = warning === null ? store.warnings : [...store.warnings, warning];
  return takeBackup({ version, paths, store, identity, text, warnings });
}

async function takeBackup({ version, paths, store, identity, text, warnings }: Source): Promise<Backup> {
  const kept = await store.atRest(() => ({
    guests: [...store.guests.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    forwards: [...store.forwards],
    records: [...store.records],
    shapes: [...store.shapes],
    subnets: Object.fromEntries(store.picks),
  }));
  const { leases, lost } = await leasesOf(paths);
  const content: BackupContent = { networksYaml: text, identity, ...kept, leases, warnings: [...warnings, ...lost] };
  return sealBackup(content, version, Date.now());
}

/** Of every network that ever ran; those of a damaged file are missed and told of. */
async function leasesOf({ runtime, state }: Paths): Promise<{ leases: BackupLeases[]; lost: string[] }> {
  const leases: BackupLeases[] = [];
  const lost: string[] = [];
  const names = await readdir(networksDirectory(state)).catch((): string[] => []);
  for (const name of names.filter(isNetworkName).sort()) {
    const path = networkPaths(runtime, state, name).leases;
    try {
      const text = await readText(path);
      if (text !== null) leases.push({ ...unseal(path, text, LEASE_FORMAT), network: name });
    } catch (error) {
      lost.push(`the leases of network "${name}" are missing: ${reasonText(error)}`);
    }
  }
  return { leases, lost };
}

/** A file that cannot be read is no longer what was loaded. */
function readQuietly(read: () => string | null): string | null | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
