import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { CONFIG, TestDaemon, problem } from './daemon.fixture.ts';
import { rawRequest } from './raw-request.fixture.ts';
import type { RawAnswer } from './raw-request.fixture.ts';

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    outgoing.on('error', reject).end();
  });
}

async function worldWithOfEach(): Promise<{ daemon: TestDaemon; paths: Readonly<Record<string, string>> }> {
  const daemon = await TestDaemon.start(CONFIG);
  const { client } = daemon;
  await client.call('startNetwork', { params: { name: 'lab' } });
  await client.call('createGuest', { body: { name: 'web', network: 'lab' } });
  const forward = await client.call('createForward', { body: { host: '9090', guest: 'web:90', network: 'lab' } });
  const record = await client.call('createRecord', {
    body: { name: 'x.lab.internal', type: 'A', value: '10.77.0.9', network: 'lab' },
  });
  const paths = {
    network: '/v1/networks/lab',
    guest: '/v1/guests/web',
    forward: `/v1/forwards/${forward.id}`,
    record: `/v1/records/${record.id}`,
  };
  return { daemon, paths };
}

describe('every single resource', () => {
  test('has a strong tag, the same for GET and HEAD and after a restart', async () => {
    const { daemon, paths } = await worldWithOfEach();
    await using _ = daemon;
    const { socket } = daemon.paths;
    const before = new Map<string, string | undefined>();
    for (const [kind, path] of Object.entries(paths)) {
      const { status, headers } = await ask(socket, 'GET', path, {});
      assert.equal(status, 200, kind);
      assert.match(headers.etag ?? '', /^"[\w-]{22}"$/, kind);
      const head = await ask(socket, 'HEAD', path, {});
      assert.deepEqual([head.status, head.headers.etag, head.body], [200, headers.etag, ''], kind);
      const unchanged = await ask(socket, 'GET', path, { 'if-none-match': headers.etag! });
      assert.deepEqual([unchanged.status, unchanged.headers.etag, unchanged.body], [304, headers.etag, ''], kind);
      before.set(kind, headers.etag);
    }
    assert.equal(new Set(before.values()).size, 4, 'each has its own');
    await daemon.restart();
    for (const [kind, path] of Object.entries(paths)) {
      assert.equal((await ask(socket, 'GET', path, {})).headers.etag, before.get(kind), kind);
    }
  });

  test('that is not there is not found, whatever the condition', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    for (const path of ['/v1/networks/x', '/v1/guests/x', '/v1/forwards/x', '/v1/records/x']) {
      const { status, headers } = await ask(daemon.paths.socket, 'GET', path, { 'if-match': '"a"' });
      assert.deepEqual([status, headers.etag], [404, undefined], path);
    }
  });

  test('that is made answers with its address and its tag', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    const made = await client.callTagged('createGuest', { body: { name: 'web', network: 'lab' } });
    const read = await client.callTagged('getGuest', { params: { name: 'web' } });
    assert.equal(made.etag, read.etag);
    assert.equal((await client.callTagged('listGuests')).etag, null);
  });
});

describe('a change', () => {
  test('of what is no longer as it was read is refused', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    const params = { name: 'web' };
    const { etag } = await client.callTagged('createGuest', { body: { name: 'web', network: 'lab' } });
    const first = await client.callTagged('updateGuest', { params, body: { connected: false } }, { ifMatch: etag! });
    assert.notEqual(first.etag, etag);
    const second = client.call('updateGuest', { params, body: { ip: '10.77.0.9' } }, { ifMatch: etag! });
    await assert.rejects(second, problem('precondition-failed', /guest "web" is no longer/, /read it again/));
    const late = client.call('deleteGuest', { params }, { ifMatch: etag! });
    await assert.rejects(late, problem('precondition-failed', /guest "web"/));
    await client.call('deleteGuest', { params }, { ifMatch: first.etag! });
  });

  test('is made by one of many who read the same', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    const params = { name: 'web' };
    const { etag } = await client.callTagged('createGuest', { body: { name: 'web', network: 'lab' } });
    const attempts = Array.from({ length: 20 }, (_, i) =>
      client.call('updateGuest', { params, body: { ip: `10.77.0.${20 + i}` } }, { ifMatch: etag! }),
    );
    const results = await Promise.allSettled(attempts);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  test('of the state alone leaves the tag as it is', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { client } = daemon;
    const params = { name: 'lab' };
    const { etag } = await client.callTagged('getNetwork', { params });
    await client.call('startNetwork', { params }, { ifMatch: etag! });
    assert.equal((await client.callTagged('getNetwork', { params })).etag, etag);
  });

  test('with a condition that is none is refused', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    const { status, body } = await ask(daemon.paths.socket, 'GET', '/v1/networks/lab', { 'if-match': 'bare' });
    assert.equal(status, 400);
    assert.match(body, /bare.* is no entity tag/);
  });
});

describe('a shape, which has its address from the one who sets it', () => {
  test('is replaced by who has seen it, and made by who has seen none', async () => {
    await using daemon = await TestDaemon.start(CONFIG);
    await daemon.client.call('createGuest', { body: { name: 'web', network: 'lab' } });
    const put = async (delayMs: number, headers: Readonly<Record<string, string>>): Promise<RawAnswer> =>
      rawRequest(
        { path: daemon.paths.socket },
        { method: 'PUT', path: '/v1/shapes', headers, body: JSON.stringify({ guest: 'web', delayMs }) },
      );
    assert.equal((await put(1, { 'if-match': '*' })).status, 412, 'there is none');
    const first = await put(1, { 'if-none-match': '*' });
    assert.equal(first.status, 200);
    const { etag = '' } = first.headers;
    const { id } = JSON.parse(first.body) as { id: string };
    assert.equal((await ask(daemon.paths.socket, 'GET', `/v1/shapes/${id}`, {})).headers.etag, etag);
    assert.equal((await put(2, { 'if-none-match': '*' })).status, 412, 'somebody made it already');
    assert.equal((await put(2, { 'if-match': '"another"' })).status, 412);
    const results = await Promise.all([put(3, { 'if-match': etag }), put(4, { 'if-match': etag })]);
    assert.deepEqual(
      results.map(({ status }) => status).sort((a, b) => a - b),
      [200, 412],
      'one of two editors',
    );
  });
});

test('what is yet to be made matches nothing', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  const body = '{"name":"web","network":"lab"}';
  const post = (headers: Readonly<Record<string, string>>): Promise<RawAnswer> =>
    rawRequest({ path: daemon.paths.socket }, { method: 'POST', path: '/v1/guests', headers, body });
  for (const match of ['*', '"a"']) assert.equal((await post({ 'if-match': match })).status, 412);
  assert.equal((await post({ 'if-none-match': '*' })).status, 201);
});
