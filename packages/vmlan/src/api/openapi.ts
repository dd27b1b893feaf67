/**
 * The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1), made from the table of routes and its schemas.
 *
 * Zone: control.  Served at /openapi.json and checked in as docs/openapi.json.  A schema that model/api.ts exports as
 * `fooBarSchema` is the component `FooBar`; what is said about it and its keys is the text of its interface.
 */
import * as z from 'zod';
import { ERROR_CODES } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import * as model from '../model/api.ts';
import type { Route, RouteName } from '../model/api.ts';
import type { Description } from './description-texts.ts';
import { DESCRIPTIONS } from './descriptions.ts';
import { API_EXAMPLES } from './examples.ts';

const { API_ROUTES } = model;

type AnyRoute = Route<unknown, unknown, unknown, unknown>;
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = Readonly<Record<string, Json>>;

type Descriptions = Readonly<Record<string, Description>>;

export interface OpenApi {
  readonly openapi: '3.1.1';
  readonly info: JsonObject;
  readonly servers: readonly JsonObject[];
  readonly security: readonly JsonObject[];
  readonly tags: readonly JsonObject[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonObject>>;
    readonly responses: Readonly<Record<string, JsonObject>>;
    readonly headers: Readonly<Record<string, JsonObject>>;
    readonly parameters: Readonly<Record<string, JsonObject>>;
    readonly securitySchemes: Readonly<Record<string, JsonObject>>;
  };
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters: readonly JsonObject[];
  readonly requestBody?: JsonObject;
  readonly responses: Readonly<Record<string, JsonObject>>;
}

const JSON_TYPE = 'application/json';
const PROBLEM_TYPE = 'application/problem+json';
/** Zod writes the range of safe integers; it says nothing about the value. */
const IMPLIED_BOUNDS: readonly number[] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];

const componentOf = (name: string): string => `${name[0]!.toUpperCase()}${name.slice(1, -'Schema'.length)}`;

/** Every schema, those that are exported by their name, the others by the place where they are used. */
function makeSchemas(texts: Descriptions): Readonly<Record<string, JsonObject>> {
  const registry = z.registry<{ id: string }>();
  for (const [name, value] of Object.entries(model)) {
    if (name.endsWith('Schema') && value instanceof z.ZodType) registry.add(value, { id: componentOf(name) });
  }
  for (const [name, route] of Object.entries(API_ROUTES) as [RouteName, AnyRoute][]) {
    for (const part of ['params', 'query', 'body', 'result'] as const) {
      if (!registry.has(route[part])) registry.add(route[part], { id: `${name}.${part}` });
    }
  }
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    unrepresentable: 'any',
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ jsonSchema }) => {
      if (IMPLIED_BOUNDS.includes(jsonSchema.minimum ?? 0)) delete jsonSchema.minimum;
      if (IMPLIED_BOUNDS.includes(jsonSchema.maximum ?? 0)) delete jsonSchema.maximum;
      if (jsonSchema.format === 'starts_with') delete jsonSchema.format;
    },
  });
  const plain = Object.entries(schemas as Record<string, Record<string, Json>>).map(
    ([id, { $schema: _schema, $id: _id, ...schema }]): [string, JsonObject] => [id, described(texts[id], schema)],
  );
  return Object.fromEntries(plain.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function described(texts: Description | undefined, schema: Readonly<Record<string, Json>>): JsonObject {
  if (texts === undefined) return schema;
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, JsonObject>).map(([key, value]) => {
    const description = texts.keys[key];
    return [key, description === undefined ? value : { ...value, description }];
  });
  return {
    ...schema,
    ...(texts.text === undefined ? {} : { description: texts.text }),
    ...(properties.length === 0 ? {} : { properties: Object.fromEntries(properties) as JsonObject }),
  };
}

const ref = (kind: string, name: string): JsonObject => ({ $ref: `#/components/${kind}/${name}` });

/** Answers of the server itself that every route can give. */
const SERVER_ERRORS: Readonly<Record<string, readonly ErrorCode[]>> = {
  BadRequest: ['invalid'],
  Unauthorized: ['unauthorized'],
  Forbidden: ['not-permitted'],
  NotFound: ['not-found'],
  Conflict: ['conflict', 'address-in-use'],
  PreconditionFailed: ['precondition-failed'],
  TooLarge: ['too-large'],
  NotJson: ['unsupported-media-type'],
  Misdirected: ['misdirected'],
  Unprocessable: ['unsupported', 'invalid-config'],
  TooManyRequests: ['too-many-requests'],
  Error: Object.keys(ERROR_CODES) as ErrorCode[],
};

const ALWAYS: Readonly<Record<string, string>> = {
  '401': 'Unauthorized',
  '403': 'Forbidden',
  '421': 'Misdirected',
  '429': 'TooManyRequests',
  default: 'Error',
};

export function openApiDocument(version: string, texts: Descriptions = DESCRIPTIONS): OpenApi {
  const all = makeSchemas(texts);
  const isComponent = ([id]: readonly [string, JsonObject]): boolean => !id.includes('.') && !isExpanded(id);
  return {
    openapi: '3.1.1',
    info: {
      title: 'vmlan',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        "The API of the vmlan daemon, on its owner's unix socket, and over loopback TCP with a token where it was started with `--listen`. Readers ignore keys that they do not know; requests with unknown keys are refused. Times are milliseconds since 1970.",
    },
    servers: [
      { url: 'http://vmlan', description: 'The unix socket that `vmlan status` shows; the host name does not matter' },
      {
        url: 'http://127.0.0.1:{port}',
        description: 'Loopback TCP, with the token',
        variables: { port: { default: '7117' } },
      },
    ],
    security: [{}, { token: [] }],
    tags: tags().map((name) => ({ name, description: TAG_TEXTS[name] ?? `${name[0]!.toUpperCase()}${name.slice(1)}` })),
    paths: makePaths(all),
    components: {
      schemas: Object.fromEntries(Object.entries(all).filter(isComponent)),
      responses: Object.fromEntries(Object.entries(SERVER_ERRORS).map(([name, codes]) => [name, errorResponse(codes)])),
      headers: {
        ETag: {
          description: 'The version of the resource (RFC 9110 §8.8.3); counters and states do not change it',
          schema: { type: 'string' },
        },
        Location: { description: 'The path of what was made', schema: { type: 'string' } },
      },
      parameters: {
        IfMatch: headerParameter('If-Match', 'Only if the resource still has this ETag, or one of these; else 412'),
        IfNoneMatch: headerParameter('If-None-Match', 'Only if the resource has another ETag; else 304'),
        LastEventId: headerParameter('Last-Event-ID', 'The id of the last event that was seen; goes before `after`'),
      },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'What `vmlan token` prints; over TCP alone' },
      },
    },
  };
}

const DAEMON_TAG = 'daemon';
const TAG_TEXTS: Readonly<Record<string, string>> = {
  networks: 'Networks and their leases',
  config: 'networks.yaml as a whole',
  guests: 'Guests and their network cards',
  forwards: 'Port forwards',
  records: 'DNS records',
  captures: 'Captured frames',
  [DAEMON_TAG]: 'The daemon itself',
};

/** A collection is a tag of its own, whatever else there is belongs to the daemon, which comes last. */
function tagOf(path: string): string {
  const [, , collection = ''] = path.split('/');
  return Object.values(API_ROUTES).some((route: AnyRoute) => route.path.startsWith(`/v1/${collection}/`))
    ? collection
    : DAEMON_TAG;
}

const tags = (): readonly string[] => [
  ...new Set(
    [...Object.values(API_ROUTES).map(({ path }: AnyRoute) => tagOf(path))].filter((tag) => tag !== DAEMON_TAG),
  ),
  DAEMON_TAG,
];

/** Parameters of paths and queries are written out where they are used. */
const isExpanded = (id: string): boolean => id.endsWith('Params') || id.endsWith('Query') || id === 'Nothing';

const headerParameter = (name: string, description: string): JsonObject => ({
  ...{ name, description },
  in: 'header',
  required: false,
  schema: { type: 'string' },
});

const errorResponse = (codes: readonly ErrorCode[]): JsonObject => ({
  description:
    codes.length > 3 ? 'Any other error' : codes.map((code) => `${code}: ${ERROR_CODES[code].meaning}`).join(' '),
  content: { [PROBLEM_TYPE]: { schema: ref('schemas', 'Problem') } },
});

function makePaths(schemas: Readonly<Record<string, JsonObject>>): OpenApi['paths'] {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [name, route] of Object.entries(API_ROUTES) as [RouteName, AnyRoute][]) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[route.method.toLowerCase()] = operation(name, route, schemas);
  }
  paths['/metrics'] = {
    get: plainOperation('metrics', 'Everything that is counted, as docs/metrics.md tells', 'text/plain'),
  };
  paths['/openapi.json'] = { get: plainOperation('openapi', 'This document', JSON_TYPE) };
  return paths;
}

function plainOperation(operationId: string, summary: string, type: string): Operation {
  const schema = { type: type === JSON_TYPE ? 'object' : 'string' };
  return {
    ...{ operationId, summary },
    tags: [DAEMON_TAG],
    parameters: [],
    responses: { '200': { description: summary, content: { [type]: { schema } } }, ...errorsOf(Object.values(ALWAYS)) },
  };
}

function errorsOf(names: readonly string[]): Readonly<Record<string, JsonObject>> {
  const status = (name: string): string =>
    name === 'Error' ? 'default' : String(ERROR_CODES[SERVER_ERRORS[name]![0]!].status);
  return Object.fromEntries(names.map((name) => [status(name), ref('responses', name)]));
}

function operation(name: RouteName, route: AnyRoute, schemas: Readonly<Record<string, JsonObject>>): Operation {
  const shapeOf = (part: 'params' | 'query' | 'body' | 'result'): JsonObject =>
    shape(route[part], `${name}.${part}`, schemas);
  const isWriting = route.method !== 'GET';
  const isOne = route.resource !== undefined && (route.path.includes(':') || route.method === 'PUT');
  const body = shapeOf('body');
  const hasBody = '$ref' in body ? body['$ref'] !== '#/components/schemas/Nothing' : true;
  const example = API_EXAMPLES.find((one) => one.route === name)?.body;
  const errors = [
    'BadRequest',
    ...(isWriting || route.path.includes(':') ? ['NotFound'] : []),
    ...(isWriting ? ['Conflict', 'Unprocessable'] : []),
    ...(isOne ? ['PreconditionFailed'] : []),
    ...(isWriting ? ['TooLarge', 'NotJson'] : []),
    ...Object.values(ALWAYS),
  ];
  return {
    operationId: name,
    summary: route.summary,
    tags: [tagOf(route.path)],
    parameters: [
      ...parameters('path', resolved(shapeOf('params'), schemas)),
      ...parameters('query', resolved(shapeOf('query'), schemas)),
      ...(isOne ? [ref('parameters', 'IfMatch')] : []),
      ...(isOne && !isWriting ? [ref('parameters', 'IfNoneMatch')] : []),
      ...(name === 'events' ? [ref('parameters', 'LastEventId')] : []),
    ],
    ...(hasBody
      ? {
          requestBody: {
            required: Array.isArray(resolved(body, schemas)['required']),
            content: { [JSON_TYPE]: { schema: body, ...(example === undefined ? {} : { example: example as Json }) } },
          },
        }
      : {}),
    responses: {
      [route.status]: success(name, route, shapeOf('result')),
      ...(name === 'health'
        ? { '503': { ...success(name, route, shapeOf('result')), description: 'Something is broken' } }
        : {}),
      ...(isOne && !isWriting
        ? { '304': { description: 'Not modified: If-None-Match names the present version' } }
        : {}),
      ...errorsOf(errors),
    },
  };
}

function success(name: RouteName, route: AnyRoute, schema: JsonObject): JsonObject {
  const isTagged = route.resource !== undefined && (route.status === 201 || /^(?:GET|PUT|PATCH)$/.test(route.method));
  const headers = {
    ...(isTagged ? { ETag: ref('headers', 'ETag') } : {}),
    ...(route.status === 201 ? { Location: ref('headers', 'Location') } : {}),
  };
  return {
    description: route.status === 204 ? `${route.summary}: done` : route.summary,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(route.status === 204 ? {} : { content: content(name, schema) }),
  };
}

/** OpenAPI 3.1 has no word for the schema of one event, or one line, of a stream. */
function content(name: RouteName, schema: JsonObject): JsonObject {
  if (name === 'events') return { 'text/event-stream': { schema: { type: 'string' }, 'x-event-data-schema': schema } };
  if (name !== 'capture' && name !== 'logs') return { [JSON_TYPE]: { schema } };
  const lines = { 'application/x-ndjson': { schema: { type: 'string' }, 'x-event-data-schema': schema } };
  if (name === 'logs') return lines;
  return {
    ...lines,
    'application/x-pcapng': { schema: { type: 'string', format: 'binary' } },
  };
}

/** By reference where it is a component. */
function shape(schema: z.ZodType, place: string, schemas: Readonly<Record<string, JsonObject>>): JsonObject {
  const inline = schemas[place];
  if (inline !== undefined) return inline;
  const name = Object.entries(model).find(([, value]) => value === schema)?.[0];
  return name === undefined ? {} : ref('schemas', componentOf(name));
}

export function resolved(schema: JsonObject, schemas: Readonly<Record<string, JsonObject>>): JsonObject {
  const target = schema['$ref'];
  return typeof target === 'string' ? (schemas[target.split('/').at(-1)!] ?? {}) : schema;
}

function parameters(place: 'path' | 'query', schema: JsonObject): readonly JsonObject[] {
  const required = (schema['required'] ?? []) as readonly string[];
  return Object.entries((schema['properties'] ?? {}) as Record<string, JsonObject>).map(([name, value]) => {
    const { description, ...rest } = value;
    return {
      name,
      in: place,
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
}
