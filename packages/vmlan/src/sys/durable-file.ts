/**
 * Small state files that survive a crash at any moment: written beside, synced, renamed, the directory synced.
 *
 * Zone: control.  A reader sees the old file or the new one, never half of it.  A file that makes no sense is set aside
 * under another name, never overwritten: it may be all that is left of somebody's state.
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { VmlanError } from '../core/errors.ts';

/** Larger than any state that is written here; a larger file is not ours. */
const MAX_FILE_BYTES = 268_435_456; // 256 MiB
const TEMPORARY_SUFFIX = '.tmp';

export async function writeDurable(path: string, text: string, mode = 0o600): Promise<void> {
  const temporary = `${path}${TEMPORARY_SUFFIX}`;
  try {
    const file = await open(temporary, 'w', mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw diskError(path, 'written', cause);
  }
}

export async function removeDurable(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
  } catch (cause) {
    throw diskError(path, 'removed', cause);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export interface DurableText<T> {
  /** null: no file, or a damaged one. */
  readonly value: T | null;
  /** Where a damaged file was put. */
  readonly damaged: { readonly path: string; readonly reason: string } | null;
}

/** Reads what `parse` makes of the file; `parse` throws on what makes no sense. */
export async function readDurable<T>(path: string, parse: (text: string) => T): Promise<DurableText<T>> {
  const text = await readText(path);
  if (text === null) return { value: null, damaged: null };
  try {
    return { value: parse(text), damaged: null };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { value: null, damaged: { path: await setAside(path), reason: reason.split('\n')[0]! } };
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size > MAX_FILE_BYTES) throw new VmlanError('unavailable', `${path} has ${size} bytes, too many to be ours`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw diskError(path, 'read', cause);
  }
}

/** `NAME.damaged-TIME`, counted up when there is one of this second already. */
async function setAside(path: string): Promise<string> {
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
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw diskError(directory, 'read', cause);
  }
}

export async function makeStateDirectory(path: string, mode = 0o700): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode });
  } catch (cause) {
    throw diskError(path, 'made', cause);
  }
}

function diskError(path: string, verb: string, cause: unknown): VmlanError {
  if (cause instanceof VmlanError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = REASONS[code ?? ''] ?? message;
  const kind = code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'not-permitted' : 'unavailable';
  return new VmlanError(kind, `${path} cannot be ${verb}: ${reason}`, { cause });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  EIO: 'the disk reports an error',
  ENOTDIR: 'a part of the path is no directory',
};
