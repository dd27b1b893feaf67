/**
 * Server-sent events (WHATWG HTML §9.2) over one HTTP response.
 *
 * Zone: control.  A reader that does not keep up is cut off rather than buffered for: it comes back with Last-Event-ID.
 */
import type { ServerResponse } from 'node:http';
import type { EventView, EventsQuery } from '../model/api.ts';
import type { EventSource } from './handlers.ts';
import { endWithReader } from './stream-reader.ts';

const HEARTBEAT_MS = 15_000;
/** Bytes that may wait for a slow reader. */
export const MAX_WAITING_BYTES = 1_048_576;

/**
 * `lastId`: what a reader that comes back has seen last; it goes before what the query says.  Throws what
 * `source.subscribe` throws, and then nothing has been written yet.
 */
export function streamEvents(
  response: ServerResponse,
  source: EventSource,
  query: EventsQuery,
  lastId: number | null,
): void {
  const send = (event: EventView): void => {
    if (!isWanted(event, query)) return;
    response.write(`event: ${event.type}\nid: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`);
    if (response.writableLength > MAX_WAITING_BYTES) response.destroy();
  };
  const afterId = lastId ?? (query.after === undefined ? null : Number(query.after));
  const subscription = query.follow === 'false' ? null : source.subscribe(send);
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
  });
  response.write(': vmlan events\n\n');
  if (afterId !== null) source.after(afterId).forEach(send);
  if (subscription === null) return void response.end();
  const heartbeat = setInterval(() => response.write(':\n\n'), HEARTBEAT_MS).unref();
  response.on('close', () => {
    clearInterval(heartbeat);
    subscription[Symbol.dispose]();
  });
  endWithReader(response);
}

const isWanted = (event: EventView, { network, guest }: EventsQuery): boolean =>
  event.type === 'events-missed' ||
  ((network === undefined || event.network === network) && (guest === undefined || event.guest === guest));

/** The id of a `Last-Event-ID` header; null when there is none that makes sense. */
export function lastEventId(header: string | readonly string[] | undefined): number | null {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : null;
}
