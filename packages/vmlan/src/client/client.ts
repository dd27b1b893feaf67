/**
 * A thin typed client of the daemon's HTTP API, over its unix socket or loopback TCP.
 *
 * Zone: control.  `call` follows the route table of model/api.ts; failures are VmlanErrors whose code gives the exit
 * code.  Answers are trusted, not validated: they come from the owner's own daemon.
 *
 *     const client = new Client(resolveEndpoint(undefined, process.env, process.getuid()));
 *     const guest = await client.call('getGuest', { params: { name: 'web' } });
 */
import type * as Http from 'node:http';
import type { IncomingMessage } from 'node:http';
import type {
  ApiRoutes,
  CaptureQuery,
  EventView,
  EventsQuery,
  LogEntry,
  LogsQuery,
  Nothing,
  Route,
  RouteName,
} from '../model/api.ts';
import { describeEndpoint } from './endpoint.ts';
import type { Endpoint } from './endpoint.ts';
import { VmlanError, errorFromResponse, errorFromTransport } from './errors.ts';
import { readEvents } from './event-stream.ts';
import { readJsonLines } from './json-lines.ts';
import { requestLine } from './routes.ts';

/** Importing it would load a WebSocket client too, which each command would wait for (docs/datapath.md, start). */
const http = (): typeof Http => process.getBuiltinModule('node:http');
/** Silence of this length ends a request; attaching to a network that has to start is the slowest. */
const DEFAULT_TIMEOUT_MS = 60_000;
/** How often a daemon is asked again whose queue of connections is full. */
const BUSY_ATTEMPTS = 50;
const BUSY_DELAY_MS = 100;

type Part<Key extends string, Value> = [Value] extends [Nothing] ? object : Readonly<Record<Key, Value>>;

/** What a route wants: parameters, query and body, each only where the route has it. */
export type RequestOf<K extends RouteName> =
  ApiRoutes[K] extends Route<infer Params, infer Query, infer Body, unknown>
    ? Part<'params', Params> & Partial<Part<'query', Query>> & Part<'body', Body>
    : never;

export type ResultOf<K extends RouteName> =
  ApiRoutes[K] extends Route<infer _Params, infer _Query, infer _Body, infer Result> ? Result : never;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /** The entity tag of what is to be changed: when it is another meanwhile, the call fails as `precondition-failed`. */
  readonly ifMatch?: string | undefined;
}

/** A document and its version, to change it with `ifMatch`. */
export interface Tagged<Result> {
  readonly result: Result;
  /** null: what the route answers has none. */
  readonly etag: string | null;
}

/** Frames as they come by; destroying the stream ends the capture, the route `endCapture` does so in order. */
export interface ClientCapture {
  readonly id: string;
  readonly stream: IncomingMessage;
}

interface AnyRequest {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
}

export class Client {
  readonly endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  async call<K extends RouteName>(
    name: K,
    ...[input, options]: object extends RequestOf<K>
      ? [input?: RequestOf<K>, options?: CallOptions]
      : [input: RequestOf<K>, options?: CallOptions]
  ): Promise<ResultOf<K>> {
    return (await this.#call(name, input, options)).result as ResultOf<K>;
  }

  /** As `call`, with the version of what it answers. */
  async callTagged<K extends RouteName>(
    name: K,
    ...[input, options]: object extends RequestOf<K>
      ? [input?: RequestOf<K>, options?: CallOptions]
      : [input: RequestOf<K>, options?: CallOptions]
  ): Promise<Tagged<ResultOf<K>>> {
    return (await this.#call(name, input, options)) as Tagged<ResultOf<K>>;
  }

  async #call(name: RouteName, input: object = {}, options: CallOptions = {}): Promise<Tagged<unknown>> {
    const response = await this.#send(name, input, options);
    const text = await readText(response);
    return { result: text === '' ? null : parseBody(text), etag: response.headers.etag ?? null };
  }

  /** What happens, as the query wants it, until the signal aborts or the daemon ends. */
  async *events(query: EventsQuery = {}, signal?: AbortSignal): AsyncGenerator<EventView, void, undefined> {
    const response = await this.#send('events', { query: { ...query } }, { signal, timeoutMs: 0 });
    for await (const data of this.#stream(response, readEvents, signal)) yield JSON.parse(data) as EventView;
  }

  /** Lines of logs, until the last one that is there; with `follow` until the signal aborts or the daemon ends. */
  async *logs(
    query: LogsQuery = {},
    { signal, timeoutMs }: CallOptions = {},
  ): AsyncGenerator<LogEntry, void, undefined> {
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    const response = await this.#send('logs', { query: { ...query } }, { signal, ...limit });
    response.socket.setTimeout(0); // lines may be long in coming
    yield* this.#stream(response, readJsonLines<LogEntry>, signal);
  }

  async *#stream<T>(
    response: IncomingMessage,
    read: (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<T>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<T, void, undefined> {
    try {
      yield* read(response);
    } catch (error) {
      if (signal?.aborted === true) return;
      throw isOurs(error) ? error : errorFromTransport(error as Error, describeEndpoint(this.endpoint));
    } finally {
      response.destroy();
    }
  }

  async capture(query: CaptureQuery, signal?: AbortSignal): Promise<ClientCapture> {
    const stream = await this.#send('capture', { query: { ...query } }, { signal, timeoutMs: 0 });
    return { id: String(stream.headers['vmlan-capture']), stream };
  }

  /** Resolves with a response that is no error, and whose body is still unread. */
  async #send(name: RouteName, input: AnyRequest, options: CallOptions): Promise<IncomingMessage> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(name, input, options);
      } catch (error) {
        if (!isBusy(error) || attempt >= BUSY_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, BUSY_DELAY_MS));
      }
    }
  }

  async #attempt(name: RouteName, input: AnyRequest, options: CallOptions): Promise<IncomingMessage> {
    const { method, path } = requestLine(name, input.params ?? {}, input.query ?? {});
    const body = input.body === undefined ? undefined : JSON.stringify(input.body);
    const where = describeEndpoint(this.endpoint);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = http().request({
        ...address(this.endpoint),
        agent: false,
        method,
        path,
        headers: {
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...authorization(this.endpoint),
          ...(options.ifMatch === undefined ? {} : { 'if-match': options.ifMatch }),
        },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      outgoing.once('response', resolve);
      outgoing.on('error', (error) => reject(isOurs(error) ? error : errorFromTransport(error, where)));
      outgoing.setTimeout(timeoutMs, () => {
        outgoing.destroy(new VmlanError('timeout', `the vmlan daemon at ${where} did not answer in ${timeoutMs} ms`));
      });
      outgoing.end(body);
    });
    const status = response.statusCode ?? 0;
    // A document of the route, whatever the status says of it (`health`); errors are problem documents.
    if ((status >= 200 && status < 300) || isDocument(response)) return response;
    throw errorFromResponse(status, await readText(response));
  }
}

/** unix(7): so many connections wait to be accepted that this one was not even queued; nothing has been sent. */
const isBusy = (error: unknown): boolean =>
  error instanceof VmlanError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'EAGAIN';

const isOurs = (error: unknown): boolean =>
  error instanceof VmlanError || (error instanceof Error && error.name === 'AbortError');

const authorization = (endpoint: Endpoint): { authorization?: string } =>
  endpoint.kind === 'http' && endpoint.token !== undefined ? { authorization: `Bearer ${endpoint.token}` } : {};

function address(endpoint: Endpoint): { socketPath: string } | { host: string; port: number } {
  return endpoint.kind === 'unix' ? { socketPath: endpoint.path } : { host: endpoint.hostname, port: endpoint.port };
}

const isDocument = ({ headers }: IncomingMessage): boolean =>
  headers['content-type']?.startsWith('application/json') === true;

async function readText(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk as string;
  return text;
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new VmlanError('internal', 'the daemon sent an answer that is not JSON', { cause });
  }
}
