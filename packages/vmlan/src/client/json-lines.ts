/**
 * JSON documents, each on a line of its own (https://github.com/ndjson/ndjson-spec), from bytes that may be cut anywhere.
 *
 * Zone: control.  A line beyond MAX_LINE_CHARS ends the stream: the daemon writes none of that size.
 */
import { StringDecoder } from 'node:string_decoder';
import { VmlanError } from './errors.ts';

const MAX_LINE_CHARS = 1 << 20;

export async function* readJsonLines<T>(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<T, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
    if (rest.length > MAX_LINE_CHARS) throw new VmlanError('internal', 'the daemon sent a line without an end');
  }
}
