/**
 * Disks that are small, full or read-only, for tests of what vmlan does then. Needs root.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from './process.ts';

const unmount = (path: string): AsyncDisposable => ({
  [Symbol.asyncDispose]: async () => void (await output(['umount', '--lazy', path])),
});

/** A disk of some 512 KiB at `path`, until it is disposed. */
export async function smallDisk(path: string, size = '512k'): Promise<AsyncDisposable> {
  await output(['mount', '-t', 'tmpfs', '-o', `size=${size},mode=711`, 'vmlan-test', path]);
  return unmount(path);
}

/** Nothing below `path` can be written until it is disposed; files that are open already still can. */
export async function readOnly(path: string): Promise<AsyncDisposable> {
  await output(['mount', '--bind', path, path]);
  await output(['mount', '-o', 'remount,bind,ro', path]);
  return unmount(path);
}

/** Writes until nothing more fits. The file, which is to be removed. */
export async function fillDisk(directory: string): Promise<string> {
  const path = join(directory, 'filler');
  for (const size of [65_536, 4096]) {
    const full = await appendUntilFull(path, size).catch((error: NodeJS.ErrnoException) => error.code);
    assert.equal(full, 'ENOSPC');
  }
  return path;
}

async function appendUntilFull(path: string, size: number): Promise<never> {
  for (;;) await writeFile(path, Buffer.alloc(size), { flag: 'a' });
}
