/**
 * The logs of the daemon and of its networks as entries: read from the files of the state directory, the old ones first,
 * and followed as they grow.
 *
 * Zone: control.  So they are there when the daemon is not.  A line is JSON of the daemon, or `TIME LEVEL MESSAGE` of a
 * network; what the runtime itself writes belongs to the line before.
 */
import { closeSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { VmlanError } from '../client/errors.ts';

export const LEVELS: readonly ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
];
export type Level = (typeof LEVELS)[number];

export interface LogEntry {
  readonly timeMs: number;
  /** `daemon`, or the name of a network. */
  readonly source: string;
  readonly level: Level;
  readonly message: string;
}

export interface LogFile {
  readonly source: string;
  readonly path: string;
}

export const DAEMON = 'daemon';
const OLD_LOGS = 2;
const MAX_READ_BYTES = 1_048_576;
const PINO_LEVEL = 10;
const NETWORK_LINE = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) (trace|debug|info|warn|error|fatal) (.*)$/;
/** Of the daemon's fields, those that say nothing more to who reads. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'msg', 'err']);

/** The logs there are; `network` and `daemon` narrow them. */
export function logFiles(
  state: string,
  wanted: { readonly network?: string; readonly daemon: boolean },
): readonly LogFile[] {
  const own = { source: DAEMON, path: join(state, 'daemon.log') };
  if (wanted.daemon) return [own];
  const networks = namesIn(join(state, 'networks')).map((name) => ({
    source: name,
    path: join(state, 'networks', name, 'network.log'),
  }));
  if (wanted.network === undefined) return [own, ...networks];
  const found = networks.filter(({ source }) => source === wanted.network);
  if (found.length > 0) return found;
  throw new VmlanError('not-found', `network "${wanted.network}" has no log: it never ran`, {
    hint:
      networks.length === 0
        ? 'vmlan network list shows the networks'
        : `logs are of: ${networks.map(({ source }) => source).join(', ')}`,
  });
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).toSorted((a, b) => (a < b ? -1 : 1));
  } catch {
    return [];
  }
}

/** Everything that the files have, in order of time. */
export function readLogs(files: readonly LogFile[]): readonly LogEntry[] {
  const entries = files.flatMap(({ source, path }) => {
    const names = Array.from({ length: OLD_LOGS + 1 }, (_, i) => (i === OLD_LOGS ? path : `${path}.${OLD_LOGS - i}`));
    return parseLog(source, names.map(textOf).join(''), 0);
  });
  return entries.toSorted((a, b) => a.timeMs - b.timeMs);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return '';
    throw new VmlanError(code === 'EACCES' ? 'not-permitted' : 'unavailable', `${path} cannot be read: ${message}`, {
      hint: 'the logs belong to who runs the daemon; ask them, or be root',
      cause,
    });
  }
}

/** `sinceMs`: the time of lines that have none and come first. */
export function parseLog(source: string, text: string, sinceMs: number): LogEntry[] {
  const entries: LogEntry[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const parsed = parseLine(source, line);
    const last = entries.at(-1);
    entries.push(parsed ?? { timeMs: last?.timeMs ?? sinceMs, source, level: last?.level ?? 'info', message: line });
  }
  return entries;
}

function parseLine(source: string, line: string): LogEntry | null {
  const [, time, level, message] = NETWORK_LINE.exec(line) ?? [];
  if (time !== undefined) return { timeMs: Date.parse(time), source, level: level as Level, message: message ?? '' };
  if (!line.startsWith('{')) return null;
  try {
    const { time: at, level: number, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const timeMs = Date.parse(String(at));
    if (Number.isNaN(timeMs)) return null;
    return {
      timeMs,
      source,
      level: LEVELS[Number(number) / PINO_LEVEL - 1] ?? 'info',
      message: worded(String(msg), fields),
    };
  } catch {
    return null;
  }
}

function worded(message: string, fields: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(fields).filter(([name, value]) => !KNOWN_FIELDS.has(name) && value !== null);
  const { err } = fields as { err?: { message?: string } };
  return [
    message,
    ...(err?.message === undefined ? [] : [`(${err.message})`]),
    ...shown.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`),
  ].join(' ');
}

/** What comes to the files from now on, one call after the other; a file that was emptied is read from its start. */
export class LogFollower {
  readonly #ends = new Map<string, number>();
  readonly #files: readonly LogFile[];
  readonly #halves = new Map<string, string>();

  constructor(files: readonly LogFile[]) {
    this.#files = files;
    for (const { path } of files) this.#ends.set(path, sizeOf(path));
  }

  take(nowMs: number): readonly LogEntry[] {
    const entries = this.#files.flatMap(({ source, path }) => parseLog(source, this.#grown(path), nowMs));
    return entries.toSorted((a, b) => a.timeMs - b.timeMs);
  }

  /** Whole lines; half of one is kept for the next time. */
  #grown(path: string): string {
    const size = sizeOf(path);
    const start = size < this.#ends.get(path)! ? 0 : this.#ends.get(path)!;
    const text = (this.#halves.get(path) ?? '') + readPart(path, start, Math.min(size - start, MAX_READ_BYTES));
    this.#ends.set(path, Math.min(size, start + MAX_READ_BYTES));
    const end = text.lastIndexOf('\n') + 1;
    this.#halves.set(path, text.slice(end));
    return text.slice(0, end);
  }
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

function readPart(path: string, start: number, length: number): string {
  if (length <= 0) return '';
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(fd, buffer, 0, length, start)).toString('utf8');
  } finally {
    closeSync(fd);
  }
}
