/**
 * The logs without a daemon, which is when they are wanted most: the command line starts the daemon's program for them.
 *
 * Zone: control.  Writes to stdout what the API would answer, a line each, or the error instead.  Ends when its stdin
 * does: whoever started it has gone.
 */
import { once } from 'node:events';
import { logText } from '../api/log-stream.ts';
import { ERROR_CODES, toErrorData } from '../core/errors.ts';
import { logsQuerySchema } from '../model/api.ts';
import { Logs } from './logs.ts';

/** `query`: a LogsQuery as JSON. The exit code. */
export async function writeLogs(query: string, state: string): Promise<number> {
  const gone = new AbortController();
  for (const event of ['end', 'close', 'error']) process.stdin.once(event, () => gone.abort());
  process.stdout.once('error', () => gone.abort());
  process.stdin.resume();
  try {
    const logs = new Logs({ state, networks: () => [] });
    for await (const entries of await logs.open(logsQuerySchema.parse(JSON.parse(query)), gone.signal)) {
      if (!process.stdout.write(logText(entries))) await once(process.stdout, 'drain', { signal: gone.signal });
    }
    return 0;
  } catch (error) {
    if (gone.signal.aborted) return 0;
    const data = toErrorData(error);
    process.stdout.write(`${JSON.stringify({ error: data })}\n`);
    return ERROR_CODES[data.code].exitCode;
  } finally {
    process.stdin.destroy();
  }
}
