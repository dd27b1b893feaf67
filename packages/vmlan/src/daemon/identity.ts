/**
 * What is always the same on this machine and different on every other: the root of MAC addresses and ULA prefixes.
 *
 * Zone: control.  machine-id(5) must not be shown to others, so only a hash that is keyed with it leaves this file.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDurable, writeDurable } from '../sys/durable-file.ts';

const MACHINE_ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
const ID = /^[0-9a-f]{32}$/;

/** `identify`: 32 bytes for any text. A machine without an id gets one of our own, kept in the state directory. */
export async function loadIdentity(
  stateDirectory: string,
  files: readonly string[] = MACHINE_ID_FILES,
): Promise<(text: string) => Uint8Array> {
  const id = systemId(files) ?? (await ownId(join(stateDirectory, 'machine-id')));
  return (text) => createHmac('sha256', `vmlan ${id}`).update(text).digest();
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

async function ownId(path: string): Promise<string> {
  const { value } = await readDurable(path, (text) => {
    if (!ID.test(text.trim())) throw new Error('no machine id');
    return text.trim();
  });
  if (value !== null) return value;
  const id = randomUUID().replaceAll('-', '');
  await writeDurable(path, `${id}\n`);
  return id;
}
