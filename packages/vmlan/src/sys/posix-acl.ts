/**
 * One kind of access control list: a directory in which whatever is made can be used by one more user.
 *
 * Zone: control.  The kernel's own format (linux/posix_acl_xattr.h): u32 version, then entries of u16 tag, u16
 * permissions, u32 id, little-endian, in the order of their tags.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { VmlanError } from '../core/errors.ts';

const DEFAULT_ACL = 'system.posix_acl_default';
const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const TAG_OWNER = 0x01;
const TAG_USER = 0x02;
const TAG_GROUP = 0x04;
const TAG_MASK = 0x10;
const TAG_OTHER = 0x20;
const UNDEFINED_ID = 0xffff_ffff;
const ALL = 7;
const NOTHING = 0;

/** Default ACL: owner and `uid` may do everything, nobody else anything. The umask of the maker no longer counts. */
export function defaultAcl(uid: number): Buffer {
  const entries = [
    [TAG_OWNER, ALL, UNDEFINED_ID],
    [TAG_USER, ALL, uid],
    [TAG_GROUP, NOTHING, UNDEFINED_ID],
    [TAG_MASK, ALL, UNDEFINED_ID],
    [TAG_OTHER, NOTHING, UNDEFINED_ID],
  ] as const;
  const acl = Buffer.alloc(HEADER_BYTES + entries.length * ENTRY_BYTES);
  acl.writeUInt32LE(VERSION, 0);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    const at = HEADER_BYTES + i * ENTRY_BYTES;
    acl.writeUInt16LE(tag, at);
    acl.writeUInt16LE(permissions, at + 2);
    acl.writeUInt32LE(id, at + 4);
  }
  return acl;
}

/** Files and sockets made in `directory` from now on are open to `uid`. Throws where the file system has no ACLs. */
export function shareWithUser(directory: string, uid: number): void {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const libc = koffi.load(null);
  const setxattr = libc.func('int setxattr(str, str, void *, size_t, int)') as unknown as SetXattr;
  const acl = defaultAcl(uid);
  if (setxattr(directory, DEFAULT_ACL, acl, acl.length, 0) === 0) return;
  throw new VmlanError('unsupported', `the file system of ${directory} has no access control lists`, {
    hint: 'set VMLAN_RUNTIME_DIR to a directory on tmpfs or ext4',
  });
}

type SetXattr = (path: string, name: string, value: Buffer, size: number, flags: number) => number;
