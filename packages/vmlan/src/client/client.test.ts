import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Client } from './client.ts';
import { VmlanError } from './errors.ts';

const directory = mkdtempSync('/tmp/vmlan-client-');
const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close().closeAllConnections();
  rmSync(directory, { recursive: true });
});

async function serve(listener: RequestListener): Promise<Client> {
  const path = join(directory, `${servers.length}.sock`);
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return new Client({ kind: 'unix', path });
}

const failure =
  (code: string, text: RegExp, hint?: RegExp) =>
  (error: unknown): boolean =>
    error instanceof VmlanError &&
    error.code === code &&
    text.test(error.message) &&
    (hint?.test(error.hint ?? '') ?? true);

describe('calls', () => {
  test('send method, path and body, and give the document', async () => {
    const seen: string[] = [];
    const client = await serve((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        seen.push(`${request.method} ${request.url} ${request.headers['content-type'] ?? '-'} ${body}`);
        response.end(JSON.stringify([{ name: 'web' }]));
      });
    });
    assert.deepEqual(await client.call('listGuests', { query: { network: 'lab' } }), [{ name: 'web' }]);
    await client.call('listGuests');
    await client.call('attachGuest', { params: { name: 'web' }, body: { kind: 'vfkit' } });
    assert.deepEqual(seen, [
      'GET /v1/guests?network=lab - ',
      'GET /v1/guests - ',
      'POST /v1/guests/web/attach application/json {"kind":"vfkit"}',
    ]);
  });

  test('without a body give null', async () => {
    const client = await serve((_request, response) => response.writeHead(204).end());
    assert.equal(await client.call('deleteGuest', { params: { name: 'web' } }), null);
  });

  test('are tried again while more wait to be accepted than may', async () => {
    const path = join(directory, 'busy.sock');
    const server = createServer((_request, response) => response.end('{"status":"ok"}'));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen({ path, backlog: 1 }, resolve));
    const client = new Client({ kind: 'unix', path });
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.call('health')));
    assert.equal(answers.length, 50);
  });

  test('work over loopback TCP', async () => {
    const server = createServer((_request, response) => response.end('{"status":"ok"}'));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = new Client({ kind: 'http', hostname: '127.0.0.1', port: (server.address() as AddressInfo).port });
    assert.deepEqual(await client.call('health'), { status: 'ok' });
  });
});

describe('failures', () => {
  const answers: { name: string; status: number; body: string; code: string; text: RegExp; hint?: RegExp }[] = [
    {
      name: 'a problem document',
      status: 404,
      body: '{"type":"urn:vmlan:error:not-found","title":"Not found","status":404,"code":"not-found","detail":"no guest \\"web\\"","hint":"see vmlan list"}',
      code: 'not-found',
      text: /no guest "web"/,
      hint: /vmlan list/,
    },
    {
      name: 'a code of a newer daemon',
      status: 418,
      body: '{"code":"teapot","detail":"short"}',
      code: 'internal',
      text: /short/,
    },
    { name: 'no JSON', status: 500, body: 'Oops', code: 'internal', text: /HTTP 500/ },
    { name: 'JSON of another kind', status: 500, body: 'null', code: 'internal', text: /HTTP 500/ },
    { name: 'success without JSON', status: 200, body: '<html>', code: 'internal', text: /not JSON/ },
  ];
  for (const { name, status, body, code, text, hint } of answers) {
    test(name, async () => {
      const client = await serve((_request, response) => response.writeHead(status).end(body));
      await assert.rejects(client.call('health'), failure(code, text, hint));
    });
  }

  test('nobody listens', async () => {
    const absent = new Client({ kind: 'unix', path: join(directory, 'none') });
    await assert.rejects(absent.call('health'), failure('daemon-unreachable', /no vmlan daemon answers/, /vmlan up/));
  });

  test('a plain file lies there', async () => {
    const path = join(directory, 'file');
    writeFileSync(path, '');
    await assert.rejects(
      new Client({ kind: 'unix', path }).call('health'),
      failure('daemon-unreachable', /no vmlan daemon/),
    );
  });

  test('the path is no directory', async () => {
    writeFileSync(join(directory, 'plain'), '');
    const client = new Client({ kind: 'unix', path: join(directory, 'plain/sock') });
    await assert.rejects(client.call('health'), failure('daemon-unreachable', /broke/));
  });

  test('the daemon hangs up', async () => {
    const path = join(directory, 'raw.sock');
    const server = createRawServer((socket) => socket.destroy()).listen(path);
    await assert.rejects(new Client({ kind: 'unix', path }).call('health'), failure('daemon-unreachable', /broke/));
    server.close();
  });

  test('the daemon is silent', async () => {
    const client = await serve(() => undefined);
    await assert.rejects(client.call('health', undefined, { timeoutMs: 30 }), failure('timeout', /30 ms/));
  });

  test('the caller gives up', async () => {
    const client = await serve(() => undefined);
    const controller = new AbortController();
    const call = client.call('health', undefined, { signal: controller.signal });
    controller.abort();
    await assert.rejects(call, { name: 'AbortError' });
  });
});

describe('events', () => {
  test('come one by one until the signal aborts', async () => {
    const client = await serve((_request, response) => {
      response.write('retry: 100\n\n: hello\n\nevent: guest-up\nid: 1\ndata: {"id":1}\n\ndata: {"id":2}\n\n');
    });
    const controller = new AbortController();
    const ids: number[] = [];
    for await (const event of client.events({}, controller.signal)) {
      ids.push(event.id);
      if (event.id === 2) controller.abort();
    }
    assert.deepEqual(ids, [1, 2]);
  });

  test('end with the daemon', async () => {
    const client = await serve((_request, response) => response.end('data: {"id":7}\n\n'));
    const ids: number[] = [];
    for await (const event of client.events()) ids.push(event.id);
    assert.deepEqual(ids, [7]);
  });

  test('a refused stream is an error', async () => {
    const client = await serve((_request, response) =>
      response.writeHead(503).end('{"code":"unavailable","detail":"no"}'),
    );
    await assert.rejects(client.events().next(), failure('unavailable', /no/));
  });
});
