/**
 * How networks.yaml is written: whole or not at all, with the mode and through the link that it has.
 *
 * Zone: control.
 */
import { constants } from 'node:fs';
import { access, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { diskError } from '../sys/disk-error.ts';
import { removeDurable, writeDurable } from '../sys/durable-file.ts';

const NEW_FILE_MODE = 0o644;
const NEW_DIRECTORY_MODE = 0o755;
const PERMISSION_BITS = 0o777;

/** Writes networks.yaml, with the folder that it lies in; null: removes it. */
export async function writeConfigText(file: string, text: string | null): Promise<void> {
  if (text === null) return removeDurable(file);
  await makeFolder(file);
  const target = await targetOf(file);
  const mode = await stat(target).then(
    (found) => found.mode & PERMISSION_BITS,
    () => NEW_FILE_MODE,
  );
  return writeDurable(target, text, mode);
}

/** Throws where `writeConfigText` would have no chance. */
export async function checkConfigWritable(file: string): Promise<void> {
  await makeFolder(file);
  const target = await targetOf(file);
  await access(dirname(target), constants.W_OK).catch((cause: unknown) => {
    throw diskError(target, 'written', cause);
  });
}

async function makeFolder(file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: NEW_DIRECTORY_MODE });
  } catch (cause) {
    throw new VmlanError('not-permitted', `${dirname(file)} cannot be made: ${(cause as Error).message}`, {
      hint: 'choose another place for the file with VMLAN_CONFIG',
      cause,
    });
  }
}

/** A link, as people who keep their settings elsewhere have it, stays one. */
const targetOf = (file: string): Promise<string> => realpath(file).catch(() => file);
