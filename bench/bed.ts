/**
 * One contender ready to be measured: a lab of its own, a peer that connects its guest, the load server at the far end,
 * the load agent in the guest.
 *
 * Zone: control. Closing it ends everything it started.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INTERNET, Lab, type Namespace } from '../packages/vmlan/test/support/netns.ts';
import { openTun } from '../packages/vmlan/test/support/tun.ts';
import { run } from '../packages/vmlan/test/support/process.ts';
import { LoadAgent, LoadServer } from './load/load-client.ts';
import type { TapPeer } from './peers/peer.ts';

/** Whether the servers are on the host's own loopback, or behind a veth of the host. */
export type Servers = 'near' | 'far';

export const SERVER = INTERNET.server4;
const CONGESTION_CONTROLS = ['cubic', 'reno'];

/**
 * Ports for many short connections, their reuse after a second, and a congestion control that is no part of the contest.
 * cubic may be refused in a namespace; what was taken is returned.
 */
export async function tune(namespace: Namespace): Promise<string> {
  await namespace.sysctl('net.ipv4.ip_local_port_range', '10000 65001');
  await namespace.sysctl('net.ipv4.tcp_tw_reuse', 1);
  for (const name of CONGESTION_CONTROLS) {
    const set = await namespace.run(['sysctl', '-qw', `net.ipv4.tcp_congestion_control=${name}`]);
    if (set.code === 0) return name;
  }
  return 'as the machine has it';
}

/** A lab whose namespaces are tuned and whose servers answer at SERVER. */
export async function openLab(servers: Servers): Promise<Lab> {
  openTun();
  const lab = await Lab.create({ ipv6: false });
  for (const namespace of [lab.host, lab.internet]) await tune(namespace);
  if (servers === 'near') await lab.host.ip('addr', 'add', `${SERVER}/32`, 'dev', 'lo');
  return lab;
}

export class Bed implements AsyncDisposable {
  /** Where the servers are. */
  readonly far: Namespace;
  readonly guest: Namespace;
  readonly server: LoadServer;
  readonly agent: LoadAgent;
  readonly pids: readonly number[];
  readonly #stack: AsyncDisposableStack;

  private constructor(bed: Pick<Bed, 'far' | 'guest' | 'server' | 'agent' | 'pids'>, stack: AsyncDisposableStack) {
    this.far = bed.far;
    this.guest = bed.guest;
    this.server = bed.server;
    this.agent = bed.agent;
    this.pids = bed.pids;
    this.#stack = stack;
  }

  static async open(peer: TapPeer, mtuBytes: number, servers: Servers): Promise<Bed> {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'vmlan-bench-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const lab = stack.use(await openLab(servers));
    const far = servers === 'near' ? lab.host : lab.internet;
    const { guest, pids } = await peer.connect(lab, mtuBytes, stack);
    await tune(guest);
    const server = await LoadServer.start(far, SERVER, join(folder, 'control'));
    const agent = await LoadAgent.start(guest);
    stack.defer(() => void Promise.all([agent.stop(), server.stop()]));
    await reachable(guest);
    return new Bed({ far, guest, server, agent, pids }, stack.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** One connection through the whole path before anything is measured. */
async function reachable(guest: Namespace): Promise<void> {
  const probe = `exec 3<>/dev/tcp/${SERVER}/7001`;
  const { code, stderr } = await guest.run(['timeout', '5', 'bash', '-c', probe]);
  if (code !== 0) throw new Error(`the guest does not reach the servers: ${stderr}`);
}

/** What `tune` will find on this machine. */
export async function congestionControl(): Promise<string> {
  const { stdout } = await run(['cat', '/proc/sys/net/ipv4/tcp_allowed_congestion_control']);
  return stdout.includes('cubic') ? 'cubic' : 'reno';
}
