/**
 * `vmlan flows`: the conversations of guests with the world beyond their network, and through forwards.
 *
 * Zone: control.  How fast a conversation is takes two looks; vmlan itself counts bytes alone.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError, Option } from 'commander';
import { FLOW_ORDERS, FLOW_PROTOCOLS, MAX_FLOW_LIMIT } from '../../model/flow-words.ts';
import type { FlowOrder, FlowProtocol, FlowView } from '../../model/api.ts';
import { parseDuration } from '../../model/duration.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { drawLive, isLive } from '../live-screen.ts';
import type { Views } from '../output/output.ts';
import { type FlowRow, flowTable, withRates } from '../views/flows.ts';

interface FlowsOptions {
  readonly network?: string;
  readonly guest?: string;
  readonly protocol?: FlowProtocol;
  readonly sort: FlowOrder | 'rate';
  readonly limit: number;
  readonly watch?: boolean;
  /** Seconds. */
  readonly delay: number;
}

const DEFAULT_LIMIT = 1000;

export const define: DefineCommand = (command, context) => {
  command
    .option('--network <network>', 'only those of this network')
    .option('--guest <guest>', 'only those of this guest')
    .addOption(new Option('--protocol <protocol>', 'only these').choices([...FLOW_PROTOCOLS]))
    .addOption(new Option('--sort <key>', 'what comes first').choices([...FLOW_ORDERS, 'rate']).default('bytes'))
    .option('-n, --limit <count>', 'at most so many', parseLimit, DEFAULT_LIMIT)
    .option('-w, --watch', 'show them again and again, with how fast they are; q ends it')
    .option('-d, --delay <duration>', 'how long between two looks', parseDelay, 2)
    .action((options: FlowsOptions) => (options.watch === true ? watch(context, options) : showOnce(context, options)));
  addExamples(command, [
    ['what goes on', 'vmlan flows'],
    ['watch the fastest conversations of a guest', 'vmlan flows --guest web --sort rate --watch'],
    ['for a script: what has been silent for longest', 'vmlan flows --sort age --limit 10 --output json'],
  ]);
};

/** The flows as they are now, with rates since the last look. */
class Looks {
  readonly #context: Context;
  readonly #options: FlowsOptions;
  #before: readonly FlowView[] | null = null;
  #beforeMs = 0;

  constructor(context: Context, options: FlowsOptions) {
    this.#context = context;
    this.#options = options;
  }

  async next(signal?: AbortSignal): Promise<readonly FlowRow[]> {
    const { network, guest, protocol, sort, limit } = this.#options;
    // By rate: the fastest may be anywhere in the daemon's orders.
    const asked = sort === 'rate' ? MAX_FLOW_LIMIT : limit;
    const order = sort === 'rate' ? 'bytes' : sort;
    const query = { network, guest, protocol, sort: order, limit: String(asked) };
    const flows = await this.#context.client.call('listFlows', { query }, { signal });
    const nowMs = performance.now();
    const rows = withRates(flows, this.#before, nowMs - this.#beforeMs);
    this.#before = flows;
    this.#beforeMs = nowMs;
    return (sort === 'rate' ? rows.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0)) : rows).slice(0, limit);
  }
}

async function showOnce(context: Context, options: FlowsOptions): Promise<void> {
  const looks = new Looks(context, options);
  const hasRates = options.sort === 'rate';
  if (hasRates) {
    await looks.next();
    await delay(options.delay * 1000);
  }
  const rows = await looks.next();
  await context.output.show(hasRates ? rows : rows.map(withoutRate), viewsOf(rows, hasRates));
}

async function watch(context: Context, options: FlowsOptions): Promise<void> {
  const looks = new Looks(context, options);
  const { io, output } = context;
  const everyMs = options.delay * 1000;
  if (isLive(io) && !output.structured) {
    const draw = async (signal: AbortSignal): Promise<string> =>
      viewsOf(await looks.next(signal), true).table(output.coloured);
    return drawLive({ io, everyMs, count: null, draw });
  }
  for (;;) {
    const rows = await looks.next();
    await output.add(rows, viewsOf(rows, true));
    await delay(everyMs);
  }
}

const withoutRate = ({ rate: _rate, ...flow }: FlowRow): FlowView => flow;

const viewsOf = (rows: readonly FlowRow[], hasRates: boolean): Views => ({
  table: (coloured) => flowTable(rows, coloured, hasRates),
  ids: () =>
    rows.map(
      ({ protocol, guestAddress, guestPort, remoteAddress, remotePort }) =>
        `${protocol} ${guestAddress} ${guestPort} ${remoteAddress} ${remotePort}`,
    ),
});

function parseLimit(text: string): number {
  const value = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : NaN;
  if (value <= MAX_FLOW_LIMIT) return value;
  throw new InvalidArgumentError(`It must be a whole number of 1 to ${MAX_FLOW_LIMIT}.`);
}

function parseDelay(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== null && seconds > 0) return seconds;
  throw new InvalidArgumentError('It must be a duration: a number with s, m, h, d or w.');
}
