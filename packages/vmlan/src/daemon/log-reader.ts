/**
 * The logs that one reader wants: the newest lines of all of them in order of time, then what comes.
 *
 * Zone: control.  Reads in pieces and lets others go on in between; of each log as much from its end as is needed.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LOG_LEVELS } from '../model/log-words.ts';
import { LogParser } from '../model/log-lines.ts';
import type { LogEntry, LogsQuery } from '../model/logs.ts';
import { LogCursor, writtenMs } from './log-cursor.ts';
import type { LogFile } from './log-cursor.ts';

const DEFAULT_LINES = 100;
/** Of an answer; when there is more the oldest lines give way. */
export const MAX_ANSWER_CHARS = 16_777_216;
/** JSON around a message. */
const ENTRY_CHARS = 80;
const FIRST_LOOK_BYTES = 65_536;
const LOOK_GROWTH = 4;
/** Of one log, in one turn of a follower. */
const MAX_READS_OF_A_TURN = 4;

interface Open {
  readonly cursor: LogCursor;
  readonly parser: LogParser;
}

export class LogReader {
  readonly #list: () => readonly LogFile[];
  readonly #count: number;
  readonly #sinceMs: number;
  readonly #isHeavy: (entry: LogEntry) => boolean;
  readonly #open = new Map<string, Open>();

  /** `list`: the logs there are, now. */
  constructor(list: () => readonly LogFile[], { lines, sinceMs, level }: LogsQuery) {
    this.#list = list;
    this.#count = Number(lines ?? DEFAULT_LINES);
    this.#sinceMs = Number(sinceMs ?? 0);
    const least = level === undefined ? 0 : LOG_LEVELS.indexOf(level);
    this.#isHeavy = (entry) => LOG_LEVELS.indexOf(entry.level) >= least;
  }

  /** What is there, as many lines as are wanted; `next` goes on behind it. */
  async newest(signal?: AbortSignal): Promise<readonly LogEntry[]> {
    let all: LogEntry[] = [];
    for (const file of this.#list()) {
      const found = await this.#newestOf(file, signal);
      all = newestOf([...all, ...found].sort(byTime), this.#count);
    }
    return withinBounds(all);
  }

  /** What has come since; a log that is new from its start. */
  next(): readonly LogEntry[] {
    const found = this.#list().flatMap((file) => {
      const { cursor, parser } = this.#open.get(file.path) ?? this.#openAt(file, Infinity);
      const entries: LogEntry[] = [];
      for (let i = 0; i < MAX_READS_OF_A_TURN; i++) {
        const lines = cursor.read();
        if (lines === null) break;
        for (const line of lines) this.#add(entries, parser.parse(line));
      }
      return entries;
    });
    return found.sort(byTime);
  }

  onPutAside(path: string, lost: number): void {
    this.#open.get(path)?.cursor.onPutAside(lost);
  }

  #openAt(file: LogFile, back: number): Open {
    const cursor = new LogCursor(file, back);
    const firstMs = cursor.fromStart ? (writtenMs(file.path) ?? Date.now()) : back === 0 ? Date.now() : null;
    const open = { cursor, parser: new LogParser(file.source, firstMs) };
    this.#open.set(file.path, open);
    return open;
  }

  async #newestOf(file: LogFile, signal: AbortSignal | undefined): Promise<LogEntry[]> {
    for (let back = this.#count === 0 ? 0 : FIRST_LOOK_BYTES; ; back *= LOOK_GROWTH) {
      const { cursor, parser } = this.#openAt(file, back);
      const entries: LogEntry[] = [];
      let oldestMs = Infinity;
      for (let lines = back > 0 ? cursor.read() : null; lines !== null; lines = cursor.read()) {
        for (const line of lines) {
          const entry = parser.parse(line);
          oldestMs = Math.min(oldestMs, entry?.timeMs ?? Infinity);
          this.#add(entries, entry);
        }
        if (entries.length > 2 * this.#count) entries.splice(0, entries.length - this.#count);
        await nextTurn();
        signal?.throwIfAborted();
      }
      if (cursor.fromStart || entries.length >= this.#count || oldestMs < this.#sinceMs) return entries;
    }
  }

  #add(entries: LogEntry[], entry: LogEntry | null): void {
    if (entry !== null && entry.timeMs >= this.#sinceMs && this.#isHeavy(entry)) entries.push(entry);
  }
}

const byTime = (a: LogEntry, b: LogEntry): number => a.timeMs - b.timeMs;

const newestOf = (entries: LogEntry[], count: number): LogEntry[] =>
  entries.length <= count ? entries : entries.slice(entries.length - count);

function withinBounds(entries: readonly LogEntry[]): readonly LogEntry[] {
  let chars = 0;
  const first = entries.findLastIndex(({ message }) => (chars += message.length + ENTRY_CHARS) > MAX_ANSWER_CHARS);
  return entries.slice(first + 1);
}
