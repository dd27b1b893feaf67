import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { format, resolveConfig } from 'prettier';
import * as model from '../model/api.ts';
import { API_ROUTES } from '../model/api.ts';
import type { Route, RouteName } from '../model/api.ts';
import { descriptionsModule, interfaceTexts } from './description-texts.ts';
import type { Description } from './description-texts.ts';
import { API_EXAMPLES } from './examples.ts';
import { openApiDocument } from './openapi.ts';
import type { Json } from './openapi.ts';
import { renderApiReference, renderErrorReference, typeText } from './reference.ts';

const SOURCE = import.meta.dirname;
const DOCS = join(SOURCE, '../../../../docs');
const MODEL = join(SOURCE, '../model');

async function isCurrent(path: string, text: string): Promise<void> {
  const wanted = await format(text, { ...(await resolveConfig(path)), filepath: path });
  if (process.env['VMLAN_UPDATE_DOCS'] === '1') writeFileSync(path, wanted);
  assert.equal(readFileSync(path, 'utf8'), wanted, `${path} is stale: VMLAN_UPDATE_DOCS=1 ./bin/test api/openapi`);
}

/** The texts of the interfaces whose schema model/api.ts exports. */
function modelTexts(): Readonly<Record<string, Description>> {
  const sources = readdirSync(MODEL).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  const all = sources.sort().flatMap((name) => Object.entries(interfaceTexts(readFileSync(join(MODEL, name), 'utf8'))));
  const exported = new Set(Object.keys(model).map((name) => name.replace(/Schema$/, '').toLowerCase()));
  return Object.fromEntries(all.filter(([name]) => exported.has(name.toLowerCase())));
}

describe('the checked-in pages are current', () => {
  test('descriptions', () => isCurrent(join(SOURCE, 'descriptions.ts'), descriptionsModule(modelTexts())));
  test('openapi.json', () => isCurrent(join(DOCS, 'openapi.json'), JSON.stringify(openApiDocument('0', modelTexts()))));
  test('api.md', () => isCurrent(join(DOCS, 'api.md'), renderApiReference(openApiDocument('0', modelTexts()))));
  test('errors.md', () => isCurrent(join(DOCS, 'errors.md'), renderErrorReference()));
});

describe('the document', () => {
  const document = openApiDocument('1.2.3', modelTexts());
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

  test('has every route, once', () => {
    const want = Object.entries(API_ROUTES).map(
      ([name, { method, path }]: [string, { method: string; path: string }]) =>
        `${name}: ${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`,
    );
    const have = operations.map(
      ({ path, method, operation }) => `${operation.operationId}: ${method.toUpperCase()} ${path}`,
    );
    assert.deepEqual(have.sort(), [...want, 'metrics: GET /metrics', 'openapi: GET /openapi.json'].sort());
    assert.equal(new Set(have.map((line) => line.split(':')[0])).size, have.length, 'operationIds are unique');
  });

  test('refers to what is there', () => {
    const used = new Set<string>();
    walk(document as unknown as Json, (key, value) => {
      if (key === '$ref') used.add(value as string);
      if (key === '$id' || key === '$schema') assert.fail(`${key} has no place here`);
    });
    for (const target of used) {
      const found = target
        .replace(/^#\//, '')
        .split('/')
        .reduce<unknown>((node, word) => (node as Record<string, unknown> | undefined)?.[word], document);
      assert.ok(found !== undefined, `${target} leads nowhere`);
    }
    for (const kind of ['responses', 'headers', 'parameters'] as const) {
      for (const name of Object.keys(document.components[kind]))
        assert.ok(used.has(`#/components/${kind}/${name}`), `${kind}/${name} is used by nobody`);
    }
  });

  test('has what OpenAPI 3.1 asks of each operation', () => {
    const tags = document.tags.map(({ name }) => name);
    for (const { path, method, operation } of operations) {
      const where = `${method} ${path}`;
      assert.match(operation.operationId, /^[a-zA-Z]+$/, where);
      assert.ok(operation.summary.length > 0 && !operation.summary.endsWith('.'), where);
      assert.ok(
        operation.tags.every((tag) => tags.includes(tag)),
        where,
      );
      const inPath = operation.parameters.filter((parameter) => parameter['in'] === 'path');
      assert.deepEqual(
        inPath.map(({ name, required }) => `{${name as string}} ${required as boolean}`),
        (path.match(/\{\w+\}/g) ?? []).map((name) => `${name} true`),
        where,
      );
      const names = operation.parameters.map(
        ({ in: place, name, $ref: target }) => `${place as string} ${(name ?? target) as string}`,
      );
      assert.equal(new Set(names).size, names.length, where);
      assert.ok(!('requestBody' in operation) || method !== 'get', where);
      for (const [status, response] of Object.entries(operation.responses)) {
        assert.match(status, /^(?:[1-5]\d\d|default)$/, where);
        assert.ok('description' in response || '$ref' in response, `${where} ${status}`);
      }
      assert.ok('default' in operation.responses, where);
      assert.ok(
        Object.keys(operation.responses).some((status) => status.startsWith('2')),
        where,
      );
    }
  });

  test('names every schema that the model exports, and says what the model says', () => {
    const { schemas } = document.components;
    for (const name of ['GuestView', 'NicView', 'NetworkView', 'GuestInput', 'AttachInput', 'Problem', 'EventView']) {
      assert.ok(name in schemas, name);
    }
    assert.ok(!Object.keys(schemas).some((name) => name.includes('.') || name.endsWith('Params')));
    const guest = schemas['GuestInput'] as {
      properties: Record<string, { description?: string }>;
      additionalProperties: boolean;
    };
    assert.match(guest.properties['network']?.description ?? '', /default network/);
    assert.equal(guest.additionalProperties, false, 'unknown keys are refused');
    assert.ok(!('additionalProperties' in schemas['GuestView']!), 'readers ignore unknown keys');
  });

  test('tells of streams, versions and errors', () => {
    const of = (name: RouteName): (typeof operations)[number]['operation'] =>
      operations.find(({ operation }) => operation.operationId === name)!.operation;
    assert.partialDeepStrictEqual(of('events').responses['200'], {
      content: { 'text/event-stream': { 'x-event-data-schema': { $ref: '#/components/schemas/EventView' } } },
    });
    assert.ok(of('events').parameters.some((parameter) => parameter['$ref'] === '#/components/parameters/LastEventId'));
    assert.ok('304' in of('getGuest').responses);
    assert.ok('412' in of('updateGuest').responses && 'requestBody' in of('updateGuest'));
    assert.ok(!('requestBody' in of('deleteGuest')));
    assert.partialDeepStrictEqual(of('createGuest').responses['201'], { headers: { ETag: {}, Location: {} } });
  });
});

describe('examples', () => {
  test('there are of every route', () => {
    const routes = Object.keys(API_ROUTES) as RouteName[];
    assert.deepEqual(
      routes.filter((name) => !API_EXAMPLES.some(({ route }) => route === name)),
      [],
    );
  });

  test('fit their schemas', () => {
    for (const { route: name, params = {}, query = {}, body = {} } of API_EXAMPLES) {
      const route = API_ROUTES[name] as Route<unknown, unknown, unknown, unknown>;
      for (const [schema, value] of [
        [route.params, params],
        [route.query, query],
        [route.body, body],
      ] as const) {
        assert.ok(schema.safeParse(value).success, `${name}: ${JSON.stringify(value)}`);
      }
    }
  });
});

test('texts of interfaces', () => {
  const source = `/** A guest. */
export interface Guest {
  readonly name: string;
  /** Default true. */
  readonly on?: boolean;
  /**
   * One of two:
   * - this
   * - or that
   */
  readonly kind: {
    /** Not a key of its own. */
    readonly inner: string;
  };
}

/** Of nothing. */
const x = 1;
interface Bare {
  readonly a: string;
}
`;
  assert.deepEqual(interfaceTexts(source), {
    Guest: { text: 'A guest.', keys: { on: 'Default true.', kind: 'One of two:\n- this\n- or that' } },
  });
});

test('types in words', () => {
  const table: [Parameters<typeof typeText>[0], string][] = [
    [{ $ref: '#/components/schemas/Guest' }, '[Guest](#guest)'],
    [{ type: ['string', 'null'] }, 'string or null'],
    [{ anyOf: [{ type: 'integer' }, { type: 'null' }] }, 'integer or null'],
    [{ type: 'array', items: { type: 'string' } }, 'list of string'],
    [{ enum: ['a', 'b'] }, '`a`, `b`'],
    [{ const: true }, '`true`'],
    [{ type: 'object', additionalProperties: { type: 'number' } }, 'map of number'],
    [{ type: 'object', properties: { a: { type: 'string' } } }, '{ `a`: string }'],
    [{}, 'any value'],
  ];
  for (const [schema, want] of table) assert.equal(typeText(schema), want);
});

function walk(node: Json, visit: (key: string, value: Json) => void): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    visit(key, value);
    walk(value, visit);
  }
}
