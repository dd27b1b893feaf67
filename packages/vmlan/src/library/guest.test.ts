import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Guest } from './guest.ts';
import { Network } from './network.ts';

describe('guests of one network', () => {
  let net: Network;
  let web: Guest;
  let db: Guest;

  before(async () => {
    net = await Network.create({ subnet: '10.9.0.0/24', dns: { hosts: { 'alias.example': 'db.lab.internal' } } });
    [web, db] = await Promise.all([net.addGuest('web', { ip: '10.9.0.50' }), net.addGuest('db')]);
  });
  after(() => net.close());

  test('have their addresses, leases and names', async () => {
    assert.equal(web.address, '10.9.0.50');
    assert.match(db.address!, /^10\.9\.0\./);
    assert.match(web.addresses6[0]!, /^fd/);
    assert.match(web.addresses6.at(-1)!, /^fe80::/);
    assert.deepEqual(
      net
        .leases()
        .filter(({ family }) => family === 4)
        .map(({ guest, address, state }) => `${guest} ${address} ${state}`)
        .toSorted(),
      [`db ${db.address} active`, 'web 10.9.0.50 active'],
    );
    assert.deepEqual(await web.dns.resolve('db'), [db.address]);
    assert.deepEqual(await web.dns.resolve('db.lab.internal', 'aaaa'), [db.addresses6[0]]);
    assert.deepEqual(await web.dns.resolve('alias.example'), [db.address]);
    assert.deepEqual(await web.dns.resolve('alias.example', 'CNAME'), ['db.lab.internal']);
    await assert.rejects(web.dns.resolve('nobody.lab.internal'), { code: 'ENOTFOUND' });
    await assert.rejects(web.dns.resolve('db', 'MX'), { code: 'ENODATA' });
    assert.equal((await web.dns.query('nobody.lab.internal')).rcode, 'NXDOMAIN');
  });

  test('ping each other, the gateway, and nobody', async () => {
    assert.ok((await web.ping('db')) >= 0);
    assert.ok((await web.ping(net.gateway!)) >= 0);
    assert.ok((await web.ping(db.addresses6[0]!)) >= 0);
    await assert.rejects(web.ping('10.9.0.99'), { code: /ETIMEDOUT|EHOSTUNREACH/ });
  });

  test('speak TCP by name, over both families', async () => {
    using listener = db.tcp.listen(5432, async (socket) => {
      await socket.write(`you are ${socket.remoteAddress}\n`);
      for await (const bytes of socket) await socket.write(bytes);
    });
    assert.equal(listener.port, 5432);
    for (const [host, own] of [
      ['db', web.address],
      [db.addresses6[0]!, web.addresses6[0]],
    ]) {
      await using socket = await web.tcp.connect(host!, 5432);
      await socket.write('hello');
      await socket.end();
      assert.equal(await socket.text(), `you are ${own}\nhello`);
    }
    await assert.rejects(web.tcp.connect('db', 5433), {
      code: 'ECONNREFUSED',
      message: /^db \(10\.9\.0\.\d+\) port 5433/,
    });
  });

  test('speak UDP, and hear that nobody listens', async () => {
    using server = db.udp.bind(7);
    void (async () => {
      for await (const { data, address, port } of server) await server.send(data, address, port);
    })();
    using client = web.udp.bind();
    await client.send('small', 'db', 7);
    assert.equal(Buffer.from((await client.receive()).data).toString(), 'small');
    const large = new Uint8Array(9000).fill(65);
    await client.send(large, 'db', 7);
    assert.deepEqual((await client.receive({ timeoutMs: 5000 })).data, large);
    await client.send('x', 'db', 8);
    await assert.rejects(client.receive(), { code: 'ECONNREFUSED' });
    await assert.rejects(client.receive({ timeoutMs: 10 }), { code: 'ETIMEDOUT' });
    await assert.rejects(client.send(new Uint8Array(70_000), 'db', 7), { code: 'EMSGSIZE' });
    assert.throws(() => db.udp.bind(7), { code: 'EADDRINUSE' });
  });

  test('serve and fetch', async () => {
    using server = db.serve(80, async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === '/fails') throw new Error('broken');
      if (pathname === '/away') return Response.redirect('http://db/here');
      if (pathname === '/empty') return new Response(null, { status: 204 });
      return Response.json({ method: request.method, pathname, body: await request.text() });
    });
    assert.equal(server.port, 80);
    const said = await web.fetch('http://db/post', { method: 'POST', body: 'x'.repeat(200_000) });
    assert.deepEqual(await said.json(), { method: 'POST', pathname: '/post', body: 'x'.repeat(200_000) });
    const moved = await web.fetch('http://db/away');
    assert.equal(((await moved.json()) as { pathname: string }).pathname, '/here');
    assert.equal((await web.fetch('http://db/away', { redirect: 'manual' })).status, 302);
    assert.equal((await web.fetch('http://db/fails')).status, 500);
    assert.equal((await web.fetch('http://db/empty')).status, 204);
    await assert.rejects(web.fetch('https://db/'), { code: 'EINVAL' });
    await assert.rejects(web.fetch('http://nobody/'), { code: 'ENOTFOUND' });
  });

  test('are reached from the host by a forward, and reach the host', async () => {
    using _ = web.serve(8080, () => new Response('from the guest'));
    await using forward = await net.forward({ host: 0, guest: 'web:8080' });
    assert.equal(await (await fetch(`http://${forward.host}/`)).text(), 'from the guest');
    const server = createServer((socket) => socket.end('from the host')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = await web.tcp.connect(net.gateway!, port);
    assert.equal(await socket.text(), 'from the host');
    await socket.close();
    server.close();
  });

  test('see records that change', async () => {
    await net.records.replace('service.example', '10.9.0.1');
    assert.deepEqual(await web.dns.resolve('service.example'), ['10.9.0.1']);
    await net.records.replace('service.example', '10.9.0.2');
    assert.deepEqual(await web.dns.resolve('service.example'), ['10.9.0.2']);
  });

  test('carry a megabyte each way', async () => {
    const bytes = Buffer.alloc(1 << 20, 'megabyte ');
    using _ = db.tcp.listen(9, async (socket) => {
      await socket.readable.pipeTo(socket.writable);
    });
    const socket = await web.tcp.connect('db', 9);
    const writing = socket.write(bytes).then(() => socket.end());
    const back: Uint8Array[] = [];
    for await (const chunk of socket) back.push(chunk);
    await writing;
    assert.ok(Buffer.concat(back).equals(bytes));
  });

  test('lose what they have open when they leave', async () => {
    const gone = await net.addGuest('gone');
    using listener = db.tcp.listen(10);
    const accepted = listener[Symbol.asyncIterator]().next();
    const socket = await gone.tcp.connect('db', 10);
    await accepted;
    const lost = assert.rejects(socket.read(), { code: 'ENETDOWN' });
    await gone.remove();
    await lost;
  });
});

describe('a guest without DHCP', () => {
  test('on an isolated network sets its own address', async () => {
    await using net = await Network.create({ mode: 'isolated' });
    const a = await net.addGuest('a', { configure: { address: '10.0.0.1/24' } });
    const b = await net.addGuest('b', { configure: [{ address: '10.0.0.2/24' }, { address: 'fd00::2/64' }] });
    assert.equal(net.gateway, null);
    assert.ok((await a.ping('10.0.0.2')) >= 0);
    assert.deepEqual([b.address, b.addresses6[0]], ['10.0.0.2', 'fd00::2']);
    await assert.rejects(a.tcp.connect('192.0.2.1', 80), { code: 'ENETUNREACH' });
    await assert.rejects(a.dns.resolve('b'), { code: 'ESERVFAIL' });
    await assert.rejects(net.addGuest('c', { configure: { address: '10.0.0.3' } }), { code: 'EINVAL' });
  });

  test('has no stack at all when it is told so', async () => {
    await using net = await Network.create({ subnet: '10.9.0.0/24' });
    const raw = await net.addGuest('raw', { configure: 'none' });
    assert.equal(raw.address, null);
    assert.equal((await net.stats()).guests[0]?.framesFromGuest, 0);
  });
});
