/**
 * What programs do with unix sockets. See scenarios.fixture.ts.
 *
 * Zone: control.
 */
import * as c from '../constants.ts';
import type { Scenario } from './bench.fixture.ts';

const { AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, EPOLL_CTL_ADD, EPOLLET, EPOLLOUT, MSG_PEEK, SHUT_WR } = c;
const { SOL_SOCKET, SO_PEEK_OFF } = c;

export const UNIX_SCENARIOS: Readonly<Record<string, Scenario>> = {
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

  'unix stream: the peek offset'(t) {
    t.pair('a', 'b', SOCK_STREAM);
    t.send('a', 20);
    t.recv('b', 4, MSG_PEEK);
    t.recv('b', 4, MSG_PEEK);
    t.set('b', SOL_SOCKET, SO_PEEK_OFF, 3);
    t.recv('b', 4, MSG_PEEK);
    t.recv('b', 4, MSG_PEEK);
    t.get('b', SOL_SOCKET, SO_PEEK_OFF);
    t.recv('b', 2);
    t.get('b', SOL_SOCKET, SO_PEEK_OFF);
    t.recv('b', 50, MSG_PEEK);
    t.recv('b', 50, MSG_PEEK);
    t.send('a', 4);
    t.recv('b', 50, MSG_PEEK);
    t.recv('b', 50);
    t.get('b', SOL_SOCKET, SO_PEEK_OFF);
    t.send('a', 4);
    t.shutdown('a', SHUT_WR);
    t.recv('b', 50, MSG_PEEK);
    t.recv('b', 50, MSG_PEEK);
    t.set('b', SOL_SOCKET, SO_PEEK_OFF, 1);
    t.recv('b', 50, MSG_PEEK);
    t.set('b', SOL_SOCKET, SO_PEEK_OFF, -1);
    t.recv('b', 50, MSG_PEEK);
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
