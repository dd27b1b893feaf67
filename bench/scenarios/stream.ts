/**
 * Scenario 7: bulk TCP through a stream socket as QEMU has it. The load is a connection made of frames, so that no
 * guest's kernel stands between what is compared; transfers are compared with a namespace's kernel in its place.
 *
 * Zone: control.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lab, Namespace } from '../../packages/vmlan/test/support/netns.ts';
import { openLab, SERVER } from '../bed.ts';
import { compare, type BenchTest, type Contender } from '../compare.ts';
import { LoadAgent, LoadServer } from '../load/load-client.ts';
import { cpuSeconds } from '../measure/process-usage.ts';
import { LARGE_MTU, SMALL_MTU } from '../peers/peer.ts';
import { startCard } from '../peers/stream-card.ts';
import { LOAD_MAC, type StreamPeer, type StreamUplink } from '../peers/stream-peer.ts';
import { libslirp, STREAM_PEERS } from '../peers/stream-peers.ts';
import type { Goal, Metric, Verified } from '../results.ts';
import type { RunOptions, Scenario } from '../scenario.ts';
import { compareTransfers } from '../verify/transfers.ts';
import { transferPlan, transfersDue } from './contenders.ts';

const RATE: Metric = { name: 'throughput', unit: 'Gbit/s', better: 'higher' };
const CPU: Metric = { name: 'CPU', unit: '% per Gbit/s', better: 'lower' };
/** By the load, for want of an acknowledgement. */
const RESENT: Metric = { name: 'sent again', unit: '%', better: 'lower' };

export interface StreamBed extends AsyncDisposable {
  readonly lab: Lab;
  readonly far: Namespace;
  readonly server: LoadServer;
  readonly agent: LoadAgent;
  readonly uplink: StreamUplink;
  readonly folder: string;
  readonly mtuBytes: number;
}

export async function openStreamBed(peer: StreamPeer, mtuBytes: number, options: RunOptions): Promise<StreamBed> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlan-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o777); // passt is nobody
  const lab = stack.use(await openLab(options.servers));
  const far = options.servers === 'near' ? lab.host : lab.internet;
  const uplink = await peer.start(lab, folder, mtuBytes, stack);
  const server = await LoadServer.start(far, SERVER, join(folder, 'control'));
  const agent = await LoadAgent.start(lab.host);
  const owned = stack.move();
  return { lab, far, server, agent, uplink, folder, mtuBytes, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function bulkTest(name: string, reverse: boolean, seconds: number): BenchTest<StreamBed> {
  return {
    name,
    metrics: reverse ? [RATE, CPU] : [RATE, CPU, RESENT],
    async measure({ agent, uplink, mtuBytes }) {
      const { socket, own, gateway, pids } = uplink;
      const before = cpuSeconds(pids);
      const load = { socket, mac: LOAD_MAC, own, gateway, server: SERVER, mtuBytes, seconds, reverse };
      const { gbitPerSecond, gbit, resentShare } = await agent.run('frameBulk', load);
      const used = (100 * (cpuSeconds(pids) - before)) / gbit;
      return { [RATE.name]: gbitPerSecond, [CPU.name]: used, [RESENT.name]: 100 * resentShare };
    },
  };
}

/** The guest is a namespace whose frames a small program carries to the socket and back. */
async function transfers(contender: string, bed: StreamBed, options: RunOptions): Promise<Verified | null> {
  if (!transfersDue(contender, options)) return null;
  const { lab, far, uplink, folder, mtuBytes } = bed;
  const guest = await lab.guest('guest');
  const { own, prefix, gateway, socket } = uplink;
  const place = {
    tapSocket: join(folder, 'tap'),
    mac: LOAD_MAC,
    mtuBytes,
    address: `${own}/${prefix}`,
    gateway,
    socket,
  };
  await using _card = await startCard(lab.host, guest, place);
  return await compareTransfers({ contender, guest, far, server: SERVER }, transferPlan(contender, options));
}

/** Each MTU against the same: frames of 64 KiB would beat those of 1500 bytes whoever carries them. */
function goalsOf(test: string, mtu: number): Goal[] {
  const of = (...peers: readonly string[]): string[] => peers.map((peer) => `${peer}/${mtu}`);
  const atLeast = (factor: number, peer: string, against: string[]): Goal => {
    const text = `≥ ${factor} × ${peer} at MTU ${mtu}`;
    return { text, test, metric: RATE.name, ours: of('vmlan'), against, factor, sense: 'at least' };
  };
  return [
    ...(libslirp.mtus.includes(mtu) ? [atLeast(2, 'libslirp', of('libslirp'))] : []),
    atLeast(2, 'gvproxy', of('gvproxy')),
    atLeast(1.2, 'passt', of('passt', 'passt-current')),
    {
      ...{ test, metric: CPU.name, ours: of('vmlan'), against: of('passt', 'passt-current') },
      ...{ text: `CPU ≤ passt's at MTU ${mtu} (scenario 9)`, factor: 1, sense: 'at most' },
    },
  ];
}

export const stream: Scenario = {
  id: 7,
  name: 'stream',
  title: 'TCP bulk through a QEMU stream socket',
  async run(options) {
    const contenders = STREAM_PEERS.flatMap((peer) =>
      [SMALL_MTU, LARGE_MTU]
        .filter((mtu) => peer.mtus.includes(mtu))
        .map((mtu): Contender<StreamBed> => {
          const open = (): Promise<StreamBed> => openStreamBed(peer, mtu, options);
          return { name: `${peer.name}/${mtu}`, missing: peer.missing(), open };
        }),
    );
    const tests = [bulkTest('guest → host', false, options.seconds), bulkTest('host → guest', true, options.seconds)];
    const conditions =
      'The guest is a program that speaks TCP in frames: one connection, no offloads, many frames to a call. ' +
      'libslirp runs in a QEMU without a machine.';
    const comparison = await compare(contenders, tests, options, (name, bed) => transfers(name, bed, options));
    const { id, name, title } = stream;
    return {
      id,
      name,
      title,
      conditions,
      ...comparison,
      series: [],
      goals: tests.flatMap(({ name: test }) => [SMALL_MTU, LARGE_MTU].flatMap((mtu) => goalsOf(test, mtu))),
    };
  },
};
