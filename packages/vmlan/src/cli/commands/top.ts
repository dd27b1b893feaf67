/**
 * `vmlan top`: which guests are busy, again and again.
 *
 * Zone: control.  vmlan counts; what happens in a second is the difference of two looks, so the first picture takes one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError, Option } from 'commander';
import type { GuestView } from '../../model/api.ts';
import { parseDuration } from '../../model/duration.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { drawLive, isLive } from '../live-screen.ts';
import { TOP_ORDERS, type TopOrder, type TopRow, sortTop, topHeading, topRows, topTable } from '../views/top.ts';

interface TopOptions {
  readonly network?: string;
  readonly sort: TopOrder;
  /** Seconds. */
  readonly delay: number;
  readonly count?: number;
  readonly once?: boolean;
}

const ORDER_BY_KEY: Readonly<Record<string, TopOrder>> = {
  t: 'traffic',
  p: 'packets',
  d: 'drops',
  f: 'flows',
  n: 'name',
};

export const define: DefineCommand = (command, context) => {
  command
    .option('--network <network>', 'only the guests of this network')
    .addOption(new Option('--sort <key>', 'what comes first').choices([...TOP_ORDERS]).default('traffic'))
    .option('-d, --delay <duration>', 'how long between two looks', parseDelay, 2)
    .option('-n, --count <count>', 'end after so many pictures', parseCount)
    .option('--once', 'one picture, and not on a screen of its own')
    .action((options: TopOptions) => top(context, options));
  addExamples(command, [
    ['watch; q ends it, t p d f n sort', 'vmlan top'],
    ['what goes on this second, for a script', 'vmlan top --once --delay 1s --output json'],
    ['who is dropped, ten times', 'vmlan top --sort drops --count 10'],
  ]);
};

/** Rows since the look before. */
class Looks {
  readonly #context: Context;
  readonly #network: string | undefined;
  #before: readonly GuestView[] = [];
  #beforeMs = 0;

  constructor(context: Context, network: string | undefined) {
    this.#context = context;
    this.#network = network;
  }

  async next(signal?: AbortSignal): Promise<readonly TopRow[]> {
    const guests = await this.#context.client.call('listGuests', { query: { network: this.#network } }, { signal });
    const nowMs = performance.now();
    const elapsedMs = this.#beforeMs === 0 ? 0 : nowMs - this.#beforeMs;
    const rows = topRows(guests, this.#before, elapsedMs);
    this.#before = guests;
    this.#beforeMs = nowMs;
    return rows;
  }
}

async function top(context: Context, options: TopOptions): Promise<void> {
  const { io, output } = context;
  const looks = new Looks(context, options.network);
  const everyMs = options.delay * 1000;
  if (isLive(io) && !output.structured && options.once !== true) return topLive(context, options, looks);
  await looks.next();
  const count = options.once === true ? 1 : (options.count ?? Infinity);
  for (let shown = 1; shown <= count; shown++) {
    await delay(everyMs);
    const rows = sortTop(await looks.next(), options.sort);
    const views = {
      table: (coloured: boolean) => `${shown === 1 ? '' : '\n'}${topTable(rows, coloured)}`,
      ids: () => rows.map(({ nic }) => nic),
    };
    if (options.once === true) await output.show(rows, views);
    else await output.add(rows, views);
  }
}

function topLive(context: Context, options: TopOptions, looks: Looks): Promise<void> {
  const { io, output } = context;
  let order = options.sort;
  let rows: readonly TopRow[] = [];
  let isStale = true;
  const everyMs = options.delay * 1000;
  return drawLive({
    io,
    everyMs,
    count: options.count ?? null,
    draw: async (signal) => {
      // Another order of what is shown needs no new look, which would be one of a very short time.
      if (isStale) rows = await looks.next(signal);
      isStale = true;
      const sorted = sortTop(rows, order);
      return topHeading(sorted, order) + topTable(sorted, output.coloured);
    },
    onKey: (key) => {
      const wanted = Object.hasOwn(ORDER_BY_KEY, key) ? ORDER_BY_KEY[key] : undefined;
      if (wanted === undefined) return false;
      order = wanted;
      isStale = false;
      return true;
    },
  });
}

function parseDelay(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== null && seconds > 0) return seconds;
  throw new InvalidArgumentError('It must be a duration: a number with s, m, h, d or w.');
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
