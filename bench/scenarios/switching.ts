/**
 * Scenario 8: frames from guest to guest, by one pair and by eight pairs at once, and what a broadcast storm of one guest
 * costs the others.
 *
 * Zone: control.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLab } from '../bed.ts';
import { compare, type BenchTest, type Contender } from '../compare.ts';
import type { FrameCount } from '../load/frame-flood.ts';
import { LoadAgent } from '../load/load-client.ts';
import { cpuSeconds } from '../measure/process-usage.ts';
import { LARGE_MTU, SMALL_MTU } from '../peers/peer.ts';
import { gvproxySwitch, SWITCHES, vde, type RunningSwitch, type SwitchPeer } from '../peers/switches.ts';
import type { Goal, Metric } from '../results.ts';
import type { RunOptions, Scenario } from '../scenario.ts';

const THROUGHPUT: Metric = { name: 'throughput', unit: 'Gbit/s', better: 'higher' };
const FRAMES: Metric = { name: 'frames', unit: 'per second', better: 'higher' };
const CPU: Metric = { name: 'CPU', unit: '% per Gbit/s', better: 'lower' };
/** Of what the same sender gets through in calm, just before. */
const KEPT: Metric = { name: 'kept', unit: '% of calm', better: 'higher' };
const STORM_GUEST = 200;
/** With the pair and the one that storms: 16 guests. */
const BYSTANDERS = 13;
/** What the others send while a storm rages; every switch here bears it with ease in calm. */
const PACED_PER_SECOND = 5000;
/** The sender goes on until the receiver has certainly counted. */
const OVERTIME_SECONDS = 0.5;
const ETHERNET_BYTES = 14;

let runs = 0;

interface SwitchBed extends AsyncDisposable {
  readonly running: RunningSwitch;
  readonly mtuBytes: number;
  readonly sender: LoadAgent;
  readonly receiver: LoadAgent;
  readonly storm: LoadAgent;
  readonly bystanders: LoadAgent;
}

async function open(peer: SwitchPeer, mtuBytes: number): Promise<SwitchBed> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlan-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o777);
  const lab = stack.use(await openLab('near'));
  const running = await peer.start(lab, folder, mtuBytes, stack);
  const [sender, receiver, storm, bystanders] = await Promise.all([
    LoadAgent.start(lab.host),
    LoadAgent.start(lab.host),
    LoadAgent.start(lab.host),
    LoadAgent.start(lab.host),
  ]);
  const owned = stack.move();
  return { running, mtuBytes, sender, receiver, storm, bystanders, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Guest 2n sends to guest 2n + 1. */
const flowsOf = (pairs: number): { from: number; to: number }[] =>
  Array.from({ length: pairs }, (_, index) => ({ from: 2 * index, to: 2 * index + 1 }));

interface Transfer {
  readonly pairs: number;
  readonly perSecond: number;
  readonly seconds: number;
}

/** What arrived, and the CPU of the switch until it was counted. */
async function transfer(bed: SwitchBed, plan: Transfer): Promise<FrameCount & { cpuSeconds: number }> {
  const { mtuBytes, running } = bed;
  const { pairs, perSecond, seconds } = plan;
  const load = { wall: running.wall, mtuBytes, run: ++runs };
  const before = cpuSeconds(running.pids);
  const guests = flowsOf(pairs).map(({ to }) => to);
  const counting = bed.receiver
    .run('frameCount', { ...load, guests, seconds })
    .then((count) => ({ ...count, cpuSeconds: cpuSeconds(running.pids) - before }));
  const duration = seconds * 1.25 + OVERTIME_SECONDS;
  const sending = bed.sender.run('frameSend', { ...load, flows: flowsOf(pairs), seconds: duration, perSecond });
  const [count] = await Promise.all([counting, sending]);
  return count;
}

function pairsTest(name: string, pairs: number, seconds: number): BenchTest<SwitchBed> {
  return {
    name,
    metrics: [THROUGHPUT, FRAMES, CPU],
    async measure(bed) {
      const found = await transfer(bed, { pairs, perSecond: 0, seconds });
      return {
        [THROUGHPUT.name]: (found.framesPerSecond * (ETHERNET_BYTES + bed.mtuBytes) * 8) / 1e9,
        [FRAMES.name]: found.framesPerSecond,
        [CPU.name]: (100 * found.cpuSeconds) / found.gbit,
      };
    },
  };
}

/** Storm frames are a byte shorter, so that they do not count. */
function stormTest(seconds: number): BenchTest<SwitchBed> {
  return {
    name: `${PACED_PER_SECOND} frames/s through a broadcast storm`,
    metrics: [KEPT],
    async measure(bed) {
      const { wall } = bed.running;
      const paced = { pairs: 1, perSecond: PACED_PER_SECOND, seconds };
      const calm = await transfer(bed, paced);
      const duration = seconds * 1.25 + 2 * OVERTIME_SECONDS;
      const idle = { wall, run: ++runs, count: BYSTANDERS, seconds: duration };
      const flows = [{ from: STORM_GUEST, to: null }];
      const storm = { wall, run: ++runs, flows, mtuBytes: bed.mtuBytes - 1, seconds: duration, perSecond: 0 };
      const [{ framesPerSecond }] = await Promise.all([
        transfer(bed, paced),
        bed.bystanders.run('idleGuests', idle),
        bed.storm.run('frameSend', storm),
      ]);
      return { [KEPT.name]: (100 * framesPerSecond) / calm.framesPerSecond };
    },
  };
}

/** Each MTU against the same, and a storm is borne at both. */
function goalsOf(pairs: readonly string[], storm: string, mtu: number): Goal[] {
  const ours = [`vmlan/${mtu}`];
  const peers = [vde, gvproxySwitch].filter(({ mtus }) => mtus.includes(mtu)).map(({ name }) => name);
  return [
    ...pairs.flatMap((test) =>
      peers.map((peer): Goal => {
        const text = `≥ 2 × ${peer} at MTU ${mtu}`;
        return { text, test, metric: THROUGHPUT.name, ours, against: [`${peer}/${mtu}`], factor: 2, sense: 'at least' };
      }),
    ),
    { text: `≥ 90 % kept at MTU ${mtu}`, test: storm, metric: KEPT.name, ours, factor: 90, sense: 'at least' },
  ];
}

export const switching: Scenario = {
  id: 8,
  name: 'switch',
  title: 'Frames from guest to guest',
  async run(options: RunOptions) {
    const contenders = SWITCHES.flatMap((peer) =>
      [SMALL_MTU, LARGE_MTU]
        .filter((mtu) => peer.mtus.includes(mtu))
        .map((mtu): Contender<SwitchBed> => {
          return { name: `${peer.name}/${mtu}`, missing: peer.missing(), open: () => open(peer, mtu) };
        }),
    );
    const one = pairsTest('2 guests', 1, options.seconds);
    const eight = pairsTest('16 guests', 8, options.seconds);
    const storm = stormTest(options.seconds);
    const goals = [SMALL_MTU, LARGE_MTU].flatMap((mtu) => goalsOf([one.name, eight.name], storm.name, mtu));
    const conditions =
      'Frames on stream sockets (vde2: its datagrams), sent as fast as they are taken and counted where they arrive. ' +
      `The storm is broadcast frames of one of 16 guests, as fast as they are taken.`;
    const { id, name, title } = switching;
    return {
      id,
      name,
      title,
      conditions,
      ...(await compare(contenders, [one, eight, storm], options)),
      series: [],
      goals,
    };
  },
};
