/**
 * A capture over one HTTP response.
 *
 * Zone: control.  A reader that does not keep up is waited for: what finds no room meanwhile is lost and counted where
 * the frames are.  One that goes away ends the capture.
 */
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import type { CaptureFormat } from '../model/api.ts';
import type { OpenCapture } from './handlers.ts';
import { endWithReader } from './stream-reader.ts';

export const CAPTURE_ID_HEADER = 'vmlan-capture';

const CONTENT_TYPES: Readonly<Record<CaptureFormat, string>> = {
  pcapng: 'application/x-pcapng',
  lines: 'application/x-ndjson',
};

export function streamCapture(response: ServerResponse, { id, stream }: OpenCapture, format: CaptureFormat): void {
  response.writeHead(200, {
    'content-type': CONTENT_TYPES[format],
    'cache-control': 'no-store',
    [CAPTURE_ID_HEADER]: id,
  });
  response.flushHeaders(); // the first frame may be long in coming
  endWithReader(response);
  pipeline(stream, response, () => undefined); // either end that fails takes the other along
}
