import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RESOLVING } from '../stack/tcp/flow.ts';
import { arpFrame, GATEWAY_MAC } from '../wire/packets.fixture.ts';
import * as tcp from '../wire/tcp.ts';
import { GATEWAY_4, GATEWAY_6, GUEST_4, GUEST_6, newPort } from './bench.fixture.ts';
import { ForwardBench } from './forward-bench.fixture.ts';
import { MAX_CLIENTS_PER_UDP_FORWARD } from './forwards.ts';
import { MAX_UDP_FLOWS_PER_PORT } from './udp-nat.ts';

const { ACK, RST, SYN } = tcp;

/** The guest says where it is. */
const answersArp = (bench: ForwardBench, address: string): void =>
  bench.hears(arpFrame({ op: 2, to: GATEWAY_MAC, sender: address, target: GATEWAY_4, targetMac: GATEWAY_MAC }));

describe('a TCP forward', () => {
  test('speaks to the guest in the gateway’s name; data flow both ways', () => {
    const bench = new ForwardBench();
    const forward = bench.tcpForward(80);
    assert.equal(forward.muted, false);
    const client = bench.connects()!;
    const [{ from, fromPort, to }] = bench.syns() as [{ from: string; fromPort: number; to: string }];
    assert.equal(from, GATEWAY_4);
    assert.equal(to, `${GUEST_4}.80`);
    assert.ok(fromPort >= 49_152 && fromPort <= 65_535);
    bench.segment(GATEWAY_4, 80, fromPort, SYN | ACK);
    bench.segment(GATEWAY_4, 80, fromPort, ACK, 1, 'hello');
    bench.host.hears('hello');
    bench.says();
    bench.host.writes('GET /', client);
    assert.match(bench.says()[0]!, /^192\.168\.105\.1\.\d+ > 192\.168\.105\.2\.80 tcp \[P\.\] .* length 5$/);
    assert.equal(bench.counters.get('forward_connections'), 1);
    assert.equal(forward.connections, 1);
    assert.deepEqual(
      bench.adopted.map(({ unix }) => unix),
      [false],
    );
  });

  const ends = [
    { guest: GUEST_4, gateway: GATEWAY_4 },
    { guest: GUEST_6, gateway: GATEWAY_6 },
    { guest: 'fe80::2', gateway: 'fe80::1' }, // RFC 6724 rule 2
  ];
  for (const { guest, gateway } of ends) {
    test(`${guest} hears from ${gateway}`, () => {
      const bench = new ForwardBench();
      bench.target = bench.at(guest);
      bench.tcpForward(80);
      bench.connects();
      assert.equal(bench.syns()[0]?.from, gateway);
    });
  }

  test('each client has a port of its own', () => {
    const bench = new ForwardBench();
    bench.tcpForward(80);
    for (let i = 0; i < 100; i++) bench.connects();
    assert.equal(new Set(bench.syns().map(({ fromPort }) => fromPort)).size, 100);
  });

  test('the guest refuses: the client is reset', () => {
    const bench = new ForwardBench();
    bench.tcpForward(80);
    const client = bench.connects()!;
    bench.segment(GATEWAY_4, 80, bench.syns()[0]!.fromPort, RST | ACK);
    assert.equal(client.closed, 'reset');
    assert.equal(bench.tcp.size, 0);
  });

  test('waits muted for its guest, so that the kernel refuses', () => {
    const bench = new ForwardBench();
    const here = bench.target;
    bench.target = null;
    const forward = bench.tcpForward(80);
    assert.deepEqual([forward.muted, bench.listener.muted], [true, true]);
    bench.target = here;
    forward.refresh();
    assert.deepEqual([forward.muted, bench.listener.muted], [false, false]);
    assert.notEqual(bench.connects(), null);
    bench.target = null;
    forward.refresh();
    assert.deepEqual([forward.muted, bench.listener.muted], [true, true]);
  });

  test('the guest has gone and nobody said so yet: the client is reset', () => {
    const bench = new ForwardBench();
    bench.tcpForward(80);
    bench.target = null;
    assert.equal(bench.connects(), null);
    assert.equal(bench.forwards.resets, 1);
    assert.equal(bench.counters.get('forward_guest_absent'), 1);
  });

  test('a socket that cannot be muted stays as it is, and its clients are reset', () => {
    const bench = new ForwardBench();
    const forward = bench.tcpForward(80, true);
    bench.connects();
    assert.deepEqual(
      bench.adopted.map(({ unix }) => unix),
      [true],
    );
    bench.target = null;
    bench.forwards.failMute = -95; // ENOTSUP: a unix socket that listens
    forward.refresh();
    assert.equal(forward.muted, false);
    bench.connects();
    assert.equal(bench.forwards.resets, 1);
  });

  test('a guest that came back elsewhere is found there by the next client', () => {
    const bench = new ForwardBench();
    const forward = bench.tcpForward(80);
    bench.connects();
    bench.target = bench.at('192.168.105.9', newPort(2));
    forward.refresh();
    bench.says();
    bench.connects();
    assert.match(bench.says()[0]!, /^port 2: 192\.168\.105\.1\.\d+ > 192\.168\.105\.9\.80 tcp \[S\]/);
  });

  test('a full table: the client is reset', () => {
    const bench = new ForwardBench(3);
    bench.tcpForward(80);
    for (let i = 0; i < 5; i++) bench.connects();
    assert.equal(bench.syns().length, 3);
    assert.equal(bench.forwards.resets, 2);
    assert.equal(bench.counters.get('forward_refused'), 2);
  });

  test('no port of the gateway is free for this guest: the client is reset', () => {
    const bench = new ForwardBench();
    bench.tcpForward(80);
    bench.connects();
    const { flow } = bench.adopted[0]!;
    const next = bench.syns()[0]!.fromPort + 1;
    for (let i = 0; i < 64; i++) {
      const port = next + i > 65_535 ? next + i - 65_536 + 49_152 : next + i;
      assert.notEqual(bench.tcp.openToGuest(flow, 80, port, bench.nowMs), null);
    }
    assert.equal(bench.connects(), null);
    assert.equal(bench.forwards.resets, 1);
    assert.notEqual(bench.connects(), null, 'the next client tries further ports');
  });

  test('a wake-up takes some clients, so that others get their turn', () => {
    const bench = new ForwardBench();
    bench.tcpForward(80);
    bench.listener.pending = 100;
    bench.listener.onReady(bench.nowMs);
    assert.equal(bench.syns().length, 64);
    assert.equal(bench.listener.pending, 36);
  });

  test('closing it leaves its conversations alone', () => {
    const bench = new ForwardBench();
    const forward = bench.tcpForward(80);
    const client = bench.connects()!;
    forward.close();
    assert.equal(bench.listener.closed, true);
    assert.equal(client.closed, 'no');
    assert.equal(bench.tcp.size, 1);
  });
});

describe('a TCP forward to an address whose MAC is not known', () => {
  const ADDRESS = '192.168.105.40';

  function away(): ForwardBench {
    const bench = new ForwardBench();
    bench.target = bench.at(ADDRESS, null);
    bench.tcpForward(80);
    return bench;
  }

  test('asks for it, then says SYN', () => {
    const bench = away();
    bench.connects();
    assert.deepEqual(bench.says(), [`flood: ARP who-has ${ADDRESS} tell ${GATEWAY_4}`]);
    answersArp(bench, ADDRESS);
    assert.equal(bench.syns()[0]?.to, `${ADDRESS}.80`);
    bench.connects();
    assert.equal(bench.syns().length, 1, 'known from now on');
  });

  test('nobody answers: the client is reset after a second', () => {
    const bench = away();
    const client = bench.connects()!;
    bench.passes(999);
    assert.equal(client.closed, 'no');
    bench.passes(11);
    assert.equal(client.closed, 'reset');
    assert.deepEqual(bench.says(), Array(4).fill(`flood: ARP who-has ${ADDRESS} tell ${GATEWAY_4}`));
    assert.equal(bench.tcp.size, 0);
  });

  test('the client leaves meanwhile: no SYN', () => {
    const bench = away();
    bench.connects();
    bench.host.resets();
    assert.equal(bench.tcp.size, 0);
    answersArp(bench, ADDRESS);
    assert.deepEqual(bench.syns(), []);
  });

  test('nor does the next client of its record hear the answer to another question', () => {
    const bench = away();
    bench.connects();
    const [first] = bench.adopted;
    bench.host.resets();
    // The record and the descriptor serve another forward's client, whose guest is asked for too.
    bench.host.sockets.length = 0;
    bench.target = bench.at('192.168.105.41', null);
    bench.connects();
    const [, second] = bench.adopted;
    assert.equal(second!.flow, first!.flow, 'records are used again');
    bench.says();
    answersArp(bench, ADDRESS);
    assert.equal(second!.flow.state, RESOLVING);
    assert.deepEqual(bench.syns(), []);
    answersArp(bench, '192.168.105.41');
    assert.equal(bench.syns()[0]?.to, '192.168.105.41.80');
  });
});

describe('a UDP forward', () => {
  /** The gateway's port that the guest was last spoken to from. */
  const portOf = (line: string): number => Number(/^\S*?\.(\d+) > /.exec(line.replace(/^(\d+\.){4}/, '.'))?.[1]);

  test('maps clients both ways', () => {
    const bench = new ForwardBench();
    const forward = bench.udpForward(53);
    bench.asks('one', 7000);
    bench.asks('two', 7001);
    bench.asks('three', 7000);
    const lines = bench.says();
    for (const line of lines) assert.match(line, new RegExp(`^${GATEWAY_4}\\.\\d+ > ${GUEST_4}\\.53 udp length \\d$`));
    const [a, b, again] = lines.map(portOf);
    assert.equal(a, again);
    assert.notEqual(a, b);
    bench.hears(bench.udp4({ dst: GATEWAY_4, srcPort: 53, dstPort: b! }, 'to two'));
    bench.hears(bench.udp4({ dst: GATEWAY_4, srcPort: 53, dstPort: a! }, 'to one'));
    assert.deepEqual(bench.listener.sent, ['127.0.0.1:7001%0 to two', '127.0.0.1:7000%0 to one']);
    assert.equal(forward.connections, 2);
    bench.dropped();
  });

  test('over IPv6, with the scope of a link-local client', () => {
    const bench = new ForwardBench();
    bench.target = bench.at(GUEST_6);
    bench.udpForward(53);
    bench.asks('hi', 7000, 'fe80::99', 3);
    const [line = ''] = bench.says();
    assert.match(line, /^fd00:1::1\.\d+ > fd00:1::2\.53 udp length 2$/);
    bench.hears(bench.udp6({ dst: GATEWAY_6, srcPort: 53, dstPort: Number(/\.(\d+) >/.exec(line)![1]) }, 'ho'));
    assert.deepEqual(bench.listener.sent, ['fe80::99:7000%3 ho']);
  });

  test('a client that falls silent for three minutes is forgotten, and new when it speaks again', () => {
    const bench = new ForwardBench();
    const forward = bench.udpForward(53);
    bench.asks('one');
    bench.passes(179_000);
    bench.asks('two');
    bench.passes(181_000);
    assert.equal(bench.udp.size, 0);
    bench.asks('three');
    const [a, b, c] = bench.says().map(portOf);
    assert.equal(a, b);
    assert.notEqual(a, c);
    assert.equal(forward.connections, 2);
  });

  test('the record of a forgotten client that serves another is no longer its own', () => {
    const bench = new ForwardBench();
    bench.udpForward(53);
    bench.asks('one', 7000);
    bench.passes(181_000);
    bench.asks('two', 7001);
    bench.asks('three', 7000);
    const [, two, three] = bench.says().map(portOf);
    bench.hears(bench.udp4({ dst: GATEWAY_4, srcPort: 53, dstPort: three! }, 'to three'));
    bench.hears(bench.udp4({ dst: GATEWAY_4, srcPort: 53, dstPort: two! }, 'to two'));
    assert.deepEqual(bench.listener.sent, ['127.0.0.1:7000%0 to three', '127.0.0.1:7001%0 to two']);
  });

  test('the same link-local client on two links is two clients', () => {
    const bench = new ForwardBench();
    bench.udpForward(53);
    bench.asks('one', 7000, 'fe80::99', 3);
    bench.passes(181_000);
    bench.asks('two', 7000, 'fe80::99', 4); // takes the record of the first
    bench.asks('three', 7000, 'fe80::99', 3);
    const three = portOf(bench.says()[2]!);
    bench.hears(bench.udp4({ dst: GATEWAY_4, srcPort: 53, dstPort: three }, 'answer'));
    assert.deepEqual(bench.listener.sent, ['fe80::99:7000%3 answer']);
  });

  test('is muted while its guest is away', () => {
    const bench = new ForwardBench();
    const here = bench.target;
    const forward = bench.udpForward(53);
    bench.target = null;
    bench.asks('lost');
    assert.deepEqual([forward.muted, bench.listener.muted], [true, true]);
    assert.deepEqual(bench.says(), []);
    bench.target = here;
    forward.refresh();
    assert.equal(bench.listener.muted, false);
    bench.forwards.failMute = -1;
    bench.target = null;
    forward.refresh();
    assert.equal(forward.muted, false);
  });

  test('follows its guest to another address', () => {
    const bench = new ForwardBench();
    bench.udpForward(53);
    bench.asks('one');
    bench.target = bench.at('192.168.105.9');
    bench.asks('two');
    assert.match(bench.says()[1]!, / > 192\.168\.105\.9\.53 udp length 3$/);
  });

  test('and to another port at the same address, at once', () => {
    const bench = new ForwardBench();
    bench.udpForward(53);
    bench.asks('one');
    bench.target = bench.at(GUEST_4, newPort(2)); // its link was lost and came back
    bench.asks('two');
    assert.match(bench.says()[1]!, /^port 2: /);
    bench.udp.closeAll(bench.port, null);
    assert.equal(bench.udp.size, 1, 'and outlives the port it began on');
  });

  test('an address whose MAC is not known is asked for; what was sent meanwhile is lost', () => {
    const bench = new ForwardBench();
    bench.target = bench.at('192.168.105.40', null);
    bench.udpForward(53);
    bench.asks('one');
    assert.deepEqual(bench.says(), [`flood: ARP who-has 192.168.105.40 tell ${GATEWAY_4}`]);
    answersArp(bench, '192.168.105.40');
    bench.asks('two');
    bench.asks('three');
    assert.equal(bench.says().length, 2);
  });

  test('many datagrams: each wake-up takes some', () => {
    const bench = new ForwardBench();
    bench.udpForward(53);
    const datagram = { from: '127.0.0.1', port: 7000, scope: 0, payload: new Uint8Array(1) };
    bench.listener.inbox.push(...Array.from({ length: 100 }, () => datagram));
    bench.listener.onReady(bench.nowMs);
    assert.equal(bench.says().length, 64);
  });

  test('an answer that the host does not take is counted', () => {
    const bench = new ForwardBench();
    bench.udpForward(53);
    bench.asks('one');
    bench.forwards.failSend = -105;
    bench.hears(bench.udp4({ dst: GATEWAY_4, srcPort: 53, dstPort: portOf(bench.says()[0]!) }));
    bench.dropped('drop_forward_send_failed');
  });

  test('closing it ends its flows', () => {
    const bench = new ForwardBench();
    const forward = bench.udpForward(53);
    bench.asks('one');
    bench.hears(bench.udp4());
    forward.close();
    assert.equal(bench.udp.size, 1);
    assert.equal(bench.listener.closed, true);
  });

  describe('has a bound', () => {
    function full(): ForwardBench {
      const bench = new ForwardBench();
      bench.udpForward(53);
      for (let i = 0; i < MAX_CLIENTS_PER_UDP_FORWARD; i++) bench.asks('x', 1000 + i);
      assert.equal(bench.says().length, MAX_CLIENTS_PER_UDP_FORWARD);
      return bench;
    }

    test('further clients are not heard, those that are known are', () => {
      const bench = full();
      bench.asks('too many', 60_000);
      assert.deepEqual(bench.says(), []);
      bench.dropped('drop_forward_clients_full');
      bench.asks('known', 1000);
      assert.equal(bench.says().length, 1);
    });

    test('clients that fell silent make room', () => {
      const bench = full();
      bench.passes(181_000);
      bench.asks('new', 60_000);
      assert.equal(bench.says().length, 1);
      bench.dropped();
    });

    test('a client that is known finds its guest at another address', () => {
      const bench = full();
      bench.target = bench.at('192.168.105.9');
      bench.asks('known', 1000);
      assert.match(bench.says()[0] ?? '', / > 192\.168\.105\.9\.53 udp length 5$/);
      bench.dropped();
    });

    test('the guest’s share of flows is one, too', () => {
      const bench = new ForwardBench();
      bench.udpForward(53);
      for (let i = 0; i < MAX_UDP_FLOWS_PER_PORT; i++) bench.hears(bench.udp4({ srcPort: i + 1 }));
      bench.asks('one');
      assert.deepEqual(bench.says(), []);
      bench.dropped('drop_udp_guest_limit');
    });
  });
});
