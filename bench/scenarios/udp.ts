/**
 * Scenarios 5 and 6: UDP in small datagrams, a window of them and a flood, and UDP in large datagrams that the kernel may
 * cut and join (GSO, GRO).
 *
 * Zone: control.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Bed, SERVER } from '../bed.ts';
import { compare, type BenchTest } from '../compare.ts';
import { UDP_ECHO_PORT, UDP_SINK_PORT, UDP_SOURCE_PORT } from '../load/ports.ts';
import type { FloodLoad } from '../load/udp.ts';
import { SMALL_MTU } from '../peers/peer.ts';
import type { Goal, Metric } from '../results.ts';
import type { Scenario } from '../scenario.ts';
import { tapContenders } from './contenders.ts';

const SMALL = 64; // bytes of a datagram
const LARGE = 1400;
const WINDOW = 32;
/** What is still under way when a flood ends. */
const SETTLE_MS = 200;
const RATE: Metric = { name: 'rate', unit: 'per second', better: 'higher' };
const LOST: Metric = { name: 'lost', unit: '% of requests', better: 'lower' };
const RECEIVED: Metric = { name: 'received', unit: 'datagrams/s', better: 'higher' };
const THROUGHPUT: Metric = { name: 'received', unit: 'Gbit/s', better: 'higher' };

const small = (...peers: readonly string[]): string[] => peers.map((peer) => `${peer}/${SMALL_MTU}`);
const PASTA = small('pasta', 'pasta-current');

function windowTest(seconds: number): BenchTest<Bed> {
  const load = { server: SERVER, port: UDP_ECHO_PORT, seconds, size: SMALL, window: WINDOW };
  return {
    name: `${SMALL} B, ${WINDOW} outstanding`,
    metrics: [RATE, LOST],
    async measure({ agent }) {
      const { perSecond, lostShare } = await agent.run('udpWindow', load);
      return { [RATE.name]: perSecond, [LOST.name]: 100 * lostShare };
    },
  };
}

/** Payload per second at the server, bytes. */
async function floodOut({ agent, server }: Bed, load: Omit<FloodLoad, 'server' | 'port'>): Promise<number> {
  const before = await server.counters();
  const { seconds } = await agent.run('udpFlood', { server: SERVER, port: UDP_SINK_PORT, ...load });
  await delay(SETTLE_MS);
  const after = await server.counters();
  return (after.udpBytes - before.udpBytes) / seconds;
}

/** Payload per second at the guest, bytes. */
async function floodIn({ agent }: Bed, load: Omit<FloodLoad, 'server' | 'port'>): Promise<number> {
  const { bytes, seconds } = await agent.run('udpDrain', { server: SERVER, port: UDP_SOURCE_PORT, ...load });
  return bytes / seconds;
}

type Flood = typeof floodOut;

function smallFlood(name: string, flood: Flood, seconds: number): BenchTest<Bed> {
  return {
    name,
    metrics: [RECEIVED],
    measure: async (bed) => ({
      [RECEIVED.name]: (await flood(bed, { seconds, size: SMALL, segmented: false })) / SMALL,
    }),
  };
}

function largeFlood(name: string, flood: Flood, seconds: number): BenchTest<Bed> {
  return {
    name,
    metrics: [THROUGHPUT],
    measure: async (bed) => ({
      [THROUGHPUT.name]: ((await flood(bed, { seconds, size: LARGE, segmented: true })) * 8) / 1e9,
    }),
  };
}

export const udpSmall: Scenario = {
  id: 5,
  name: 'udp-small',
  title: 'UDP in small datagrams',
  async run(options) {
    const window = windowTest(options.seconds);
    const out = smallFlood('flood guest → host', floodOut, options.seconds);
    const back = smallFlood('flood host → guest', floodIn, options.seconds);
    const goal = { ours: small('vmlan'), sense: 'at least' } as const;
    const goals: Goal[] = [
      {
        ...goal,
        ...{ text: '≥ 0.8 × kernel', test: window.name, metric: RATE.name, against: small('kernel'), factor: 0.8 },
      },
      ...[out, back].map(({ name: test }): Goal => {
        return { ...goal, text: '≥ 1.2 × pasta', test, metric: RECEIVED.name, against: PASTA, factor: 1.2 };
      }),
    ];
    const comparison = await compare(tapContenders(options, [SMALL_MTU]), [window, out, back], options);
    const conditions = `Guests are namespaces behind a TAP (kernel: a veth), MTU ${SMALL_MTU}.`;
    return { id: 5, name: udpSmall.name, title: udpSmall.title, conditions, ...comparison, series: [], goals };
  },
};

export const udpBulk: Scenario = {
  id: 6,
  name: 'udp-bulk',
  title: 'UDP in large datagrams, with GSO and GRO',
  async run(options) {
    const tests = [
      largeFlood('guest → host', floodOut, options.seconds),
      largeFlood('host → guest', floodIn, options.seconds),
    ];
    const goals = tests.map(({ name: test }): Goal => {
      const against = { against: PASTA, factor: 1.5, sense: 'at least' } as const;
      return { text: '≥ 1.5 × pasta', test, metric: THROUGHPUT.name, ours: small('vmlan'), ...against };
    });
    const comparison = await compare(tapContenders(options, [SMALL_MTU]), tests, options);
    const conditions = `Datagrams of ${LARGE} bytes, 45 to a call of the sender; MTU ${SMALL_MTU}.`;
    return { id: 6, name: udpBulk.name, title: udpBulk.title, conditions, ...comparison, series: [], goals };
  },
};
