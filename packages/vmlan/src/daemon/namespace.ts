/**
 * Whether a network namespace is still the one that a NIC was attached to.
 *
 * Zone: control.  A pid or a path may come to mean another namespace; its inode does not (namespaces(7)).
 */
import { statSync } from 'node:fs';
import type { StoredNetns, StoredNic } from '../model/guest.ts';

export function namespaceInode(target: Pick<StoredNetns, 'pid' | 'path'>): number | null {
  try {
    return statSync(target.path ?? `/proc/${target.pid}/ns/net`).ino;
  } catch {
    return null;
  }
}

export function namespaceExists(nic: StoredNic): boolean {
  const netns = nic.attachment?.netns ?? null;
  return netns !== null && netns.inode !== null && namespaceInode(netns) === netns.inode;
}
