/**
 * Scenario 14: what a frame costs the engine by itself, in memory and in time, without a kernel; and how the time grows
 * with the number of flows and of guests.
 *
 * Zone: control.
 */
import { join } from 'node:path';
import { output } from '../../packages/vmlan/test/support/process.ts';
import { compare, type BenchTest, type Contender } from '../compare.ts';
import type { FrameCost, FrameCostLoad } from '../load/frame-cost.ts';
import { NODE } from '../load/load-client.ts';
import type { Goal, Metric, Series } from '../results.ts';
import type { Scenario } from '../scenario.ts';

const PROGRAM = join(import.meta.dirname, '../load/frame-cost.ts');
/** A young generation that holds what a part of the frames allocates, so that no collection hides it. */
const FLAGS = ['--expose-gc', '--max-semi-space-size=256'];
const TIMEOUT_MS = 300_000;
const FRAMES = 10_000_000;
/** Its goals are absolute, and time on the CPU varies little. */
const MAX_ROUNDS = 3;
const SERIES_FRAMES = 500_000;
const QUICK_FRAMES = 200_000;
/** Compiled code and the program's own numbers move the heap by about this much, whatever the number of frames. */
const NOISE_KB = 100;
const GROWTH: Metric = { name: 'growth', unit: 'kB', better: 'lower' };
const ALLOCATED: Metric = { name: 'allocated', unit: 'B per frame', better: 'lower' };
const TIME: Metric = { name: 'time', unit: 'ns per frame', better: 'lower' };

const KINDS: readonly [string, FrameCostLoad['kind']][] = [
  ['TCP segments from a guest', 'tcp-out'],
  ['TCP segments to a guest', 'tcp-in'],
  ['UDP datagrams from a guest', 'udp-out'],
  ['frames from guest to guest', 'switch'],
];

async function frameCost(load: FrameCostLoad): Promise<FrameCost> {
  const [node = '', ...flags] = NODE;
  const text = await output([node, ...FLAGS, ...flags, PROGRAM, JSON.stringify(load)], { timeoutMs: TIMEOUT_MS });
  return JSON.parse(text) as FrameCost;
}

/** There is nothing to open: every measurement is a program of its own. */
const nothing: AsyncDisposable = { [Symbol.asyncDispose]: () => Promise.resolve() };

function costTest(name: string, kind: FrameCostLoad['kind'], frames: number): BenchTest<AsyncDisposable> {
  return {
    name,
    metrics: [TIME, ALLOCATED, GROWTH],
    cold: true,
    async measure() {
      const { nsPerFrame, growthBytes, allocatedPerFrame } = await frameCost({ kind, flows: 2, frames });
      return { [TIME.name]: nsPerFrame, [ALLOCATED.name]: allocatedPerFrame, [GROWTH.name]: growthBytes / 1000 };
    },
  };
}

async function growthOver(
  name: string,
  kind: FrameCostLoad['kind'],
  sizes: readonly number[],
  frames: number,
): Promise<Series> {
  const points: { size: number; cost: number }[] = [];
  for (const size of sizes) points.push({ size, cost: (await frameCost({ kind, flows: size, frames })).nsPerFrame });
  return { contender: 'vmlan', test: name, metric: TIME.unit, over: kind === 'switch' ? 'guests' : 'flows', points };
}

export const allocation: Scenario = {
  id: 14,
  name: 'allocation',
  title: 'What a frame costs the engine alone',
  async run(options) {
    const frames = options.quick ? QUICK_FRAMES : FRAMES;
    const tests = KINDS.map(([name, kind]) => costTest(name, kind, frames));
    const contenders: Contender<AsyncDisposable>[] = [
      { name: 'vmlan', missing: null, open: () => Promise.resolve(nothing) },
    ];
    const rounds = Math.min(options.rounds, MAX_ROUNDS);
    const comparison = await compare(contenders, tests, { ...options, rounds });
    const flows = options.quick ? [1, 10, 100] : [1, 10, 100, 1000, 10_000];
    const guests = options.quick ? [2, 10, 100] : [2, 10, 100, 1000];
    const series: Series[] = [];
    for (const [name, kind] of KINDS) {
      const sizes = kind === 'switch' ? guests : kind === 'udp-out' ? flows.filter((size) => size <= 1000) : flows;
      options.progress(`${name}, over ${sizes.join(', ')}`);
      series.push(await growthOver(name, kind, sizes, options.quick ? QUICK_FRAMES : SERIES_FRAMES));
    }
    const goals = tests.flatMap(({ name: test }): Goal[] => {
      const goal = { test, ours: ['vmlan'], sense: 'at most' } as const;
      return [
        { ...goal, text: `growth 0 (noise: ${NOISE_KB} kB)`, metric: GROWTH.name, factor: NOISE_KB },
        { ...goal, text: 'nothing allocated (below 1 B per frame)', metric: ALLOCATED.name, factor: 1 },
      ];
    });
    const conditions =
      `${frames} frames of 2 flows (or guests) in one thread over a kernel whose calls cost nothing, 32 frames to a turn of ` +
      'the loop; TCP segments of 1460 bytes, datagrams of 64. Growth is that of the heap after collection. At most 3 rounds.';
    const { id, name, title } = allocation;
    return { id, name, title, conditions, ...comparison, series, goals };
  },
};
