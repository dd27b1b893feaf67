/**
 * The reader of an answer that has no end by itself.
 *
 * Zone: control.  An ordinary answer is still sent to a client that has closed its half of the connection; a stream would
 * go on for nobody, as a unix socket does not tell a half that is closed from a whole one.
 */
import type { ServerResponse } from 'node:http';

/** Cuts the stream off when its reader has closed the connection, or half of it. */
export function endWithReader(response: ServerResponse): void {
  const { socket } = response;
  if (socket === null || socket.readableEnded) response.destroy();
  else socket.once('end', () => response.destroy());
}
