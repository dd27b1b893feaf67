import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredNetns, StoredNic } from '../model/guest.ts';
import { namespaceExists, namespaceInode } from './namespace.ts';

const OWN = '/proc/self/ns/net';
const inode = namespaceInode({ pid: null, path: OWN });

function nic(netns: Partial<StoredNetns> | null): StoredNic {
  const full = { pid: null, path: OWN, interface: 'eth0', configure: true, inode };
  const attachment = { kind: 'netns', port: null, netns: netns === null ? null : { ...full, ...netns } } as const;
  return { index: 0, network: 'lab', mac: '52:54:00:00:00:01', ip: null, connected: true, attachment };
}

test('a namespace is the same by path and by process', () => {
  assert.notEqual(inode, null);
  assert.equal(namespaceInode({ pid: process.pid, path: null }), inode);
  assert.equal(namespaceInode({ pid: null, path: '/run/netns/vmlan-none' }), null);
});

test('a NIC has its namespace while the inode is the one it was attached to', () => {
  assert.ok(namespaceExists(nic({})));
  assert.ok(!namespaceExists(nic({ inode: 1 })));
  assert.ok(!namespaceExists(nic({ inode: null })));
  assert.ok(!namespaceExists(nic(null)));
  assert.ok(!namespaceExists({ ...nic({}), attachment: null }));
});
