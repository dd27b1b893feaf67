import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import * as c from '../constants.ts';
import { Client } from './client.fixture.ts';
import { FakeKernel } from './kernel.ts';
import * as services from './services.ts';

const WEB = '198.51.100.7';
const WEB6 = '2001:db8:1::7';
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function setUp(options: ConstructorParameters<typeof FakeKernel>[0] = {}): { kernel: FakeKernel; client: Client } {
  const kernel = new FakeKernel({ arenaBytes: 1 << 20, ...options });
  return { kernel, client: new Client(kernel) };
}

describe('TCP to scripted hosts', () => {
  for (const ip of [WEB, WEB6, '127.0.0.1', '::1']) {
    test(`echo at ${ip}, a megabyte with matching hash`, () => {
      const { kernel, client } = setUp();
      const listener = kernel.host(ip).listenTcp(7, services.echo());
      const fd = client.socket(ip);
      assert.equal(client.connect(fd, ip, 7), -c.EINPROGRESS);
      assert.equal(client.wait(fd, c.EPOLLOUT), c.EPOLLOUT);
      assert.equal(client.error(fd), 0);
      client.sys.getsockname(fd, client.addr.off);
      const clientPort = client.addr.port;
      const data = services.pattern(1 << 20);
      const echoed: Uint8Array[] = [];
      let sent = 0;
      while (sent < data.length) {
        const count = client.send(fd, data.subarray(sent, sent + 50_000));
        if (count > 0) sent += count;
        else client.wait(fd, c.EPOLLIN);
        const got = client.recv(fd);
        if (typeof got !== 'number') echoed.push(got);
      }
      client.sys.shutdown(fd, c.SHUT_WR);
      echoed.push(client.readAll(fd));
      assert.equal(sha256(Buffer.concat(echoed)), sha256(data));
      const connection = listener.connections[0]!;
      assert.equal(connection.received, data.length);
      assert.equal(connection.sha256(), sha256(data));
      assert.ok(connection.closed && connection.ended);
      assert.equal(connection.local.port, 7);
      assert.equal(connection.peer.port, clientPort);
      client.sys.close(fd);
      assert.deepEqual(kernel.openFds(), []);
    });
  }

  test('a connection opens after one round trip, data takes half of one', () => {
    const { kernel, client } = setUp();
    const host = kernel.host(WEB);
    host.delayMs = 10;
    const listener = host.listenTcp(80, services.speaksFirst('220 ready'));
    const start = kernel.now;
    const fd = client.dial(WEB, 80);
    assert.equal(client.wait(fd, c.EPOLLOUT), c.EPOLLOUT);
    assert.equal(kernel.now - start, 20);
    assert.equal(client.wait(fd, c.EPOLLIN) & c.EPOLLIN, c.EPOLLIN);
    assert.equal(kernel.now - start, 40); // its acknowledgement goes there, the greeting comes back
    assert.equal(client.text(fd), '220 ready');
    assert.equal(client.send(fd, 'hello'), 5);
    assert.equal(listener.connections[0]!.received, 0);
    kernel.advance(10);
    assert.equal(listener.connections[0]!.received, 5);
  });

  const failures: readonly [string, (kernel: FakeKernel) => void, number, number][] = [
    ['a closed port', () => undefined, c.ECONNREFUSED, 2],
    ['a closed port that says nothing', (k) => (k.host(WEB).closedPorts = 'silent'), c.ETIMEDOUT, 127_000],
    ['a silent host', (k) => (k.host(WEB).reach = 'silent'), c.ETIMEDOUT, 127_000],
    ['an unreachable host', (k) => (k.host(WEB).reach = 'host-unreachable'), c.EHOSTUNREACH, 2],
    ['an unreachable network', (k) => (k.host(WEB).reach = 'net-unreachable'), c.ENETUNREACH, 2],
    ['a filter on the way', (k) => (k.host(WEB).reach = 'prohibited'), c.EHOSTUNREACH, 2],
  ];
  for (const [name, arrange, errno, afterMs] of failures) {
    test(`${name}: errno ${errno} after ${afterMs} ms`, () => {
      const { kernel, client } = setUp();
      kernel.host(WEB);
      arrange(kernel);
      const start = kernel.now;
      const fd = client.dial(WEB, 80);
      assert.ok(client.wait(fd, c.EPOLLOUT, 300_000) & c.EPOLLERR);
      assert.equal(kernel.now - start, afterMs);
      assert.equal(client.error(fd), errno);
    });
  }

  test('an address without a host is silence', () => {
    const { kernel, client } = setUp();
    const fd = client.dial('203.0.113.1', 80);
    assert.equal(client.wait(fd, c.EPOLLOUT, 60_000), 0);
    client.sys.close(fd);
    kernel.advance(200_000);
  });

  test('no route', () => {
    const { kernel, client } = setUp();
    kernel.setRoute('ipv6', false);
    assert.equal(client.connect(client.socket(WEB6), WEB6, 80), -c.ENETUNREACH);
    kernel.setRoute('ipv6', true);
    assert.equal(client.connect(client.socket(WEB6), WEB6, 80), -c.EINPROGRESS);
    const { client: v4only } = setUp({ addresses: ['192.0.2.10'] });
    assert.equal(v4only.connect(v4only.socket(WEB6), WEB6, 80), -c.ENETUNREACH);
  });

  test('source: every byte of it, then the end', () => {
    const { kernel, client } = setUp();
    const listener = kernel.host(WEB).listenTcp(80, services.source(500_000));
    const fd = client.dial(WEB, 80);
    assert.equal(sha256(client.readAll(fd)), sha256(services.pattern(500_000)));
    assert.equal(client.send(fd, 'still heard'), 11);
    client.sys.close(fd);
    kernel.advance(100);
    assert.equal(listener.connections[0]!.received, 11);
    assert.ok(listener.connections[0]!.closed);
  });

  test('answersAfterEnd: nothing before the half-close', () => {
    const { kernel, client } = setUp();
    kernel.host(WEB).listenTcp(80, services.answersAfterEnd(100_000));
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    assert.equal(client.send(fd, 'question'), 8);
    assert.equal(client.wait(fd, c.EPOLLIN), 0);
    client.sys.shutdown(fd, c.SHUT_WR);
    assert.deepEqual(client.readAll(fd), Buffer.from(services.pattern(100_000)));
  });

  test('slowReader: no more is taken than the buffers hold, and nothing is lost', () => {
    const { kernel, client } = setUp();
    const listener = kernel.host(WEB).listenTcp(80, services.slowReader(1000, 10));
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    client.sys.setsockopt(fd, c.SOL_SOCKET, c.SO_SNDBUF, 10_000);
    const data = services.pattern(600_000);
    let sent = 0;
    for (;;) {
      const count = client.send(fd, data.subarray(sent, sent + 60_000));
      if (count === -c.EAGAIN) break;
      sent += count;
    }
    kernel.advance(5);
    sent += Math.max(0, client.send(fd, data.subarray(sent, sent + 60_000)));
    assert.ok(sent < 300_000);
    assert.equal(client.sendAll(fd, data.subarray(sent)), data.length - sent);
    client.sys.shutdown(fd, c.SHUT_WR);
    kernel.advance(60_000);
    assert.equal(listener.connections[0]!.sha256(), sha256(data));
    assert.ok(listener.connections[0]!.closed);
  });

  test('silent: reads nothing, ever', () => {
    const { kernel, client } = setUp();
    const listener = kernel.host(WEB).listenTcp(80, services.silent());
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    assert.ok(client.sendAll(fd, new Uint8Array(1 << 20)) < 1 << 20);
    assert.equal(listener.connections[0]!.received, 0);
  });

  test('closesAfter: the end, or a reset if there was more', () => {
    const { kernel, client } = setUp();
    const listener = kernel.host(WEB).listenTcp(80, services.closesAfter(10));
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    client.send(fd, '0123456789');
    assert.equal(client.readAll(fd).length, 0);
    assert.equal(client.error(fd), 0);
    const other = client.dial(WEB, 80);
    client.wait(other, c.EPOLLOUT);
    client.send(other, '0123456789 and more');
    assert.ok(client.wait(other, c.EPOLLIN) & c.EPOLLERR);
    assert.equal(client.error(other), c.ECONNRESET);
    assert.equal(listener.accepted, 2);
  });

  test('resetsAfter', () => {
    const { kernel, client } = setUp();
    kernel.host(WEB).listenTcp(80, services.resetsAfter(5));
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    client.send(fd, '01234');
    client.wait(fd, c.EPOLLIN);
    assert.equal(client.recv(fd), -c.ECONNRESET);
  });

  test('a reset by the program is seen by the service', () => {
    const { kernel, client } = setUp();
    const listener = kernel.host(WEB).listenTcp(80, services.sink());
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    client.sys.setLingerZero(fd);
    client.sys.close(fd);
    kernel.advance(10);
    const connection = listener.connections[0]!;
    assert.equal(connection.error, c.ECONNRESET);
    assert.equal(connection.write(new Uint8Array(1)), 0);
    assert.equal(connection.read(), undefined);
  });

  test('data on its way when the sender resets still arrives, the rest does not', () => {
    const { kernel, client } = setUp();
    kernel.host(WEB).delayMs = 10;
    const listener = kernel.host(WEB).listenTcp(80, services.sink());
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    kernel.advance(50);
    client.sendAll(fd, new Uint8Array(300_000).subarray(0, 212_992));
    client.send(fd, new Uint8Array(50_000));
    client.sys.setLingerZero(fd);
    client.sys.close(fd);
    kernel.advance(100);
    const { received, error } = listener.connections[0]!;
    assert.equal(received, 212_992);
    assert.equal(error, c.ECONNRESET);
  });

  test('a connect given up before the answer leaves no connection', () => {
    const { kernel, client } = setUp();
    kernel.host(WEB).delayMs = 100;
    const listener = kernel.host(WEB).listenTcp(80, services.sink());
    client.sys.close(client.dial(WEB, 80));
    kernel.advance(5000);
    assert.equal(listener.accepted, 0);
    const fd = client.dial(WEB, 80);
    assert.equal(client.sys.shutdown(fd, c.SHUT_RDWR), 0);
    assert.equal(client.error(fd), c.ECONNRESET);
  });

  test('a service that stops refuses from then on', () => {
    const { kernel, client } = setUp();
    kernel.host(WEB).listenTcp(80, services.sink());
    kernel.host(WEB).closeTcp(80);
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    assert.equal(client.error(fd), c.ECONNREFUSED);
  });

  test('a scripted service of this host keeps its port from sockets, and the other way round', () => {
    const { kernel, client } = setUp();
    kernel.host('127.0.0.1').listenTcp(5000, services.echo());
    kernel.host('127.0.0.1').listenUdp(5000, services.udpEcho());
    assert.equal(client.bind(client.socket('127.0.0.1'), '127.0.0.1', 5000), -c.EADDRINUSE);
    assert.equal(client.bind(client.socket('127.0.0.1', c.SOCK_DGRAM), '127.0.0.1', 5000), -c.EADDRINUSE);
  });
});

describe('scripted clients', () => {
  for (const [from, to] of [
    ['203.0.113.9', '192.0.2.10'],
    ['127.0.0.1', '127.0.0.1'],
    ['2001:db8:9::1', '2001:db8::10'],
  ] as const) {
    test(`from ${from}: bytes both ways`, () => {
      const { kernel, client } = setUp();
      kernel.host(from).delayMs = 3;
      const listener = client.listen(to, 8080);
      const peer = kernel.connectTcp({ from, fromPort: 4000, to, port: 8080 }, services.source(100_000));
      assert.equal(client.wait(listener, c.EPOLLIN), c.EPOLLIN);
      const fd = client.sys.accept(listener, client.addr.off);
      assert.equal(client.addr.port, 4000);
      assert.equal(sha256(client.readAll(fd)), sha256(services.pattern(100_000)));
      client.send(fd, 'thanks');
      client.sys.close(fd);
      kernel.advance(10);
      assert.equal(peer.received, 6);
      assert.ok(peer.closed);
    });
  }

  test('refused where nobody listens', () => {
    const { kernel } = setUp();
    const peer = kernel.connectTcp({ from: '203.0.113.9', to: '192.0.2.10', port: 1 }, services.sink());
    kernel.advance(1);
    assert.equal(peer.error, c.ECONNREFUSED);
    assert.ok(!peer.isOpen && peer.closed);
    assert.throws(() => kernel.connectTcp({ from: '::1', to: '127.0.0.1', port: 1 }, services.sink()), /cannot reach/);
  });

  test('beyond the backlog they try again until there is room', () => {
    const { kernel, client } = setUp();
    const listener = client.listen('192.0.2.10', 80, 1);
    const connect = (): ReturnType<FakeKernel['connectTcp']> =>
      kernel.connectTcp({ from: '203.0.113.9', to: '192.0.2.10', port: 80 }, services.sink());
    const peers = [connect(), connect(), connect()];
    kernel.advance(500);
    assert.deepEqual(
      peers.map((peer) => peer.isOpen),
      [true, true, false],
    );
    client.sys.accept(listener, 0);
    kernel.advance(600);
    assert.deepEqual(
      peers.map((peer) => peer.isOpen),
      [true, true, true],
    );
  });

  test('a backlog that stays full times out', () => {
    const { kernel, client } = setUp();
    client.listen('192.0.2.10', 80, 0);
    const connect = (): ReturnType<FakeKernel['connectTcp']> =>
      kernel.connectTcp({ from: '203.0.113.9', to: '192.0.2.10', port: 80 }, services.sink());
    connect();
    const late = connect();
    kernel.advance(128_000);
    assert.equal(late.error, c.ETIMEDOUT);
  });

  test('reset by a scripted client', () => {
    const { kernel, client } = setUp();
    const listener = client.listen('127.0.0.1', 80);
    kernel.connectTcp({ from: '127.0.0.1', to: '127.0.0.1', port: 80 }, (connection) => () => connection.reset());
    client.wait(listener, c.EPOLLIN);
    const fd = client.sys.accept(listener, 0);
    kernel.advance(1);
    assert.equal(client.error(fd), c.ECONNRESET);
  });
});
