/**
 * docs/api.md and docs/errors.md, made from the OpenAPI document and the table of error codes.
 *
 * Zone: control.  openapi.test.ts formats the pages and keeps them current.
 */
import { ERROR_CODES } from '../core/errors.ts';
import { API_ROUTES } from '../model/api.ts';
import { API_EXAMPLES } from './examples.ts';
import type { ApiExample } from './examples.ts';
import { resolved } from './openapi.ts';
import type { Json, JsonObject, OpenApi, Operation } from './openapi.ts';

const INTRODUCTION = `# HTTP API

<!-- Made from the table of routes by VMLAN_UPDATE_DOCS=1 ./bin/test api/openapi; do not edit. -->

Everything that \`vmlan\` does it does through this API, and so can you. The daemon serves it on a unix socket that its owner
alone can open; \`vmlan status\` tells where. [openapi.json](openapi.json) says the same for programs, and the daemon itself
answers it at \`/openapi.json\`.

The examples suppose a network \`lab\` (10.77.0.0/24) in networks.yaml; a test sends them all to a daemon:

\`\`\`sh
SOCKET=$(vmlan status --output json | jq -r .paths.socket)
api() { local path=$1; shift; curl --silent --show-error --fail-with-body --unix-socket "$SOCKET" "http://vmlan$path" "$@"; }
\`\`\`

## What holds everywhere

- Requests and answers are JSON in UTF-8. A body is sent as \`Content-Type: application/json\`, that of a PATCH also as
  \`application/merge-patch+json\`; unknown keys are refused, so that a misspelt one is noticed, and so are keys that stand
  twice. Readers ignore keys that they do not know: later versions may have more.
- An error is a document of type \`application/problem+json\` (RFC 9457) whose \`code\` is one of [errors.md](errors.md),
  with a \`hint\` where there is a next step.
- A single network, guest, forward, record or shape has an \`ETag\`, made from what is configured or registered about it and not
  from counters or states. A change with \`If-Match: ETAG\` is made only if nobody else made one meanwhile; otherwise the
  answer is 412 \`precondition-failed\`. \`If-None-Match\` on a GET answers 304 while nothing has changed.
- What is made answers 201 with its \`Location\`.
- Events have ids that grow, also over the start of another daemon. A reader that comes back with \`Last-Event-ID\`, as
  browsers do by themselves, gets what it missed of the last 1 024; where some of it is not known any more, above all that
  of a daemon before, the first event is \`events-missed\`: look at what is there then.
- Times are milliseconds since 1970.
- How much a request may hold and how long it may take stands in [limits.md](limits.md).
`;

export function renderApiReference(document: OpenApi): string {
  const { schemas } = document.components;
  const sections = document.tags.map(({ name, description }) => {
    const operations = Object.entries(document.paths)
      .flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
      )
      .filter(({ operation }) => operation.tags.includes(textOf(name)))
      .sort((a, b) => turnOf(a.operation) - turnOf(b.operation));
    const texts = operations.map((one) => renderOperation(one.method, one.path, one.operation, schemas));
    return `## ${textOf(description)}\n\n${texts.join('\n')}`;
  });
  const documents = Object.entries(schemas).map(([name, schema]) => renderSchema(name, schema));
  return `${[INTRODUCTION, ...sections].join('\n')}\n## Documents\n\n${documents.join('\n')}`;
}

/** Operations in the order in which their examples succeed. */
const turnOf = ({ operationId }: Operation): number => API_EXAMPLES.findIndex(({ route }) => route === operationId);

function renderOperation(
  method: string,
  path: string,
  operation: Operation,
  schemas: OpenApi['components']['schemas'],
): string {
  const { operationId, summary, parameters, requestBody, responses } = operation;
  const [status = '', success = {}] = Object.entries(responses)[0] ?? [];
  const rows = parameters.flatMap((parameter): string[] =>
    '$ref' in parameter || parameter['in'] === 'path'
      ? []
      : [row([`\`${textOf(parameter['name'])}\``, ...told(parameter['schema']!, parameter)])],
  );
  const body = requestBody === undefined ? null : mediaSchema(requestBody);
  const answer = mediaSchema(success);
  const example = API_EXAMPLES.find(({ route }) => route === operationId);
  return [
    `### ${method} ${path}\n`,
    `${summary}.\n`,
    ...(rows.length === 0 ? [] : [`${row(['Query', 'type', ''])}${row(['---', '---', '---'])}${rows.join('')}`]),
    `${body === null ? '' : `Body: ${typeText(body)}. `}Answer: ${status}${answer === null ? '' : `, ${typeText(answer)}`}.\n`,
    ...(body === null || '$ref' in body ? [] : [renderKeys(resolved(body, schemas))]),
    `\`\`\`sh\n${example === undefined ? `api ${path}` : exampleLine(example)}\n\`\`\`\n`,
  ].join('\n');
}

/** The request of an example, as people write it. */
export function exampleLine({ route, params = {}, query = {}, body }: ApiExample): string {
  const { method, path } = API_ROUTES[route];
  const filled = path.replaceAll(/:(\w+)/g, (_match, key: string) => params[key] ?? '');
  const search = Object.keys(query).length === 0 ? '' : `?${new URLSearchParams(query).toString()}`;
  const url = `${filled}${search}`;
  return [
    'api',
    search === '' ? url : `'${url}'`,
    ...(method === 'GET' || (method === 'POST' && body !== undefined) ? [] : [`-X ${method}`]),
    ...(body === undefined ? [] : [`--json '${JSON.stringify(body)}'`]),
  ].join(' ');
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |\n`;

const told = (schema: Json, { required, description }: JsonObject): [string, string] => [
  `${typeText(schema as JsonObject)}${required === true ? '' : ', optional'}`,
  textOf(description),
];

function mediaSchema(holder: JsonObject): JsonObject | null {
  const media = Object.values((holder['content'] ?? {}) as Record<string, JsonObject>)[0];
  return media === undefined ? null : ((media['x-event-data-schema'] ?? media['schema']) as JsonObject);
}

function renderSchema(name: string, schema: JsonObject): string {
  const text = schema['description'] === undefined ? '' : `${textOf(schema['description'])}\n\n`;
  return `### ${name}\n\n${text}${schema['properties'] === undefined ? `${typeText(schema)}\n` : renderKeys(schema)}`;
}

function renderKeys(schema: JsonObject): string {
  const required = (schema['required'] ?? []) as readonly string[];
  const rows = Object.entries((schema['properties'] ?? {}) as Record<string, JsonObject>).map(([key, value]) =>
    row([`\`${key}\``, ...told(value, { required: required.includes(key), description: value['description'] ?? '' })]),
  );
  return rows.length === 0 ? '' : `${row(['Key', 'type', ''])}${row(['---', '---', '---'])}${rows.join('')}`;
}

/** A type in words: `integer or null`, `list of Guest`. */
export function typeText(schema: JsonObject): string {
  const { $ref: target, type, items, anyOf, oneOf, properties, additionalProperties } = schema;
  if (typeof target === 'string') {
    const name = target.split('/').at(-1)!;
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema['const'] !== undefined) return `\`${JSON.stringify(schema['const'])}\``;
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => `\`${String(value)}\``).join(', ');
  const choices = (anyOf ?? oneOf) as readonly JsonObject[] | undefined;
  if (choices !== undefined) return [...new Set(choices.map(typeText))].join(' or ');
  if (Array.isArray(type)) return type.join(' or ');
  if (type === 'array') return `list of ${typeText((items ?? {}) as JsonObject)}`;
  if (properties !== undefined) {
    const keys = Object.entries(properties as Record<string, JsonObject>);
    return `{ ${keys.map(([key, value]) => `\`${key}\`: ${typeText(value)}`).join('; ')} }`;
  }
  if (type === 'object' && typeof additionalProperties === 'object')
    return `map of ${typeText(additionalProperties as JsonObject)}`;
  return typeof type === 'string' ? type : 'any value';
}

const ERRORS_INTRODUCTION = `# Errors

<!-- Made from the table of error codes by VMLAN_UPDATE_DOCS=1 ./bin/test api/openapi; do not edit. -->

Every failure has one of these codes: the API answers it as \`code\` of a problem document with the HTTP status, the command
line ends with the exit code and prints the message and, where there is one, the next step as \`hint:\`.

`;

export function renderErrorReference(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, { status, exitCode, meaning, remedy }]) =>
    row([`\`${code}\``, String(status), String(exitCode), meaning, remedy]),
  );
  return `${ERRORS_INTRODUCTION}${row(['Code', 'HTTP', 'exit code', 'What has happened', 'What to do'])}${row(['---', '---', '---', '---', '---'])}${rows.join('')}
A request that never becomes whole is answered with the code of its kind and the status of HTTP itself: 408 with \`timeout\`,
431 with \`too-large\`, 400 with \`invalid\`.
`;
}
