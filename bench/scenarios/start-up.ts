/**
 * Scenario 12: how long it takes until something works, on the whole product: the daemon and its network, one guest's
 * lease, a hundred guests at once.
 *
 * Zone: control.
 */
import { join } from 'node:path';
import { Client } from '../../packages/vmlan/src/client/client.ts';
import { Station } from '../../packages/vmlan/test/support/station.ts';
import { Vmlan } from '../../packages/vmlan/test/support/vmlan.ts';
import { openLab } from '../bed.ts';
import { missing } from '../commands.ts';
import { compareFresh, type BenchTest } from '../compare.ts';
import { summarize } from '../measure/statistics.ts';
import type { Goal, Metric } from '../results.ts';
import type { Scenario } from '../scenario.ts';

const CONFIG =
  'networks:\n  bench:\n    mode: user-v2\n    subnet: 10.144.0.0/16\n    subnet6: off\n    autostart: true\n';
const GUESTS = 100;
const SINGLE_GUESTS = 20;
const TIME: Metric = { name: 'time', unit: 'ms', better: 'lower' };

/** A vmlan that does not run yet. */
interface StartBed extends AsyncDisposable {
  readonly vmlan: Vmlan;
}

async function open(): Promise<StartBed> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await openLab('near'));
  const vmlan = stack.use(await Vmlan.create({ namespace: lab.host, config: CONFIG }));
  const owned = stack.move();
  return { vmlan, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

const macOf = (kind: number, index: number): string =>
  `52:54:00:${[kind, index >> 8, index & 0xff].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;

/** The socket of the network that `up` has started. */
async function socketOf({ vmlan }: StartBed): Promise<string> {
  const api = new Client({ kind: 'unix', path: join(vmlan.folder, 'run', 'vmlan.sock') });
  const { sockets } = await api.call('startNetwork', { params: { name: 'bench' } });
  if (sockets === null) throw new Error('the network has no socket');
  return sockets.qemu;
}

async function lease(socket: string, mac: string, stack: AsyncDisposableStack): Promise<void> {
  const station = stack.use(await Station.connect(socket, mac));
  await station.obtainLease();
}

const UP: BenchTest<StartBed> = {
  name: 'vmlan up',
  metrics: [TIME],
  async measure({ vmlan }) {
    const ms = await timed(() => vmlan.ok('up'));
    const { networks } = await vmlan.status();
    if (!networks.some(({ name, pid }) => name === 'bench' && pid !== null)) throw new Error('the network is not up');
    return { [TIME.name]: ms };
  },
};

const ONE: BenchTest<StartBed> = {
  name: 'from attaching to the lease',
  metrics: [TIME],
  async measure(bed) {
    const socket = await socketOf(bed);
    await using stack = new AsyncDisposableStack();
    const times: number[] = [];
    for (let i = 0; i < SINGLE_GUESTS; i++) times.push(await timed(() => lease(socket, macOf(1, i), stack)));
    return { [TIME.name]: summarize(times)?.median ?? NaN };
  },
};

const HUNDRED: BenchTest<StartBed> = {
  name: `${GUESTS} guests at once, until all have leases`,
  metrics: [TIME],
  async measure(bed) {
    const socket = await socketOf(bed);
    await using stack = new AsyncDisposableStack();
    const all = Array.from({ length: GUESTS }, (_, index) => macOf(2, index));
    return { [TIME.name]: await timed(() => Promise.all(all.map((mac) => lease(socket, mac, stack)))) };
  },
};

export const startUp: Scenario = {
  id: 12,
  name: 'start',
  title: 'Start and attachment',
  async run(options) {
    const contenders = [{ name: 'vmlan', missing: missing('ip'), open }];
    const goal = { metric: TIME.name, ours: ['vmlan'], sense: 'at most' } as const;
    const goals: Goal[] = [
      { ...goal, text: '≤ 400 ms', test: UP.name, factor: 400 },
      { ...goal, text: '≤ 5 ms', test: ONE.name, factor: 5 },
      { ...goal, text: '≤ 1 000 ms', test: HUNDRED.name, factor: 1000 },
    ];
    const conditions =
      'The whole product, anew in each round. `vmlan up`: from starting the command to its end, with one network that ' +
      'starts with it. Leases: from connecting to the socket to the ACK, the lease being on disk.';
    const { id, name, title } = startUp;
    return {
      id,
      name,
      title,
      conditions,
      ...(await compareFresh(contenders, [UP, ONE, HUNDRED], options)),
      series: [],
      goals,
    };
  },
};
