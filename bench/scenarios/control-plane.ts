/**
 * Scenario 16: the control plane with 1 000 guests that are there and 10 000 forwards that are open: how long lists and
 * changes take, at the API's socket and by command, and how large the daemon is.
 *
 * Zone: control.
 */
import { Crowd, crowdMissing, type CrowdSize } from '../../packages/vmlan/test/support/crowd.ts';
import { openLab } from '../bed.ts';
import { missing } from '../commands.ts';
import { compareFresh, type BenchTest } from '../compare.ts';
import { residentBytes } from '../measure/process-usage.ts';
import { summarize } from '../measure/statistics.ts';
import type { Goal, Metric } from '../results.ts';
import type { Scenario } from '../scenario.ts';

const TIME: Metric = { name: 'time', unit: 'ms', better: 'lower' };
const RESIDENT: Metric = { name: 'resident', unit: 'MB', better: 'lower' };
const MB = 1e6;
/** Of each request, in a round; the median of them counts. */
const REPEATS = 9;
const COMMANDS = 5;
const FULL: CrowdSize = { guests: 1000, forwards: 10_000 };
const QUICK: CrowdSize = { guests: 100, forwards: 1000 };
const POLL_GUARD_MS = 60_000;

type Bed = Crowd;

async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

async function medianOf(repeats: number, action: (i: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) times.push(await timed(() => action(i)));
  return summarize(times)?.median ?? NaN;
}

const test = (name: string, repeats: number, action: (bed: Bed, i: number) => Promise<unknown>): BenchTest<Bed> => ({
  name,
  metrics: [TIME],
  measure: async (bed) => ({ [TIME.name]: await medianOf(repeats, (i) => action(bed, i)) }),
});

/** Beyond the ports of the crowd. */
const SPARE_PORT = 40_000;

const LISTS: readonly BenchTest<Bed>[] = [
  test('GET /v1/guests', REPEATS, ({ api }) => api.call('listGuests', {})),
  test('GET /v1/forwards', REPEATS, ({ api }) => api.call('listForwards', {})),
  test('GET /v1/networks', REPEATS, ({ api }) => api.call('listNetworks')),
  test('GET …/leases', REPEATS, ({ api }) => api.call('listLeases', { params: { name: 'lab' } })),
  test('GET /v1/records', REPEATS, ({ api }) => api.call('listRecords', {})),
  test('GET /v1/status', REPEATS, ({ api }) => api.call('status')),
];

const CHANGES: readonly BenchTest<Bed>[] = [
  test('one forward more, and away', REPEATS, async ({ api }, i) => {
    const { id } = await api.call('createForward', {
      body: { network: 'lab', host: String(SPARE_PORT + i), guest: 'g1:81' },
    });
    await api.call('deleteForward', { params: { id } });
  }),
  test('one guest more, and away', REPEATS, async ({ api }, i) => {
    const name = `late${i}`;
    await api.call('createGuest', { body: { name, network: 'lab' } });
    await api.call('deleteGuest', { params: { name } });
  }),
];

const HELP = test('vmlan --help', COMMANDS, ({ vmlan }) => vmlan.ok('--help'));
const LIST = test('vmlan list', COMMANDS, ({ vmlan }) => vmlan.ok('list'));

/** From the death of the network process until the list shows every forward as it shall be. */
const BACK: BenchTest<Bed> = {
  name: 'network process killed, until all is back',
  metrics: [TIME],
  async measure({ api }) {
    const { pid } = await api.call('getNetwork', { params: { name: 'lab' } });
    process.kill(pid!, 'SIGKILL');
    const time = await timed(async () => {
      const deadline = performance.now() + POLL_GUARD_MS;
      for (let isBack = false; !isBack;) {
        if (performance.now() > deadline) throw new Error('the network does not come back');
        const network = await api.call('getNetwork', { params: { name: 'lab' } });
        const forwards = network.pid === null || network.pid === pid ? [] : await api.call('listForwards', {});
        isBack = forwards.length > 0 && forwards.every(({ state }) => state !== 'stopped');
      }
    });
    return { [TIME.name]: time };
  },
};

const MEMORY: BenchTest<Bed> = {
  name: 'the daemon, after all that',
  metrics: [RESIDENT],
  async measure({ api }) {
    return { [RESIDENT.name]: residentBytes((await api.call('status')).pid) / MB };
  },
};

async function open(size: CrowdSize): Promise<Bed & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await openLab('near'));
  const crowd = await Crowd.open(lab.host, size, stack);
  await crowd.vmlan.ok('up');
  await crowd.boot();
  return crowd;
}

export const controlPlane: Scenario = {
  id: 16,
  name: 'control-plane',
  title: 'The control plane, with many guests and forwards',
  async run(options) {
    const size = options.quick ? QUICK : FULL;
    const contenders = [{ name: 'vmlan', missing: missing('ip') ?? crowdMissing(size), open: () => open(size) }];
    // In this order: memory as it is after all else, but before the network is killed.
    const tests = [...LISTS, ...CHANGES, HELP, LIST, MEMORY, BACK];
    const goal = { ours: ['vmlan'], sense: 'at most' } as const;
    const within = ({ name: of }: BenchTest<Bed>, factor: number): Goal => ({
      ...goal,
      text: `≤ ${factor} ms`,
      test: of,
      metric: TIME.name,
      factor,
    });
    const goals: Goal[] = [
      ...LISTS.map((list) => within(list, 200)),
      within(HELP, 150),
      within(LIST, 250),
      within(BACK, 2000),
      { ...goal, text: '≤ 200 MB', test: MEMORY.name, metric: RESIDENT.name, factor: 200 },
    ];
    const conditions =
      `${size.guests} guests on their own stream sockets, each with its lease, and ${size.forwards} forwards to them, all ` +
      `open. Lists and changes at the API's socket, from the request to the parsed answer: the median of ${REPEATS}; ` +
      `commands from starting them to their end: the median of ${COMMANDS}.`;
    const { id, name, title } = controlPlane;
    return { id, name, title, conditions, ...(await compareFresh(contenders, tests, options)), series: [], goals };
  },
};
