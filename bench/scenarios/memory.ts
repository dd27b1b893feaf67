/**
 * Scenario 10: memory of what moves the frames, idle and with many idle TCP connections. The network process of the
 * product stands for itself; connections are held through the engine alone, as the other scenarios have it.
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { World } from '../../packages/vmlan/test/e2e/world.ts';
import { type Bed, SERVER } from '../bed.ts';
import { missing } from '../commands.ts';
import { compareFresh, type BenchTest, type Contender } from '../compare.ts';
import { MANY_FILES, type LoadAgent } from '../load/load-client.ts';
import { ECHO_PORTS } from '../load/ports.ts';
import { fieldBytes, residentBytes } from '../measure/process-usage.ts';
import { SMALL_MTU } from '../peers/peer.ts';
import type { Goal, Metric } from '../results.ts';
import type { Scenario } from '../scenario.ts';
import { tapContenders } from './contenders.ts';

const MB = 1e6;
const SETTLE_MS = 1000;
/** Memory varies little, and fresh processes take their time. */
const MAX_ROUNDS = 3;
const SOME_FLOWS = 10_000;
/** A process may hold 20 000 descriptors where the limit cannot be raised. */
const MANY_FLOWS = MANY_FILES.length > 0 ? 100_000 : 18_000;
const PRODUCT = 'vmlan/product';
const RESIDENT: Metric = { name: 'resident', unit: 'MB', better: 'lower' };
/** What would be free again if the process ended. */
const PRIVATE: Metric = { name: 'private', unit: 'MB', better: 'lower' };
const GROWTH: Metric = { name: 'growth', unit: 'MB', better: 'lower' };
const HELD: Metric = { name: 'held', unit: 'connections', better: 'higher' };

interface MemoryBed extends AsyncDisposable {
  readonly pids: readonly number[];
  /** null: nothing is connected to it. */
  readonly agent: LoadAgent | null;
  /** Resident before anything was asked of it, bytes. */
  readonly idleBytes: number;
}

const resident = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + residentBytes(pid), 0);

function privateBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return sum + fieldBytes(text, 'Private_Clean') + fieldBytes(text, 'Private_Dirty');
  }, 0);
}

async function settled(
  pids: readonly number[],
  agent: LoadAgent | null,
): Promise<Omit<MemoryBed, typeof Symbol.asyncDispose>> {
  await delay(SETTLE_MS);
  return { pids, agent, idleBytes: resident(pids) };
}

async function openProduct(): Promise<MemoryBed> {
  const config = 'networks:\n  bench:\n    mode: user-v2\n    subnet: 192.168.110.0/24\n    autostart: true\n';
  const world = await World.create({ config, ipv6: false });
  await world.api.call('startNetwork', { params: { name: 'bench' } });
  const { pid } = await world.network('bench');
  if (pid === null) throw new Error('the network does not run');
  return { ...(await settled([pid], null)), [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

const IDLE: BenchTest<MemoryBed> = {
  name: 'idle',
  metrics: [RESIDENT, PRIVATE],
  measure: ({ pids, idleBytes }) => {
    return Promise.resolve({ [RESIDENT.name]: idleBytes / MB, [PRIVATE.name]: privateBytes(pids) / MB });
  },
};

function flowsTest(count: number): BenchTest<MemoryBed> {
  return {
    name: `${count} idle connections`,
    metrics: [GROWTH, HELD],
    among: (contender) => contender !== PRODUCT,
    async measure({ pids, agent, idleBytes }) {
      if (agent === null) throw new Error('no load agent');
      const { open } = await agent.run('hold', { server: SERVER, ports: ECHO_PORTS, count });
      await delay(SETTLE_MS);
      const grown = resident(pids) - idleBytes;
      await agent.run('release');
      await delay(SETTLE_MS);
      return { [GROWTH.name]: grown / MB, [HELD.name]: open };
    },
  };
}

const openBed = (contender: Contender<Bed>): Contender<MemoryBed> => ({
  name: contender.name,
  missing: contender.missing,
  open: async () => {
    const bed = await contender.open();
    return { ...(await settled(bed.pids, bed.agent)), [Symbol.asyncDispose]: () => bed[Symbol.asyncDispose]() };
  },
});

export const memory: Scenario = {
  id: 10,
  name: 'memory',
  title: 'Memory',
  async run(options) {
    const some = flowsTest(options.quick ? 1000 : SOME_FLOWS);
    const many = flowsTest(options.quick ? 2000 : MANY_FLOWS);
    const contenders: Contender<MemoryBed>[] = [
      { name: PRODUCT, missing: missing('ip', 'dnsmasq'), open: openProduct },
      ...tapContenders(options, [SMALL_MTU])
        .filter(({ name }) => !name.startsWith('kernel'))
        .map(openBed),
    ];
    const ours = [`vmlan/${SMALL_MTU}`];
    const limits = { metric: GROWTH.name, ours, sense: 'at most' } as const;
    const goals: Goal[] = [
      { text: '≤ 60 MB', test: IDLE.name, metric: RESIDENT.name, ours: [PRODUCT], factor: 60, sense: 'at most' },
      { ...limits, text: '≤ 10 MB', test: some.name, factor: 10 },
      { ...limits, text: '≤ 80 MB', test: many.name, factor: 80 },
    ];
    const conditions =
      'Resident memory of the processes that move the frames. Connections are those of one guest, and idle; what grows ' +
      'with the first of them is reused by the next, so each round has fresh processes. At most 3 rounds, peers in the first, who get 20 s for opening.';
    const { id, name, title } = memory;
    return {
      id,
      name,
      title,
      conditions,
      ...(await compareFresh(contenders, [IDLE, some, many], {
        ...options,
        rounds: Math.min(options.rounds, MAX_ROUNDS),
      })),
      series: [],
      goals,
    };
  },
};
