import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { VmlanError } from '../../core/errors.ts';
import { MAX_LINE_BYTES, RpcPeer } from './rpc.ts';
import type { RpcHandlers } from './rpc.ts';

const directory = mkdtempSync('/tmp/vmlan-rpc-');
after(() => rmSync(directory, { recursive: true }));
let sockets = 0;

async function socketPair(): Promise<{ a: Socket; b: Socket }> {
  const path = join(directory, `${++sockets}`);
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer(resolve);
  await new Promise<void>((done) => server.listen(path, done));
  const a = connect(path);
  const b = await promise;
  server.close();
  return { a, b };
}

async function peers(atA: RpcHandlers, atB: RpcHandlers): Promise<{ a: RpcPeer; b: RpcPeer }> {
  const { a, b } = await socketPair();
  return { a: new RpcPeer(a, atA), b: new RpcPeer(b, atB) };
}

describe('requests', () => {
  test('are answered, in both directions, in any order', async () => {
    const echo: RpcHandlers = { onRequest: (method, params) => Promise.resolve({ method, params }) };
    const { a, b } = await peers(echo, echo);
    const answers = await Promise.all([a.request('one', 1), b.request('two', [2]), a.request('three', { x: 'ä' })]);
    assert.deepEqual(answers, [
      { method: 'one', params: 1 },
      { method: 'two', params: [2] },
      { method: 'three', params: { x: 'ä' } },
    ]);
    a.close();
  });

  test('are not given up by who was halted while the answer came', async () => {
    const { a, b } = await peers({}, { onRequest: () => Promise.resolve('here') });
    const asked = a.request('one', {}, 100);
    const busyUntil = performance.now() + 1500;
    while (performance.now() < busyUntil); // as SIGSTOP would: no timer, no socket
    assert.equal(await asked, 'here');
    b.close();
  });

  test('fail with the error of the other side', async () => {
    const fail: RpcHandlers = {
      onRequest: (method) =>
        Promise.reject(method === 'plain' ? new Error('boom') : new VmlanError('conflict', 'taken', { hint: 'wait' })),
    };
    const { a } = await peers({}, fail);
    await assert.rejects(a.request('x'), { code: 'conflict', message: 'taken', hint: 'wait' });
    await assert.rejects(a.request('plain'), { code: 'internal', message: 'boom' });
    a.close();
  });

  test('to somebody who answers none are refused', async () => {
    const { a } = await peers({}, {});
    await assert.rejects(a.request('x'), { code: 'unsupported' });
    a.close();
  });

  test('end with the connection', async () => {
    const { a, b } = await peers({}, { onRequest: () => new Promise(() => undefined) });
    const open = a.request('never');
    b.close();
    await assert.rejects(open, { code: 'unavailable' });
    await assert.rejects(a.request('later'), { code: 'unavailable' });
    assert.ok(a.isClosed);
    a.notify('nothing', {});
    await a.end();
  });

  test('time out, and a late answer is ignored', async () => {
    const gate = Promise.withResolvers<void>();
    const { a } = await peers(
      {},
      { onRequest: (method) => (method === 'slow' ? gate.promise : Promise.resolve('ok')) },
    );
    await assert.rejects(a.request('slow', {}, 5), { code: 'timeout', message: /"slow" within 5 ms/ });
    gate.resolve();
    assert.equal(await a.request('fast'), 'ok');
    a.close();
  });

  test('with large answers arrive whole', async () => {
    const large = 'x'.repeat(3_000_000);
    const { a } = await peers({}, { onRequest: () => Promise.resolve(large) });
    assert.equal(await a.request('large'), large);
    a.close();
  });
});

test('notifications are not answered', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const { a } = await peers({}, { onNotification: (method, params) => resolve({ method, params }) });
  a.notify('event', { n: 1 });
  assert.deepEqual(await promise, { method: 'event', params: { n: 1 } });
  a.close();
});

test('closing gently delivers what was written', async () => {
  const closed = Promise.withResolvers<void>();
  const seen: unknown[] = [];
  const { a } = await peers({}, { onNotification: (_method, params) => seen.push(params), onClose: closed.resolve });
  a.notify('last', 'words');
  await a.end();
  await closed.promise;
  assert.deepEqual(seen, ['words']);
});

describe('a peer that does not keep to the protocol', () => {
  for (const [name, bytes] of [
    ['no JSON', 'hello\n'],
    ['a list', '[]\n'],
    ['null', 'null\n'],
    ['an endless line', Buffer.alloc(MAX_LINE_BYTES + 1, 0x20)],
  ] as const) {
    test(`${name} ends the connection`, async () => {
      const { a, b } = await socketPair();
      const closed = Promise.withResolvers<void>();
      const peer = new RpcPeer(b, { onClose: closed.resolve });
      a.on('error', () => undefined);
      a.write(bytes);
      await closed.promise;
      assert.ok(peer.isClosed);
    });
  }

  test('an answer that nobody waits for is ignored', async () => {
    const { a, b } = await socketPair();
    const { promise, resolve } = Promise.withResolvers<string>();
    const peer = new RpcPeer(b, { onNotification: resolve });
    a.write('{"id":99,"result":1}\n{"id":98,"error":{"code":1,"message":"x"}}\n{}\n{"method":"still here"}\n');
    assert.equal(await promise, 'still here');
    peer.close();
  });

  test('lines in any pieces are read alike', async () => {
    const message = Buffer.from('{"method":"müller","params":[1]}\n{"method":"b"}\n');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(message.length), { maxLength: 6 }), async (cuts) => {
        const { a, b } = await socketPair();
        const seen: string[] = [];
        const { promise, resolve } = Promise.withResolvers<void>();
        const peer = new RpcPeer(b, { onNotification: (method) => void (seen.push(method) === 2 && resolve()) });
        a.setNoDelay(true);
        const edges = [0, ...cuts.sort((x, y) => x - y), message.length];
        for (const [i, edge] of edges.slice(1).entries()) a.write(message.subarray(edges[i], edge));
        await promise;
        peer.close();
        assert.deepEqual(seen, ['müller', 'b']);
      }),
      { numRuns: 20 },
    );
  });
});
