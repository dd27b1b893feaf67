/**
 * What programs do with UDP and ping sockets. See scenarios.fixture.ts.
 *
 * Zone: control.
 */
import * as c from '../constants.ts';
import type { Bench, Scenario } from './bench.fixture.ts';

const { AF_INET, AF_INET6, SOCK_DGRAM, EPOLL_CTL_ADD, EPOLLET, EPOLLIN, MSG_PEEK, MSG_TRUNC, SHUT_RD, SHUT_WR } = c;

function udpPair(t: Bench, where: 'v4' | 'v6' = 'v4'): void {
  const domain = where === 'v4' ? AF_INET : AF_INET6;
  for (const name of ['a', 'b']) {
    t.socket(name, domain, SOCK_DGRAM);
    t.bind(name, where);
  }
}

export const UDP_SCENARIOS: Readonly<Record<string, Scenario>> = {
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

  'udp: connected and disconnected, with a port of its own'(t) {
    t.socket('x', AF_INET, SOCK_DGRAM);
    t.bind('x', 'any4');
    const port = t.port('x');
    t.close('x');
    t.socket('a', AF_INET, SOCK_DGRAM);
    t.bind('a', 'any4', port);
    t.localName('a');
    t.connect('a', 'v4', 9);
    t.localName('a');
    t.disconnect('a');
    t.localName('a');
    t.socket('b', AF_INET, SOCK_DGRAM);
    t.sendTo('b', 5, 'v4', port);
    t.until('a', EPOLLIN);
    t.recv('a', 10);
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
