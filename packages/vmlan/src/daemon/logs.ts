/**
 * The logs of the daemon and of its networks, for whoever asks: kept within their bounds, and read where they lie.
 *
 * Zone: control.  Readers follow their log into the file where it was put aside, so nobody misses a line who reads one
 * before it falls out at the end; who does not read costs a place in a file.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LogSource } from '../api/handlers.ts';
import { Serial } from '../core/serial.ts';
import { VmlanError } from '../core/errors.ts';
import type { LogEntry, LogsQuery } from '../model/api.ts';
import type { LogFile } from './log-cursor.ts';
import { boundLogs, keepLogsBounded } from './log-bounds.ts';
import { logFiles } from './log-files.ts';
import { LogReader } from './log-reader.ts';

/** Readers at one time. */
export const MAX_LOG_READERS = 64;
const POLL_INTERVAL_MS = 250;

export interface LogsParts {
  readonly state: string;
  /** The networks there are, whether they ever ran or not. */
  readonly networks: () => readonly string[];
}

export class Logs implements LogSource {
  readonly #parts: LogsParts;
  readonly #readers = new Set<LogReader>();
  /** What is there is looked through for one reader at a time. */
  readonly #looks = new Serial();

  constructor(parts: LogsParts) {
    this.#parts = parts;
  }

  async open(query: LogsQuery, signal: AbortSignal): Promise<AsyncIterable<readonly LogEntry[]>> {
    if (this.#readers.size >= MAX_LOG_READERS) {
      throw new VmlanError('exhausted', `${MAX_LOG_READERS} readers have the logs open already`, {
        hint: 'end one of them, for example a "vmlan logs --follow" that nobody reads',
      });
    }
    const reader = new LogReader(this.#listOf(query), query);
    this.#readers.add(reader);
    try {
      const known = await this.#looks.run('', () => reader.newest(signal));
      signal.throwIfAborted();
      signal.addEventListener('abort', () => this.#readers.delete(reader), { once: true });
      return query.follow === 'true' ? following(reader, known, signal) : only(known);
    } catch (error) {
      this.#readers.delete(reader);
      throw error;
    }
  }

  /** Puts aside what is too long, now and from now on, until disposed. */
  keepBounded(): Disposable {
    return keepLogsBounded(this.#parts, (path, lost) => this.#onPutAside(path, lost));
  }

  /** As `keepBounded` does from time to time. */
  bound(): void {
    boundLogs(this.#parts, (path, lost) => this.#onPutAside(path, lost));
  }

  #onPutAside(path: string, lost: number): void {
    for (const reader of this.#readers) reader.onPutAside(path, lost);
  }

  #listOf({ network, daemon }: LogsQuery): () => readonly LogFile[] {
    const { state, networks } = this.#parts;
    if (daemon === 'true') return () => logFiles(state).slice(0, 1);
    if (network === undefined) return () => logFiles(state);
    const known = new Set([...networks(), ...ranOnce(state)]);
    if (!known.has(network)) throw noSuch(network, known);
    return () =>
      logFiles(state)
        .slice(1)
        .filter(({ source }) => source === network);
  }
}

type Batches = AsyncGenerator<readonly LogEntry[], void, undefined>;

// oxlint-disable-next-line require-await
async function* only(known: readonly LogEntry[]): Batches {
  yield known;
}

async function* following(reader: LogReader, known: readonly LogEntry[], signal: AbortSignal): Batches {
  yield known;
  while (!signal.aborted) {
    const entries = reader.next();
    if (entries.length > 0) yield entries;
    else await delay(POLL_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
}

const ranOnce = (state: string): readonly string[] =>
  logFiles(state)
    .slice(1)
    .map(({ source }) => source);

const noSuch = (network: string, known: ReadonlySet<string>): VmlanError =>
  new VmlanError('not-found', `network "${network}" has no log: it never ran`, {
    hint: known.size === 0 ? 'vmlan network list shows the networks' : `logs are of: ${[...known].sort().join(', ')}`,
  });
