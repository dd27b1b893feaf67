/**
 * Small state files that survive a crash at any moment: written beside, synced, renamed, the directory synced.
 *
 * Zone: control.  A reader sees the old file or the new one, never half of it.  Writing is in two steps, so that what
 * needs room on the disk is over before anything else is changed: `prepareDurable` writes, `commitDurable` renames.  A
 * file that makes no sense is set aside under another name, never overwritten: it may be all that is left of somebody's
 * state.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { diskError, errnoOf, reasonText } from './disk-error.ts';

/** Larger than any state that is written here; a larger file is not ours. */
const MAX_FILE_BYTES = 268_435_456; // 256 MiB
const TEMPORARY_SUFFIX = '.tmp';
const FILE_MODE = 0o600;
const WIDE_MODE_BITS = 0o077;
/** A link is not followed, and a pipe that nobody writes to is not waited for. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Errors that belong to this file alone, and not to the moment. */
const DAMAGE: readonly string[] = ['EACCES', 'EPERM', 'EIO', 'ELOOP', 'ENXIO', 'EISDIR'];

/** A file that is on disk beside the one it will replace. */
export interface PreparedFile {
  readonly path: string;
  readonly temporary: string;
}

export async function writeDurable(path: string, text: string, mode: number = FILE_MODE): Promise<void> {
  await commitDurable([await prepareDurable(path, text, mode)]);
}

export async function prepareDurable(path: string, text: string, mode: number = FILE_MODE): Promise<PreparedFile> {
  const temporary = `${path}${TEMPORARY_SUFFIX}`;
  try {
    await rm(temporary, { force: true }); // what a crash left
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    return { path, temporary };
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw diskError(path, 'written', cause);
  }
}

/** One after the other; `onCommitted` hears of each. The first that fails is thrown, and the rest is not done. */
export async function commitDurable(
  files: readonly PreparedFile[],
  onCommitted: (file: PreparedFile) => void = () => undefined,
): Promise<void> {
  for (const file of files) {
    await rename(file.temporary, file.path).catch((cause: unknown) => {
      throw diskError(file.path, 'written', cause);
    });
    onCommitted(file);
  }
  for (const directory of new Set(files.map(({ path }) => dirname(path)))) await syncDirectory(directory);
}

export async function discardDurable(files: readonly PreparedFile[]): Promise<void> {
  for (const { temporary } of files) await rm(temporary, { force: true }).catch(() => undefined);
}

export async function removeDurable(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (cause) {
    throw diskError(path, 'removed', cause);
  }
  await syncDirectory(dirname(path)).catch((error: unknown) => {
    if (errnoOf((error as Error).cause) !== 'ENOENT') throw error;
  });
}

export async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (cause) {
    throw diskError(path, 'synced', cause);
  }
}

export interface Damage {
  /** Where the file was put; null: it could not be moved, and must not be written over. */
  readonly path: string | null;
  readonly reason: string;
}

export interface DurableText<T> {
  /** null: no file, or a damaged one. */
  readonly value: T | null;
  readonly damaged: Damage | null;
}

/**
 * Reads what `parse` makes of the file.  `parse` throws on what makes no sense, and the file is set aside; it throws a
 * VmlanError for a file that is to stay as it is, which is thrown on.
 */
export async function readDurable<T>(path: string, parse: (text: string) => T): Promise<DurableText<T>> {
  try {
    const text = await readText(path);
    return { value: text === null ? null : parse(text), damaged: null };
  } catch (error) {
    if (error instanceof VmlanError) throw error;
    const aside = await setAside(path).catch(() => null);
    return { value: null, damaged: { path: aside, reason: reasonText(error) } };
  }
}

/** null: there is no file. A link is not followed. */
export async function readText(path: string): Promise<string | null> {
  try {
    const file = await open(path, READ_FLAGS);
    try {
      return await readRegular(path, file);
    } finally {
      await file.close();
    }
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'ENOENT') return null;
    if (code === 'ELOOP') throw new Error('it is a symbolic link', { cause });
    if (code === 'ENXIO') throw new Error('it is no file', { cause });
    if (cause instanceof NotAFile || DAMAGE.includes(code)) throw cause;
    throw diskError(path, 'read', cause);
  }
}

class NotAFile extends Error {}

async function readRegular(path: string, file: FileHandle): Promise<string> {
  const found = await file.stat();
  if (!found.isFile()) throw new NotAFile(`it is ${found.isDirectory() ? 'a directory' : 'no file'}`);
  if (found.size > MAX_FILE_BYTES) {
    throw new VmlanError('unavailable', `${path} has ${found.size} bytes, too many to be ours`, {
      hint: 'move it away',
    });
  }
  // Its directory is closed to others; a copy of a backup may still have brought a wide mode with it.
  if ((found.mode & WIDE_MODE_BITS) !== 0) await file.chmod(FILE_MODE).catch(() => undefined);
  return file.readFile('utf8');
}

/** `NAME.damaged-TIME`, counted up when there is one of this second already. */
export async function setAside(path: string): Promise<string> {
  const stem = `${path}.damaged-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
  const taken = new Set(await readdir(dirname(path)));
  let aside = stem;
  for (let i = 1; taken.has(basename(aside)); i++) aside = `${stem}-${i}`;
  await rename(path, aside);
  return aside;
}

/** The files of a state directory by name without the suffix; temporary and damaged ones left out. */
export async function listDurable(directory: string, suffix: string): Promise<readonly string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => name.endsWith(suffix))
      .map((name) => name.slice(0, -suffix.length))
      .sort();
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return [];
    throw diskError(directory, 'read', cause);
  }
}

/** Takes away what writes left that a crash cut off. */
export async function removeTemporary(directory: string): Promise<void> {
  for (const name of await listDurable(directory, TEMPORARY_SUFFIX)) {
    await rm(`${directory}/${name}${TEMPORARY_SUFFIX}`, { force: true }).catch(() => undefined);
  }
}

/** With all that is missing above it. */
export async function makeStateDirectory(path: string, mode = 0o700): Promise<void> {
  const code = await tryMakeDirectory(path, mode);
  if (code === 'EEXIST') return;
  if (code === 'ENOENT' && dirname(path) !== path) {
    await makeStateDirectory(dirname(path), mode);
    return makeStateDirectory(path, mode);
  }
  await syncDirectory(dirname(path));
  return undefined;
}

/** The recursive mkdir of Node takes a read-only file system for a missing folder, so this is done one by one. */
async function tryMakeDirectory(path: string, mode: number): Promise<string> {
  try {
    await mkdir(path, { mode });
    return '';
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'ENOENT') return code;
    if (code === 'EEXIST' && (await stat(path).catch(() => null))?.isDirectory() === true) return code;
    throw diskError(path, 'made', cause);
  }
}
