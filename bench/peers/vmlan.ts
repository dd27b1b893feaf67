/**
 * vmlan with a TAP, all features on.
 *
 * Zone: control.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OURS } from '../results.ts';
import { missing } from '../commands.ts';
import { engineConfig, EngineProcess } from './engine-process.ts';
import { LARGE_MTU, SMALL_MTU, type TapPeer } from './peer.ts';

export const vmlan: TapPeer = {
  name: OURS,
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => missing('ip'),
  async connect(lab, mtuBytes, stack) {
    const folder = await mkdtemp(join(tmpdir(), 'vmlan-bench-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const engine = stack.use(await EngineProcess.start(lab.host, engineConfig(mtuBytes)));
    const guest = await lab.guest('guest');
    await engine.tap(guest, join(folder, 'tap'), mtuBytes);
    return { guest, pids: [engine.pid] };
  },
};
