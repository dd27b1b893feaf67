/**
 * What programs do with sockets, case by case: run on the real kernel and on the fake one, the answers must be equal.
 *
 * Zone: control.  Each scenario begins with no descriptors of its own. Amounts of data stay below every buffer except
 * where a scenario fills one, and then only that it fills is written down.
 */
import * as c from '../constants.ts';
import type { Bench } from './bench.fixture.ts';

const { AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET } = c;
const { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } = c;
const { MSG_PEEK, MSG_TRUNC, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_PEEK_OFF } = c;
const EDGES = EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP;

export type Scenario = (t: Bench) => void;

const tcp: Readonly<Record<string, Scenario>> = {
  'tcp: a new socket'(t) {
    t.socket('a', AF_INET, SOCK_STREAM);
    t.poll('a');
    t.recv('a', 10);
    t.send('a', 10);
    t.localName('a');
    t.peerName('a');
    t.shutdown('a', SHUT_WR);
    t.accept('b', 'a');
    t.error('a');
    t.queued('a', c.FIONREAD);
    t.get('a', SOL_SOCKET, c.SO_ACCEPTCONN);
    t.get('a', SOL_SOCKET, c.SO_TYPE);
  },

  'tcp: connect and accept, IPv4'(t) {
    t.tcp('v4');
    t.poll('l', 'a', 'b');
    for (const name of ['l', 'a', 'b']) t.localName(name);
    for (const name of ['l', 'a', 'b']) t.peerName(name);
    t.connect('a', 'v4', t.port('l'));
    t.connect('a', 'v4', t.port('l'));
    t.accept('c', 'l');
    t.recv('l', 10);
    t.send('l', 10);
    t.get('l', SOL_SOCKET, c.SO_ACCEPTCONN);
    t.get('b', c.IPPROTO_TCP, c.TCP_NODELAY);
    t.bind('a', 'v4');
    t.listen('a');
  },

  'tcp: connect and accept, IPv6'(t) {
    t.tcp('v6');
    t.poll('l', 'a', 'b');
    for (const name of ['l', 'a', 'b']) t.localName(name);
    t.peerName('b');
  },

  'tcp: an IPv6 listener takes IPv4 clients unless told not to'(t) {
    t.socket('l', AF_INET6, SOCK_STREAM);
    t.bind('l', 'any6');
    t.listen('l');
    t.socket('a', AF_INET, SOCK_STREAM);
    t.connect('a', 'v4', t.port('l'));
    t.until('l', EPOLLIN);
    t.accept('b', 'l');
    t.peerName('b');
    t.localName('b');
    t.socket('c', AF_INET6, SOCK_STREAM);
    t.connect('c', 'mapped', t.port('l'));
    t.until('c', EPOLLOUT);
    t.peerName('c');
    t.socket('m', AF_INET6, SOCK_STREAM);
    t.set('m', c.IPPROTO_IPV6, c.IPV6_V6ONLY, 1);
    t.bind('m', 'any6');
    t.listen('m');
    t.socket('d', AF_INET, SOCK_STREAM);
    t.connect('d', 'v4', t.port('m'));
    t.until('d', EPOLLOUT);
    t.error('d');
  },

  'tcp: connection refused, then another try'(t) {
    t.tcp();
    const port = t.port('l');
    t.close('l', 'a', 'b');
    t.socket('a', AF_INET, SOCK_STREAM);
    t.connect('a', 'v4', port);
    t.until('a', EPOLLOUT);
    t.error('a');
    t.error('a');
    t.poll('a');
    t.recv('a', 10);
    t.send('a', 10);
    t.peerName('a');
    t.socket('b', AF_INET, SOCK_STREAM);
    t.connect('b', 'v4', port);
    t.until('b', EPOLLOUT);
    t.recv('b', 10);
    t.recv('b', 10);
    t.socket('d', AF_INET, SOCK_STREAM);
    t.connect('d', 'v4', port);
    t.until('d', EPOLLOUT);
    t.send('d', 10);
    t.send('d', 10);
    t.socket('e', AF_INET, SOCK_STREAM);
    t.connect('e', 'v4', port);
    t.until('e', EPOLLOUT);
    t.connect('e', 'v4', port);
    t.socket('l', AF_INET, SOCK_STREAM);
    t.bind('l', 'v4');
    t.listen('l');
    t.connect('e', 'v4', t.port('l'));
    t.until('l', EPOLLIN);
    t.poll('e');
    t.connect('e', 'v4', t.port('l'));
  },

  'tcp: bytes in pieces'(t) {
    t.tcp();
    t.send('a', 10);
    t.send('a', 5);
    t.until('b', EPOLLIN);
    t.queued('b', c.FIONREAD);
    t.queued('a', c.SIOCOUTQ);
    t.recv('b', 4, MSG_PEEK);
    t.recv('b', 4);
    t.read('b', 4);
    t.recvFrom('b', 100);
    t.recv('b', 4);
    t.poll('b');
    t.write('b', 3);
    t.until('a', EPOLLIN);
    t.recvMsg('a', 10);
    t.send('a', 0);
    t.recv('b', 10, c.MSG_OOB);
    t.recv('b', 10, c.MSG_ERRQUEUE);
  },

  'tcp: the peek offset'(t) {
    t.tcp();
    t.send('a', 20);
    t.until('b', EPOLLIN);
    t.set('b', SOL_SOCKET, SO_PEEK_OFF, 3);
    t.recv('b', 4, MSG_PEEK);
    t.recv('b', 4, MSG_PEEK);
    t.get('b', SOL_SOCKET, SO_PEEK_OFF);
    t.recv('b', 2);
    t.get('b', SOL_SOCKET, SO_PEEK_OFF);
    t.recv('b', 4, MSG_PEEK);
    t.discard('b', 5);
    t.recv('b', 50, MSG_PEEK);
    t.recv('b', 50, MSG_PEEK);
    t.poll('b');
    t.send('a', 4);
    t.until('b', EPOLLIN);
    t.recv('b', 50, MSG_PEEK | MSG_TRUNC);
    t.discard('b', 100);
    t.get('b', SOL_SOCKET, SO_PEEK_OFF);
    t.shutdown('a', SHUT_WR);
    t.until('b', EPOLLRDHUP);
    t.recv('b', 10, MSG_PEEK);
    t.discard('b', 10);
  },

  'tcp: the peek offset beyond the data, and off'(t) {
    t.tcp();
    t.send('a', 6);
    t.until('b', EPOLLIN);
    t.set('b', SOL_SOCKET, SO_PEEK_OFF, 100);
    t.recv('b', 4, MSG_PEEK);
    t.recv('b', 2);
    t.get('b', SOL_SOCKET, SO_PEEK_OFF);
    t.set('b', SOL_SOCKET, SO_PEEK_OFF, -1);
    t.recv('b', 2, MSG_PEEK);
    t.recv('b', 2, MSG_PEEK);
    t.discard('b', 2);
    t.recv('b', 2, MSG_PEEK);
  },

  'tcp: half-close, both ways'(t) {
    t.tcp();
    t.send('a', 5);
    t.shutdown('a', SHUT_WR);
    t.until('b', EPOLLRDHUP);
    t.poll('a');
    t.send('a', 1);
    t.recv('b', 10);
    t.recv('b', 10);
    t.send('b', 7);
    t.until('a', EPOLLIN);
    t.recv('a', 10);
    t.recv('a', 10);
    t.shutdown('b', SHUT_WR);
    t.until('a', EPOLLRDHUP);
    t.poll('a', 'b');
    t.recv('a', 10);
    t.send('b', 1);
    t.peerName('a');
    t.peerName('b');
    t.shutdown('a', SHUT_WR);
    t.shutdown('b', SHUT_RDWR);
    t.error('a');
    t.error('b');
  },

  'tcp: close after everything was read'(t) {
    t.tcp();
    t.close('b');
    t.until('a', EPOLLRDHUP);
    t.recv('a', 10);
    t.send('a', 1);
    t.until('a', 0);
    t.poll('a');
    t.send('a', 1);
    t.recv('a', 10);
    t.error('a');
  },

  'tcp: close with data unread is a reset'(t) {
    t.tcp();
    t.send('a', 10);
    t.until('b', EPOLLIN);
    t.close('b');
    t.until('a', EPOLLIN);
    t.recv('a', 10);
    t.recv('a', 10);
    t.poll('a');
    t.send('a', 1);
  },

  'tcp: linger 0 is a reset, data before it stays readable'(t) {
    t.tcp();
    t.send('b', 10);
    t.until('a', EPOLLIN);
    t.linger('b');
    t.close('b');
    t.until('a', EPOLLRDHUP);
    t.recv('a', 4);
    t.error('a');
    t.poll('a');
    t.recv('a', 40);
    t.recv('a', 40);
    t.send('a', 1);
    t.peerName('a');
    t.shutdown('a', SHUT_WR);
  },

  'tcp: a reset while nothing waits'(t) {
    t.tcp();
    t.linger('b');
    t.close('b');
    t.until('a', EPOLLIN);
    t.send('a', 1);
    t.send('a', 1);
    t.recv('a', 1);
    t.poll('a');
  },

  'tcp: a reset after the peer had finished'(t) {
    t.tcp();
    t.shutdown('b', SHUT_WR);
    t.until('a', EPOLLRDHUP);
    t.linger('b');
    t.close('b');
    t.until('a', 0);
    t.error('a');
    t.recv('a', 10);
    t.send('a', 1);
  },

  'tcp: shutdown of reading'(t) {
    t.tcp();
    t.shutdown('b', SHUT_RD);
    t.poll('b');
    t.recv('b', 10);
    t.send('a', 5);
    t.until('b', EPOLLIN);
    t.recv('b', 10);
    t.recv('b', 10);
    t.poll('a');
  },

  'tcp: data for an end that is shut down both ways'(t) {
    t.tcp();
    t.shutdown('b', SHUT_RDWR);
    t.until('a', EPOLLRDHUP);
    t.send('a', 5);
    t.until('a', 0);
    t.poll('a', 'b');
    t.error('a');
    t.error('b');
    t.recv('b', 5);
    t.send('a', 5);
  },

  'tcp: a listener that stops and starts again keeps the port it was given'(t) {
    t.socket('f', AF_INET, SOCK_STREAM);
    t.bind('f', 'v4');
    const port = t.port('f');
    t.close('f');
    t.socket('l', AF_INET, SOCK_STREAM);
    t.bind('l', 'v4', port);
    t.listen('l');
    t.socket('x', AF_INET, SOCK_STREAM);
    t.bind('x', 'v4', port);
    t.socket('a', AF_INET, SOCK_STREAM);
    t.connect('a', 'v4', port);
    t.until('l', EPOLLIN);
    t.shutdown('l', SHUT_RD);
    t.until('a', EPOLLIN);
    t.error('a');
    t.poll('l');
    t.accept('b', 'l');
    t.socket('c', AF_INET, SOCK_STREAM);
    t.connect('c', 'v4', port);
    t.until('c', EPOLLOUT);
    t.error('c');
    t.listen('l');
    t.note('same port', String(t.port('l') === port));
    t.socket('d', AF_INET, SOCK_STREAM);
    t.connect('d', 'v4', port);
    t.until('l', EPOLLIN);
    t.accept('b', 'l');
    t.poll('d', 'b');
  },

  'tcp: a listener that stops loses a port the kernel picked'(t) {
    t.socket('l', AF_INET, SOCK_STREAM);
    t.bind('l', 'v4');
    t.listen('l');
    const port = t.port('l');
    t.shutdown('l', SHUT_RD);
    t.localName('l');
    t.listen('l');
    t.note('same port', String(t.port('l') === port));
  },

  'tcp: closing a listener resets who was not accepted'(t) {
    t.socket('l', AF_INET, SOCK_STREAM);
    t.bind('l', 'v4');
    t.listen('l');
    t.socket('a', AF_INET, SOCK_STREAM);
    t.connect('a', 'v4', t.port('l'));
    t.until('l', EPOLLIN);
    t.send('a', 5);
    t.close('l');
    t.until('a', EPOLLIN);
    t.error('a');
  },

  'tcp: data sent before accept'(t) {
    t.socket('l', AF_INET, SOCK_STREAM);
    t.bind('l', 'v4');
    t.listen('l');
    t.socket('a', AF_INET, SOCK_STREAM);
    t.connect('a', 'v4', t.port('l'));
    t.until('a', EPOLLOUT);
    t.send('a', 5);
    t.shutdown('a', SHUT_WR);
    t.until('l', EPOLLIN);
    t.accept('b', 'l');
    t.until('b', EPOLLRDHUP);
    t.recv('b', 10);
    t.recv('b', 10);
  },

  'tcp: a full buffer, and room again'(t) {
    t.tcp();
    t.fill('a');
    t.poll('a');
    t.until('b', EPOLLIN);
    t.epoll('e');
    t.watch('e', EPOLL_CTL_ADD, 'a', EDGES);
    t.events('e', 0);
    for (let i = 0; i < 4; i++) t.drain('b');
    t.events('e', 1);
    t.poll('a', 'b');
    t.send('a', 10);
  },
};

const ports: Readonly<Record<string, Scenario>> = {
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

const events: Readonly<Record<string, Scenario>> = {
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

function udpPair(t: Bench, where: 'v4' | 'v6' = 'v4'): void {
  const domain = where === 'v4' ? AF_INET : AF_INET6;
  for (const name of ['a', 'b']) {
    t.socket(name, domain, SOCK_DGRAM);
    t.bind(name, where);
  }
}

const udp: Readonly<Record<string, Scenario>> = {
  'udp: a new socket'(t) {
    t.socket('a', AF_INET, SOCK_DGRAM);
    t.poll('a');
    t.localName('a');
    t.peerName('a');
    t.send('a', 5);
    t.recv('a', 5);
    t.shutdown('a', SHUT_WR);
    t.sendTo('a', 5, 'v4', 0);
    t.sendTo('a', 65_508, 'v4', 9);
    t.sendTo('a', 65_536, 'v4', 9);
    t.sendTo('a', 5, 'v6', 9);
    t.localName('a');
  },

  'udp: datagrams keep their borders'(t) {
    udpPair(t);
    t.sendTo('a', 10, 'v4', t.port('b'));
    t.sendTo('a', 0, 'v4', t.port('b'));
    t.sendTo('a', 20, 'v4', t.port('b'));
    t.until('b', EPOLLIN);
    t.queued('b', c.FIONREAD);
    t.recvFrom('b', 100, MSG_PEEK);
    t.recvFrom('b', 100);
    t.recvFrom('b', 100);
    t.recv('b', 8, MSG_PEEK | MSG_TRUNC);
    t.recv('b', 8);
    t.recv('b', 8);
    t.poll('b');
  },

  'udp: over IPv6'(t) {
    udpPair(t, 'v6');
    t.sendTo('a', 10, 'v6', t.port('b'));
    t.until('b', EPOLLIN);
    t.recvFrom('b', 100);
  },

  'udp: the largest datagram'(t) {
    udpPair(t);
    t.sendTo('a', 65_507, 'v4', t.port('b'));
    t.until('b', EPOLLIN);
    t.recvFrom('b', 70_000);
  },

  'udp: a connected socket hears only its peer'(t) {
    udpPair(t);
    t.socket('c', AF_INET, SOCK_DGRAM);
    t.connect('a', 'v4', t.port('b'));
    t.peerName('a');
    t.localName('a');
    t.sendTo('c', 5, 'v4', t.port('a'));
    t.sendTo('b', 6, 'v4', t.port('a'));
    t.until('a', EPOLLIN);
    t.recv('a', 100);
    t.recv('a', 100);
    t.send('a', 7);
    t.until('b', EPOLLIN);
    t.recv('b', 100);
    t.disconnect('a');
    t.peerName('a');
    t.send('a', 1);
    t.sendTo('c', 5, 'v4', t.port('a'));
    t.until('a', EPOLLIN);
    t.recv('a', 100);
  },

  'udp: port unreachable'(t) {
    udpPair(t);
    const port = t.port('b');
    t.close('b');
    t.sendTo('a', 5, 'v4', port);
    t.poll('a');
    t.connect('a', 'v4', port);
    t.send('a', 5);
    t.until('a', 0);
    t.error('a');
    t.send('a', 5);
    t.until('a', 0);
    t.send('a', 5);
    t.send('a', 5);
    t.until('a', 0);
    t.recv('a', 5);
    t.recv('a', 5);
    t.poll('a');
  },

  'udp: the error queue'(t) {
    udpPair(t);
    t.set('a', c.IPPROTO_IP, c.IP_RECVERR, 1);
    const port = t.port('b');
    t.close('b');
    t.sendTo('a', 5, 'v4', port);
    t.sendTo('a', 6, 'v4', port);
    t.until('a', 0);
    t.readError('a');
    t.poll('a');
    t.sendTo('a', 7, 'v4', port);
    t.until('a', 0);
    t.readError('a');
    t.error('a');
    t.readError('a');
    t.poll('a');
    t.set('a', c.IPPROTO_IP, c.IP_MTU_DISCOVER, c.IP_PMTUDISC_DO);
    t.sendTo('a', 65_520, 'v4', port);
    t.readError('a');
    t.readError('a');
  },

  'udp: the error queue over IPv6'(t) {
    udpPair(t, 'v6');
    t.set('a', c.IPPROTO_IPV6, c.IPV6_RECVERR, 1);
    const port = t.port('b');
    t.close('b');
    t.sendTo('a', 5, 'v6', port);
    t.until('a', 0);
    t.readError('a');
    t.readError('a');
  },

  'udp: messages with their hop limit'(t) {
    udpPair(t);
    t.set('b', c.IPPROTO_IP, c.IP_RECVTTL, 1);
    t.set('a', c.IPPROTO_IP, c.IP_TTL, 33);
    t.sendTo('a', 10, 'v4', t.port('b'));
    t.sendTo('a', 10, 'v4', t.port('b'));
    t.until('b', EPOLLIN);
    t.recvMsg('b', 100);
    t.recvMsg('b', 4);
    t.recvMsg('b', 4);
  },

  'udp: one send of many segments'(t) {
    udpPair(t);
    t.connect('a', 'v4', t.port('b'));
    t.set('a', c.SOL_UDP, c.UDP_SEGMENT, 100);
    t.send('a', 250);
    t.until('b', EPOLLIN);
    t.recv('b', 1000);
    t.recv('b', 1000);
    t.recv('b', 1000);
    t.recv('b', 1000);
  },

  'udp: shutdown of a connected socket'(t) {
    udpPair(t);
    t.connect('a', 'v4', t.port('b'));
    t.shutdown('a', SHUT_WR);
    t.poll('a');
    t.send('a', 5);
    t.shutdown('a', SHUT_RD);
    t.poll('a');
    t.recv('a', 5);
  },

  'udp: edges'(t) {
    udpPair(t);
    t.epoll('e');
    t.watch('e', EPOLL_CTL_ADD, 'b', EPOLLET | EPOLLIN);
    t.sendTo('a', 1, 'v4', t.port('b'));
    t.events('e', 1);
    t.sendTo('a', 1, 'v4', t.port('b'));
    t.events('e', 1);
    t.recv('b', 10);
    t.events('e', 0);
  },
};

const unix: Readonly<Record<string, Scenario>> = {
  'unix stream: a new socket'(t) {
    t.socket('a', AF_UNIX, SOCK_STREAM);
    t.poll('a');
    t.send('a', 1);
    t.recv('a', 1);
    t.listen('a');
    t.accept('x', 'a');
    t.connect('a', { path: 'absent' });
    t.localName('a');
    t.peerName('a');
  },

  'unix stream: connect, accept, names'(t) {
    t.socket('l', AF_UNIX, SOCK_STREAM);
    t.bind('l', { path: 's' });
    t.bind('l', { path: 'other' });
    t.socket('a', AF_UNIX, SOCK_STREAM);
    t.connect('a', { path: 's' });
    t.listen('l');
    t.poll('l');
    t.connect('a', { path: 's' });
    t.connect('a', { path: 's' });
    t.poll('a', 'l');
    t.send('a', 5);
    t.accept('b', 'l');
    t.localName('b');
    t.peerName('a');
    t.peerName('b');
    t.recvFrom('b', 3);
    t.recv('b', 3);
    t.recv('b', 3);
    t.send('b', 3);
    t.recvFrom('a', 3);
    t.socket('x', AF_UNIX, SOCK_STREAM);
    t.bind('x', { path: 's' });
    t.close('l');
    t.connect('x', { path: 's' });
    t.bind('x', { path: 's' });
    t.socket('y', AF_UNIX, SOCK_DGRAM);
    t.connect('y', { path: 's' });
  },

  'unix stream: a full backlog'(t) {
    t.socket('l', AF_UNIX, SOCK_STREAM);
    t.bind('l', { path: 'full' });
    t.listen('l', 1);
    for (const name of ['a', 'b', 'd']) {
      t.socket(name, AF_UNIX, SOCK_STREAM);
      t.connect(name, { path: 'full' });
    }
    t.close('l');
    t.poll('a', 'd');
    t.recv('a', 1);
    t.send('a', 1);
  },

  'unix stream: half-close and close'(t) {
    t.pair('a', 'b', SOCK_STREAM);
    t.poll('a', 'b');
    t.send('a', 10);
    t.recv('b', 4, MSG_PEEK);
    t.shutdown('a', SHUT_WR);
    t.poll('a', 'b');
    t.send('a', 1);
    t.recv('b', 100);
    t.recv('b', 100);
    t.send('b', 3);
    t.close('b');
    t.poll('a');
    t.recv('a', 10);
    t.recv('a', 10);
    t.send('a', 1);
  },

  'unix stream: close with data unread'(t) {
    t.pair('a', 'b', SOCK_STREAM);
    t.send('a', 10);
    t.queued('b', c.FIONREAD);
    t.queued('a', c.SIOCOUTQ + 100);
    t.close('b');
    t.poll('a');
    t.recv('a', 10);
    t.recv('a', 10);
    t.send('a', 1);
  },

  'unix stream: a full buffer, and room again'(t) {
    t.pair('a', 'b', SOCK_STREAM);
    t.fill('a');
    t.poll('a');
    t.epoll('e');
    t.watch('e', EPOLL_CTL_ADD, 'a', EPOLLET | EPOLLOUT);
    t.events('e', 0);
    t.drain('b');
    t.events('e', 1);
    t.poll('a');
  },

  'unix datagrams: by path and by connection'(t) {
    t.socket('s', AF_UNIX, SOCK_DGRAM);
    t.bind('s', { path: 'd' });
    t.socket('a', AF_UNIX, SOCK_DGRAM);
    t.poll('a');
    t.send('a', 1);
    t.sendTo('a', 5, { path: 'absent' });
    t.sendTo('a', 5, { path: 'd' });
    t.recvFrom('s', 100);
    t.bind('a', { path: 'client' });
    t.connect('a', { path: 'd' });
    t.send('a', 10);
    t.recvFrom('s', 4);
    t.recv('s', 4);
    t.sendTo('s', 3, { path: 'client' });
    t.recvFrom('a', 100);
    t.listen('s');
    t.close('s');
    t.poll('a');
    t.send('a', 1);
    t.send('a', 1);
    t.sendTo('a', 1, { path: 'd' });
  },

  'unix datagrams: a receiver that does not read'(t) {
    t.socket('s', AF_UNIX, SOCK_DGRAM);
    t.bind('s', { path: 'q' });
    t.socket('a', AF_UNIX, SOCK_DGRAM);
    t.connect('a', { path: 'q' });
    for (let i = 0; i < 12; i++) t.send('a', 5);
    t.poll('a');
    t.epoll('e');
    t.watch('e', EPOLL_CTL_ADD, 'a', EPOLLET | EPOLLOUT);
    t.events('e', 0);
    t.drain('s');
    t.events('e', 1);
    t.send('a', 5);
  },

  'unix datagrams: another peer'(t) {
    t.pair('a', 'b', SOCK_DGRAM);
    t.socket('s', AF_UNIX, SOCK_DGRAM);
    t.bind('s', { path: 'third' });
    t.send('b', 5);
    t.connect('a', { path: 'third' });
    t.poll('a', 'b');
    t.error('b');
    t.recv('a', 10);
    t.send('a', 3);
    t.recv('s', 10);
    t.disconnect('a');
    t.send('a', 1);
  },

  'unix seqpacket: borders and hang-up'(t) {
    t.pair('a', 'b', SOCK_SEQPACKET);
    t.send('a', 10);
    t.send('a', 20);
    t.queued('b', c.FIONREAD);
    t.recv('b', 5);
    t.recv('b', 100);
    t.recv('b', 100);
    t.send('b', 4);
    t.close('b');
    t.poll('a');
    t.recv('a', 10);
    t.recv('a', 10);
    t.send('a', 1);
    t.pair('d', 'f', SOCK_DGRAM);
    t.send('d', 5);
    t.send('d', 6);
    t.queued('f', c.FIONREAD);
    t.recv('f', 5);
    t.close('f');
    t.poll('d');
    t.send('d', 5);
  },
};

/** Only where ping sockets are allowed. */
export const PING_SCENARIOS: Readonly<Record<string, Scenario>> = Object.fromEntries(
  (
    [
      [4, AF_INET, c.IPPROTO_ICMP, 8, 0, 'v4'],
      [6, AF_INET6, c.IPPROTO_ICMPV6, 128, 129, 'v6'],
    ] as const
  ).map(([version, domain, protocol, request, reply, where]) => [
    `ping: IPv${version}`,
    (t: Bench) => {
      t.socket('p', domain, SOCK_DGRAM, protocol);
      t.poll('p');
      t.localName('p');
      t.ping('p', request, 7, where);
      t.ping('p', 1, 20, where);
      t.send('p', 20);
      t.ping('p', request, 20, where);
      t.until('p', EPOLLIN);
      t.localName('p');
      t.recvFrom('p', 100, MSG_PEEK);
      t.recvFrom('p', 100);
      t.isReply('p', reply, 20);
      t.recv('p', 100);
      if (domain === AF_INET) t.set('p', c.IPPROTO_IP, c.IP_RECVTTL, 1);
      else t.set('p', c.IPPROTO_IPV6, c.IPV6_RECVHOPLIMIT, 1);
      t.ping('p', request, 2000, where);
      t.until('p', EPOLLIN);
      t.recvMsg('p', 3000);
      t.connect('p', where);
      t.peerName('p');
      t.readError('p');
      t.socket('q', domain, SOCK_DGRAM, protocol);
      t.bind('q', where, t.port('p'));
      t.bind('q', where);
    },
  ]),
);

export const SCENARIOS: Readonly<Record<string, Scenario>> = { ...tcp, ...ports, ...events, ...udp, ...unix };
