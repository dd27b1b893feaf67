/**
 * What programs do with ports, descriptors and epoll. See scenarios.fixture.ts.
 *
 * Zone: control.
 */
import * as c from '../constants.ts';
import type { Bench, Scenario } from './bench.fixture.ts';

const {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLIN,
  EPOLLRDHUP,
  SHUT_WR,
  EPOLLOUT,
} = c;
const EDGES = EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP;

export const PORT_SCENARIOS: Readonly<Record<string, Scenario>> = {
  'bind: who may share a port'(t) {
    t.socket('a', AF_INET, SOCK_STREAM);
    t.bind('a', 'v4');
    const port = t.port('a');
    for (const [name, where] of [
      ['b', 'v4'],
      ['c', 'any4'],
    ] as const) {
      t.socket(name, AF_INET, SOCK_STREAM);
      t.bind(name, where, port);
      t.set(name, SOL_SOCKET, c.SO_REUSEADDR, 1);
      t.bind(name, where, port);
    }
    t.set('a', SOL_SOCKET, c.SO_REUSEADDR, 1);
    t.bind('b', 'v4', port);
    t.listen('a');
    t.listen('b');
    t.bind('c', 'any4', port);
  },

  'bind: IPv4 and IPv6 on one port'(t) {
    t.socket('a', AF_INET6, SOCK_STREAM);
    t.bind('a', 'any6');
    const port = t.port('a');
    t.socket('b', AF_INET, SOCK_STREAM);
    t.bind('b', 'any4', port);
    t.bind('b', 'v4', port);
    t.socket('d', AF_INET6, SOCK_STREAM);
    t.set('d', c.IPPROTO_IPV6, c.IPV6_V6ONLY, 1);
    t.bind('d', 'any6');
    t.bind('b', 'any4', t.port('d'));
  },

  'bind: wrong addresses'(t) {
    t.socket('a', AF_INET, SOCK_DGRAM);
    t.bind('a', 'v6');
    t.bind('a', { path: 'x' });
    t.socket('b', AF_INET6, SOCK_DGRAM);
    t.bind('b', 'v4');
    t.note('not ours', t.sys.bind(t.fd('a'), ...foreignAddress(t)));
    t.note('short', t.sys.bind(t.fd('a'), foreignAddress(t)[0], 8));
    t.bind('a', 'v4');
    t.bind('a', 'v4');
  },

  'listen: without a port, twice, on a datagram socket'(t) {
    t.socket('a', AF_INET, SOCK_STREAM);
    t.listen('a');
    t.listen('a', 3);
    t.localName('a');
    t.socket('b', AF_INET, SOCK_DGRAM);
    t.listen('b');
    t.accept('x', 'b');
  },
};

/** 198.51.100.1, which no machine has. */
function foreignAddress(t: Bench): [number, number] {
  const off = t.sys.arena.alloc(16, 16);
  t.sys.arena.view.setUint16(off, AF_INET, true);
  t.sys.arena.view.setUint32(off + 4, 0xc633_6401);
  return [off, 16];
}

export const FILE_SCENARIOS: Readonly<Record<string, Scenario>> = {
  'epoll: edges of a connection'(t) {
    t.tcp();
    t.epoll('e');
    t.watch('e', EPOLL_CTL_ADD, 'b', EDGES);
    t.events('e', 1);
    t.events('e', 0);
    t.send('a', 5);
    t.events('e', 1);
    t.events('e', 0);
    t.send('a', 5);
    t.events('e', 1);
    t.recv('b', 3);
    t.events('e', 0);
    t.watch('e', EPOLL_CTL_MOD, 'b', EDGES);
    t.events('e', 1);
    t.recv('b', 30);
    t.watch('e', EPOLL_CTL_MOD, 'b', EPOLLET | EPOLLIN);
    t.events('e', 0);
    t.shutdown('a', SHUT_WR);
    t.events('e', 1);
    t.watch('e', EPOLL_CTL_MOD, 'b', EPOLLET | EPOLLRDHUP);
    t.events('e', 1);
    t.linger('a');
    t.close('a');
    t.events('e', 1);
    t.watch('e', EPOLL_CTL_DEL, 'b', 0);
    t.events('e', 0);
  },

  'epoll: levels of a connection'(t) {
    t.tcp();
    t.epoll('e');
    t.watch('e', EPOLL_CTL_ADD, 'b', EPOLLIN);
    t.watch('e', EPOLL_CTL_ADD, 'a', EPOLLIN | EPOLLRDHUP);
    t.events('e', 0);
    t.send('a', 5);
    t.events('e', 1);
    t.events('e', 1);
    t.recv('b', 5);
    t.events('e', 0);
    t.shutdown('b', SHUT_WR);
    t.events('e', 1);
    t.watch('e', EPOLL_CTL_MOD, 'a', 0);
    t.events('e', 0);
    t.shutdown('a', SHUT_WR);
    t.events('e', 2);
  },

  'epoll: a connect that succeeds and one that fails'(t) {
    t.socket('l', AF_INET, SOCK_STREAM);
    t.bind('l', 'v4');
    t.listen('l');
    t.epoll('e');
    t.watch('e', EPOLL_CTL_ADD, 'l', EPOLLET | EPOLLIN);
    t.socket('a', AF_INET, SOCK_STREAM);
    t.watch('e', EPOLL_CTL_ADD, 'a', EDGES);
    t.events('e', 1);
    t.connect('a', 'v4', t.port('l'));
    t.events('e', 2);
    t.socket('b', AF_INET, SOCK_STREAM);
    const port = t.port('l');
    t.close('l');
    t.connect('b', 'v4', port);
    t.watch('e', EPOLL_CTL_ADD, 'b', EDGES);
    t.events('e', 2);
  },

  'epoll: wrong calls'(t) {
    t.epoll('e');
    t.eventfd('v');
    t.watch('e', EPOLL_CTL_MOD, 'v', EPOLLIN);
    t.watch('e', EPOLL_CTL_DEL, 'v', EPOLLIN);
    t.watch('e', EPOLL_CTL_ADD, 'v', EPOLLIN);
    t.watch('e', EPOLL_CTL_ADD, 'v', EPOLLIN);
    t.watch('e', 9, 'v', EPOLLIN);
    t.watch('e', EPOLL_CTL_ADD, 'e', EPOLLIN);
    t.watch('e', EPOLL_CTL_ADD, 'nothing', EPOLLIN);
    t.watch('v', EPOLL_CTL_ADD, 'e', EPOLLIN);
    t.note('wait for none', t.sys.epollWait(t.fd('e'), 0, 0));
    t.note('wait on eventfd', t.sys.epollWait(t.fd('v'), 1, 0));
  },

  'epoll: a file closed under it, and one with a second descriptor'(t) {
    t.epoll('e');
    t.eventfd('v');
    t.write('v', 8);
    t.watch('e', EPOLL_CTL_ADD, 'v', EPOLLIN);
    t.events('e', 1);
    t.dup('w', 'v');
    t.watch('e', EPOLL_CTL_ADD, 'w', EPOLLIN);
    t.close('w');
    t.events('e', 2);
    t.close('v');
    t.events('e', 0);
  },

  'epoll: inside epoll'(t) {
    t.epoll('outer');
    t.epoll('e');
    t.eventfd('v');
    t.watch('outer', EPOLL_CTL_ADD, 'e', EPOLLIN);
    t.watch('e', EPOLL_CTL_ADD, 'v', EPOLLIN);
    t.events('outer', 0);
    t.write('v', 8);
    t.events('outer', 1);
    t.read('v', 8);
    t.events('outer', 0);
  },

  'eventfd: counts, is read whole'(t) {
    t.eventfd('v');
    t.poll('v');
    t.read('v', 8);
    t.write('v', 8);
    t.write('v', 4);
    t.poll('v');
    t.read('v', 4);
    t.read('v', 8);
    t.read('v', 8);
  },

  'eventfd: each write is an edge'(t) {
    t.eventfd('v');
    t.epoll('e');
    t.watch('e', EPOLL_CTL_ADD, 'v', EPOLLET | EPOLLIN);
    t.write('v', 8);
    t.events('e', 1);
    t.events('e', 0);
    t.note('write one', t.sys.write(t.fd('v'), one(t), 8));
    t.events('e', 1);
  },

  'descriptors: wrong ones'(t) {
    t.eventfd('v');
    for (const name of ['v', 'nothing']) {
      t.send(name, 1);
      t.recv(name, 1);
      t.bind(name, 'v4');
      t.connect(name, 'v4', 1);
      t.listen(name);
      t.accept('x', name);
      t.localName(name);
      t.peerName(name);
      t.shutdown(name, SHUT_WR);
      t.error(name);
      t.set(name, SOL_SOCKET, c.SO_KEEPALIVE, 1);
      t.linger(name);
    }
    t.epoll('e');
    t.read('e', 8);
    t.write('e', 8);
    t.queued('v', c.FIONREAD);
    t.close('nothing');
    t.dup('y', 'nothing');
    t.socket('z', 99, SOCK_STREAM);
    t.socket('z', AF_INET, 9);
    t.socket('z', AF_INET, SOCK_STREAM, c.IPPROTO_UDP);
    t.socket('z', AF_INET, SOCK_DGRAM, c.IPPROTO_TCP);
    t.socket('z', AF_UNIX, 9);
  },
};

function one(t: Bench): number {
  const off = t.sys.arena.alloc(8, 8);
  t.sys.arena.view.setUint32(off, 1, true);
  return off;
}
