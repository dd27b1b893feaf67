/**
 * `vmlan logs`: what the daemon and its networks wrote, also when none of them runs any more.
 *
 * Zone: control.  With --follow each entry is a document of its own.
 */
import { Option } from 'commander';
import { VmlanError } from '../../client/errors.ts';
import type { LogEntry, LogsQuery } from '../../model/api.ts';
import { parseDuration } from '../../model/duration.ts';
import { LOG_LEVELS, MAX_LOG_LINES } from '../../model/log-words.ts';
import type { LogLevel } from '../../model/log-words.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { logEntries } from '../log-entries.ts';
import { printable } from '../output/width.ts';

const DEFAULT_LINES = '100';
const SOURCE_WIDTH = 10;
const LEVEL_WIDTH = 5;

interface LogsOptions {
  readonly daemon?: boolean;
  readonly follow?: boolean;
  readonly lines: string;
  readonly since?: string;
  readonly level?: LogLevel;
}

export const define: DefineCommand = (command, context) => {
  command
    .argument('[network]', 'of this network alone; all, and the daemon, without it')
    .option('--daemon', 'of the daemon alone')
    .option('-f, --follow', 'go on with what comes')
    .option('-n, --lines <count>', 'at most so many of the newest lines, or `all`', DEFAULT_LINES)
    .option('--since <when>', 'not older than this: 10m, 2h, 1d, or a time such as 2026-01-31T12:00')
    .addOption(new Option('--level <level>', 'of this weight, and heavier').choices(LOG_LEVELS))
    .action((network: string | undefined, options: LogsOptions) => showLogs(context, network, options));
  addExamples(command, [
    ['the newest lines of everything', 'vmlan logs'],
    ['what a network has to say, as it comes', 'vmlan logs lab -f'],
    ['why the daemon did not start', 'vmlan logs --daemon -n 20'],
    ['warnings of the last hour', 'vmlan logs --since 1h --level warn'],
  ]);
};

async function showLogs(context: Context, network: string | undefined, options: LogsOptions): Promise<void> {
  const { follow = false } = options;
  const entries = logEntries(context, queryOf(network, options));
  if (follow) {
    for await (const entry of entries) await add(context, entry);
    return;
  }
  const known: LogEntry[] = [];
  for await (const entry of entries) known.push(entry);
  await context.output.show(known, {
    table: () => known.map(lineOf).join(''),
    ids: () => known.map(({ message }) => message),
  });
}

function queryOf(network: string | undefined, { daemon, follow, lines, since, level }: LogsOptions): LogsQuery {
  if (daemon === true && network !== undefined) {
    throw new VmlanError('usage', 'a network and --daemon exclude each other', {
      hint: `vmlan logs ${network}, or vmlan logs --daemon`,
    });
  }
  return {
    network,
    daemon: daemon === true ? 'true' : undefined,
    lines: String(lines === 'all' ? MAX_LOG_LINES : wantedLines(lines)),
    sinceMs: since === undefined ? undefined : String(momentOf(since)),
    level,
    follow: follow === true ? 'true' : undefined,
  };
}

function momentOf(text: string): number {
  const seconds = parseDuration(text);
  const ms = seconds === null ? Date.parse(text) : Date.now() - seconds * 1000;
  if (Number.isNaN(ms)) {
    throw new VmlanError('usage', `--since ${text}: neither a duration nor a time`, {
      hint: 'write 10m, 2h or 2026-01-31T12:00',
    });
  }
  return Math.max(0, ms);
}

function wantedLines(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text), MAX_LOG_LINES);
  throw new VmlanError('usage', `--lines ${text}: not a number`, { hint: 'write 50, or all' });
}

const add = (context: Context, entry: LogEntry): Promise<void> =>
  context.output.add(entry, { table: () => lineOf(entry), ids: () => [entry.message] });

const lineOf = ({ timeMs, source, level, message }: LogEntry): string =>
  `${new Date(timeMs).toISOString()} ${source.padEnd(SOURCE_WIDTH)} ${level.padEnd(LEVEL_WIDTH)} ${printable(message)}\n`;
