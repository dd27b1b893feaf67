/**
 * `fetch` of a guest: HTTP/1.1 over its own TCP, one request per connection.
 *
 * Zone: control.  No TLS, no cookies, no cache; redirects are followed as the Fetch standard says.
 */
import { GuestError } from '../errors.ts';
import type { TcpSocket } from '../tcp/socket.ts';
import type { Tcp } from '../tcp/tcp.ts';
import { bodyLength, readBody, readHead, streamOf, writeMessage } from './message.ts';
import { Reader } from './reader.ts';

export const MAX_REDIRECTS = 20;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const NULL_BODY = new Set([204, 205, 304]);

/** Rejects as `Tcp.connect` does, and with EPROTO when what answers is no HTTP. */
export async function fetchOver(tcp: Tcp, input: string | URL | Request, init?: RequestInit): Promise<Response> {
  let request = new Request(input, init);
  for (let redirects = 0; ; redirects++) {
    const response = await exchange(tcp, request);
    const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
    if (location === null || request.redirect === 'manual') return response;
    await response.body?.cancel();
    if (request.redirect === 'error') throw new GuestError('EPROTO', `${request.url} redirects to ${location}`);
    if (redirects >= MAX_REDIRECTS)
      throw new GuestError('EPROTO', `${request.url}: more than ${MAX_REDIRECTS} redirects`);
    request = redirected(request, new URL(location, request.url), response.status);
  }
}

/** Fetch standard §4.4: what a redirect keeps of a request. */
function redirected(request: Request, url: URL, status: number): Request {
  const { method, headers, redirect, signal } = request;
  const becomesGet = (status === 303 && method !== 'HEAD') || (status < 303 && method === 'POST');
  if (!becomesGet && request.body !== null) {
    throw new GuestError('EPROTO', `${request.url}: a request with a body cannot be sent again to ${url.href}`);
  }
  return new Request(url, { method: becomesGet ? 'GET' : method, headers, redirect, signal });
}

async function exchange(tcp: Tcp, request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (url.protocol !== 'http:') throw new GuestError('EINVAL', `${request.url}: only http: is spoken here`);
  const port = url.port === '' ? 80 : Number(url.port);
  const socket = await tcp.connect(url.hostname, port, { signal: request.signal });
  const abort = (): void => socket.abort();
  request.signal.addEventListener('abort', abort);
  const done = (): void => {
    request.signal.removeEventListener('abort', abort);
    void socket.close();
  };
  try {
    const sending = send(socket, request, url);
    const response = await receive(socket, request, done);
    sending.catch(abort); // a server may answer before it has heard everything
    return response;
  } catch (error) {
    done();
    abort();
    request.signal.throwIfAborted();
    throw error;
  }
}

async function send(socket: TcpSocket, request: Request, url: URL): Promise<void> {
  const headers = new Headers(request.headers);
  headers.set('host', url.host);
  headers.set('connection', 'close');
  if (!headers.has('accept')) headers.set('accept', '*/*');
  const startLine = `${request.method} ${url.pathname}${url.search} HTTP/1.1`;
  const needsLength = request.body === null && ['POST', 'PUT', 'PATCH'].includes(request.method);
  if (needsLength) headers.set('content-length', '0');
  await writeMessage(socket, startLine, headers, request.body);
}

async function receive(socket: TcpSocket, request: Request, done: () => void): Promise<Response> {
  const reader = new Reader(socket);
  for (;;) {
    const head = await readHead(reader);
    if (head === null)
      throw new GuestError('ECONNRESET', `${request.url}: the connection was closed without an answer`);
    const [, code, statusText = ''] = STATUS_LINE.exec(head.startLine) ?? [];
    if (code === undefined) throw new GuestError('EPROTO', `${request.url}: what answers is no HTTP/1.1`);
    const status = Number(code);
    if (status < 200) continue; // RFC 9110 §15.2: an interim response
    const isEmpty = request.method === 'HEAD' || NULL_BODY.has(status);
    const length = isEmpty ? 0 : bodyLength(head.headers, false);
    const body = isEmpty ? null : streamOf(finishing(readBody(reader, length), done));
    if (body === null) done();
    const response = new Response(body, { status, statusText, headers: head.headers });
    Object.defineProperty(response, 'url', { value: request.url });
    return response;
  }
}

async function* finishing(body: AsyncGenerator<Uint8Array, void>, done: () => void): AsyncGenerator<Uint8Array, void> {
  try {
    yield* body;
  } finally {
    done();
  }
}
