/**
 * `serve` of a guest: HTTP/1.1 over its own TCP; a `Request` comes, a `Response` goes.
 *
 * Zone: control.  One request per connection, which every client understands (RFC 9112 §9.6).
 */
import { GuestError } from '../errors.ts';
import type { TcpSocket } from '../tcp/socket.ts';
import type { Tcp } from '../tcp/tcp.ts';
import { bodyLength, readBody, readHead, streamOf, writeMessage } from './message.ts';
import { Reader } from './reader.ts';

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\S+) HTTP\/1\.[01]$/;

/** Answers a request.  What it throws becomes a 500. */
export type HttpHandler = (
  request: Request,
  from: { readonly address: string; readonly port: number },
) => Response | Promise<Response>;

/** A server that answers until it is closed. */
export interface HttpServer extends Disposable {
  readonly port: number;
  close(): void;
}

export function serveOver(tcp: Tcp, port: number, handler: HttpHandler): HttpServer {
  return tcp.listen(port, (socket) => answer(socket, handler));
}

async function answer(socket: TcpSocket, handler: HttpHandler): Promise<void> {
  const reader = new Reader(socket);
  const { request, response } = await respond(socket, reader, handler);
  if (response === null) return;
  const headers = new Headers(response.headers);
  headers.set('connection', 'close');
  const hasNoBody = request?.method === 'HEAD' || response.status === 204 || response.status === 304;
  const body = hasNoBody ? null : response.body;
  if (body === null && !hasNoBody && !headers.has('content-length')) headers.set('content-length', '0');
  const text = response.statusText === '' ? (REASONS[response.status] ?? '') : response.statusText;
  await writeMessage(socket, `HTTP/1.1 ${response.status} ${text}`, headers, body);
  await socket.end();
  // RFC 9112 §9.6: read on until the client has closed, or a reset could take the answer from it.
  for await (const _ of socket);
}

interface Exchange {
  readonly request: Request | null;
  /** null: nobody asked. */
  readonly response: Response | null;
}

async function respond(socket: TcpSocket, reader: Reader, handler: HttpHandler): Promise<Exchange> {
  let request: Request | null = null;
  try {
    request = await readRequest(socket, reader);
    if (request === null) return { request, response: null };
  } catch (error) {
    if (!(error instanceof GuestError) || error.code !== 'EPROTO') throw error;
    return { request: null, response: new Response(`${error.message}\n`, { status: 400 }) };
  }
  try {
    const from = { address: socket.remoteAddress, port: socket.remotePort };
    return { request, response: await handler(request, from) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { request, response: new Response(`${text}\n`, { status: 500 }) };
  }
}

async function readRequest(socket: TcpSocket, reader: Reader): Promise<Request | null> {
  const head = await readHead(reader);
  if (head === null) return null;
  const [, method, target] = REQUEST_LINE.exec(head.startLine) ?? [];
  if (method === undefined || target === undefined) throw new GuestError('EPROTO', 'not a request of HTTP/1.1');
  const host = head.headers.get('host') ?? `${socket.localAddress}:${socket.localPort}`;
  const url = URL.parse(target.startsWith('/') ? `http://${host}${target}` : target);
  if (url === null) throw new GuestError('EPROTO', `${JSON.stringify(target)} is no target of a request`);
  const length = bodyLength(head.headers, true);
  if (head.headers.get('expect')?.toLowerCase() === '100-continue') await socket.write('HTTP/1.1 100 Continue\r\n\r\n');
  const hasBody = length !== 0 && method !== 'GET' && method !== 'HEAD';
  const init = hasBody ? { body: streamOf(readBody(reader, length)), duplex: 'half' as const } : {};
  try {
    return new Request(url, { method, headers: head.headers, ...init });
  } catch (error) {
    throw new GuestError('EPROTO', (error as Error).message, { cause: error });
  }
}

/** RFC 9110 §15: those that tests send. */
const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};
