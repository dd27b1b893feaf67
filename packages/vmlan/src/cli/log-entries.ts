/**
 * Lines of logs from the daemon; from the files themselves, read by the daemon's program, when no daemon answers, and
 * from where it stopped when it ends in the middle.
 *
 * Zone: control.
 */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { VmlanError } from '../client/errors.ts';
import type { ErrorData } from '../client/errors.ts';
import { readJsonLines } from '../client/json-lines.ts';
import type { LogEntry, LogsQuery } from '../model/api.ts';
import { MAX_LOG_LINES } from '../model/log-words.ts';
import type { Context } from './context.ts';
import { daemonCommand } from './daemon-command.ts';
import { daemonEnvironment } from './start-daemon.ts';

/** A daemon that hangs is one whose log is wanted. */
const PATIENCE_MS = 10_000;

export async function* logEntries(context: Context, query: LogsQuery): AsyncGenerator<LogEntry, void, undefined> {
  const seen = new Seen();
  const startedMs = Date.now();
  let isAnswering = false;
  try {
    for await (const entry of context.client.logs(query, { timeoutMs: PATIENCE_MS })) {
      isAnswering = true;
      seen.add(entry);
      yield entry;
    }
    if (query.follow !== 'true') return;
    isAnswering = true;
    if (context.client.endpoint.kind !== 'unix') throw ended();
  } catch (error) {
    if (!isOwnToRead(context, error)) throw error;
  }
  if (isAnswering) context.output.note('the daemon has ended; its log is read where it lies');
  const sinceMs = String(seen.lastMs ?? (isAnswering ? startedMs : query.sinceMs) ?? 0);
  const rest = isAnswering ? { ...query, sinceMs, lines: String(MAX_LOG_LINES) } : query;
  for await (const entry of fromFiles(context, rest)) if (!seen.has(entry)) yield entry;
}

/** Which entries of the last moment were there already. */
class Seen {
  lastMs: number | null = null;
  readonly #texts = new Set<string>();

  add(entry: LogEntry): void {
    if (entry.timeMs !== this.lastMs) this.#texts.clear();
    this.lastMs = entry.timeMs;
    this.#texts.add(JSON.stringify(entry));
  }

  has(entry: LogEntry): boolean {
    return entry.timeMs === this.lastMs && this.#texts.has(JSON.stringify(entry));
  }
}

const ended = (): VmlanError =>
  new VmlanError('daemon-unreachable', 'the daemon has ended', { hint: 'its log is read where it ran: vmlan logs' });

/** Nobody answers at a socket of ours: the files are ours, too. */
function isOwnToRead({ client: { endpoint }, io }: Context, error: unknown): boolean {
  if (!(error instanceof VmlanError) || !['daemon-unreachable', 'timeout'].includes(error.code)) return false;
  if (endpoint.kind !== 'unix') return false;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return false;
  const owner = statSync(endpoint.path, { throwIfNoEntry: false })?.uid ?? io.uid;
  return io.uid === 0 || owner === io.uid;
}

async function* fromFiles(context: Context, query: LogsQuery): AsyncGenerator<LogEntry, void, undefined> {
  const [program = '', ...args] = daemonCommand();
  // Its stdin is a pipe that nobody writes: it ends with us.
  const child = spawn(program, [...args, '--logs', JSON.stringify(query)], {
    env: daemonEnvironment(context),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const failed = new Promise<never>((_resolve, reject) => child.once('error', reject));
  failed.catch(() => undefined);
  try {
    await Promise.race([new Promise((resolve) => child.once('spawn', resolve)), failed]);
    for await (const line of readJsonLines<LogEntry | { readonly error: ErrorData }>(child.stdout)) {
      if ('error' in line) throw new VmlanError(line.error.code, line.error.message, { hint: line.error.hint });
      yield line;
    }
  } finally {
    child.stdin.destroy();
  }
}
