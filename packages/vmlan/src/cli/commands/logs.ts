/**
 * `vmlan logs`: what the daemon and its networks wrote, also when none of them runs any more.
 *
 * Zone: control.  With --follow each entry is a document of its own.
 */
import { homedir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Option } from 'commander';
import { VmlanError } from '../../client/errors.ts';
import { parseDuration } from '../../model/duration.ts';
import { resolvePaths } from '../../model/paths.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { LEVELS, LogFollower, logFiles, readLogs } from '../log-files.ts';
import type { Level, LogEntry } from '../log-files.ts';
import { printable } from '../output/width.ts';
import { statusIfRunning } from '../start-daemon.ts';

const POLL_INTERVAL_MS = 250;
const DEFAULT_LINES = '100';
const SOURCE_WIDTH = 10;
const LEVEL_WIDTH = 5;

interface LogsOptions {
  readonly daemon?: boolean;
  readonly follow?: boolean;
  readonly lines: string;
  readonly since?: string;
  readonly level?: Level;
}

export const define: DefineCommand = (command, context) => {
  command
    .argument('[network]', 'of this network alone; all, and the daemon, without it')
    .option('--daemon', 'of the daemon alone')
    .option('-f, --follow', 'go on with what comes')
    .option('-n, --lines <count>', 'at most so many of the newest lines, or `all`', DEFAULT_LINES)
    .option('--since <when>', 'not older than this: 10m, 2h, 1d, or a time such as 2026-01-31T12:00')
    .addOption(new Option('--level <level>', 'of this weight, and heavier').choices(LEVELS))
    .action((network: string | undefined, options: LogsOptions) => showLogs(context, network, options));
  addExamples(command, [
    ['the newest lines of everything', 'vmlan logs'],
    ['what a network has to say, as it comes', 'vmlan logs lab -f'],
    ['why the daemon did not start', 'vmlan logs --daemon -n 20'],
    ['warnings of the last hour', 'vmlan logs --since 1h --level warn'],
  ]);
};

async function showLogs(context: Context, network: string | undefined, options: LogsOptions): Promise<void> {
  const { daemon = false, follow = false } = options;
  if (daemon && network !== undefined) throw new VmlanError('usage', 'a network and --daemon exclude each other');
  const files = logFiles(await stateDirectory(context), { daemon, ...(network === undefined ? {} : { network }) });
  const isWanted = filterOf(options);
  const count = options.lines === 'all' ? Infinity : wantedLines(options.lines);
  const follower = new LogFollower(files);
  const known = readLogs(files).filter(isWanted);
  const entries = count === 0 ? [] : known.slice(-count);
  if (!follow) {
    return context.output.show(entries, {
      table: () => entries.map(lineOf).join(''),
      ids: () => entries.map(({ message }) => message),
    });
  }
  for (const entry of entries) await add(context, entry);
  for (;;) {
    for (const entry of follower.take(Date.now()).filter(isWanted)) await add(context, entry);
    await delay(POLL_INTERVAL_MS);
  }
}

/** The running daemon's, else where one would have it. */
async function stateDirectory(context: Context): Promise<string> {
  const { endpoint } = context.client;
  const status = await statusIfRunning(context).catch(() => null);
  if (status !== null) return status.paths.state;
  if (endpoint.kind !== 'unix') {
    throw new VmlanError('daemon-unreachable', 'the logs of a daemon elsewhere are read where it runs', {
      hint: 'vmlan logs on that machine',
    });
  }
  return resolvePaths(context.io.env, { uid: context.io.uid, home: context.io.env['HOME'] ?? homedir() }).state;
}

function filterOf({ since, level }: LogsOptions): (entry: LogEntry) => boolean {
  const sinceMs = since === undefined ? 0 : momentOf(since);
  const least = level === undefined ? 0 : LEVELS.indexOf(level);
  return (entry) => entry.timeMs >= sinceMs && LEVELS.indexOf(entry.level) >= least;
}

function momentOf(text: string): number {
  const seconds = parseDuration(text);
  const ms = seconds === null ? Date.parse(text) : Date.now() - seconds * 1000;
  if (Number.isNaN(ms)) {
    throw new VmlanError('usage', `--since ${text}: neither a duration nor a time`, {
      hint: 'write 10m, 2h or 2026-01-31T12:00',
    });
  }
  return ms;
}

function wantedLines(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new VmlanError('usage', `--lines ${text}: not a number`, { hint: 'write 50, or all' });
}

const add = (context: Context, entry: LogEntry): Promise<void> =>
  context.output.add(entry, { table: () => lineOf(entry), ids: () => [entry.message] });

const lineOf = ({ timeMs, source, level, message }: LogEntry): string =>
  `${new Date(timeMs).toISOString()} ${source.padEnd(SOURCE_WIDTH)} ${level.padEnd(LEVEL_WIDTH)} ${printable(message)}\n`;
