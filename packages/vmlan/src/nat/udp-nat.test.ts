import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Path } from '../stack/path.ts';
import { GATEWAY_4, GATEWAY_6, GUEST_4, GUEST_6, NatBench, REMOTE_4, REMOTE_6, newPort } from './bench.fixture.ts';
import { latin1, words } from './scripted-sockets.fixture.ts';
import type { UdpFlow } from './udp-flow.ts';
import { MAX_UDP_FLOWS, MAX_UDP_FLOWS_PER_PORT } from './udp-nat.ts';

const EAGAIN = -11;
const EMFILE = -24;
const ECONNREFUSED = -111;
const EHOSTUNREACH = -113;
const ENETUNREACH = -101;
const EACCES = -13;
const EPERM = -1;
const EMSGSIZE = -90;

describe('a flow', () => {
  for (const family of [4, 6] as const) {
    test(`carries datagrams both ways, IPv${family}`, () => {
      const bench = new NatBench();
      const { sockets } = bench;
      const frame = family === 4 ? bench.udp4({}, 'question') : bench.udp6({}, 'question');
      bench.hears(frame);
      bench.hears(frame);
      const [remote, guest] = family === 4 ? [REMOTE_4, GUEST_4] : [REMOTE_6, GUEST_6];
      const to = family === 4 ? `${REMOTE_4}:9000` : `[${REMOTE_6}]:9000`;
      assert.deepEqual(sockets.open, [`udp :33000 > ${to}`]);
      assert.deepEqual(sockets.last.sent, ['question', 'question']);
      assert.deepEqual(sockets.last.hops, [], 'the host’s own hop limit');
      sockets.receives('answer');
      sockets.receives('');
      assert.deepEqual(bench.says(), [
        `${remote}.9000 > ${guest}.4000 udp length 6`,
        `${remote}.9000 > ${guest}.4000 udp length 0`,
      ]);
      const { counters } = bench;
      assert.equal(counters.get('udp_flows_opened'), 1);
      assert.equal(counters.get('udp_datagrams_from_guest'), 2);
      assert.equal(counters.get('udp_datagrams_to_guest'), 2);
      bench.dropped();
    });
  }

  test('an answer too long for the MTU comes in fragments', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.sockets.receives('x'.repeat(4000));
    assert.equal(bench.says().length, 3);
    bench.sockets.receives('x'.repeat(65_507)); // the longest there is
    assert.equal(bench.says().length, 45);
    bench.dropped();
  });

  test('many answers at once: each wake-up takes some, so that others get their turn', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    for (let i = 0; i < 99; i++) bench.sockets.last.inbox.push(new Uint8Array(1));
    bench.sockets.receives('last');
    assert.equal(bench.says().length, 64);
    bench.sockets.last.listener!.onReadable(bench.nowMs);
    assert.equal(bench.says().length, 36);
  });

  test('follows its guest to another port and MAC', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.hears(bench.udp4(), newPort(2));
    bench.sockets.receives('answer');
    assert.deepEqual(bench.says(), [`port 2: ${REMOTE_4}.9000 > ${GUEST_4}.4000 udp length 6`]);
    assert.equal(bench.udp.size, 1);
  });

  test('what is read carries the error of an earlier datagram: it is taken, the flow goes on', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.sockets.last.failRecv.push(ECONNREFUSED);
    bench.sockets.last.errors.push({ from: REMOTE_4, type: 3, code: 3 });
    bench.sockets.last.listener!.onReadable(bench.nowMs);
    assert.deepEqual(bench.says(), [`${REMOTE_4} > ${GUEST_4} icmp type 3 code 3 rest 0 length 36`]);
    bench.sockets.receives('better');
    assert.deepEqual(bench.payloads(), ['better']);
  });
});

describe('silence ends a flow', () => {
  const cases = [
    { name: 'DNS, answered or not', dstPort: 53, answered: true, ms: 10_000 },
    { name: 'NTP', dstPort: 123, answered: false, ms: 10_000 },
    { name: 'a question without an answer', dstPort: 9000, answered: false, ms: 30_000 },
    { name: 'a conversation', dstPort: 9000, answered: true, ms: 180_000 },
  ];
  const tick = 32; // the timer wheel may be two ticks late
  for (const { name, dstPort, answered, ms } of cases) {
    test(`${name}: after ${ms / 1000} s`, () => {
      const bench = new NatBench();
      bench.hears(bench.udp4({ dstPort }));
      if (answered) bench.sockets.receives('answer');
      bench.passes(ms - 1000);
      bench.hears(bench.udp4({ dstPort })); // speaking keeps it
      assert.equal(bench.udp.size, 1);
      bench.passes(ms - 1);
      assert.equal(bench.udp.size, 1);
      bench.passes(tick);
      assert.equal(bench.udp.size, 0);
      assert.deepEqual(bench.sockets.open, []);
      assert.equal(bench.counters.get('udp_flows_expired'), 1);
    });
  }

  test('hearing keeps it too', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    for (let i = 0; i < 5; i++) {
      bench.passes(29_000);
      bench.sockets.receives('still here');
    }
    assert.equal(bench.udp.size, 1);
  });

  test('and nothing of it is left: the same endpoints open anew', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.passes(31_000);
    bench.hears(bench.udp4());
    assert.equal(bench.sockets.all.length, 2);
    bench.sockets.receives('answer');
    assert.deepEqual(bench.payloads(), ['answer']);
  });
});

describe('endpoint-independent mapping (RFC 4787 §4.1)', () => {
  test('one guest port is one host port, whoever it speaks to', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4({ dst: REMOTE_4 }));
    bench.hears(bench.udp4({ dst: '203.0.113.9', dstPort: 1 }));
    bench.hears(bench.udp4({ srcPort: 4001 }));
    bench.hears(bench.udp6());
    assert.deepEqual(bench.sockets.open, [
      `udp :33000 > ${REMOTE_4}:9000`,
      'udp :33000 > 203.0.113.9:1',
      `udp :33002 > ${REMOTE_4}:9000`,
      `udp :33003 > [${REMOTE_6}]:9000`,
    ]);
  });

  test('as long as one of its flows lives', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4({ dstPort: 1 }));
    bench.passes(20_000);
    bench.hears(bench.udp4({ dstPort: 2 }));
    bench.passes(15_000);
    bench.hears(bench.udp4({ dstPort: 3 }));
    assert.deepEqual(bench.sockets.open, [`udp :33000 > ${REMOTE_4}:2`, `udp :33000 > ${REMOTE_4}:3`]);
    bench.passes(40_000);
    bench.hears(bench.udp4({ dstPort: 4 }));
    assert.deepEqual(bench.sockets.open, [`udp :33003 > ${REMOTE_4}:4`]);
  });

  test('another host port when that one is taken', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4({ dstPort: 1 }));
    bench.sockets.busyPorts.add(33_000);
    bench.hears(bench.udp4({ dstPort: 2 }));
    assert.deepEqual(bench.sockets.open, [`udp :33000 > ${REMOTE_4}:1`, `udp :33001 > ${REMOTE_4}:2`]);
    bench.dropped();
  });
});

describe('who may not', () => {
  const refused = (code: number, from = GATEWAY_4): string[] => [
    `${from} > ${GUEST_4} icmp type 3 code ${code} rest 0 length 41`,
  ];

  test('closed: administratively prohibited, and no socket', () => {
    const bench = new NatBench({ policy: { outward: false } });
    bench.hears(bench.udp4());
    assert.deepEqual(bench.says(), refused(13));
    bench.hears(bench.udp6());
    assert.deepEqual(bench.says(), [`${GATEWAY_6} > ${GUEST_6} icmp6 type 1 code 1 rest 0 length 61`]);
    assert.equal(bench.sockets.opens, 0);
    assert.equal(bench.udp.size, 0);
  });

  test('a port of the gateway where nobody listens: port unreachable, in its name', () => {
    const bench = new NatBench({ policy: { hostAccess: 'none' } });
    bench.hears(bench.udp4({ dst: GATEWAY_4 }));
    assert.deepEqual(bench.says(), refused(3));
    bench.hears(bench.udp6({ dst: GATEWAY_6 }));
    assert.deepEqual(bench.says(), [`${GATEWAY_6} > ${GUEST_6} icmp6 type 1 code 4 rest 0 length 61`]);
  });

  for (const [errno, code] of [
    [ENETUNREACH, 0],
    [-100, 0],
    [-99, 0],
    [-97, 0],
    [EHOSTUNREACH, 1],
    [-112, 1],
    [EACCES, 13],
    [EPERM, 13],
  ] as const) {
    test(`the host cannot open it, errno ${-errno}: code ${code}`, () => {
      const bench = new NatBench();
      bench.sockets.failOpen.push(errno);
      bench.hears(bench.udp4());
      assert.deepEqual(bench.says(), refused(code));
      assert.equal(bench.udp.size, 0);
      bench.dropped('drop_udp_no_socket');
      bench.hears(bench.udp4());
      assert.equal(bench.udp.size, 1, 'and may try again');
    });
  }

  test('out of descriptors: silence, the guest tries again', () => {
    const bench = new NatBench();
    bench.sockets.failOpen.push(EMFILE);
    bench.hears(bench.udp4());
    assert.deepEqual(bench.says(), []);
    bench.dropped('drop_udp_no_descriptor');
  });

  test('both the same host port and any other fail: one error', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4({ dstPort: 1 }));
    bench.sockets.failOpen.push(EHOSTUNREACH, EHOSTUNREACH);
    bench.hears(bench.udp4({ dstPort: 2 }));
    assert.deepEqual(bench.says(), refused(1));
    assert.equal(bench.udp.size, 1);
  });

  test('the gateway’s own address leads to the host’s loopback', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4({ dst: GATEWAY_4 }));
    bench.hears(bench.udp6({ dst: GATEWAY_6 }));
    assert.deepEqual(bench.sockets.open, ['udp :33000 > 127.0.0.1:9000', 'udp :33001 > [::1]:9000']);
    bench.sockets.receives('answer', bench.sockets.all[0]);
    assert.deepEqual(bench.says(), [`${GATEWAY_4}.9000 > ${GUEST_4}.4000 udp length 6`]);
  });

  test('a reverse forward leads where it says', () => {
    const bench = new NatBench();
    const target = { words: Int32Array.from(words('10.9.8.7')), port: 5353, path: null };
    bench.policy.setReverse([{ protocol: 'udp', gatewayPort: 9000, ...target }]);
    bench.hears(bench.udp4({ dst: GATEWAY_4 }));
    assert.deepEqual(bench.sockets.open, ['udp :33000 > 10.9.8.7:5353']);
  });
});

describe('limits', () => {
  const $from = (i: number): { src: string; srcPort: number } => ({
    src: `192.168.105.${2 + (i >> 14)}`,
    srcPort: 1024 + (i & 0x3fff),
  });

  test('flows of one guest: then silence, the others go on, nothing is opened in vain', () => {
    const bench = new NatBench();
    for (let i = 0; i < MAX_UDP_FLOWS_PER_PORT; i++) bench.hears(bench.udp4($from(i)));
    assert.equal(bench.udp.size, MAX_UDP_FLOWS_PER_PORT);
    const { opens } = bench.sockets;
    bench.hears(bench.udp4({ srcPort: 1 }));
    assert.equal(bench.udp.size, MAX_UDP_FLOWS_PER_PORT);
    bench.dropped('drop_udp_guest_limit');
    assert.equal(bench.sockets.opens, opens, 'a guest above its limit costs no system call');
    assert.deepEqual(bench.says(), []);

    bench.hears(bench.udp4({ src: '192.168.105.77' }), newPort(2));
    assert.equal(bench.udp.size, MAX_UDP_FLOWS_PER_PORT + 1);
    bench.passes(31_000);
    assert.equal(bench.udp.size, 0);
    bench.hears(bench.udp4({ srcPort: 1 }));
    assert.equal(bench.udp.size, 1, 'the share is free again');
  });

  test('flows of a network', () => {
    const bench = new NatBench();
    for (let i = 0; i < MAX_UDP_FLOWS; i++) bench.hears(bench.udp4($from(i)), newPort(i < MAX_UDP_FLOWS / 2 ? 1 : 2));
    assert.equal(bench.udp.size, MAX_UDP_FLOWS);
    const { opens } = bench.sockets;
    bench.hears(bench.udp4({ src: '192.168.105.99' }), newPort(3));
    assert.equal(bench.udp.size, MAX_UDP_FLOWS);
    bench.dropped('drop_udp_flow_table_full');
    assert.equal(bench.sockets.opens, opens);
    assert.equal(bench.sockets.open.length, MAX_UDP_FLOWS, 'no descriptor is lost');
  });
});

describe('sending', () => {
  test('an error that waits is taken first, then the datagram leaves', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4({}, 'one'));
    bench.sockets.last.failSend.push(ECONNREFUSED);
    bench.sockets.last.errors.push({ from: REMOTE_4, type: 3, code: 3 });
    bench.hears(bench.udp4({}, 'two'));
    assert.deepEqual(bench.says(), [`${REMOTE_4} > ${GUEST_4} icmp type 3 code 3 rest 0 length 36`]);
    assert.deepEqual(bench.sockets.last.sent, ['one', 'two']);
    bench.dropped();
  });

  test('the host refuses the datagram itself', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.sockets.last.failSend.push(ENETUNREACH, ENETUNREACH);
    bench.hears(bench.udp4());
    assert.deepEqual(bench.says(), [`${GATEWAY_4} > ${GUEST_4} icmp type 3 code 0 rest 0 length 36`]);
    bench.dropped('drop_udp_send_failed');
  });

  test('a full socket drops, as any queue does', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.sockets.last.failSend.push(EAGAIN);
    bench.hears(bench.udp4());
    assert.deepEqual(bench.says(), []);
    bench.dropped('drop_udp_send_failed');
  });

  test('too long for the host’s way, and nothing in the error queue: dropped and counted', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.sockets.last.failSend.push(EMSGSIZE, EMSGSIZE);
    bench.hears(bench.udp4());
    assert.deepEqual(bench.says(), []);
    bench.dropped('drop_udp_send_failed');
  });

  test('small hop limits are passed on, one less, and taken back', () => {
    const bench = new NatBench();
    const { sockets } = bench;
    for (const hops of [2, 2, 3, 32, 33, 64, 255, 5]) bench.hears(bench.udp4({ hops }));
    assert.deepEqual(sockets.last.hops, [1, 2, 31, -1, 4]);
    bench.hears(bench.udp6({ hops: 2 }));
    assert.deepEqual(sockets.last.hops, [1]);
  });

  test('a hop limit of 1 ends at the gateway', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4({ hops: 1 }));
    assert.deepEqual(bench.says(), [`${GATEWAY_4} > ${GUEST_4} icmp type 11 code 0 rest 0 length 41`]);
    assert.equal(bench.sockets.opens, 0);
    bench.hears(bench.udp4({ hops: 1, dst: GATEWAY_4 }));
    assert.deepEqual(bench.sockets.last.hops, [], 'the gateway itself is no further hop');
  });
});

test('a guest that came back on another port is heard there, and has its share there', () => {
  const bench = new NatBench();
  const back = newPort(2);
  for (let i = 0; i < 10; i++) bench.hears(bench.udp4({ srcPort: 4000 + i }));
  bench.udp.movePort(bench.port, back);
  bench.sockets.receives('answer', bench.sockets.all[3]);
  assert.deepEqual(bench.says(), [`port 2: ${REMOTE_4}.9000 > ${GUEST_4}.4003 udp length 6`]);
  bench.udp.closeAll(bench.port, null);
  assert.equal(bench.udp.size, 10);
  for (let i = 10; i < MAX_UDP_FLOWS_PER_PORT + 1; i++) bench.hears(bench.udp4({ srcPort: 4000 + i }), back);
  assert.equal(bench.udp.size, MAX_UDP_FLOWS_PER_PORT);
  bench.dropped('drop_udp_guest_limit');
});

describe('flows end with', () => {
  test('their port', () => {
    const bench = new NatBench();
    const other = newPort(2);
    bench.hears(bench.udp4());
    bench.hears(bench.udp4({ srcPort: 4001 }));
    bench.hears(bench.udp4({ src: '192.168.105.3' }), other);
    bench.udp.closeAll(bench.port, null);
    assert.equal(bench.udp.size, 1);
    assert.deepEqual(bench.sockets.open, [`udp :33002 > ${REMOTE_4}:9000`]);
    bench.udp.closeAll(other, null);
    bench.udp.closeAll(other, null);
    assert.equal(bench.udp.size, 0);
    bench.passes(200_000); // no timer is left behind
  });

  test('everything', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.hears(bench.udp6());
    bench.udp.closeAll(null, null);
    assert.deepEqual(bench.sockets.open, []);
  });
});

describe('flows of an owner', () => {
  /** The path from the gateway to the guest, as a forward opens it. */
  function path(bench: NatBench): Path {
    const made = new Path();
    made.segment = bench;
    made.port = bench.port;
    made.family = 4;
    made.macHi = 0x5254;
    made.macLo = 0x0000_000a;
    made.setGuest(...words(GUEST_4));
    made.setRemote(...words(GATEWAY_4));
    return made;
  }

  test('what the guest answers is the owner’s, and no socket is theirs', () => {
    const bench = new NatBench();
    const heard: string[] = [];
    const owner = {
      id: 'f',
      sendToClient: (flow: UdpFlow, off: number, len: number) =>
        heard.push(`${flow.clientPort} ${latin1(bench.arena.u8.slice(off, off + len))}`),
    };
    const flow = bench.udp.openForward(path(bench), 4000, 50_000, owner, bench.nowMs)!;
    flow.clientPort = 7777;
    bench.arena.u8.set(new TextEncoder().encode('hey'), bench.udp.payload(flow));
    bench.udp.sendToGuest(flow, 3, 0, bench.nowMs);
    assert.deepEqual(bench.says(), [`${GATEWAY_4}.50000 > ${GUEST_4}.4000 udp length 3`]);
    bench.hears(bench.udp4({ dst: GATEWAY_4, dstPort: 50_000 }, 'ho'));
    assert.deepEqual(heard, ['7777 ho']);
    assert.equal(bench.sockets.opens, 0);
    assert.equal(bench.udp.isTaken(path(bench), 4000, 50_000), true);
    assert.equal(bench.udp.isTaken(path(bench), 4000, 50_001), false);
    bench.passes(179_000);
    assert.equal(bench.udp.size, 1);
    bench.passes(2_000);
    assert.equal(bench.udp.size, 0);
  });

  test('they end with their owner, those of others do not', () => {
    const bench = new NatBench();
    const owners = [
      { id: 'f', sendToClient: () => 0 },
      { id: 'f', sendToClient: () => 0 },
    ];
    for (const [i, owner] of owners.entries()) bench.udp.openForward(path(bench), 4000, 50_000 + i, owner, bench.nowMs);
    bench.hears(bench.udp4());
    bench.udp.closeAll(null, owners[0]!);
    assert.equal(bench.udp.size, 2);
    assert.equal(bench.udp.isTaken(path(bench), 4000, 50_001), true);
  });

  test('they count against the guest’s share', () => {
    const bench = new NatBench();
    const owner = { id: 'f', sendToClient: () => 0 };
    for (let i = 0; i < MAX_UDP_FLOWS_PER_PORT; i++) bench.udp.openForward(path(bench), i + 1, 50_000, owner, 0);
    assert.equal(bench.udp.openForward(path(bench), 9999, 50_000, owner, bench.nowMs), null);
    bench.dropped('drop_udp_guest_limit');
  });
});

test('any mix of speaking, hearing, failing and waiting leaves sockets and flows equal', () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('say' as const),
      port: fc.integer({ min: 1, max: 4 }),
      to: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ do: fc.constant('hear' as const), port: fc.nat(20), to: fc.constant(0) }),
    fc.record({ do: fc.constant('fail' as const), port: fc.nat(20), to: fc.constant(0) }),
    fc.record({ do: fc.constant('wait' as const), port: fc.nat(40_000), to: fc.constant(0) }),
    fc.record({ do: fc.constant('close' as const), port: fc.integer({ min: 1, max: 2 }), to: fc.constant(0) }),
    fc.record({ do: fc.constant('break' as const), port: fc.constantFrom(11, 24, 111, 113), to: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const bench = new NatBench();
      const ports = [newPort(1), newPort(2)];
      const live = (n: number) => {
        const open = bench.sockets.all.filter(({ closed }) => !closed);
        return open[n % Math.max(open.length, 1)];
      };
      for (const { do: what, port, to } of steps) {
        const socket = live(port);
        if (what === 'say') bench.hears(bench.udp4({ srcPort: 4000 + port, dstPort: to }), ports[port % 2]);
        else if (what === 'wait') bench.passes(port);
        else if (what === 'close') bench.udp.closeAll(ports[port - 1]!, null);
        else if (what === 'break') bench.sockets.failOpen.push(-port);
        else if (socket !== undefined && what === 'hear') bench.sockets.receives('x', socket);
        else if (socket !== undefined) bench.sockets.fails({ from: REMOTE_4, type: 3, code: 3 }, socket);
        assert.equal(bench.udp.size, bench.sockets.open.length);
      }
      bench.passes(200_000);
      assert.deepEqual(bench.sockets.open, []);
      assert.equal(bench.udp.pollAt(), Infinity);
    }),
    { numRuns: 60 },
  );
});
