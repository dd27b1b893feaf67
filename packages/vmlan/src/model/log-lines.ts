/**
 * The lines of a log file as entries: JSON of the daemon, or `TIME LEVEL MESSAGE` of a network; what the runtime itself
 * writes has neither, and belongs to the line before.
 *
 * Zone: control.
 */
import type { LogEntry } from './logs.ts';
import { LOG_LEVELS } from './log-words.ts';
import type { LogLevel } from './log-words.ts';

/** What is longer is cut. */
const MAX_MESSAGE_CHARS = 16_384;
const PINO_LEVEL = 10;
const NETWORK_LINE = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) (trace|debug|info|warn|error|fatal) (.*)$/;
/** Of the daemon's fields, those that say nothing more to who reads. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'msg', 'err']);

type Dated = Omit<LogEntry, 'source'>;

/** Of one source, line after line. */
export class LogParser {
  readonly #source: string;
  #last: Pick<LogEntry, 'timeMs' | 'level'> | null;

  /** `firstMs`: the time of a line that has none and comes first; null: it is no entry, for what it belongs to is missing. */
  constructor(source: string, firstMs: number | null) {
    this.#source = source;
    this.#last = firstMs === null ? null : { timeMs: firstMs, level: 'info' };
  }

  parse(line: string): LogEntry | null {
    if (line === '') return null;
    const dated = parseNetworkLine(line) ?? parseDaemonLine(line) ?? this.#continued(line);
    if (dated === null) return null;
    this.#last = dated;
    return { ...dated, source: this.#source, message: cut(dated.message) };
  }

  #continued(message: string): Dated | null {
    return this.#last === null ? null : { timeMs: this.#last.timeMs, level: this.#last.level, message };
  }
}

const cut = (message: string): string =>
  message.length > MAX_MESSAGE_CHARS ? `${message.slice(0, MAX_MESSAGE_CHARS)}…` : message;

function parseNetworkLine(line: string): Dated | null {
  const [, time, level, message] = NETWORK_LINE.exec(line) ?? [];
  if (time === undefined) return null;
  const timeMs = Date.parse(time);
  return Number.isNaN(timeMs) ? null : { timeMs, level: level as LogLevel, message: message ?? '' };
}

function parseDaemonLine(line: string): Dated | null {
  if (!line.startsWith('{')) return null;
  try {
    const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const timeMs = Date.parse(String(time));
    if (Number.isNaN(timeMs)) return null;
    return {
      timeMs,
      level: LOG_LEVELS[Number(level) / PINO_LEVEL - 1] ?? 'info',
      message: worded(String(msg), fields),
    };
  } catch {
    return null;
  }
}

function worded(message: string, fields: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(fields).filter(([name, value]) => !KNOWN_FIELDS.has(name) && value !== null);
  const { err } = fields as { err?: { message?: string } | null };
  return [
    message,
    ...(err?.message === undefined ? [] : [`(${err.message})`]),
    ...shown.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`),
  ].join(' ');
}
