/** The bounds of the listeners, with real sockets and clients that do what they should not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { until, within } from '../core/deadline.fixture.ts';
import { silentLogger } from '../core/logger.ts';
import { MAX_UNANSWERED } from './connections.ts';
import { HttpListeners, MAX_HEADER_BYTES } from './http-server.ts';
import type { HttpLimits } from './http-server.ts';

const directory = mkdtempSync('/tmp/vmlan-http-');
after(() => rmSync(directory, { recursive: true }));
let made = 0;
const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
const MIB = 1_048_576;
const PATIENCE_MS = 10_000;

class Served implements AsyncDisposable {
  readonly path: string = join(directory, `${made++}.sock`);
  readonly listeners: HttpListeners;
  readonly #clients: Socket[] = [];

  constructor(onRequest: RequestListener, limits: Partial<HttpLimits>) {
    this.listeners = new HttpListeners(onRequest, silentLogger, limits);
  }

  static async start(onRequest: RequestListener, limits: Partial<HttpLimits> = {}): Promise<Served> {
    const served = new Served(onRequest, limits);
    await served.listeners.listenAt(served.path, null);
    return served;
  }

  async connect(): Promise<Client> {
    const socket = connect(this.path);
    this.#clients.push(socket);
    await once(socket, 'connect');
    return new Client(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await this.listeners.close();
  }
}

class Client {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  text = '';

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
  }

  read(): this {
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    return this;
  }

  async hears(wanted: RegExp): Promise<void> {
    const closed = this.closed.then(() => assert.fail(`closed after ${this.text}`));
    const more = (): Promise<unknown> => Promise.race([once(this.socket, 'data'), closed]);
    while (!wanted.test(this.text)) await within(`${wanted} behind ${this.text}`, PATIENCE_MS, more());
  }
}

const ok: RequestListener = (_request, response) => response.end('fine');

describe('connections', () => {
  test('that are idle longest make room for new ones', async () => {
    await using served = await Served.start(ok, { maxConnections: 3 });
    const clients = [await served.connect(), await served.connect(), await served.connect()];
    clients[0]!.read().socket.write(GET);
    await clients[0]!.hears(/fine/);
    const fourth = (await served.connect()).read();
    await clients[1]!.closed;
    fourth.socket.write(GET);
    await fourth.hears(/fine/);
    assert.ok(!clients[0]!.socket.destroyed && !clients[2]!.socket.destroyed);
    assert.equal(served.listeners.connections, 3);
  });

  test('that all wait for answers are left, and the new one goes', async () => {
    const answers: (() => void)[] = [];
    await using served = await Served.start((_request, response) => answers.push(() => response.end('fine')), {
      maxConnections: 2,
    });
    const clients = [(await served.connect()).read(), (await served.connect()).read()];
    for (const { socket } of clients) socket.write(GET);
    await until('two requests', PATIENCE_MS, () => answers.length === 2);
    await (
      await served.connect()
    ).closed;
    for (const answer of answers) answer();
    for (const client of clients) await client.hears(/fine/);
  });

  test('with many unanswered requests are closed', async () => {
    let asked = 0;
    await using served = await Served.start(() => asked++);
    const client = await served.connect();
    client.socket.write(GET.repeat(MAX_UNANSWERED + 100));
    await client.closed;
    assert.equal(asked, MAX_UNANSWERED, 'what came behind was not acted upon');
  });

  test('are answered in order within the bound', async () => {
    let asked = 0;
    await using served = await Served.start((_request, response) => response.end(`${asked++};`));
    const client = (await served.connect()).read();
    client.socket.write(GET.repeat(MAX_UNANSWERED));
    await client.hears(new RegExp(`${MAX_UNANSWERED - 1};`));
    assert.equal(
      client.text.match(/\d+;/g)?.join(''),
      Array.from({ length: MAX_UNANSWERED }, (_, i) => `${i};`).join(''),
    );
  });

  test('whose answer nobody reads are cut off, others not', async () => {
    const large: RequestListener = ({ url }, response) =>
      response.end(url === '/large' ? Buffer.alloc(16 * MIB) : 'fine');
    await using served = await Served.start(large, { stalledAfterMs: 1 });
    const deaf = await served.connect();
    deaf.socket.pause();
    deaf.socket.write('GET /large HTTP/1.1\r\nhost: x\r\n\r\n');
    const other = (await served.connect()).read();
    other.socket.write(GET);
    await other.hears(/fine/);
    await until('one connection to be left', PATIENCE_MS, () => served.listeners.connections === 1);
    assert.ok(!other.socket.destroyed);
  });

  test('are cut off, the slowest first, when too much waits', async () => {
    const sized: RequestListener = ({ url }, response) => response.end(Buffer.alloc(Number(url!.slice(1)) * MIB));
    await using served = await Served.start(sized, { maxUnreadBytes: 8 * MIB });
    const slow = await served.connect();
    const slower = await served.connect();
    for (const [{ socket }, size] of [
      [slow, 4],
      [slower, 16],
    ] as const) {
      socket.pause();
      socket.write(`GET /${size} HTTP/1.1\r\nhost: x\r\n\r\n`);
    }
    await until('one connection to be left', PATIENCE_MS, () => served.listeners.connections === 1);
    slow.read().socket.resume();
    await slow.hears(/content-length: 4194304/i);
  });
});

describe('requests', () => {
  const table: { name: string; sent: string; limits: Partial<HttpLimits>; status: number; code: string }[] = [
    { name: 'nothing at all', sent: '', limits: { headersTimeoutMs: 50 }, status: 408, code: 'timeout' },
    {
      name: 'half a header',
      sent: 'GET / HTTP/1.1\r\nhos',
      limits: { headersTimeoutMs: 50 },
      status: 408,
      code: 'timeout',
    },
    {
      name: 'half a body',
      sent: 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc',
      limits: { headersTimeoutMs: 50, requestTimeoutMs: 60 },
      status: 408,
      code: 'timeout',
    },
    {
      name: 'endless headers',
      sent: `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(MAX_HEADER_BYTES)}\r\n\r\n`,
      limits: {},
      status: 431,
      code: 'too-large',
    },
    { name: 'another protocol', sent: '\x16\x03\x01\x02\x00\x01\x00', limits: {}, status: 400, code: 'invalid' },
    {
      name: 'a request in a request',
      sent: 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      limits: {},
      status: 400,
      code: 'invalid',
    },
    {
      name: 'an expectation that nobody knows',
      sent: 'GET / HTTP/1.1\r\nhost: x\r\nexpect: 200-maybe\r\n\r\n',
      limits: {},
      status: 417,
      code: 'invalid',
    },
    {
      name: 'a tunnel',
      sent: 'CONNECT elsewhere:443 HTTP/1.1\r\nhost: x\r\n\r\n',
      limits: {},
      status: 405,
      code: 'method-not-allowed',
    },
  ];
  for (const { name, sent, limits, status, code } of table) {
    test(`of ${name} are refused with a problem document`, async () => {
      await using served = await Served.start(
        ({ method }, response) => (method === 'GET' ? response.end('fine') : undefined),
        limits,
      );
      const client = (await served.connect()).read();
      client.socket.write(sent);
      await client.closed;
      assert.match(client.text, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(client.text, /content-type: application\/problem\+json/);
      const problem = /\{.*\}/.exec(client.text)![0];
      assert.partialDeepStrictEqual(JSON.parse(problem), { status, code });
    });
  }

  test('that cannot be read are told what is wrong with them', async () => {
    await using served = await Served.start(ok);
    const client = (await served.connect()).read();
    client.socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n');
    await client.closed;
    assert.match(client.text, /"this is not HTTP\/1\.1: .*Transfer-Encoding.*Content-Length.*"/);
  });

  test('of a client that has closed its half of the connection are answered', async () => {
    await using served = await Served.start((_request, response) => void setImmediate(() => response.end('fine')));
    const client = (await served.connect()).read();
    client.socket.end(GET.repeat(2));
    await client.closed;
    assert.equal(client.text.match(/fine/g)?.length, 2);
    await until('no connection to be left', PATIENCE_MS, () => served.listeners.connections === 0);
  });

  test('that never come again free their connection', async () => {
    await using served = await Served.start(ok, { keepAliveMs: 20 });
    const client = (await served.connect()).read();
    client.socket.write(GET);
    await client.closed;
    assert.match(client.text, /fine/);
  });
});

test('the socket is for its owner alone, also while it is made', async () => {
  await using served = await Served.start(ok);
  assert.equal(statSync(served.path).mode & 0o777, 0o600);
  assert.notEqual(process.umask(), 0o177, 'the mask of the process is as before');
});

test('a failed listener leaves the others', async () => {
  await using served = await Served.start(ok);
  await assert.rejects(served.listeners.listenAt(join(directory, 'missing/x.sock'), null), /listen/);
  const client = (await served.connect()).read();
  client.socket.write(GET);
  await client.hears(/fine/);
});
