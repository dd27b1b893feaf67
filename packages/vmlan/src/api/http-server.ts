/**
 * HTTP listeners of the API: one on a unix socket, and one on loopback TCP where it is wanted, with the same bounds.
 *
 * Zone: control.  The unix socket is made with mode 0600 and opened to a group only after it belongs to that group: it is
 * never wider, not even for a moment.
 */
import { chmodSync, chownSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerOptions, ServerResponse } from 'node:http';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { VmlanError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { ListenAddress } from '../model/listen-address.ts';
import type { Listener } from './access.ts';
import { Connections } from './connections.ts';
import type { ConnectionLimits } from './connections.ts';
import { httpProblem, PROBLEM_TYPE } from './problem.ts';

export const HEADERS_TIMEOUT_MS = 10_000;
export const REQUEST_TIMEOUT_MS = 30_000;
export const KEEP_ALIVE_MS = 30_000;
export const MAX_HEADER_BYTES = 16_384;
/** Connections that wait to be accepted; the system may allow fewer (net.core.somaxconn). */
const BACKLOG = 1024;
const CHECK_INTERVAL_MS = 2000;
const SOCKET_MODE_MASK = 0o177;
const GROUP_SOCKET_MODE = 0o660;

export interface HttpLimits extends ConnectionLimits {
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveMs: number;
}

const serverOptions = (limits: Partial<HttpLimits>): ServerOptions => ({
  headersTimeout: limits.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
  requestTimeout: limits.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
  keepAliveTimeout: limits.keepAliveMs ?? KEEP_ALIVE_MS,
  connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, limits.headersTimeoutMs ?? CHECK_INTERVAL_MS),
  maxHeaderSize: MAX_HEADER_BYTES,
  requireHostHeader: false, // requestedHost answers with a problem document
});

export class HttpListeners {
  readonly #onRequest: RequestListener;
  readonly #logger: Logger;
  readonly #options: ServerOptions;
  readonly #connections: Connections;
  readonly #servers: Server[] = [];
  readonly #listeners = new WeakMap<Socket, Listener>();
  #tcp: Server | null = null;

  constructor(onRequest: RequestListener, logger: Logger, limits: Partial<HttpLimits> = {}) {
    this.#onRequest = onRequest;
    this.#logger = logger;
    this.#connections = new Connections(limits);
    this.#options = serverOptions(limits);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Where a connection came in. */
  of(socket: Socket): Listener | null {
    return this.#listeners.get(socket) ?? null;
  }

  /** `gid`: the group that may connect, too. */
  async listenAt(path: string, gid: number | null): Promise<void> {
    const server = this.#make(() => ({ kind: 'unix' }));
    const before = process.umask(SOCKET_MODE_MASK);
    // Binds before it returns, so that no other file is made under this mask.
    const isListening = listening(server, { path, backlog: BACKLOG });
    process.umask(before);
    await isListening;
    if (gid === null) return;
    try {
      chownSync(path, -1, gid);
      chmodSync(path, GROUP_SOCKET_MODE);
    } catch (cause) {
      throw new VmlanError('not-permitted', `${path} cannot be given to group ${gid}: ${(cause as Error).message}`, {
        hint: 'an ordinary user can give it to a group that they are a member of (`id` lists them)',
        cause,
      });
    }
  }

  async listenOnLoopback({ host, port }: ListenAddress): Promise<ListenAddress> {
    const server = this.#make(() => ({ kind: 'tcp', ...bound }));
    let bound: ListenAddress = { host, port };
    try {
      await listening(server, { host, port, exclusive: true, backlog: BACKLOG });
    } catch (cause) {
      throw new VmlanError('address-in-use', `the API cannot listen at ${host}:${port}: ${(cause as Error).message}`, {
        hint: 'choose another port for --listen',
        cause,
      });
    }
    bound = { host, port: (server.address() as AddressInfo).port };
    this.#tcp = server;
    return bound;
  }

  /** Whoever is connected over TCP has to come again, with the new token. */
  cutTcp(): void {
    this.#tcp?.closeAllConnections();
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#servers.map((server) => {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        return closed;
      }),
    );
    this.#connections[Symbol.dispose]();
  }

  #make(listener: () => Listener): Server {
    const server = createServer(this.#options, (request, response) => {
      if (this.#connections.admit(request, response)) this.#onRequest(request, response);
    });
    server.on('connection', (socket: Socket) => this.#listeners.set(socket, listener()));
    server.on('clientError', refuseUnreadable);
    server.on('checkExpectation', refuseExpectation);
    server.on('connect', refuseTunnel);
    // Who sends all and closes his half of the connection (`nc -N`) still gets his answer.
    (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    // A connection that cannot be accepted, for want of descriptors, is that client's loss.
    server.on('error', (error) => this.#logger.warn('a connection was not accepted', { error }));
    this.#connections.watch(server);
    this.#servers.push(server);
    return server;
  }
}

function listening(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

const READ_ERRORS: Readonly<Record<string, readonly [status: number, phrase: string, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'the request did not come in time'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', `the headers have more than ${MAX_HEADER_BYTES} bytes`],
};

/** What never became a request. */
function refuseUnreadable(error: NodeJS.ErrnoException & { readonly reason?: string }, socket: Duplex): void {
  if (error.code !== 'ECONNRESET' && socket.writable) {
    const reason = error.reason === undefined || error.reason === '' ? '' : `: ${error.reason}`;
    const known = READ_ERRORS[error.code ?? ''] ?? [400, 'Bad Request', `this is not HTTP/1.1${reason}`];
    writeProblem(socket, known);
  }
  socket.destroy();
}

/** RFC 9110 §9.3.6: there is nothing behind us. */
function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  writeProblem(
    socket,
    [405, 'Method Not Allowed', 'this is no proxy: it has no CONNECT'],
    ['allow: GET, HEAD, OPTIONS'],
  );
  socket.destroy();
}

function writeProblem(
  socket: Duplex,
  [status, phrase, message]: readonly [number, string, string],
  more: readonly string[] = [],
): void {
  const body = JSON.stringify(httpProblem(status, message));
  const headers = [
    ...more,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.write(`HTTP/1.1 ${status} ${phrase}\r\n${headers.join('\r\n')}\r\n\r\n${body}`);
}

/** RFC 9110 §10.1.1: `100-continue` is the only expectation there is. */
function refuseExpectation({ headers }: IncomingMessage, response: ServerResponse): void {
  const message = `the expectation ${JSON.stringify(headers.expect ?? '')} cannot be met`;
  response.writeHead(417, { 'content-type': PROBLEM_TYPE, connection: 'close' });
  response.end(JSON.stringify(httpProblem(417, message)));
}
