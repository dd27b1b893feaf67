/**
 * HTTP/1.1 messages (RFC 9112): heads and bodies, read and written.
 *
 * Zone: control.  One message of each side per connection.
 */
import { GuestError } from '../errors.ts';
import { MAX_HEAD_BYTES, cutShort } from './reader.ts';
import type { Reader } from './reader.ts';

const CHUNK_BYTES = 65_536;
const HEADER = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/;
const encoder = new TextEncoder();

export interface Head {
  readonly startLine: string;
  readonly headers: Headers;
}

/** Null when the stream ends before a message begins. */
export async function readHead(reader: Reader): Promise<Head | null> {
  const startLine = await reader.line();
  if (startLine === null) return null;
  const headers = new Headers();
  let length = startLine.length;
  for (;;) {
    const line = await reader.line();
    if (line === null) throw cutShort();
    if (line === '') return { startLine, headers };
    length += line.length;
    if (length > MAX_HEAD_BYTES) throw new GuestError('EPROTO', `headers of more than ${MAX_HEAD_BYTES} bytes`);
    const [, name, value] = HEADER.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new GuestError('EPROTO', `not a header: ${JSON.stringify(line)}`);
    headers.append(name, value);
  }
}

/** How long a body is (RFC 9112 §6.3): null, up to the end of the connection. */
export function bodyLength(headers: Headers, isRequest: boolean): number | 'chunked' | null {
  const coding = headers.get('transfer-encoding');
  if (coding !== null) {
    if (coding.toLowerCase() === 'chunked') return 'chunked';
    throw new GuestError('EPROTO', `transfer-encoding ${coding} is not understood`);
  }
  const text = headers.get('content-length');
  if (text === null) return isRequest ? 0 : null;
  // RFC 9110 §8.6: the same length twice is one.
  const [length, ...others] = new Set(text.split(',').map((part) => part.trim()));
  if (length === undefined || others.length > 0 || !/^\d{1,15}$/.test(length)) {
    throw new GuestError('EPROTO', `content-length ${JSON.stringify(text)} is no length`);
  }
  return Number(length);
}

/** The body's bytes, as they come. */
export function readBody(reader: Reader, length: number | 'chunked' | null): AsyncGenerator<Uint8Array, void> {
  return length === 'chunked' ? readChunks(reader) : readBytes(reader, length);
}

async function* readBytes(reader: Reader, length: number | null): AsyncGenerator<Uint8Array, void> {
  let left = length ?? Infinity;
  while (left > 0) {
    const part = await reader.some(Math.min(left, CHUNK_BYTES));
    if (part === null && length === null) return;
    if (part === null) throw cutShort();
    left -= part.length;
    yield part;
  }
}

async function* readChunks(reader: Reader): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    const line = await reader.line();
    const [, hex] = /^([0-9a-f]{1,12})(?:\s*;.*)?$/i.exec(line ?? '') ?? [];
    if (hex === undefined) throw new GuestError('EPROTO', `not the size of a chunk: ${JSON.stringify(line)}`);
    const size = Number.parseInt(hex, 16);
    if (size === 0) break;
    yield* readBytes(reader, size);
    if ((await reader.line()) !== '') throw new GuestError('EPROTO', 'a chunk is longer than it says');
  }
  for (let line = await reader.line(); line !== ''; line = await reader.line()) {
    if (line === null) throw cutShort(); // trailers are read over
  }
}

/** A web stream of what a generator gives; cancelling ends the generator. */
export function streamOf(bytes: AsyncGenerator<Uint8Array, void>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const { done, value } = await bytes.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => void (await bytes.return()),
    },
    { highWaterMark: 0 },
  );
}

/** Where bytes go. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** Head and body; a body of unknown length goes in chunks. */
export async function writeMessage(
  sink: ByteSink,
  startLine: string,
  headers: Headers,
  body: ReadableStream<Uint8Array> | null,
): Promise<void> {
  const isChunked = body !== null && !headers.has('content-length');
  if (isChunked) headers.set('transfer-encoding', 'chunked');
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`);
  await sink.write(encoder.encode(`${startLine}\r\n${lines.join('')}\r\n`));
  if (body === null) return;
  for await (const part of body) {
    if (part.length === 0) continue;
    if (isChunked) await sink.write(encoder.encode(`${part.length.toString(16)}\r\n`));
    await sink.write(part);
    if (isChunked) await sink.write(encoder.encode('\r\n'));
  }
  if (isChunked) await sink.write(encoder.encode('0\r\n\r\n'));
}
