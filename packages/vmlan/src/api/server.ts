/**
 * The HTTP server: every route of model/api.ts, validated by its schemas, and `/metrics`, on the owner's unix socket.
 *
 * Zone: control.  The socket is made with mode 0600, never wider even for a moment.  Requests are small and bounded;
 * unknown keys are refused.
 */
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type * as z from 'zod';
import { VmlanError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { API_ROUTES } from '../model/api.ts';
import type { Route, RouteName } from '../model/api.ts';
import { lastEventId, streamEvents } from './event-stream.ts';
import type { ApiHandlers, ApiRequest, EventSource, VersionSource } from './handlers.ts';
import { METRICS_TYPE, renderMetrics } from './metrics.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';
import { Resources } from './resources.ts';

export const MAX_BODY_BYTES = 65_536;
const MAX_PARAM_CHARS = 128;
const REQUEST_TIMEOUT_MS = 30_000;
const SOCKET_MODE_MASK = 0o177;

type AnyRoute = Route<unknown, unknown, unknown, unknown>;
type AnyHandler = (request: ApiRequest<unknown, unknown, unknown>) => unknown;

export interface ApiOptions {
  readonly handlers: ApiHandlers;
  readonly versions: VersionSource;
  readonly events: EventSource;
  readonly logger: Logger;
}

export function buildServer(options: ApiOptions): FastifyInstance {
  const server = fastify({
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
  });
  server.setErrorHandler((error, _request, reply) => sendProblem(reply, error, options.logger));
  server.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!;
    sendProblem(reply, new VmlanError('not-found', `no route ${request.method} ${path}`), options.logger);
  });
  const resources = new Resources(options.versions);
  for (const name of Object.keys(API_ROUTES) as RouteName[]) addRoute(server, name, options, resources);
  server.get('/metrics', async (_request, reply) => {
    const status = await options.handlers.status({ params: {}, query: {}, body: {} });
    return reply.type(METRICS_TYPE).send(renderMetrics(status, process.memoryUsage.rss()));
  });
  return server;
}

/** Listens at `path` so that nobody but the owner can connect. */
export async function listenAt(server: FastifyInstance, path: string): Promise<void> {
  await server.ready();
  const before = process.umask(SOCKET_MODE_MASK);
  try {
    await server.listen({ path });
  } finally {
    process.umask(before);
  }
}

function addRoute(server: FastifyInstance, name: RouteName, options: ApiOptions, resources: Resources): void {
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
  const handler = options.handlers[name] as unknown as AnyHandler;
  const route: AnyRoute = API_ROUTES[name];
  const { resource } = route;
  server.route({
    method,
    url,
    handler: async (request, reply) => {
      const act = (): Promise<unknown> => answer(route, handler, request);
      void reply.status(route.status);
      const result = await (resource === undefined ? act() : resources.answer(resource, request, reply, act));
      return reply.send(route.status === 204 ? undefined : result);
    },
  });
}

async function answer(route: AnyRoute, handler: AnyHandler, request: FastifyRequest): Promise<unknown> {
  return handler({
    params: checked(route.params, request.params, 'path'),
    query: checked(route.query, request.query, 'query'),
    body: checked(route.body, request.body ?? {}, 'body'),
  });
}

function checked<Value>(schema: z.ZodType<Value>, value: unknown, place: string): Value {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const where = issue.path.length === 0 ? place : issue.path.map(String).join('.');
  throw new VmlanError('invalid', `${where}: ${issueText(issue)}`);
}

function issueText(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`;
  if (issue.code === 'invalid_type')
    return `not ${issue.expected === 'undefined' ? 'allowed' : `of type ${issue.expected}`}`;
  if (issue.code === 'invalid_value') return `none of ${issue.values.map(String).join(', ')}`;
  return issue.message;
}

function sendProblem(reply: FastifyReply, error: unknown, logger: Logger): void {
  const problem = problemOf(error);
  if (problem.code === 'internal') logger.error('request failed', { error });
  void reply.status(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
}
