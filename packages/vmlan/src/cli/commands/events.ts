/**
 * `vmlan events`: what has happened, and with `--follow` what happens from now on.
 *
 * Zone: control.  The daemon remembers some (docs/limits.md); those of an earlier daemon went with it.
 */
import { InvalidArgumentError } from 'commander';
import { VmlanError } from '../../client/errors.ts';
import type { EventView } from '../../model/api.ts';
import { parseDuration } from '../../model/duration.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import type { Views } from '../output/output.ts';
import { eventLine } from '../views/events.ts';

interface EventsOptions {
  readonly follow?: boolean;
  /** Seconds. */
  readonly since?: number;
  readonly last?: number;
  readonly network?: string;
  readonly guest?: string;
}

export const define: DefineCommand = (command, context) => {
  command
    .option('-f, --follow', 'go on with what happens, until interrupted')
    .option('--since <duration>', 'not what is older, e.g. 90s, 15m, 12h, 1d', parseSince)
    .option('-n, --last <count>', 'the last ones alone; 0 with --follow: only what happens from now on', parseCount)
    .option('--network <network>', 'only those of this network')
    .option('--guest <guest>', 'only those of this guest')
    .action((options: EventsOptions) => showEvents(context, options));
  addExamples(command, [
    ['what the daemon remembers', 'vmlan events'],
    ['watch one guest', 'vmlan events --follow --guest web'],
    ['for a program: a JSON document a line', 'vmlan events --follow --last 0 --output json'],
  ]);
};

async function showEvents(context: Context, options: EventsOptions): Promise<void> {
  const { follow = false, since, last, network, guest } = options;
  const known: EventView[] = [];
  for await (const event of context.client.events({ network, guest, after: '0', follow: 'false' })) known.push(event);
  const recent = since === undefined ? known : known.filter(({ timeMs }) => timeMs >= Date.now() - since * 1000);
  const shown = last === undefined ? recent : recent.slice(Math.max(0, recent.length - last));
  if (!follow) return context.output.show(shown, viewsOf(shown));
  for (const event of shown) await context.output.add(event, viewsOf([event]));
  const after = String(known.at(-1)?.id ?? 0);
  for await (const event of context.client.events({ network, guest, after })) {
    await context.output.add(event, viewsOf([event]));
  }
  throw new VmlanError('daemon-unreachable', 'the daemon has ended', { hint: 'start it again with: vmlan up' });
}

const viewsOf = (events: readonly EventView[]): Views => ({
  table: (coloured) => events.map((event) => eventLine(event, coloured)).join(''),
  ids: () => events.map(({ id }) => String(id)),
});

function parseSince(text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== null) return seconds;
  throw new InvalidArgumentError('It must be a duration: a number with s, m, h, d or w.');
}

function parseCount(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number of events.');
}
