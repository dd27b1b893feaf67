import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Wire } from '../simulation.fixture.ts';
import type { Stack } from '../stack.ts';
import { bodyLength, readBody, readHead } from './message.ts';
import { MAX_HEAD_BYTES, Reader } from './reader.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A reader of text that comes in pieces of so many bytes. */
function readerOf(text: string, pieceBytes = 7): Reader {
  const bytes = encode(text);
  let at = 0;
  return new Reader({
    read: () => Promise.resolve(at >= bytes.length ? null : bytes.subarray(at, (at += pieceBytes))),
  });
}

async function bodyOf(text: string, isRequest = false): Promise<string> {
  const reader = readerOf(text);
  const head = (await readHead(reader))!;
  const parts: Uint8Array[] = [];
  for await (const part of readBody(reader, bodyLength(head.headers, isRequest))) parts.push(part);
  return Buffer.concat(parts).toString();
}

describe('a message', () => {
  for (const [name, text, body] of [
    ['with a length', 'X\r\nContent-Length: 5\r\n\r\nhellomore', 'hello'],
    ['with the same length twice', 'X\r\nContent-Length: 5, 5\r\n\r\nhello', 'hello'],
    ['up to the end', 'X\r\n\r\nall of it', 'all of it'],
    [
      'in chunks',
      'X\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n, and more.\r\n0\r\nT: r\r\n\r\n',
      'hello, and more.',
    ],
    ['with line feeds alone', 'X\nContent-Length: 2\n\nhi', 'hi'],
  ] as const) {
    test(`${name} is read`, async () => {
      if (name === 'in chunks') assert.equal(await bodyOf(text.replace('\r\nA\r\n', '\r\nB\r\n')), body);
      else assert.equal(await bodyOf(text), body);
    });
  }

  for (const [name, text, message] of [
    ['whose length is none', 'X\r\nContent-Length: x\r\n\r\n', /is no length/],
    ['with two lengths', 'X\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', /is no length/],
    ['that is cut', 'X\r\nContent-Length: 5\r\n\r\nhell', /before it is whole/],
    ['whose head is cut', 'X\r\nContent-Length', /before it is whole/],
    ['whose headers are cut', 'X\r\nA: b\r\n', /before it is whole/],
    ['with a header that is none', 'X\r\nno header\r\n\r\n', /not a header/],
    ['with another coding', 'X\r\nTransfer-Encoding: gzip\r\n\r\n', /is not understood/],
    ['with a bad chunk', 'X\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n', /size of a chunk/],
    ['with a chunk too long', 'X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n', /longer than it says/],
    ['with trailers that are cut', 'X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n', /before it is whole/],
    ['with a line without end', 'x'.repeat(2 * MAX_HEAD_BYTES), /a line of more than/],
    ['with headers without end', `X\r\n${`A: ${'b'.repeat(1000)}\r\n`.repeat(100)}`, /headers of more than/],
  ] as const) {
    test(`${name} is refused`, async () => {
      await assert.rejects(bodyOf(text), { code: 'EPROTO', message });
    });
  }

  test('that never begins is none', async () => {
    assert.equal(await readHead(readerOf('')), null);
    assert.equal(bodyLength(new Headers(), true), 0);
  });

  test('of any bytes ends, well or with EPROTO', async () => {
    const any = fc.asyncProperty(
      fc.string({ maxLength: 300 }),
      fc.integer({ min: 1, max: 50 }),
      async (text, piece) => {
        const reader = readerOf(`X\r\n${text}`, piece);
        try {
          const head = await readHead(reader);
          if (head === null) return;
          for await (const part of readBody(reader, bodyLength(head.headers, false))) assert.ok(part.length > 0);
        } catch (error) {
          assert.ok((error as { code?: string }).code === 'EPROTO' || error instanceof TypeError, String(error));
        }
      },
    );
    await fc.assert(any, { numRuns: 200 });
  });
});

describe('between guests', () => {
  function pair(): { wire: Wire; client: Stack; server: Stack } {
    const wire = new Wire();
    return { wire, client: wire.add('client'), server: wire.add('server') };
  }
  const BASE = 'http://10.0.0.2';

  /** What a server that speaks no TypeScript answers. */
  async function raw(answer: string, init?: RequestInit): Promise<Response> {
    const { wire, client, server } = pair();
    server.tcp.listen(80, async (socket) => {
      await socket.read();
      await socket.write(answer);
    });
    return wire.clock.run(client.fetch(`${BASE}/`, init));
  }

  /** What the server says to a client that speaks no TypeScript. */
  async function ask(request: string): Promise<string> {
    const { wire, client, server } = pair();
    server.serve(80, async (asked) => new Response(`${asked.method} ${asked.url} ${await asked.text()}`));
    const socket = await wire.clock.run(client.tcp.connect('10.0.0.2', 80));
    await socket.write(request);
    await socket.end();
    return wire.clock.run(socket.text());
  }

  test('a client reads interim responses over, and knows answers without a body', async () => {
    const two = await raw('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
    assert.equal(two.status, 200);
    assert.equal(two.url, `${BASE}/`);
    assert.equal((await raw('HTTP/1.1 204 No Content\r\n\r\n')).body, null);
    assert.equal((await raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n', { method: 'HEAD' })).body, null);
  });

  for (const [answer, code] of [
    ['', 'ECONNRESET'],
    ['SMTP ready\r\n\r\n', 'EPROTO'],
    ['HTTP/1.1 200 OK\r\nbad\r\n\r\n', 'EPROTO'],
  ] as const) {
    test(`a client refuses ${JSON.stringify(answer)}`, async () => {
      await assert.rejects(raw(answer), { code });
    });
  }

  test('a client follows redirects as it is told', async () => {
    const { wire, client, server } = pair();
    server.serve(80, async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === '/loop') return Response.redirect(`${BASE}/loop`);
      if (pathname === '/see') return Response.redirect(`${BASE}/end`, 303);
      if (pathname === '/same') return Response.redirect(`${BASE}/end`, 307);
      return new Response(`${request.method} ${await request.text()}`);
    });
    const get = (path: string, init?: RequestInit): Promise<Response> =>
      wire.clock.run(client.fetch(`${BASE}${path}`, init));
    assert.equal(await wire.clock.run((await get('/see', { method: 'POST', body: 'x' })).text()), 'GET ');
    await assert.rejects(get('/loop'), { code: 'EPROTO', message: /more than 20 redirects/ });
    await assert.rejects(get('/see', { redirect: 'error' }), { code: 'EPROTO' });
    await assert.rejects(get('/same', { method: 'PUT', body: 'x' }), {
      code: 'EPROTO',
      message: /cannot be sent again/,
    });
  });

  test('a request is given up by its signal', async () => {
    const { wire, client, server } = pair();
    server.serve(80, () => new Promise<Response>(() => undefined));
    const abort = new AbortController();
    wire.clock.after(50, () => abort.abort());
    await assert.rejects(wire.clock.run(client.fetch(`${BASE}/`, { signal: abort.signal })), { name: 'AbortError' });
  });

  test('a server answers, with a length or in chunks, and closes', async () => {
    assert.match(
      await ask('GET /a?b HTTP/1.1\r\nHost: web\r\n\r\n'),
      /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n[^]*GET http:\/\/web\/a\?b /,
    );
    assert.match(await ask('POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi'), /POST http:\/\/10\.0\.0\.2\/ hi/);
    const expecting = await ask('PUT / HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi');
    assert.match(expecting, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    assert.equal(await ask(''), '');
  });

  for (const request of [
    'GET\r\n\r\n',
    'GET nowhere HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
    'TRACE / HTTP/1.1\r\nHost: web\r\n\r\n',
    'GET / HTTP/1.1\r\nbad\r\n\r\n',
  ]) {
    test(`a server says 400 to ${JSON.stringify(request)}`, async () => {
      assert.match(await ask(request), /^HTTP\/1\.1 400 Bad Request\r\n/);
    });
  }

  test('a server answers HEAD without a body, and says what its handler threw', async () => {
    const { wire, client, server } = pair();
    server.serve(80, (request) => {
      if (request.url.endsWith('/fails')) throw new Error('broken');
      return new Response('text', { headers: { 'content-length': '4' } });
    });
    const head = await wire.clock.run(client.fetch(`${BASE}/`, { method: 'HEAD' }));
    assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '4', '']);
    const failed = await wire.clock.run(client.fetch(`${BASE}/fails`));
    assert.deepEqual([failed.status, await wire.clock.run(failed.text())], [500, 'broken\n']);
  });
});
