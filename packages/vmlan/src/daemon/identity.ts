/**
 * What is always the same on this machine and different on every other: the root of MAC addresses and ULA prefixes.
 *
 * Zone: control.  machine-id(5) must not be shown to others, so only a hash that is keyed with it leaves this file.  An
 * id of our own, where the machine has none or a backup brought one, is kept in the state directory and comes first.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StateFile } from '../sys/state-file.ts';

const MACHINE_ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
const ID = /^[0-9a-f]{32}$/;
const FORMAT_VERSION = 2;

/** 32 bytes for any text. */
export type Identify = (text: string) => Uint8Array;

export interface Identity {
  readonly identify: Identify;
  readonly id: string;
  /** What was wrong with the id of our own. */
  readonly warning: string | null;
}

export async function loadIdentity(
  stateDirectory: string,
  files: readonly string[] = MACHINE_ID_FILES,
): Promise<Identity> {
  const file = identityFile(stateDirectory);
  const { value, warning } = await file.read();
  // Where version 1 kept an id of our own.
  const known = [...files, join(stateDirectory, 'machine-id')];
  const id = value ?? systemId(known) ?? (await newId(file));
  return { identify: identifyBy(id), id, warning };
}

export const identifyBy =
  (id: string): Identify =>
  (text) =>
    createHmac('sha256', `vmlan ${id}`).update(text).digest();

export const identityFile = (stateDirectory: string): StateFile<string> =>
  new StateFile(join(stateDirectory, 'identity.json'), {
    version: FORMAT_VERSION,
    migrations: {},
    parse: (data) => {
      if (typeof data === 'string' && ID.test(data)) return data;
      throw new Error('it holds no id');
    },
  });

async function newId(file: StateFile<string>): Promise<string> {
  const id = randomUUID().replaceAll('-', '');
  await file.write(JSON.stringify(id));
  return id;
}

function systemId(files: readonly string[]): string | null {
  for (const file of files) {
    try {
      const text = readFileSync(file, 'utf8').trim();
      if (ID.test(text)) return text;
    } catch {
      // The next one, or our own.
    }
  }
  return null;
}
