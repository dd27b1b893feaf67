/**
 * vmlan, passt, libslirp and gvproxy behind a stream socket. libslirp comes by a QEMU without a machine: its hub joins
 * `-netdev user` to a listening `-netdev stream`.
 *
 * Zone: control.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../packages/vmlan/test/support/deadline.ts';
import { HOST, NOBODY, type Lab } from '../../packages/vmlan/test/support/netns.ts';
import type { Process } from '../../packages/vmlan/test/support/process.ts';
import { missing } from '../commands.ts';
import { OURS } from '../results.ts';
import { engineConfig, EngineProcess, NETWORK } from './engine-process.ts';
import { LARGE_MTU, SMALL_MTU } from './peer.ts';
import { LOAD_MAC, unnamed, type StreamPeer, type StreamUplink } from './stream-peer.ts';

const CURRENT_PASST = 'VMLAN_BENCH_PASST';
const GVPROXY = 'VMLAN_BENCH_GVPROXY';
const QEMU = 'qemu-system-x86_64';
const START_MS = 5000;
const HOST_ROUTER = '198.51.100.1';

async function listening(socket: string, child: Process): Promise<void> {
  await until(`${socket} to be there`, START_MS, () => {
    if (!child.running) throw new Error(`${child.argv.join(' ')}: ${child.stderr}`);
    return existsSync(socket);
  });
}

export const vmlanStream: StreamPeer = {
  name: OURS,
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => missing('ip'),
  async start(lab, folder, mtuBytes, stack) {
    const socket = join(folder, 'vmlan.sock');
    const engine = stack.use(await EngineProcess.start(lab.host, engineConfig(mtuBytes)));
    await engine.request({ type: 'set-nic', nic: { key: 'load/0', guest: 'load', mac: LOAD_MAC, connected: true } });
    const link = { kind: 'stream-listen', address: { unix: socket }, nic: 'load/0' } as const;
    await engine.request({ type: 'add-link', linkId: 'load', link });
    return { socket, pids: [engine.pid], own: '10.144.0.2', prefix: NETWORK.prefix, gateway: NETWORK.gateway };
  },
};

/** It gives the guest the host's own address. */
async function startPasst(
  program: string,
  lab: Lab,
  folder: string,
  mtuBytes: number,
  stack: AsyncDisposableStack,
): Promise<StreamUplink> {
  const socket = join(folder, 'passt.sock');
  const options = ['--foreground', '--socket', socket, '--mtu', String(mtuBytes), '-t', 'none', '-u', 'none'];
  const passt = stack.use(lab.host.start([program, ...options], { user: NOBODY }));
  await listening(socket, passt);
  return { socket, pids: [passt.pid], own: HOST.address4, prefix: 24, gateway: HOST_ROUTER };
}

export const passt: StreamPeer = {
  name: 'passt',
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => missing('passt'),
  start: (lab, folder, mtuBytes, stack) => startPasst('passt', lab, folder, mtuBytes, stack),
};

export const currentPasst: StreamPeer = {
  name: 'passt-current',
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => unnamed(CURRENT_PASST),
  start: (lab, folder, mtuBytes, stack) => startPasst(process.env[CURRENT_PASST] ?? '', lab, folder, mtuBytes, stack),
};

export const libslirp: StreamPeer = {
  name: 'libslirp',
  mtus: [SMALL_MTU], // QEMU has no option for it
  missing: () => missing(QEMU),
  async start(lab, folder, _mtuBytes, stack) {
    const socket = join(folder, 'slirp.sock');
    const user = ['-netdev', 'user,id=user', '-netdev', 'hubport,hubid=0,id=port1,netdev=user'];
    const stream = ['-netdev', `stream,id=stream,server=on,addr.type=unix,addr.path=${socket}`];
    const hub = ['-netdev', 'hubport,hubid=0,id=port2,netdev=stream'];
    const machine = ['-machine', 'none', '-nodefaults', '-display', 'none'];
    const qemu = stack.use(lab.host.start([QEMU, ...machine, ...user, ...stream, ...hub]));
    await listening(socket, qemu);
    return { socket, pids: [qemu.pid], own: '10.0.2.15', prefix: 24, gateway: '10.0.2.2' };
  },
};

export const gvproxy: StreamPeer = {
  name: 'gvproxy',
  mtus: [SMALL_MTU, LARGE_MTU],
  missing: () => unnamed(GVPROXY),
  async start(lab, folder, mtuBytes, stack) {
    const socket = join(folder, 'gvproxy.sock');
    const options = ['-listen-qemu', `unix://${socket}`, '-mtu', String(mtuBytes), '-ssh-port', '-1'];
    const child = stack.use(lab.host.start([process.env[GVPROXY] ?? '', ...options]));
    await listening(socket, child);
    return { socket, pids: [child.pid], own: '192.168.127.2', prefix: 24, gateway: '192.168.127.1' };
  },
};

export const STREAM_PEERS: readonly StreamPeer[] = [vmlanStream, passt, currentPasst, libslirp, gvproxy];
