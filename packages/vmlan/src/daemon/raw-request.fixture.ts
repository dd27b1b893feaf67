/**
 * One HTTP request as bytes, for tests: whatever an ordinary client would not send.
 *
 * Zone: control.
 */
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type Where = { readonly path: string } | { readonly host: string; readonly port: number };

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is; a string has its length announced unless the headers say another. */
  readonly body?: string;
}

export async function rawRequest(where: Where, request: RawRequest): Promise<RawAnswer> {
  const { method = 'GET', path, body } = request;
  const headers = {
    host: 'vmlan',
    connection: 'close',
    ...(body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
    ...request.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return parseAnswer(await exchange(where, `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`));
}

/** Everything that comes back until the other side closes. */
export function exchange(where: Where, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(where);
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? undefined : reject(error)));
    socket.write(bytes);
  });
}

export function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  const [start = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { status: Number(start.split(' ')[1]), headers, body: text.slice(end + 4) };
}
