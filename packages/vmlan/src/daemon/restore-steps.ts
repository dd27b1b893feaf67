/**
 * Puts a prepared state in the place of the old one: all of it, also when the machine stops in the middle.
 *
 * Zone: control.  What is to be is written to `restore.unfinished` and synced, then renamed to `restore.decided`.  That
 * rename decides: until then nothing has happened, from then on whoever starts next goes on to the end.  Each step may be
 * done again.  Everything moves within the state directory, which may be a mount point or a link.  The old state is
 * `before-restore-TIME` in the end; logs and the token stay where they are.
 */
import { readFileSync } from 'node:fs';
import { lstat, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { VmlanError } from '../core/errors.ts';
import { diskError, errnoOf } from '../sys/disk-error.ts';
import { makeStateDirectory, syncDirectory, writeDurable } from '../sys/durable-file.ts';
import { StateFile } from '../sys/state-file.ts';
import { checkConfigWritable, writeConfigText } from './config-text.ts';

/** All that a restore replaces; some of it is an older version's. */
export const STATE_ENTRIES: readonly string[] = [
  ...['guests', 'forwards', 'records', 'shapes', 'networks'],
  ...['subnets.json', 'identity.json', 'forwards.json', 'records.json', 'machine-id'],
];
const UNFINISHED = 'restore.unfinished';
const DECIDED = 'restore.decided';
/** The old state while it is being set aside. */
const LEAVING = 'restore.leaving';
const ORDERS = 'restore.json';
/** The old networks.yaml among the old state. */
const OLD_CONFIG = 'networks.yaml';
const FORMAT_VERSION = 2;

interface Orders {
  /** Where the old state goes: a name in the state directory. */
  readonly aside: string;
  readonly configFile: string;
  readonly configText: string | null;
}

const ordersSchema: z.ZodType<Orders> = z.object({
  aside: z.string().regex(/^before-restore-[\w-]+$/),
  configFile: z.string(),
  configText: z.string().nullable(),
});

/** Called before each step, by its name: for tests that end there. */
export type BeforeStep = (step: string) => void;

const nothing: BeforeStep = () => undefined;

/** `fill` writes the new state into a directory; what it throws leaves everything as it was. */
export async function decideRestore(
  state: string,
  config: { readonly file: string; readonly text: string | null },
  fill: (directory: string) => Promise<void>,
  beforeStep: BeforeStep = nothing,
): Promise<void> {
  const unfinished = join(state, UNFINISHED);
  // What cannot be done in the end is not begun.
  if (textOf(config.file) !== config.text) await checkConfigWritable(config.file);
  const orders: Orders = { aside: await freeName(state), configFile: config.file, configText: config.text };
  try {
    await rm(unfinished, { recursive: true, force: true });
    await makeStateDirectory(unfinished);
    beforeStep('fill');
    await fill(unfinished);
    beforeStep('orders');
    await ordersFile(unfinished).write(JSON.stringify(orders));
    beforeStep('decide');
    await moved(unfinished, join(state, DECIDED));
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(state);
}

/** Goes on with what was decided, to the end. null: nothing was; else where the old state is, if there was any. */
export async function finishRestore(
  state: string,
  beforeStep: BeforeStep = nothing,
): Promise<{ readonly aside: string | null } | null> {
  await rm(join(state, UNFINISHED), { recursive: true, force: true });
  const decided = join(state, DECIDED);
  if (!(await exists(decided))) return null;
  const orders = await readOrders(decided);
  const aside = join(state, orders.aside);
  if (!(await exists(aside))) await setOldAside(state, orders, aside, beforeStep);
  for (const name of STATE_ENTRIES) {
    if (!(await exists(join(decided, name)))) continue;
    beforeStep(`put ${name}`);
    await moved(join(decided, name), join(state, name));
  }
  await syncDirectory(state);
  beforeStep('networks.yaml');
  if (textOf(orders.configFile) !== orders.configText) await writeConfigText(orders.configFile, orders.configText);
  beforeStep('done');
  await moved(decided, join(state, UNFINISHED));
  await syncDirectory(state);
  beforeStep('clean');
  await rm(join(state, UNFINISHED), { recursive: true, force: true });
  // Only one that is empty goes.
  const isEmpty = await rmdir(aside).then(
    () => true,
    () => false,
  );
  return { aside: isEmpty ? null : aside };
}

async function setOldAside(state: string, orders: Orders, aside: string, beforeStep: BeforeStep): Promise<void> {
  const leaving = join(state, LEAVING);
  await makeStateDirectory(leaving);
  const text = textOf(orders.configFile);
  beforeStep('keep networks.yaml');
  if (text !== null && text !== orders.configText) await writeDurable(join(leaving, OLD_CONFIG), text);
  for (const name of STATE_ENTRIES) {
    if (!(await exists(join(state, name)))) continue;
    beforeStep(`set aside ${name}`);
    await moved(join(state, name), join(leaving, name));
  }
  await syncDirectory(leaving);
  beforeStep('set aside');
  await moved(leaving, aside);
  await syncDirectory(state);
}

async function readOrders(decided: string): Promise<Orders> {
  const { value, warning } = await ordersFile(decided).read();
  if (value !== null) return value;
  throw new VmlanError(
    'unavailable',
    `a restore was cut off and cannot go on: ${warning ?? `${decided} is not whole`}`,
    {
      hint: `move ${decided} away, and put back what lies in restore.leaving or before-restore-TIME beside it`,
    },
  );
}

const ordersFile = (directory: string): StateFile<Orders> =>
  new StateFile(join(directory, ORDERS), {
    version: FORMAT_VERSION,
    migrations: {},
    parse: (data) => ordersSchema.parse(data),
  });

async function freeName(state: string): Promise<string> {
  const stem = `before-restore-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
  let name = stem;
  for (let i = 1; await exists(join(state, name)); i++) name = `${stem}-${i}`;
  return name;
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (cause: unknown) => {
      if (errnoOf(cause) === 'ENOENT') return false;
      throw diskError(path, 'read', cause);
    },
  );

async function moved(from: string, to: string): Promise<void> {
  await rename(from, to).catch((cause: unknown) => {
    throw diskError(from, `moved to ${to}`, cause);
  });
}

/** null: there is no such file. */
function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ENOTDIR') return null;
    throw diskError(file, 'read', cause);
  }
}

/** What stands in a state directory that a restore would set aside. */
export async function heldState(state: string): Promise<readonly string[]> {
  const held: string[] = [];
  for (const name of STATE_ENTRIES) {
    const found = await lstat(join(state, name)).catch(() => null);
    if (found === null) continue;
    if (found.isDirectory() && (await readdir(join(state, name))).length === 0) continue;
    held.push(name);
  }
  return held;
}
