/**
 * `vmlan restore`: judges a backup as a whole, then puts it in the place of what is there.
 *
 * Zone: control.  No daemon and no network runs meanwhile: both would write their own state over what is restored.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { networkPaths, networksDirectory } from '../drivers/network-paths.ts';
import { LEASE_FORMAT } from '../drivers/userspace/lease-file.ts';
import type { BackupContent } from '../model/backup.ts';
import type { Paths } from '../model/paths.ts';
import type { HostRoute } from '../model/subnet.ts';
import { StateFile } from '../sys/state-file.ts';
import { parseBackup } from './backup-file.ts';
import { warningsOf } from './config-check.ts';
import { checkAgainstLive } from './config-checks.ts';
import { parseConfig, readConfigText } from './config.ts';
import type { Config } from './config.ts';
import { identifyBy, identityFile } from './identity.ts';
import { decideRestore, finishRestore, heldState } from './restore-steps.ts';
import type { BeforeStep } from './restore-steps.ts';
import { Store } from './store.ts';

const PRIVATE_MODE = 0o700;
/** Network processes of root run as another user, who has to get through. */
const SEARCHABLE_MODE = 0o711;

export interface RestoreOptions {
  /** For messages. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly paths: Paths;
  readonly hostRoutes: readonly HostRoute[];
  /** Networks whose processes run. */
  readonly running: readonly string[];
  readonly dryRun: boolean;
  /** Also where there is state already. */
  readonly force: boolean;
  readonly beforeStep?: BeforeStep;
}

export interface RestoreReport {
  readonly file: string;
  readonly dryRun: boolean;
  readonly vmlan: string;
  readonly takenMs: number;
  readonly networks: readonly string[];
  /** How many of each there are. */
  readonly counts: Readonly<Record<'guests' | 'forwards' | 'records' | 'shapes' | 'leases', number>>;
  /** What was there before, and is set aside. */
  readonly replaced: readonly string[];
  /** Where it is now; null: there was nothing, or nothing was done. */
  readonly aside: string | null;
  readonly warnings: readonly string[];
}

/** For who holds the lock of the runtime directory, unless it is a dry run. */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { name, bytes, paths, dryRun, force } = options;
  const { vmlan, takenMs, content } = parseBackup(name, bytes);
  const config = judgeConfig(options, content);
  const replaced = await replacedBy(content, paths);
  if (!dryRun) checkFree(options, replaced, force);
  const aside = dryRun ? null : await putInPlace(options, content, config);
  return {
    file: name,
    ...{ dryRun, vmlan, takenMs, replaced, aside },
    networks: [...config.networks.keys()],
    counts: {
      guests: content.guests.length,
      forwards: content.forwards.length,
      records: content.records.length,
      shapes: content.shapes.length,
      leases: content.leases.reduce((sum, { leases }) => sum + leases.length, 0),
    },
    warnings: [...content.warnings, ...warningsOf(config), ...unfitting(content, config)],
  };
}

/** As the daemon would load it. */
function judgeConfig({ name, paths, hostRoutes }: RestoreOptions, content: BackupContent): Config {
  const { networksYaml, identity, subnets } = content;
  if (networksYaml === null && paths.configRequired) {
    throw new VmlanError('conflict', `${name} has no networks.yaml, and VMLAN_CONFIG asks for ${paths.config}`, {
      hint: 'unset VMLAN_CONFIG, or write the file after the restore',
    });
  }
  return parseConfig(networksYaml, {
    file: paths.config,
    required: paths.configRequired,
    identify: identifyBy(identity),
    hostRoutes,
    picked: new Map(Object.entries(subnets)),
    running: new Set(),
  });
}

async function replacedBy({ networksYaml }: BackupContent, { state, config }: Paths): Promise<readonly string[]> {
  const text = readConfigText({ file: config, required: false });
  const held = (await heldState(state)).map((entry) => join(state, entry));
  return text === null || text === networksYaml ? held : [config, ...held];
}

function checkFree({ running, paths }: RestoreOptions, replaced: readonly string[], force: boolean): void {
  if (running.length > 0) {
    throw new VmlanError('conflict', `networks run without a daemon: ${running.join(', ')}`, {
      hint: '`vmlan up`, then `vmlan down` stops them',
    });
  }
  if (replaced.length === 0 || force) return;
  throw new VmlanError('conflict', `there is state already: ${replaced.join(', ')}`, {
    hint: `\`--force\` sets it aside, as a directory in ${paths.state}`,
  });
}

async function putInPlace(options: RestoreOptions, content: BackupContent, config: Config): Promise<string | null> {
  const { state, config: file } = options.paths;
  const { beforeStep } = options;
  await decideRestore(state, { file, text: config.text }, (directory) => fill(directory, content), beforeStep);
  return (await finishRestore(state, beforeStep))?.aside ?? null;
}

async function fill(directory: string, content: BackupContent): Promise<void> {
  const { guests, forwards, records, shapes, subnets, identity, leases } = content;
  const store = await Store.open(directory);
  await store.change({
    guests: { put: guests },
    forwards: { put: forwards },
    records: { put: records },
    shapes: { put: shapes },
  });
  await store.putPicks(new Map(Object.entries(subnets)));
  await identityFile(directory).write(JSON.stringify(identity));
  if (leases.length === 0) return;
  await mkdir(networksDirectory(directory), { mode: process.getuid?.() === 0 ? SEARCHABLE_MODE : PRIVATE_MODE });
  for (const document of leases) {
    const { leases: path } = networkPaths(directory, directory, document.network);
    await new StateFile(path, LEASE_FORMAT).write(JSON.stringify(document));
  }
}

/** What a daemon takes as it is, and tells of. */
function unfitting({ guests, forwards }: BackupContent, { networks }: Config): readonly string[] {
  const lost = guests.flatMap(({ name, nics }) =>
    nics
      .filter(({ network }) => !networks.has(network))
      .map(({ network }) => `guest "${name}": network "${network}" is not configured`),
  );
  const clashes = [...networks.values()].flatMap((network) => {
    try {
      checkAgainstLive(network, { guests, forwards });
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  return [...lost, ...clashes];
}
