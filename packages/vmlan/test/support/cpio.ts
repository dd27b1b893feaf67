/**
 * Writer for the archive that Linux takes as an initramfs: cpio "newc" (kernel doc: driver-api/early-userspace/
 * buffer-format). Every entry is a 110-byte ASCII header, the name with NUL, the data; both padded to 4 bytes.
 *
 * Zone: control.
 */
import { Buffer } from 'node:buffer';

export type CpioEntry =
  | { readonly path: string; readonly directory: true }
  | { readonly path: string; readonly target: string }
  | { readonly path: string; readonly data: Uint8Array; readonly mode: number };

const DIRECTORY_MODE = 0o040755;
const SYMLINK_MODE = 0o120777;
const REGULAR_TYPE = 0o100000;
const TRAILER = 'TRAILER!!!';

const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);

function record(inode: number, path: string, mode: number, data: Uint8Array): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const links = mode === DIRECTORY_MODE ? 2 : 1;
  // inode mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from('070701' + fields.map((field) => field.toString(16).padStart(8, '0')).join(''), 'ascii');
  return [header, name, padding(header.length + name.length), Buffer.from(data), padding(data.length)];
}

/** Parents must come before their children: the kernel unpacks in order and makes no folders by itself. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => {
    if ('directory' in entry) return record(index + 1, entry.path, DIRECTORY_MODE, Buffer.alloc(0));
    if ('target' in entry) return record(index + 1, entry.path, SYMLINK_MODE, Buffer.from(entry.target));
    return record(index + 1, entry.path, REGULAR_TYPE | entry.mode, entry.data);
  });
  return Buffer.concat([...parts, ...record(0, TRAILER, 0, Buffer.alloc(0))]);
}
