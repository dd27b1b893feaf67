/**
 * Scenarios 1 and 2 (and 9, which is their CPU): bulk TCP between a guest and a server, one stream and eight, both ways.
 *
 * Zone: control.
 */
import { type Bed, SERVER } from '../bed.ts';
import { compare, type BenchTest } from '../compare.ts';
import { iperf } from '../load/iperf.ts';
import { cpuSeconds } from '../measure/process-usage.ts';
import { LARGE_MTU, SMALL_MTU } from '../peers/peer.ts';
import { slirp4netns } from '../peers/slirp4netns.ts';
import type { Goal, Metric } from '../results.ts';
import type { RunOptions, Scenario } from '../scenario.ts';
import { anyMtu, tapContenders, transfersOf } from './contenders.ts';

const RATE: Metric = { name: 'throughput', unit: 'Gbit/s', better: 'higher' };
/** Of the datapath's processes; 100 % is one core. */
const CPU: Metric = { name: 'CPU', unit: '% per Gbit/s', better: 'lower' };
const DIRECTIONS = ['guest → host', 'host → guest'] as const;

function bulkTest(name: string, streams: number, reverse: boolean, seconds: number): BenchTest<Bed> {
  return {
    name,
    metrics: [RATE, CPU],
    async measure({ guest, far, pids }) {
      const before = cpuSeconds(pids);
      const { gbitPerSecond, gbit } = await iperf(guest, far, { server: SERVER, streams, seconds, reverse });
      const used = pids.length === 0 ? NaN : (100 * (cpuSeconds(pids) - before)) / gbit;
      return { [RATE.name]: gbitPerSecond, [CPU.name]: used };
    },
  };
}

interface Wanted {
  readonly kernel: number;
  readonly pasta: number;
  readonly slirp?: number;
  /** Against pasta and slirp4netns, all at the small MTU. */
  readonly small?: number;
}

function goalsOf(test: string, wanted: Wanted): Goal[] {
  const atLeast = (text: string, factor: number, ours: string[], against: string[]): Goal => {
    return { text: `≥ ${factor} × ${text}`, test, metric: RATE.name, ours, against, factor, sense: 'at least' };
  };
  const small = (peer: string): string[] => [`${peer}/${SMALL_MTU}`];
  return [
    atLeast('kernel', wanted.kernel, anyMtu('vmlan'), anyMtu('kernel')),
    atLeast("pasta's best", wanted.pasta, anyMtu('vmlan'), anyMtu('pasta', 'pasta-current')),
    ...(wanted.slirp === undefined
      ? []
      : [atLeast("slirp4netns' best", wanted.slirp, anyMtu('vmlan'), anyMtu('slirp4netns'))]),
    ...(wanted.small === undefined
      ? []
      : [
          atLeast('pasta at MTU 1500', wanted.small, small('vmlan'), [...small('pasta'), ...small('pasta-current')]),
          atLeast('slirp4netns at MTU 1500', wanted.small, small('vmlan'), small('slirp4netns')),
        ]),
    {
      text: "CPU ≤ pasta's (scenario 9)",
      ...{ test, metric: CPU.name, ours: anyMtu('vmlan'), against: anyMtu('pasta', 'pasta-current') },
      ...{ factor: 1, sense: 'at most' },
    },
  ];
}

function bulkScenario(id: number, name: string, streams: number, wanted: Wanted): Scenario {
  const title = `TCP bulk, ${streams} stream${streams === 1 ? '' : 's'}`;
  return {
    id,
    name,
    title,
    async run(options: RunOptions) {
      const tests = DIRECTIONS.map((direction, index) =>
        bulkTest(`${direction} ×${streams}`, streams, index === 1, options.seconds),
      );
      const without = wanted.slirp === undefined ? [slirp4netns] : [];
      const contenders = tapContenders(options, [SMALL_MTU, LARGE_MTU], without);
      return {
        ...{ id, name, title },
        conditions: 'Guests are namespaces behind a TAP (kernel: a veth); iperf3, the first second left out.',
        ...(await compare(contenders, tests, options, transfersOf(options))),
        series: [],
        goals: tests.flatMap((test) => goalsOf(test.name, wanted)),
      };
    },
  };
}

export const tcpBulk: Scenario = bulkScenario(1, 'tcp-bulk', 1, { kernel: 0.85, pasta: 1.3, slirp: 3, small: 8 });
export const tcpBulkParallel: Scenario = bulkScenario(2, 'tcp-bulk-8', 8, { kernel: 0.75, pasta: 1.2 });
