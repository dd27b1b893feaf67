/**
 * Every route through the real socket: what it answers, and what it refuses.  A new row of the table is exercised by
 * itself; api/examples.ts has the request that succeeds.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { API_EXAMPLES } from '../api/examples.ts';
import type { ApiExample } from '../api/examples.ts';
import { openApiDocument } from '../api/openapi.ts';
import { ERROR_CODES } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import { API_ROUTES, problemSchema } from '../model/api.ts';
import type { Route, RouteName } from '../model/api.ts';
import { CONFIG, TestDaemon } from './daemon.fixture.ts';
import { writeLog } from './log.fixture.ts';
import { rawRequest } from './raw-request.fixture.ts';
import type { RawAnswer, RawRequest, Where } from './raw-request.fixture.ts';

type AnyRoute = Route<unknown, unknown, unknown, unknown>;
const ROUTES = Object.entries(API_ROUTES) as [RouteName, AnyRoute][];
const STREAMS: readonly RouteName[] = ['events', 'capture', 'logs'];
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

const socketOf = (daemon: TestDaemon): Where => ({ path: daemon.paths.socket });

const filled = (path: string, params: Readonly<Record<string, string>>): string =>
  path.replaceAll(/:(\w+)/g, (_match, key: string) => encodeURIComponent(params[key] ?? 'nobody'));

function requestOf({ route, params = {}, query = {}, body }: ApiExample): RawRequest {
  const { method, path } = API_ROUTES[route];
  const search = new URLSearchParams(query).toString();
  return {
    method,
    path: `${filled(path, params)}${search === '' ? '' : `?${search}`}`,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
}

function assertProblem(answer: RawAnswer, code: ErrorCode, what: string): void {
  assert.equal(answer.status, ERROR_CODES[code].status, `${what}: ${answer.body}`);
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/, what);
  const problem = problemSchema.parse(JSON.parse(answer.body));
  assert.deepEqual([problem.code, problem.status], [code, answer.status], what);
  assert.equal(problem.type, `urn:vmlan:error:${code}`);
}

describe('every route', () => {
  test('answers what its schema says', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    writeLog(daemon.paths.state, 'lab', ['2026-01-02T03:04:05.006Z warn something']);
    const exercised = new Set<RouteName>();
    for (const example of API_EXAMPLES) {
      const route: AnyRoute = API_ROUTES[example.route];
      const answer = await rawRequest(socketOf(daemon), requestOf(example));
      assert.equal(answer.status, route.status, `${example.route}: ${answer.body}`);
      exercised.add(example.route);
      if (example.route === 'events') {
        const data = answer.body.split('\n').filter((line) => line.startsWith('data: '));
        assert.ok(data.length > 0);
        for (const line of data) route.result.parse(JSON.parse(line.slice('data: '.length)));
      } else if (example.route === 'capture' || example.route === 'logs') {
        assert.equal(answer.headers['content-type'], 'application/x-ndjson');
        const lines = answer.body.split('\n').filter((line) => line.startsWith('{'));
        assert.equal(lines.length, 1);
        for (const line of lines) route.result.parse(JSON.parse(line));
      } else {
        route.result.parse(answer.body === '' ? null : JSON.parse(answer.body));
        if (route.status !== 204) assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
      }
      if (route.status === 201) {
        const made = await rawRequest(socketOf(daemon), { path: answer.headers['location']! });
        assert.deepEqual([made.status, made.headers['etag']], [200, answer.headers['etag']], example.route);
      }
    }
    assert.deepEqual([...exercised].sort(), Object.keys(API_ROUTES).sort(), 'every route has an example');
  });

  test('refuses a query that it does not know', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    for (const [name, route] of ROUTES) {
      const path = `${filled(route.path, { name: 'lab' })}?colour=red`;
      const answer = await rawRequest(socketOf(daemon), { method: route.method, path });
      // A resource with a tag is looked for first.
      if (answer.status !== 404) assertProblem(answer, 'invalid', name);
    }
  });

  test('with a body refuses unknown keys, other types, what is no JSON, too long or not said to be JSON', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    for (const [name, route] of ROUTES.filter(([, each]) => each.method !== 'GET')) {
      const ask = (body: string, headers: Readonly<Record<string, string>> = {}): Promise<RawAnswer> =>
        rawRequest(socketOf(daemon), {
          method: route.method,
          path: filled(route.path, { name: 'lab' }),
          body,
          headers,
        });
      assertProblem(await ask('{"colour":"red"}'), 'invalid', name);
      assertProblem(await ask('["a"]'), 'invalid', name);
      assertProblem(await ask('"a"'), 'invalid', name);
      assertProblem(await ask('{"name":'), 'invalid', name);
      assertProblem(await ask('{"__proto__":{"a":1}}'), 'invalid', name);
      assertProblem(await ask(`{"name":"${'x'.repeat(70_000)}"}`), 'too-large', name);
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=a'])
        assertProblem(await ask('name=a', { 'content-type': type }), 'unsupported-media-type', `${name} ${type}`);
    }
  });

  test('with required keys refuses a request without them', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const wanting = ROUTES.filter(([, route]) => !route.body.safeParse({}).success);
    assert.ok(wanting.length >= 3);
    for (const [name, route] of wanting) {
      const path = filled(route.path, { name: 'lab' });
      assertProblem(await rawRequest(socketOf(daemon), { method: route.method, path }), 'invalid', name);
    }
  });

  test('about something says that it is not there', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    for (const [name, route] of ROUTES.filter(([, { path }]) => path.includes(':'))) {
      if (name === 'attachGuest') continue; // registers who is not there
      const { body: example, query = {} } = API_EXAMPLES.find(({ route: one }) => one === name) ?? {};
      const answer = await rawRequest(socketOf(daemon), {
        method: route.method,
        path: `${filled(route.path, { name: 'nobody', id: 'nobody' })}?${new URLSearchParams(query).toString()}`,
        ...(example === undefined ? {} : { body: JSON.stringify(example) }),
      });
      assertProblem(answer, 'not-found', name);
      assert.match(JSON.parse(answer.body).detail, /nobody/, name);
    }
  });

  test('tells which methods its path has', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const byPath = Map.groupBy(ROUTES, ([, { path }]) => path);
    for (const [path, routes] of byPath) {
      const own: string[] = routes.map(([, { method }]) => method);
      const readable = own.includes('GET') && !STREAMS.some((name) => API_ROUTES[name].path === path) ? ['HEAD'] : [];
      const allow = [...own, ...readable, 'OPTIONS'].sort().join(', ');
      const target = filled(path, { name: 'lab' });
      for (const method of METHODS.filter((each) => !own.includes(each))) {
        const answer = await rawRequest(socketOf(daemon), { method, path: target });
        assertProblem(answer, 'method-not-allowed', `${method} ${path}`);
        assert.equal(answer.headers['allow'], allow);
      }
      const options = await rawRequest(socketOf(daemon), { method: 'OPTIONS', path: target });
      assert.deepEqual([options.status, options.headers['allow'], options.body], [204, allow, ''], path);
      assert.deepEqual(
        Object.keys(options.headers).filter((name) => name.startsWith('access-control-')),
        [],
        'nobody is invited',
      );
    }
  });

  test('that reads answers HEAD without a body', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    for (const [name, route] of ROUTES.filter(([, { method }]) => method === 'GET')) {
      const path = filled(route.path, { name: 'lab' });
      const get = await rawRequest(socketOf(daemon), { path: name === 'events' ? `${path}?follow=false` : path });
      const head = await rawRequest(socketOf(daemon), { method: 'HEAD', path });
      assert.equal(head.body, '', name);
      assert.equal(head.status, STREAMS.includes(name) ? 405 : get.status, name);
      if (STREAMS.includes(name)) continue;
      assert.equal(head.headers['content-type'], get.headers['content-type'], name);
    }
  });
});

test('what is no address is refused', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  const table: [path: string, status: number, code: ErrorCode][] = [
    [`/v1/guests/${'x'.repeat(200)}`, 414, 'too-large'],
    [`/v1/guests/${'%78'.repeat(129)}`, 414, 'too-large'],
    ['/v1/guests/%zz', 400, 'invalid'],
    ['/v1/guests/%00', 404, 'not-found'],
    ['/v1/guests/..%2f..%2fetc', 404, 'not-found'],
    ['/v1/guests/__proto__', 404, 'not-found'],
  ];
  for (const [path, status, code] of table) {
    const answer = await rawRequest(socketOf(daemon), { path });
    assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/, path);
    assert.deepEqual([answer.status, JSON.parse(answer.body).code], [status, code], path);
  }
});

test('what is no route is not found', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  for (const path of [
    '/',
    '/v1',
    '/v1/',
    '/v2/guests',
    '/v1/guests/',
    '/v1/guests/a/b/c',
    '//v1/guests',
    '/V1/guests',
  ]) {
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      const answer = await rawRequest(socketOf(daemon), { method, path });
      assertProblem(answer, 'not-found', `${method} ${path}`);
    }
  }
});

test('what is served is what the document says', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  const served = JSON.parse((await rawRequest(socketOf(daemon), { path: '/openapi.json' })).body) as unknown;
  assert.deepEqual(served, JSON.parse(JSON.stringify(openApiDocument('0.0.0-test'))));
});
