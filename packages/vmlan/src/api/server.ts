/**
 * The HTTP server: every route of model/api.ts, validated by its schemas, `/metrics` and `/openapi.json`.
 *
 * Zone: control.  Who may ask is decided in access.ts before anything else; requests are small and bounded, and unknown
 * keys are refused.  What is answered is for the one who asked: never cached, framed, embedded or guessed at.
 */
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { VmlanError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { API_ROUTES } from '../model/api.ts';
import type { HealthView, Route, RouteName } from '../model/api.ts';
import { Access } from './access.ts';
import type { Listener } from './access.ts';
import { lastEventId, streamEvents } from './event-stream.ts';
import { streamCapture } from './capture-stream.ts';
import type { ApiHandlers, ApiRequest, CaptureSource, EventSource, LogSource, VersionSource } from './handlers.ts';
import { readJsonBodies, wrongType } from './json-body.ts';
import { streamLogs } from './log-stream.ts';
import { HttpListeners } from './http-server.ts';
import type { HttpLimits } from './http-server.ts';
import { allowedMethods } from './methods.ts';
import { METRICS_TYPE, renderMetrics } from './metrics.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';
import { processFacts } from './process-facts.ts';
import { checked } from './request-check.ts';
import { requestedHost } from './requested-host.ts';
import { Resources, checkVersion } from './resources.ts';

export const MAX_BODY_BYTES = 65_536;
/** RFC 9110 §15.6.4: what monitors and load balancers take for `not well`. */
const BROKEN_STATUS = 503;
const MAX_PARAM_CHARS = 128;
const COMMON_HEADERS: readonly (readonly [string, string])[] = [
  ['x-content-type-options', 'nosniff'],
  ['cache-control', 'no-store'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
];

type AnyRoute = Route<unknown, unknown, unknown, unknown>;
type AnyHandler = (request: ApiRequest<unknown, unknown, unknown>) => unknown;

export interface ApiOptions {
  readonly handlers: ApiHandlers;
  readonly versions: VersionSource;
  readonly events: EventSource;
  readonly captures: CaptureSource;
  readonly logs: LogSource;
  readonly logger: Logger;
  readonly version: string;
  /** What a request over TCP has to carry. */
  readonly token: () => Promise<string>;
  readonly limits?: Partial<HttpLimits>;
}

/** The API with its listeners; nobody is served before one of them listens. */
export interface ApiServer {
  readonly listeners: HttpListeners;
  close(): Promise<void>;
}

export async function buildServer(options: ApiOptions): Promise<ApiServer> {
  const access = new Access(options.token);
  const routes = buildRoutes(options, {
    access,
    listenerOf: (socket) => listeners.of(socket),
    connections: () => listeners.connections,
  });
  await routes.ready();
  const onRequest: RequestListener = (request, response) => {
    for (const [name, value] of COMMON_HEADERS) response.setHeader(name, value);
    routes.routing(request, response);
  };
  const listeners = new HttpListeners(onRequest, options.logger, options.limits);
  return {
    listeners,
    async close() {
      await listeners.close();
      await routes.close();
    },
  };
}

interface Parts {
  readonly access: Access;
  readonly listenerOf: (socket: Socket) => Listener | null;
  /** How many there are. */
  readonly connections: () => number;
}

function buildRoutes(options: ApiOptions, { access, listenerOf, connections }: Parts): FastifyInstance {
  const server = fastify({
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    frameworkErrors: (error, request, reply) => sendProblem(reply, plain(error, request), options.logger),
  });
  server.setErrorHandler((error, request, reply) => sendProblem(reply, plain(error, request), options.logger));
  server.addHook('onRequest', async (request, reply) => {
    const asked = { host: requestedHost(request.raw), headers: request.headers };
    const refusal = await access.check(listenerOf(request.raw.socket), asked, Date.now());
    if (refusal === null) return;
    void reply.headers(refusal.headers);
    throw refusal.error;
  });
  readJsonBodies(server);
  server.setNotFoundHandler((request, reply) => answerUnknown(request, reply, options.logger));
  const resources = new Resources(options.versions);
  for (const name of Object.keys(API_ROUTES) as RouteName[]) addRoute({ server, name, options, resources, listenerOf });
  server.get('/metrics', async (_request, reply) => {
    const nothing = { params: {}, query: {}, body: {} };
    const { handlers } = options;
    const [status, forwards] = await Promise.all([handlers.status(nothing), handlers.listForwards(nothing)]);
    const facts = { ...processFacts(), connections: connections(), refused: access.refused };
    return reply.type(METRICS_TYPE).send(renderMetrics(status, forwards, facts));
  });
  let document: Promise<string> | null = null;
  server.get('/openapi.json', async (_request, reply) => {
    document ??= openApiText(options.version);
    return reply.type('application/json; charset=utf-8').send(await document);
  });
  return server;
}

/** Few ask for it: its code is read when somebody does, and it is made once. */
async function openApiText(version: string): Promise<string> {
  const { openApiDocument } = await import('./openapi.ts');
  return JSON.stringify(openApiDocument(version));
}

interface RouteContext {
  readonly server: FastifyInstance;
  readonly name: RouteName;
  readonly options: ApiOptions;
  readonly resources: Resources;
  readonly listenerOf: (socket: Socket) => Listener | null;
}

function addRoute({ server, name, options, resources, listenerOf }: RouteContext): void {
  const { method, path: url } = API_ROUTES[name];
  if (name === 'events') {
    server.route({
      method,
      url,
      exposeHeadRoute: false,
      handler: (request, reply) => {
        const query = checked(API_ROUTES.events.query, request.query, 'query');
        streamEvents(reply.raw, options.events, query, lastEventId(request.headers['last-event-id']));
        reply.hijack();
      },
    });
    return;
  }
  if (name === 'capture') {
    server.route({
      method,
      url,
      exposeHeadRoute: false,
      handler: async (request, reply) => {
        const query = checked(API_ROUTES.capture.query, request.query, 'query');
        const capture = await options.captures.open(query);
        streamCapture(reply.raw, capture, query.format ?? 'pcapng');
        reply.hijack();
      },
    });
    return;
  }
  if (name === 'logs') {
    server.route({
      method,
      url,
      exposeHeadRoute: false,
      handler: async (request, reply) => {
        await streamLogs(reply.raw, options.logs, checked(API_ROUTES.logs.query, request.query, 'query'));
        reply.hijack();
      },
    });
    return;
  }
  const handler = options.handlers[name] as unknown as AnyHandler;
  const route: AnyRoute = API_ROUTES[name];
  const { resource } = route;
  server.route({
    method,
    url,
    handler: async (request, reply) => {
      if (route.local === true && listenerOf(request.raw.socket)?.kind !== 'unix') throw localOnly(url);
      const act = (): Promise<unknown> => answer(route, handler, request);
      void reply.status(route.status);
      const result = await (resource === undefined ? act() : resources.answer(resource, request, reply, act));
      if (name === 'health' && (result as HealthView).status !== 'ok') void reply.status(BROKEN_STATUS);
      return reply.send(route.status === 204 ? undefined : result);
    },
  });
}

async function answer(route: AnyRoute, handler: AnyHandler, request: FastifyRequest): Promise<unknown> {
  const { resource } = route;
  return handler({
    params: checked(route.params, request.params, 'path'),
    query: checked(route.query, request.query, 'query'),
    body: checked(route.body, request.body ?? {}, 'body'),
    ...(resource === undefined ? {} : { checkVersion: (version) => checkVersion(resource, request, version) }),
  });
}

const localOnly = (path: string): VmlanError =>
  new VmlanError('not-permitted', `${path} is answered on the unix socket alone`, {
    hint: 'ask it there, as its owner',
  });

/** No such path, or a path without this method. */
function answerUnknown(request: FastifyRequest, reply: FastifyReply, logger: Logger): void {
  const { method } = request;
  const path = request.url.split('?')[0]!;
  const allowed = allowedMethods(path);
  if (allowed.length > 0) void reply.header('allow', allowed.join(', '));
  if (allowed.length > 0 && method === 'OPTIONS') return void reply.status(204).send();
  const error =
    allowed.length === 0
      ? new VmlanError('not-found', `no route ${method} ${path}`, { hint: 'docs/api.md and /openapi.json list them' })
      : new VmlanError('method-not-allowed', `${path} has no method ${method}`, {
          hint: `it has ${allowed.join(', ')}`,
        });
  return sendProblem(reply, error, logger);
}

/** What the server's own checks say, in our words. */
function plain(error: unknown, { headers, url }: FastifyRequest): unknown {
  const { code } = error as { readonly code?: unknown };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new VmlanError('too-large', `the body has more than ${MAX_BODY_BYTES} bytes`, { hint: 'send less at once' });
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return wrongType(`the body is of type ${JSON.stringify(headers['content-type'] ?? '')}`);
  if (code === 'FST_ERR_BAD_URL')
    return new VmlanError('invalid', `${JSON.stringify(url)} is not percent-encoded UTF-8`, {
      hint: 'write a % of a name as %25',
    });
  return error;
}

function sendProblem(reply: FastifyReply, error: unknown, logger: Logger): void {
  const problem = problemOf(error);
  if (problem.code === 'internal') logger.error('request failed', { error });
  void reply.status(problem.status).removeHeader('etag').type(PROBLEM_TYPE).send(JSON.stringify(problem));
}
