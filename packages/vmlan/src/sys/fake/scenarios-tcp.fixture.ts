/**
 * What programs do with TCP sockets. See scenarios.fixture.ts.
 *
 * Zone: control.
 */
import * as c from '../constants.ts';
import type { Scenario } from './bench.fixture.ts';

const {
  AF_INET,
  AF_INET6,
  SOCK_STREAM,
  SOL_SOCKET,
  EPOLL_CTL_ADD,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  MSG_PEEK,
  MSG_TRUNC,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_PEEK_OFF,
  EPOLLET,
} = c;
const EDGES = EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP;

export const TCP_SCENARIOS: Readonly<Record<string, Scenario>> = {
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
