/**
 * Scenarios 3 and 4: small TCP exchanges on one connection, and connections that last for one exchange.
 *
 * Zone: control.
 */
import { type Bed, SERVER } from '../bed.ts';
import { compare, type BenchTest } from '../compare.ts';
import { ECHO_PORTS } from '../load/ports.ts';
import type { ExchangeLoad, ExchangeRate } from '../load/tcp-exchanges.ts';
import { SMALL_MTU } from '../peers/peer.ts';
import type { Goal, Metric } from '../results.ts';
import type { Scenario } from '../scenario.ts';
import { tapContenders, transfersOf } from './contenders.ts';

const SIZE = 64; // bytes
const PARALLEL = 64;
const P50: Metric = { name: 'p50', unit: 'µs', better: 'lower' };
const P99: Metric = { name: 'p99', unit: 'µs', better: 'lower' };
const RATE: Metric = { name: 'rate', unit: 'per second', better: 'higher' };
const CONDITIONS = `Guests are namespaces behind a TAP (kernel: a veth), MTU ${SMALL_MTU}; ${SIZE} bytes each way.`;

const valuesOf = ({ p50Us, p99Us, perSecond }: ExchangeRate): Record<string, number> => ({
  [P50.name]: p50Us,
  [P99.name]: p99Us,
  [RATE.name]: perSecond,
});

const small = (...peers: readonly string[]): string[] => peers.map((peer) => `${peer}/${SMALL_MTU}`);

type Measure = (bed: Bed, load: ExchangeLoad) => Promise<ExchangeRate>;

function exchangeTest(name: string, metrics: readonly Metric[], seconds: number, measure: Measure): BenchTest<Bed> {
  const load = { server: SERVER, ports: ECHO_PORTS, seconds, size: SIZE };
  return { name, metrics, measure: async (bed) => valuesOf(await measure(bed, load)) };
}

export const tcpRequestResponse: Scenario = {
  id: 3,
  name: 'tcp-rr',
  title: 'TCP request and response',
  async run(options) {
    const test = exchangeTest('one connection', [P50, P99, RATE], options.seconds, ({ agent }, load) =>
      agent.run('requestResponse', load),
    );
    const goal = { test: test.name, ours: small('vmlan'), sense: 'at most' } as const;
    const goals: Goal[] = [
      { ...goal, text: 'p50 ≤ 1.0 × pasta', metric: P50.name, against: small('pasta', 'pasta-current'), factor: 1 },
      { ...goal, text: 'p99 ≤ 1.2 × kernel', metric: P99.name, against: small('kernel'), factor: 1.2 },
    ];
    const comparison = await compare(tapContenders(options, [SMALL_MTU]), [test], options, transfersOf(options));
    const { id, name, title } = tcpRequestResponse;
    return { id, name, title, conditions: CONDITIONS, ...comparison, series: [], goals };
  },
};

export const tcpConnect: Scenario = {
  id: 4,
  name: 'tcp-crr',
  title: 'TCP connect, request, close',
  async run(options) {
    const metrics = [RATE, P50, P99];
    const tests = [
      exchangeTest('serial', metrics, options.seconds, ({ agent }, load) => agent.run('connectRequestClose', load)),
      exchangeTest(`${PARALLEL} in parallel`, metrics, options.seconds, ({ agent }, load) =>
        agent.run('crowd', { ...load, parallel: PARALLEL }),
      ),
    ];
    const goals = tests.flatMap(({ name: test }): Goal[] => {
      const goal = { test, metric: RATE.name, ours: small('vmlan'), sense: 'at least' } as const;
      return [
        { ...goal, text: '≥ 0.6 × kernel', against: small('kernel'), factor: 0.6 },
        { ...goal, text: '≥ 1.5 × pasta', against: small('pasta', 'pasta-current'), factor: 1.5 },
      ];
    });
    const comparison = await compare(tapContenders(options, [SMALL_MTU]), tests, options);
    const { id, name, title } = tcpConnect;
    const conditions = `${CONDITIONS} Each connection goes to the next of ${ECHO_PORTS.length} ports of the server.`;
    return { id, name, title, conditions, ...comparison, series: [], goals };
  },
};
