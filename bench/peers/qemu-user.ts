/**
 * QEMU's own user network, for a machine of QEMU: libslirp inside the machine's process, and no socket in between.
 *
 * Zone: control.
 */
import { missing } from '../commands.ts';
import { SMALL_MTU } from './peer.ts';
import type { StreamPeer } from './stream-peer.ts';

export const qemuUser: StreamPeer = {
  name: 'qemu-user',
  mtus: [SMALL_MTU],
  missing: () => missing('qemu-system-x86_64'),
  start: () => Promise.resolve({ socket: '', pids: [], own: '10.0.2.15', prefix: 24, gateway: '10.0.2.2' }),
};
