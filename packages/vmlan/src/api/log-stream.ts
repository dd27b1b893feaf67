/**
 * Lines of logs over one HTTP response, each as JSON on a line of its own.
 *
 * Zone: control.  Nothing is read for a reader before it has taken what was read: what it has not seen yet stays in the
 * files.  One that takes nothing at all is cut off with its connection (connections.ts).
 */
import type { ServerResponse } from 'node:http';
import { Readable, pipeline } from 'node:stream';
import type { LogEntry, LogsQuery } from '../model/api.ts';
import type { LogSource } from './handlers.ts';
import { endWithReader } from './stream-reader.ts';

const CONTENT_TYPE = 'application/x-ndjson';
/** Texts that wait between the files and the response. */
const MAX_WAITING_TEXTS = 1;

export const logText = (entries: readonly LogEntry[]): string =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

/** Throws what `source.open` throws, and then nothing has been written yet; not for a reader that has gone meanwhile. */
export async function streamLogs(response: ServerResponse, source: LogSource, query: LogsQuery): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const entries = await source.open(query, gone.signal);
    if (gone.signal.aborted) return;
    response.writeHead(200, { 'content-type': CONTENT_TYPE, 'cache-control': 'no-store' });
    response.flushHeaders(); // the first line may be long in coming
    if (query.follow === 'true') endWithReader(response);
    const texts = Readable.from(textsOf(entries), { highWaterMark: MAX_WAITING_TEXTS });
    pipeline(texts, response, () => undefined); // either end that fails takes the other along
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
}

async function* textsOf(batches: AsyncIterable<readonly LogEntry[]>): AsyncGenerator<string, void, undefined> {
  for await (const entries of batches) if (entries.length > 0) yield logText(entries);
}
