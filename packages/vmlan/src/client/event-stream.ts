/**
 * Server-sent events, the part that is used here (WHATWG HTML §9.2.6): `data:` lines, joined, ended by an empty line.
 *
 * Zone: control.  Bytes may be cut anywhere, also inside a character.  An event beyond MAX_EVENT_CHARS ends the stream:
 * the daemon writes none of that size.
 */
import { StringDecoder } from 'node:string_decoder';
import { VmlanError } from './errors.ts';

const MAX_EVENT_CHARS = 1 << 20;

/** The data of each event in turn. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let data: string[] = [];
  for await (const chunk of chunks) {
    rest += decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(line.startsWith('data: ') ? 6 : 5));
      else if (line === '' && data.length > 0) {
        yield data.join('\n');
        data = [];
      }
    }
    if (rest.length > MAX_EVENT_CHARS) throw new VmlanError('internal', 'the daemon sent an event without an end');
  }
}
