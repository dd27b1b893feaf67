/**
 * Switches that guests plug into without a network of the host: vmlan's segment, vde2's switch, gvproxy.
 *
 * Zone: control.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../../packages/vmlan/test/support/netns.ts';
import { until } from '../../packages/vmlan/test/support/deadline.ts';
import { missing } from '../commands.ts';
import type { Wall } from '../load/frame-flood.ts';
import { OURS } from '../results.ts';
import { engineConfig, EngineProcess } from './engine-process.ts';
import { LARGE_MTU, SMALL_MTU } from './peer.ts';
import { gvproxy } from './stream-peers.ts';

export interface RunningSwitch {
  readonly wall: Wall;
  readonly pids: readonly number[];
}

export interface SwitchPeer {
  readonly name: string;
  readonly mtus: readonly number[];
  /** Why it cannot run here, or null. */
  missing(): string | null;
  start(lab: Lab, folder: string, mtuBytes: number, stack: AsyncDisposableStack): Promise<RunningSwitch>;
}

const vmlanSwitch: SwitchPeer = {
  name: OURS,
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => missing('ip'),
  async start(lab, folder, mtuBytes, stack) {
    const path = join(folder, 'vmlan.sock');
    const engine = stack.use(await EngineProcess.start(lab.host, engineConfig(mtuBytes)));
    const link = { kind: 'stream-listen', address: { unix: path }, nic: null } as const;
    await engine.request({ type: 'add-link', linkId: 'wall', link });
    return { wall: { kind: 'stream', path }, pids: [engine.pid] };
  },
};

export const vde: SwitchPeer = {
  name: 'vde2',
  mtus: [SMALL_MTU], // its frames have 1504 bytes of payload at most
  missing: () => missing('vde_switch'),
  async start(lab, folder, _mtuBytes, stack) {
    const path = join(folder, 'vde');
    // It ends with its standard input, which is ours to keep open.
    const child = stack.use(lab.host.start(['vde_switch', '--sock', path, '--mode', '666']));
    await until('the VDE switch', 5000, () => existsSync(join(path, 'ctl')));
    return { wall: { kind: 'vde', path }, pids: [child.pid] };
  },
};

export const gvproxySwitch: SwitchPeer = {
  name: gvproxy.name,
  mtus: gvproxy.mtus,
  missing: () => gvproxy.missing(),
  async start(lab, folder, mtuBytes, stack) {
    const { socket, pids } = await gvproxy.start(lab, folder, mtuBytes, stack);
    return { wall: { kind: 'stream', path: socket }, pids };
  },
};

export const SWITCHES: readonly SwitchPeer[] = [vmlanSwitch, vde, gvproxySwitch];
