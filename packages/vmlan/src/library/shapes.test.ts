import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Guest } from './guest.ts';
import { Network } from './network.ts';

const lost = { code: /ETIMEDOUT|EHOSTUNREACH/ };

describe('shapes and partitions', () => {
  let net: Network;
  let web: Guest;
  let db: Guest;
  let app: Guest;

  before(async () => {
    net = await Network.create({ subnet: '10.9.0.0/24' });
    [web, db, app] = await Promise.all([net.addGuest('web'), net.addGuest('db'), net.addGuest('app')]);
  });
  after(() => net.close());

  test('a delay is added to every round trip', async () => {
    await web.ping('db');
    await net.shape('web', { delayMs: 40, peer: 'db' });
    assert.ok((await web.ping('db')) >= 80);
    assert.ok((await db.ping('web')) >= 80);
    await net.shape('db', { delayMs: 10, peer: 'web', direction: 'from' });
    assert.deepEqual(net.shapes(), [
      { guest: 'db', peer: 'web', fromGuest: { delayMs: 10 }, toGuest: { delayMs: 40 }, partitioned: false },
    ]);
    const roundTrip = await web.ping('db');
    assert.ok(roundTrip >= 50, `${roundTrip} ms`);
    await net.clearShapes('web');
    assert.deepEqual(net.shapes(), []);
  });

  test('TCP goes on through loss, reordering and a narrow line', async () => {
    await net.shape('db', { lossPercent: 5, reorderPercent: 5, duplicatePercent: 5, delayMs: 2, seed: 7 });
    const bytes = Buffer.alloc(200_000, 'through anything ');
    using listener = db.tcp.listen(0, (socket) => socket.readable.pipeTo(socket.writable));
    const socket = await web.tcp.connect('db', listener.port);
    const writing = socket.write(bytes).then(() => socket.end());
    const back: Uint8Array[] = [];
    for await (const chunk of socket) back.push(chunk);
    await writing;
    assert.ok(Buffer.concat(back).equals(bytes));
    const { counters } = await net.stats();
    assert.ok((counters['drop_shape_loss'] ?? 0) > 0);
    await net.clearShapes();
  });

  test('a partition cuts one pair and leaves the others, the shape waits behind it', async () => {
    await net.shape('web', { delayMs: 20, peer: 'db' });
    await net.partition('db', 'web');
    await assert.rejects(web.ping('db', { timeoutMs: 300 }), lost);
    await web.ping('app');
    await db.ping(net.gateway!);
    assert.deepEqual(
      net.shapes().map(({ partitioned }) => partitioned),
      [true],
    );
    await net.heal('web', 'db');
    assert.ok((await web.ping('db')) >= 40);
    await net.clearShapes();
  });

  test('of several from several, from the outside, and from everybody', async () => {
    await net.partition(['web', 'app'], ['db', 'gateway']);
    assert.equal(net.shapes().length, 4);
    await web.ping(app.address!);
    await Promise.all([
      assert.rejects(app.ping(db.address!, { timeoutMs: 300 }), lost),
      assert.rejects(web.ping(net.gateway!, { timeoutMs: 300 }), lost),
      assert.rejects(web.ping(db.address!, { timeoutMs: 300 }), lost),
    ]);
    await net.heal();
    await web.ping('db');
    await net.partition('web');
    await assert.rejects(web.ping(app.address!, { timeoutMs: 300 }), lost);
    await net.heal('web');
    await web.ping('app');
    assert.deepEqual(net.shapes(), []);
  });

  test('an open connection outlives a partition', async () => {
    using listener = db.tcp.listen(0, (socket) => socket.readable.pipeTo(socket.writable));
    const socket = await web.tcp.connect('db', listener.port);
    await net.partition('web', 'db');
    await socket.write('patience');
    await app.ping('web');
    await net.heal();
    assert.equal(Buffer.from((await socket.read())!).toString(), 'patience');
    await socket.close();
  });

  test('a guest that leaves takes its shapes with it', async () => {
    const gone = await net.addGuest('gone');
    await net.shape('gone', { rateBps: 1e6, peer: 'web' });
    await gone.remove();
    assert.deepEqual(net.shapes(), []);
  });

  test('mistakes are told', async () => {
    await assert.rejects(net.shape('nobody', { delayMs: 1 }), { code: 'not-found', hint: 'it has: web, db, app' });
    await assert.rejects(net.shape('web', { delayMs: 1, peer: 'nobody' }), { code: 'not-found' });
    await assert.rejects(net.shape('web', { delayMs: 1, peer: 'web' }), { code: 'invalid' });
    await assert.rejects(net.shape('web', {}), { code: 'invalid', message: /shape of "web": nothing to shape/ });
    await assert.rejects(net.shape('web', { lossPercent: 101 }), { message: /lossPercent: a share is 0 to 100/ });
    await assert.rejects(net.partition('web', 'nobody'), { code: 'not-found' });
    await assert.rejects(net.clearShapes('nobody'), { code: 'not-found' });
    assert.deepEqual(net.shapes(), []);
  });
});
