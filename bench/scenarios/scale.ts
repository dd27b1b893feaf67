/**
 * Scenario 11: what idle guests and idle connections cost those that work: bulk traffic and request–response of one guest
 * beside 1 to 1 000 others on their own links, and beside 1 to 10 000 connections of its own.
 *
 * Zone: control.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../packages/vmlan/test/support/deadline.ts';
import type { Namespace } from '../../packages/vmlan/test/support/netns.ts';
import { openLab, SERVER, tune } from '../bed.ts';
import { missing } from '../commands.ts';
import { compare, type BenchTest, type Comparison, type Contender } from '../compare.ts';
import { iperf } from '../load/iperf.ts';
import { LoadAgent, LoadServer } from '../load/load-client.ts';
import { ECHO_PORTS } from '../load/ports.ts';
import { cpuSeconds } from '../measure/process-usage.ts';
import { engineConfig, EngineProcess } from '../peers/engine-process.ts';
import { LARGE_MTU } from '../peers/peer.ts';
import { summarize } from '../measure/statistics.ts';
import type { Goal, Metric, Series } from '../results.ts';
import type { RunOptions, Scenario } from '../scenario.ts';

const RATE: Metric = { name: 'throughput', unit: 'Gbit/s', better: 'higher' };
const CPU: Metric = { name: 'CPU', unit: '% per Gbit/s', better: 'lower' };
const P50: Metric = { name: 'p50', unit: 'µs', better: 'lower' };
const FOR_GOOD_SECONDS = 24 * 3600;
const ATTACH_MS = 30_000;
const ALONE = 'vmlan/alone';
const CROWD = 'vmlan/crowd';

interface Crowd {
  readonly guests: number;
  readonly flows: number;
}

interface ScaleBed extends AsyncDisposable {
  readonly guest: Namespace;
  readonly far: Namespace;
  readonly agent: LoadAgent;
  readonly pid: number;
}

async function attachIdle(engine: EngineProcess, agent: LoadAgent, path: string, count: number): Promise<void> {
  if (count === 0) return;
  const before = (await engine.snapshot()).guests.length;
  // It ends with its program; what it says then is of no interest.
  const held = agent.run('idleGuests', { wall: { kind: 'stream', path }, run: 0, count, seconds: FOR_GOOD_SECONDS });
  const failed = held.then(
    () => new Error('the idle guests left'),
    (error: unknown) => error,
  );
  const attached = until(`${count} idle guests`, ATTACH_MS, async () => {
    const { guests } = await engine.snapshot();
    return guests.length - before >= count;
  });
  const problem = await Promise.race([failed, attached]);
  if (problem !== true) throw problem;
}

async function open({ guests, flows }: Crowd): Promise<ScaleBed> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'vmlan-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const lab = stack.use(await openLab('near'));
  const engine = stack.use(await EngineProcess.start(lab.host, engineConfig(LARGE_MTU)));
  const guest = await lab.guest('guest');
  await engine.tap(guest, join(folder, 'tap'), LARGE_MTU);
  await tune(guest);
  const path = join(folder, 'wall.sock');
  await engine.request({
    type: 'add-link',
    linkId: 'wall',
    link: { kind: 'stream-listen', address: { unix: path }, nic: null },
  });
  const server = await LoadServer.start(lab.host, SERVER, join(folder, 'control'));
  const [agent, holder] = await Promise.all([LoadAgent.start(guest), LoadAgent.start(guest)]);
  stack.defer(() => void Promise.all([agent.stop(), holder.stop(), server.stop()]));
  if (flows > 0) {
    const { open: held } = await holder.run('hold', { server: SERVER, ports: ECHO_PORTS, count: flows });
    if (held < flows) throw new Error(`${held} of ${flows} connections stand`);
  }
  await attachIdle(engine, holder, path, guests);
  const owned = stack.move();
  return { guest, far: lab.host, agent, pid: engine.pid, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Only alone and in the whole crowd: how it grows is for the latency to tell. */
function bulkTest(
  name: string,
  reverse: boolean,
  seconds: number,
  among: BenchTest<ScaleBed>['among'],
): BenchTest<ScaleBed> {
  return {
    name,
    metrics: [RATE, CPU],
    ...(among === undefined ? {} : { among }),
    async measure({ guest, far, pid }) {
      const before = cpuSeconds([pid]);
      const { gbitPerSecond, gbit } = await iperf(guest, far, { server: SERVER, streams: 1, seconds, reverse });
      return { [RATE.name]: gbitPerSecond, [CPU.name]: (100 * (cpuSeconds([pid]) - before)) / gbit };
    },
  };
}

function exchangeTest(seconds: number): BenchTest<ScaleBed> {
  return {
    name: 'request and response',
    metrics: [P50],
    async measure({ agent }) {
      const load = { server: SERVER, ports: ECHO_PORTS, seconds, size: 64 };
      return { [P50.name]: (await agent.run('requestResponse', load)).p50Us };
    },
  };
}

const crowds = (sizes: readonly number[], of: (size: number) => Crowd, name: string): [string, Crowd][] =>
  sizes.map((size) => [`vmlan/${size} ${name}`, of(size)]);

/** What it costs over the number of those that only sit there, where more than one number was measured. */
function seriesOf(comparison: Comparison, over: string, contenders: readonly (readonly [string, number])[]): Series[] {
  return comparison.tests.flatMap(({ name: test, metrics }) => {
    const metric = metrics.find(({ better }) => better === 'lower')?.name ?? '';
    const points = contenders.flatMap(([contender, size]) => {
      const samples = comparison.samples.filter((sample) => sample.test === test && sample.contender === contender);
      const summary = summarize(samples.map(({ values }) => values[metric] ?? NaN));
      return summary === null ? [] : [{ size, cost: summary.median }];
    });
    return points.length < 2 ? [] : [{ contender: 'vmlan', test, metric, over, points }];
  });
}

export const scale: Scenario = {
  id: 11,
  name: 'scale',
  title: 'Idle guests and idle connections',
  async run(options: RunOptions) {
    const guestSizes = options.quick ? [10, 100] : [100, 1000];
    const flowSizes = options.quick ? [100, 1000] : [1000, 10_000];
    const most = { guests: guestSizes.at(-1) ?? 0, flows: flowSizes.at(-1) ?? 0 };
    const beside = new Map<string, Crowd>([
      [ALONE, { guests: 0, flows: 0 }],
      ...crowds(guestSizes, (guests) => ({ guests, flows: 0 }), 'guests'),
      ...crowds(flowSizes, (flows) => ({ guests: 0, flows }), 'flows'),
      [CROWD, most],
    ]);
    const contenders = [...beside].map(([name, crowd]): Contender<ScaleBed> => {
      return { name, missing: missing('ip', 'iperf3'), open: () => open(crowd) };
    });
    const among = (contender: string): boolean => contender === ALONE || contender === CROWD;
    const out = bulkTest('guest → host', false, options.seconds, among);
    const back = bulkTest('host → guest', true, options.seconds, among);
    const comparison = await compare(contenders, [out, back, exchangeTest(options.seconds)], options);
    const goals = [out, back].map(({ name: test }): Goal => {
      const sides = { ours: [CROWD], against: [ALONE], factor: 0.95, sense: 'at least' } as const;
      return { text: '≥ 0.95 × alone', test, metric: RATE.name, ...sides };
    });
    const sizesOf = (sizes: readonly number[], name: string): [string, number][] => [
      [ALONE, 1],
      ...sizes.map((size): [string, number] => [`vmlan/${size} ${name}`, size]),
    ];
    const series = [
      ...seriesOf(comparison, 'idle guests', sizesOf(guestSizes, 'guests')),
      ...seriesOf(comparison, 'idle connections', sizesOf(flowSizes, 'flows')),
    ];
    const conditions =
      `One guest behind a TAP, MTU ${LARGE_MTU}, one stream; the others are on stream sockets of the same network. ` +
      `crowd: ${most.guests} idle guests and ${most.flows} idle connections at once.`;
    const { id, name, title } = scale;
    return { id, name, title, conditions, ...comparison, series, goals };
  },
};
