/** Who reaches the API: through the unix socket, a group, and loopback TCP, as raw HTTP sends it. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { Client } from '../client/client.ts';
import type { VmlanError } from '../core/errors.ts';
import { FakeDriver } from '../drivers/fake/driver.ts';
import { API_ROUTES } from '../model/api.ts';
import { CONFIG, TestDaemon, problem } from './daemon.fixture.ts';
import { exchange, parseAnswer, rawRequest } from './raw-request.fixture.ts';
import type { RawAnswer, RawRequest } from './raw-request.fixture.ts';

interface TcpDaemon {
  readonly daemon: TestDaemon;
  readonly where: { readonly host: string; readonly port: number };
  readonly token: string;
  readonly ask: (request: RawRequest, token?: string | null) => Promise<RawAnswer>;
}

async function listening(): Promise<TcpDaemon> {
  const daemon = new TestDaemon(new FakeDriver());
  daemon.configure(CONFIG);
  daemon.options = { listen: '127.0.0.1:0' };
  await daemon.start();
  const { token, address } = await daemon.client.call('getToken');
  const where = { host: '127.0.0.1', port: Number(new URL(address!).port) };
  const ask = (request: RawRequest, own: string | null = token): Promise<RawAnswer> =>
    rawRequest(where, {
      ...request,
      headers: {
        host: `127.0.0.1:${where.port}`,
        ...(own === null ? {} : { authorization: `Bearer ${own}` }),
        ...request.headers,
      },
    });
  return { daemon, where, token, ask };
}

const codeOf = ({ body }: RawAnswer): string => (JSON.parse(body) as { code: string }).code;

describe('over TCP', () => {
  test('nobody listens unless asked to', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    assert.equal((await daemon.client.call('status')).address, null);
    assert.ok(!existsSync((await daemon.client.call('status')).paths.state + '/token'), 'and no token is made');
  });

  test('only loopback addresses are listened at', async () => {
    for (const listen of ['0.0.0.0:0', '[::]:0', '192.168.1.1:7117', 'example.com:80', '7117x']) {
      await using daemon = new TestDaemon(new FakeDriver());
      daemon.options = { listen };
      await assert.rejects(daemon.start(), problem('usage', /no loopback address/, /127\.0\.0\.1/), listen);
      assert.ok(!existsSync(daemon.paths.socket));
    }
  });

  test('a port that is taken ends the start and leaves nothing behind', async () => {
    const { daemon: first, where } = await listening();
    await using _ = first;
    await using second = new TestDaemon(new FakeDriver());
    second.options = { listen: `127.0.0.1:${where.port}` };
    await assert.rejects(second.start(), problem('address-in-use', /EADDRINUSE/, /another port/));
    assert.ok(!existsSync(second.paths.socket));
    second.options = {};
    await second.start();
  });

  test('the token opens everything but the token', async () => {
    const { daemon, ask } = await listening();
    await using _ = daemon;
    assert.equal((await ask({ path: '/v1/status' })).status, 200);
    assert.equal((await ask({ path: '/metrics' })).status, 200);
    assert.equal((await ask({ method: 'POST', path: '/v1/networks/lab/start' })).status, 200);
    for (const [method, path] of [
      ['GET', '/v1/token'],
      ['POST', '/v1/token/rotate'],
    ] as const) {
      const answer = await ask({ method, path });
      assert.deepEqual([answer.status, codeOf(answer)], [403, 'not-permitted']);
    }
  });

  test('the host is the one that everybody on the way reads', async () => {
    const { daemon, where, token } = await listening();
    await using _ = daemon;
    const own = `127.0.0.1:${where.port}`;
    const ask = async (target: string, ...hosts: readonly string[]): Promise<RawAnswer> => {
      const lines = [...hosts.map((host) => `Host: ${host}`), `Authorization: Bearer ${token}`, 'Connection: close'];
      return parseAnswer(await exchange(where, `GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`));
    };
    assert.equal((await ask(`http://${own}/v1/status`, own)).status, 200);
    const table: [target: string, hosts: string[], status: number, code: string][] = [
      ['/v1/status', [own, 'evil.example'], 400, 'invalid'],
      ['/v1/status', [], 400, 'invalid'],
      ['http://evil.example/v1/status', [own], 421, 'misdirected'],
      [`http://${own}@evil.example/v1/status`, [own], 421, 'misdirected'],
    ];
    for (const [target, hosts, status, code] of table) {
      const answer = await ask(target, ...hosts);
      assert.deepEqual([answer.status, codeOf(answer)], [status, code], `${target} ${hosts.join()}`);
      assert.match(answer.headers['content-type']!, /^application\/problem\+json/);
    }
  });

  test('without it every route is refused alike, known or not', async () => {
    const { daemon, ask } = await listening();
    await using _ = daemon;
    const routes = Object.values(API_ROUTES).map(({ method, path }: { method: string; path: string }) => ({
      method,
      path,
    }));
    const more = ['/metrics', '/openapi.json', '/nothing'].map((path) => ({ method: 'GET', path }));
    for (const route of [
      ...routes,
      ...more,
      { method: 'OPTIONS', path: '/v1/guests' },
      { method: 'HEAD', path: '/metrics' },
    ]) {
      const answer = await ask(route, null);
      assert.ok([401, 429].includes(answer.status), `${route.method} ${route.path}: ${answer.status}`);
      assert.equal(answer.headers['connection'], 'close');
      assert.equal(answer.headers['allow'], undefined);
    }
    const { status, headers } = await ask({ path: '/v1/status' }, 'wrong');
    assert.deepEqual([status, Number(headers['retry-after']) <= 60], [429, true]);
    assert.equal((await ask({ path: '/v1/status' })).status, 200, 'the right one passes meanwhile');
    const metrics = (await ask({ path: '/metrics' })).body;
    assert.match(metrics, /^vmlan_api_refused_total\{reason="token"\} 20$/m);
    assert.match(metrics, /^vmlan_api_refused_total\{reason="rate"\} [1-9]\d*$/m);
  });

  test('a new token makes the old one void, and cuts who came with it', async () => {
    const { daemon, where, token, ask } = await listening();
    await using _ = daemon;
    const stream = connect(where);
    stream.write(`GET /v1/events HTTP/1.1\r\nhost: 127.0.0.1:${where.port}\r\nauthorization: Bearer ${token}\r\n\r\n`);
    await new Promise((resolve) => stream.once('data', resolve));
    const ended = new Promise((resolve) => stream.once('close', resolve));
    const fresh = await daemon.client.call('rotateToken');
    await ended;
    assert.equal((await ask({ path: '/v1/status' }, token)).status, 401);
    assert.equal((await ask({ path: '/v1/status' }, fresh.token)).status, 200);
    assert.equal(statSync(fresh.file).mode & 0o777, 0o600);
  });

  test('the client brings its token', async () => {
    const { daemon, where, token } = await listening();
    await using _ = daemon;
    const of = (given?: string): Client =>
      new Client({ kind: 'http', hostname: where.host, port: where.port, token: given });
    assert.equal((await of(token).call('health')).status, 'ok');
    await assert.rejects(of().call('health'), problem('unauthorized', /no token/, /vmlan token/));
    await assert.rejects(of('x').call('health'), problem('unauthorized', /not the one/, /vmlan token/));
    await assert.rejects(of('x').events().next(), (error: VmlanError) => error.info.exitCode === 5);
  });
});

describe('a page in a browser', () => {
  const evil = 'https://evil.example';
  const cross = { origin: evil, 'sec-fetch-site': 'cross-site' };
  const attacks: { name: string; request: RawRequest }[] = [
    { name: 'fetch', request: { path: '/v1/status', headers: cross } },
    {
      name: 'fetch with mode no-cors',
      request: { path: '/v1/status', headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' } },
    },
    {
      name: 'a form',
      request: {
        method: 'POST',
        path: '/v1/networks/lab/start',
        body: 'a=b',
        headers: { ...cross, 'content-type': 'text/plain', 'sec-fetch-mode': 'navigate' },
      },
    },
    {
      name: 'a form from nowhere',
      request: { method: 'POST', path: '/v1/shutdown', body: '{}', headers: { origin: 'null' } },
    },
    {
      name: 'a script element',
      request: { path: '/v1/status', headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'script' } },
    },
    {
      name: 'an image of the neighbouring port',
      request: { path: '/v1/status', headers: { 'sec-fetch-site': 'same-site' } },
    },
    {
      name: 'a preflight',
      request: {
        method: 'OPTIONS',
        path: '/v1/guests',
        headers: {
          ...cross,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization',
        },
      },
    },
    {
      name: 'a web socket',
      request: {
        path: '/v1/events',
        headers: {
          ...cross,
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        },
      },
    },
    { name: 'an event source', request: { path: '/v1/events', headers: { ...cross, accept: 'text/event-stream' } } },
  ];

  test('of another origin is refused, even with the token', async () => {
    const { daemon, ask } = await listening();
    await using _ = daemon;
    for (const { name, request } of attacks) {
      const answer = await ask(request);
      assert.deepEqual([answer.status, codeOf(answer)], [403, 'not-permitted'], name);
      assertUnreadable(answer, name);
    }
    assert.deepEqual(await daemon.driver.list(), [], 'nothing was started');
  });

  test('under a name that leads here is refused, even with the token', async () => {
    const { daemon, ask, where } = await listening();
    await using _ = daemon;
    for (const host of [
      `rebound.example:${where.port}`,
      'rebound.example',
      `127.0.0.1.nip.example:${where.port}`,
      '',
    ]) {
      const origin = { origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
      for (const headers of [{ host }, { host, ...origin }]) {
        const answer = await ask({ path: '/v1/status', headers });
        assert.deepEqual([answer.status, codeOf(answer)], [421, 'misdirected'], host);
        assertUnreadable(answer, host);
      }
    }
  });

  test('cannot use two hosts, or an address in the request line', async () => {
    const { daemon, where, token } = await listening();
    await using _ = daemon;
    const own = `host: 127.0.0.1:${where.port}\r\n`;
    const auth = `authorization: Bearer ${token}\r\nconnection: close\r\n\r\n`;
    for (const text of [
      `GET /v1/status HTTP/1.1\r\nhost: rebound.example\r\n${own}${auth}`,
      `GET http://rebound.example/v1/status HTTP/1.1\r\nhost: rebound.example\r\n${auth}`,
      `GET /v1/status HTTP/1.0\r\n${auth}`,
      `CONNECT rebound.example:80 HTTP/1.1\r\nhost: rebound.example:80\r\n${auth}`,
    ]) {
      assert.doesNotMatch(await exchange(where, text), /^HTTP\/1\.1 2|networks/, text);
    }
  });

  test('is refused on the unix socket, too', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    for (const { name, request } of attacks) {
      const answer = await rawRequest({ path: daemon.paths.socket }, request);
      assert.deepEqual([answer.status, codeOf(answer)], [403, 'not-permitted'], name);
    }
  });

  test('of our own origin is answered, and nobody else can frame or read it', async () => {
    const { daemon, ask, where } = await listening();
    await using _ = daemon;
    const origin = `http://127.0.0.1:${where.port}`;
    const answer = await ask({ path: '/v1/status', headers: { origin, 'sec-fetch-site': 'same-origin' } });
    assert.equal(answer.status, 200);
    assertUnreadable(answer, 'our own');
  });
});

/** What keeps a browser from handing an answer to somebody else. */
function assertUnreadable({ headers }: RawAnswer, what: string): void {
  assert.deepEqual(
    Object.keys(headers).filter((name) => name.startsWith('access-control-') || name === 'set-cookie'),
    [],
    what,
  );
  assert.equal(headers['x-content-type-options'], 'nosniff', what);
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin', what);
  assert.match(headers['content-security-policy'] ?? '', /frame-ancestors 'none'/, what);
  assert.equal(headers['cache-control'], 'no-store', what);
}

describe('a group', () => {
  test('of the options may use the socket, and its directory is searchable', async () => {
    await using daemon = new TestDaemon(new FakeDriver());
    daemon.options = { socketGroup: String(process.getgid!()) };
    await daemon.start();
    const { mode, gid } = statSync(daemon.paths.socket);
    assert.deepEqual([mode & 0o777, gid], [0o660, process.getgid!()]);
    assert.equal(statSync(daemon.paths.runtime).mode & 0o006, 0, 'the directory is not readable or writable for all');
  });

  test('that is not there ends the start, and leaves nothing behind', async () => {
    await using daemon = new TestDaemon(new FakeDriver());
    daemon.options = { socketGroup: 'nobody-has-this' };
    await assert.rejects(daemon.start(), problem('not-found', /no group "nobody-has-this"/, /groupadd/));
    assert.ok(!existsSync(daemon.paths.socket));
  });

  test('that cannot be had ends the start, and leaves nothing behind', async () => {
    await using daemon = new TestDaemon(new FakeDriver());
    daemon.options = { socketGroup: '9999999999' };
    await assert.rejects(daemon.start(), problem('not-permitted', /to group 9999999999/, /member of/));
    assert.ok(!existsSync(daemon.paths.socket));
  });

  test('of networks.yaml is used when it can be had', async () => {
    await using daemon = await TestDaemon.start('group: root\nnetworks: {}\n');
    assert.equal(statSync(daemon.paths.socket).mode & 0o777, process.getuid!() === 0 ? 0o660 : 0o600);
    await using other = await TestDaemon.start('group: nobody-has-this\nnetworks: {}\n');
    assert.equal(statSync(other.paths.socket).mode & 0o777, 0o600, "as a file of Lima's names one");
  });

  test('of the owner has no way in without being named', async () => {
    await using daemon = new TestDaemon(new FakeDriver());
    chmodSync(daemon.directory, 0o755);
    await daemon.start();
    assert.equal(statSync(daemon.paths.socket).mode & 0o777, 0o600);
  });
});
