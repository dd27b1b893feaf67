/**
 * The API under more than anybody should send: the daemon answers others meanwhile, and does not grow.
 *
 * Zone: control.  Times are those of a busy machine; what is asserted is far from what is measured.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test, type TestContext } from 'node:test';
import { Client } from '../../src/client/client.ts';
import { until, within } from '../support/deadline.ts';
import { run } from '../support/process.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24, autostart: true }\n';
const PATIENCE_MS = 30_000;
const MIB = 1_048_576;
const MAY_GROW_BYTES = 60 * MIB;
/** What somebody else waits for an answer at most. */
const ANSWER_MS = 5000;
/** Requests of each connection. */
const FLOOD = 2500;
const REQUEST = 'GET /healthz HTTP/1.1\r\nhost: vmlan\r\n\r\n';

let vmlan: Vmlan;
let client: Client;
let pid: number;
let socketPath: string;

const residentBytes = (): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

before(async () => {
  vmlan = await Vmlan.create({ config: CONFIG });
  await vmlan.ok('up');
  const status = await vmlan.status();
  pid = status.pid;
  socketPath = status.paths.socket;
  client = new Client({ kind: 'unix', path: socketPath });
  await client.call('createGuest', { body: { name: 'web' } });
});
after(() => vmlan.close());

async function open(count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = connect(socketPath);
    const isOpen = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).on('error', () => resolve(false));
    });
    if (isOpen) sockets.push(socket);
    else i--; // as many wait to be accepted as may
  }
  return sockets;
}

/** How long the slowest of some ordinary requests took, while `during` goes on. */
async function slowestMs(during: Promise<unknown>): Promise<number> {
  let slowest = 0;
  const over = { yet: false };
  void during.finally(() => (over.yet = true));
  do {
    const startMs = performance.now();
    await client.call('getGuest', { params: { name: 'web' } });
    await client.call('updateGuest', { params: { name: 'web' }, body: { connected: true } });
    slowest = Math.max(slowest, performance.now() - startMs);
  } while (!over.yet);
  await during;
  return slowest;
}

/** That many requests over one connection, as many at a time as may be. */
async function flood(socket: Socket, requests: number): Promise<void> {
  const count = { answered: 0 };
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const parts = text.split('HTTP/1.1 200 OK');
    count.answered += parts.length - 1;
    text = parts.at(-1)!.slice(-20);
  });
  for (let sent = 0; sent < requests;) {
    const batch = Math.min(10, requests - sent);
    socket.write(REQUEST.repeat(batch));
    sent += batch;
    while (count.answered < sent) await within(`${sent} answers`, PATIENCE_MS, once(socket, 'data'));
  }
}

async function settled(t: TestContext, startBytes: number): Promise<void> {
  const grown = residentBytes() - startBytes;
  t.diagnostic(`grew by ${(grown / MIB).toFixed(1)} MiB to ${(residentBytes() / MIB).toFixed(0)} MiB`);
  assert.ok(grown < MAY_GROW_BYTES, `${grown} bytes`);
}

describe('the daemon answers and does not grow', () => {
  test('under a flood of requests', async (t) => {
    const sockets = await open(8);
    // What V8 takes before it collects in earnest is taken before.
    await Promise.all(sockets.map((socket) => flood(socket, FLOOD)));
    const startBytes = residentBytes();
    const startMs = performance.now();
    const slowest = await slowestMs(Promise.all(sockets.map((socket) => flood(socket, FLOOD))));
    const seconds = (performance.now() - startMs) / 1000;
    t.diagnostic(
      `${Math.round((FLOOD * sockets.length) / seconds)} requests/s; others waited ${slowest.toFixed(0)} ms`,
    );
    assert.ok(slowest < ANSWER_MS, `${slowest} ms`);
    for (const socket of sockets) socket.destroy();
    await settled(t, startBytes);
  });

  test('beside more idle connections than there may be', async (t) => {
    const startBytes = residentBytes();
    const sockets = await open(1500);
    const slowest = await slowestMs(Promise.resolve());
    t.diagnostic(`others waited ${slowest.toFixed(0)} ms`);
    assert.ok(slowest < ANSWER_MS, `${slowest} ms`);
    await until(
      'the oldest to be closed',
      PATIENCE_MS,
      () => sockets.filter((socket) => socket.destroyed).length >= 400,
    );
    for (const socket of sockets) socket.destroy();
    await settled(t, startBytes);
  });

  test('beside clients that send a byte at a time', async (t) => {
    const startBytes = residentBytes();
    const sockets = await open(200);
    const head = `POST /v1/guests HTTP/1.1\r\nhost: vmlan\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n`;
    sockets.forEach((socket, i) => socket.write(i % 2 === 0 ? 'GET /v1/status HTTP/1.1\r\nx: ' : head));
    const timer = setInterval(() => sockets.forEach((socket) => socket.write('a')), 50);
    const closed = Promise.all(
      sockets.filter((_, i) => i % 2 === 0).map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
    for (const socket of sockets) socket.resume();
    const slowest = await slowestMs(closed);
    t.diagnostic(`others waited ${slowest.toFixed(0)} ms`);
    clearInterval(timer);
    assert.ok(slowest < ANSWER_MS, `${slowest} ms`);
    for (const socket of sockets) socket.destroy();
    await settled(t, startBytes);
  });

  test('beside readers that never read', async (t) => {
    const startBytes = residentBytes();
    const sockets = await open(100);
    for (const socket of sockets) socket.pause();
    sockets.forEach((socket, i) =>
      socket.write(`GET ${i < 40 ? '/v1/events' : '/openapi.json'} HTTP/1.1\r\nhost: vmlan\r\n\r\n`),
    );
    // An answer of 100 KiB ten times over: more than a socket holds.
    for (const socket of sockets.slice(40)) socket.write('GET /openapi.json HTTP/1.1\r\nhost: vmlan\r\n\r\n'.repeat(9));
    const events = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        const { id } = await client.call('createRecord', {
          body: { name: `x${i}.vmlan.internal`, type: 'A', value: '10.0.0.1' },
        });
        await client.call('deleteRecord', { params: { id } });
      }
    };
    const slowest = await slowestMs(events());
    t.diagnostic(`others waited ${slowest.toFixed(0)} ms`);
    assert.ok(slowest < ANSWER_MS, `${slowest} ms`);
    for (const socket of sockets) socket.destroy();
    await settled(t, startBytes);
  });
});

test('at the limit of its descriptors the daemon answers, stores and starts a network', async (t) => {
  await using tight = await Vmlan.create({ config: CONFIG });
  const up = await run(['prlimit', '--nofile=128:128', ...tight.argv('up')], { env: tight.env });
  assert.equal(up.code, 0, up.stderr);
  const { paths, pid: daemon } = await tight.status();
  assert.match(readFileSync(`/proc/${daemon}/limits`, 'utf8'), /^Max open files +128 /m);
  const own = new Client({ kind: 'unix', path: paths.socket });
  const sockets = Array.from({ length: 400 }, () => connect(paths.socket).on('error', () => undefined));
  await until('the connections to be taken or refused', PATIENCE_MS, () =>
    sockets.every(({ connecting }) => !connecting),
  );
  await own.call('createGuest', { body: { name: 'web' } });
  await own.call('stopNetwork', { params: { name: 'lab' } });
  assert.equal((await own.call('startNetwork', { params: { name: 'lab' } })).state, 'running');
  assert.equal((await tight.run(['status'])).code, 0);
  t.diagnostic(`${sockets.filter(({ destroyed }) => !destroyed).length} of 400 connections were kept`);
  for (const socket of sockets) socket.destroy();
});
