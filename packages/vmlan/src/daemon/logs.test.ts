import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { Client } from '../client/client.ts';
import { until } from '../core/deadline.fixture.ts';
import type { LogEntry, LogsQuery } from '../model/api.ts';
import { CONFIG, TestDaemon, problem } from './daemon.fixture.ts';
import { lineAt, writeLog } from './log.fixture.ts';
import { MAX_LOG_READERS } from './logs.ts';

const PATIENCE_MS = 15_000;

async function messages(client: Client, query: LogsQuery): Promise<string[]> {
  const found: string[] = [];
  for await (const { message } of client.logs(query)) found.push(message);
  return found;
}

/** A reader of its own speed. */
class Follower implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #entries: AsyncGenerator<LogEntry, void, undefined>;

  constructor(client: Client, query: LogsQuery) {
    this.#entries = client.logs({ ...query, follow: 'true' }, { signal: this.#abort.signal });
  }

  async take(count: number): Promise<string[]> {
    const taken: string[] = [];
    for (let i = 0; i < count; i++) {
      const { value } = await this.#entries.next();
      assert.ok(value !== undefined, `ended after ${i}`);
      taken.push(value.message);
    }
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#entries.return().catch(() => undefined);
  }
}

test('logs are read through the socket, narrowed as the query says', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  const { client, paths } = daemon;
  assert.deepEqual(await messages(client, { network: 'cut' }), [], 'configured, and never ran');
  writeLog(paths.state, 'lab', [lineAt(1, 'first'), lineAt(3, 'third', 'warn')]);
  writeLog(paths.state, 'gone', [lineAt(2, 'second')]);
  assert.deepEqual(await messages(client, {}), ['first', 'second', 'third']);
  assert.deepEqual(await messages(client, { network: 'gone' }), ['second']);
  assert.deepEqual(await messages(client, { daemon: 'true' }), []);
  assert.deepEqual(await messages(client, { level: 'warn' }), ['third']);
  assert.deepEqual(await messages(client, { lines: '1' }), ['third']);
  await assert.rejects(
    messages(client, { network: '../lab' }),
    problem('not-found', /network "\.\.\/lab" has no log/, /cut, gone, lab, lan,/),
  );
  for (const query of [{ lines: '100001' }, { lines: '-1' }, { sinceMs: 'x' }, { network: 'lab', daemon: 'true' }])
    await assert.rejects(messages(client, query as LogsQuery), problem('invalid', /./), JSON.stringify(query));
});

test('a follower hears what comes, also of a network that never ran, and while logs are put aside', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  const { client, paths } = daemon;
  await using all = new Follower(client, {});
  await using lab = new Follower(client, { network: 'lab' });
  writeLog(paths.state, 'cut', [lineAt(1, 'of another')]);
  const log = writeLog(paths.state, 'lab', [lineAt(2, 'begun')]);
  assert.deepEqual(await lab.take(1), ['begun']);
  assert.equal((await all.take(2)).length, 2);
  const round = (name: string): string[] => Array.from({ length: 4000 }, (_, i) => `${name} ${i} ${'x'.repeat(1200)}`);
  for (const name of ['one', 'two']) {
    // Longer than a log may be: the daemon puts it aside while one reads it and the other does not.
    writeLog(
      paths.state,
      'lab',
      round(name).map((line) => lineAt(3, line)),
    );
    const read = lab.take(4000);
    await until('put aside', PATIENCE_MS, () => existsSync(`${log}.${name === 'one' ? 1 : 2}`));
    assert.deepEqual(await read, round(name));
  }
  writeLog(paths.state, 'lab', [lineAt(4, 'after')]);
  assert.deepEqual(await lab.take(1), ['after']);
  const late = await all.take(6000);
  assert.equal(new Set(late).size, late.length, 'the one that was behind reads on in the old files');
});

test('there is a bound for readers, and one that goes makes room', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  const { client, paths } = daemon;
  writeLog(paths.state, 'lab', [lineAt(1, 'hello')]);
  const followers = Array.from({ length: MAX_LOG_READERS }, () => new Follower(client, {}));
  for (const follower of followers) assert.deepEqual(await follower.take(1), ['hello']);
  await assert.rejects(messages(client, {}), problem('exhausted', /64 readers/, /end one of them/));
  await followers[0]![Symbol.asyncDispose]();
  await until('room', PATIENCE_MS, () =>
    messages(client, {}).then(
      () => true,
      () => false,
    ),
  );
  for (const follower of followers) await follower[Symbol.asyncDispose]();
});

test('a reader that takes nothing costs no memory, and misses nothing that is still there', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  const { client, paths } = daemon;
  writeLog(paths.state, 'lab', [lineAt(1, 'hello')]);
  const response = await new Promise<IncomingMessage>((resolve) =>
    get({ socketPath: paths.socket, path: '/v1/logs?follow=true' }, resolve),
  );
  response.pause();
  const before = process.memoryUsage().rss;
  const long = 'x'.repeat(1000);
  for (let i = 0; i < 20; i++) {
    writeLog(
      paths.state,
      'lab',
      Array.from({ length: 1000 }, (_, j) => lineAt(2, `${i} ${j} ${long}`)),
    );
    assert.deepEqual((await messages(client, { lines: '1' }))[0]?.split(' ').slice(0, 2), [String(i), '999']);
  }
  assert.ok(process.memoryUsage().rss - before < 100 * 2 ** 20, 'who reads is not waited for');
  response.destroy();
});

test('over TCP logs are for who has the token', async () => {
  await using daemon = new TestDaemon(new (await import('../drivers/fake/driver.ts')).FakeDriver());
  daemon.options = { listen: '127.0.0.1:0' };
  daemon.configure(CONFIG);
  await daemon.start();
  writeLog(daemon.paths.state, 'lab', [lineAt(1, 'hello')]);
  const { address, token } = await daemon.client.call('getToken');
  const { port } = new URL(address!);
  const at = (word?: string): Client =>
    new Client({
      kind: 'http',
      hostname: '127.0.0.1',
      port: Number(port),
      ...(word === undefined ? {} : { token: word }),
    });
  assert.deepEqual(await messages(at(token), {}), ['hello']);
  await assert.rejects(messages(at(), {}), problem('unauthorized', /./));
  await using follower = new Follower(at(token), {});
  assert.deepEqual(await follower.take(1), ['hello']);
  await daemon.client.call('rotateToken');
  await assert.rejects(follower.take(1), problem('daemon-unreachable', /./), 'the old token ends with its readers');
});
