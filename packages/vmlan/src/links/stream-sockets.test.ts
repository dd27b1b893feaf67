import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, beforeEach, describe, test } from 'node:test';
import * as C from '../sys/constants.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import type { Sys } from '../sys/sys.ts';
import { LinkBench, STREAM, framed, some, withCalls } from './bench.fixture.ts';
import { Connector } from './connector.ts';
import { Listener } from './listener.ts';
import { StreamLink } from './stream.ts';

const bench = new LinkBench();
const { sys, poller } = bench;
after(() => bench.cleanUp());

const connections: number[] = [];
const onConnection = (fd: number): void => void connections.push(fd);
beforeEach(() => {
  for (const fd of connections.splice(0)) sys.close(fd);
});

function connect(address: SockAddr): number {
  const fd = sys.socket(address.family, STREAM, 0);
  const result = sys.connect(fd, address.off, address.len);
  assert.ok(result === 0 || result === -C.EINPROGRESS, `${result}`);
  return fd;
}

/** A table whose `accept` answers as told, and then as the real one. */
const accepting = (answers: number[]): Sys =>
  withCalls(sys, { accept: (fd, addrOff) => answers.shift() ?? sys.accept(fd, addrOff) });

describe('listening', () => {
  test('each connection is handed over, many in one wake-up', () => {
    const listener = new Listener(sys, poller, bench.listening('many'), onConnection);
    const clients = Array.from({ length: 8 }, () => connect(bench.addressOf('many')));
    poller.settle();
    assert.equal(connections.length, 8);
    assert.ok(
      connections.every((fd) => sys.fcntl(fd, C.F_GETFL, 0) & C.O_NONBLOCK),
      'none of them blocks',
    );
    for (const fd of clients) sys.close(fd);
    listener.close();
  });

  test('over TCP, too, and frames flow', () => {
    const fd = sys.socket(C.AF_INET, STREAM, 0);
    const address = new SockAddr(sys.arena).setIpv4(0x7f00_0001, 0);
    assert.equal(sys.bind(fd, address.off, address.len), 0);
    assert.equal(sys.listen(fd, 8), 0);
    assert.equal(sys.getsockname(fd, address.off), 0);
    const links: StreamLink[] = [];
    const listener = new Listener(sys, poller, fd, (guest) => {
      links.push(new StreamLink(sys, poller, guest, bench, bench.shared, bench.counters));
    });
    const client = connect(address);
    poller.until(() => links.length === 1);
    bench.write(client, framed(some(60)));
    poller.until(() => bench.frames.length === 1);
    bench.send(links[0]!, some(61));
    poller.settle();
    const heard: Uint8Array[] = [];
    poller.until(() => {
      heard.push(bench.readAll(client));
      return Buffer.concat(heard).length === 65;
    });
    sys.close(client);
    poller.until(() => bench.events.includes('stream down'));
    listener.close();
  });

  test('closed: nobody connects any more', () => {
    const registered = poller.size;
    const listener = new Listener(sys, poller, bench.listening('closed'), onConnection);
    listener.close();
    listener.close();
    assert.equal(poller.size, registered);
    const fd = sys.socket(C.AF_UNIX, STREAM, 0);
    const address = bench.addressOf('closed');
    assert.equal(sys.connect(fd, address.off, address.len), -C.ECONNREFUSED);
    sys.close(fd);
  });

  test('closed by the first of several connections', () => {
    const listener: Listener = new Listener(sys, poller, bench.listening('first'), (fd) => {
      onConnection(fd);
      listener.close();
    });
    const clients = [connect(bench.addressOf('first')), connect(bench.addressOf('first'))];
    poller.settle();
    assert.equal(connections.length, 1);
    for (const fd of clients) sys.close(fd);
  });

  test('a connection that was given up meanwhile does not stop the others', () => {
    const table = accepting([-C.ECONNABORTED, -C.EINTR]);
    const listener = new Listener(table, poller, bench.listening('aborted'), onConnection);
    const client = connect(bench.addressOf('aborted'));
    poller.settle();
    assert.equal(connections.length, 1);
    sys.close(client);
    listener.close();
  });

  for (const [name, errno] of [
    ['files', C.EMFILE],
    ['files of the system', C.ENFILE],
    ['memory', C.ENOMEM],
  ] as const) {
    test(`out of ${name}: waits, and goes on by itself`, () => {
      const table = accepting([-errno]);
      const listener = new Listener(table, poller, bench.listening(`out-${errno}`), onConnection);
      const client = connect(bench.addressOf(`out-${errno}`));
      const start = poller.nowMs;
      poller.turn(0);
      assert.equal(connections.length, 0);
      assert.equal(poller.turn(10), false, 'the socket stays readable, but nobody spins');
      poller.until(() => connections.length === 1);
      assert.ok(poller.nowMs - start >= 100);
      sys.close(client);
      listener.close();
    });
  }
});

describe('connecting', () => {
  const lost: number[] = [];
  const keep = (name: string): Connector =>
    new Connector(sys, poller, bench.addressOf(name), poller.nowMs, (fd) => void lost.push(fd));
  beforeEach(() => {
    for (const fd of lost.splice(0)) sys.close(fd);
  });

  test('to whom is there', () => {
    const server = bench.listening('there');
    const connector = keep('there');
    poller.until(() => lost.length === 1);
    assert.ok(sys.accept(server, 0) >= 0);
    connector.close();
    sys.close(server);
  });

  test('to whom is not there yet: again and again', () => {
    const connector = keep('later');
    poller.turn(0);
    poller.turn(0);
    assert.equal(lost.length, 0);
    const server = bench.listening('later');
    poller.until(() => lost.length === 1);
    connector.close();
    sys.close(server);
  });

  test('again when the connection is lost, but not before', () => {
    const server = bench.listening('lost');
    const connector = keep('lost');
    poller.until(() => lost.length === 1);
    poller.settle();
    const start = poller.nowMs;
    connector.onLost(start);
    poller.until(() => lost.length === 2);
    assert.ok(poller.nowMs - start >= 200);
    connector.close();
    sys.close(server);
  });

  test('over TCP, where the answer takes its time', () => {
    const server = sys.socket(C.AF_INET, STREAM, 0);
    const address = new SockAddr(sys.arena).setIpv4(0x7f00_0001, 0);
    sys.bind(server, address.off, address.len);
    sys.getsockname(server, address.off);
    const connector = new Connector(sys, poller, address, poller.nowMs, (fd) => void lost.push(fd));
    poller.turn(10);
    poller.turn(10);
    assert.equal(lost.length, 0, 'refused');
    sys.listen(server, 8);
    poller.until(() => lost.length === 1);
    assert.equal(sys.getsockopt(lost[0]!, C.SOL_SOCKET, C.SO_ERROR), 0);
    connector.close();
    sys.close(server);
  });

  test('no descriptor is left: tries again', () => {
    const server = bench.listening('none');
    const answers = [-C.EMFILE];
    const table = withCalls(sys, {
      socket: (domain, type, protocol) => answers.shift() ?? sys.socket(domain, type, protocol),
    });
    const connector = new Connector(table, poller, bench.addressOf('none'), poller.nowMs, (fd) => void lost.push(fd));
    poller.until(() => lost.length === 1);
    connector.close();
    sys.close(server);
  });

  test('closed: no more tries, nothing left', () => {
    const registered = poller.size;
    const connector = keep('never');
    poller.turn(0);
    connector.close();
    connector.close();
    connector.onLost(poller.nowMs);
    assert.equal(poller.size, registered);
    assert.equal(poller.turn(250), false);
  });

  test('closed while a connection is under way', () => {
    const registered = poller.size;
    const server = sys.socket(C.AF_INET, STREAM, 0);
    const address = new SockAddr(sys.arena).setIpv4(0x7f00_0001, 0);
    sys.bind(server, address.off, address.len);
    sys.listen(server, 0);
    sys.getsockname(server, address.off);
    const others = [1, 2, 3].map(() => connect(address)); // the server's queue is full: it does not answer
    const connector = new Connector(sys, poller, address, poller.nowMs, (fd) => void lost.push(fd));
    poller.settle();
    for (const fd of [server, ...others]) sys.close(fd);
    connector.close();
    assert.equal(poller.size, registered);
    assert.equal(lost.length, 0);
  });
});

test('sockets at paths leave files that their owner removes', () => {
  const fd = bench.listening('file');
  sys.close(fd);
  rmSync(bench.path('file'));
});
