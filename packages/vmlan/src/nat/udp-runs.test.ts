import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ForwardBench } from './forward-bench.fixture.ts';
import { GATEWAY_4, GUEST_4, NatBench, REMOTE_4 } from './bench.fixture.ts';

const EAGAIN = -11;
const EINVAL = -22;
const EIO = -5;
const ECONNREFUSED = -111;
const ENETUNREACH = -101;

const text = (len: number, seed = 0): string =>
  Array.from({ length: len }, (_, i) => String.fromCharCode(33 + ((i * 7 + seed) % 90))).join('');

describe('datagrams of one wake-up, from a guest', () => {
  const sizes = [
    { name: 'of one size leave together', sizes: [5, 5, 5], runs: [3] },
    { name: 'a shorter one is the last of its run', sizes: [5, 5, 3, 5, 5], runs: [3, 2] },
    { name: 'a longer one begins another run', sizes: [5, 5, 6, 6], runs: [2, 2] },
    { name: 'an empty one goes by itself, in its place', sizes: [5, 0, 5], runs: [] },
    { name: 'sixty-four at once', sizes: Array.from({ length: 70 }, () => 5), runs: [64, 6] },
    { name: 'no more bytes than a packet has', sizes: Array.from({ length: 48 }, () => 1400), runs: [46, 2] },
    { name: 'what fits no run twice', sizes: [40_000, 40_000], runs: [] },
  ];
  for (const { name, sizes: lengths, runs } of sizes) {
    test(name, () => {
      const bench = new NatBench();
      const said = lengths.map((len, i) => text(len, i));
      bench.hearsAll(said.map((payload) => bench.udp4({}, payload)));
      assert.deepEqual(bench.sockets.last.sent, said);
      assert.deepEqual(bench.sockets.last.runs, runs);
      assert.equal(bench.counters.get('udp_datagrams_from_guest'), said.length);
      bench.dropped();
    });
  }

  test('of more flows than are joined at a time, each in its order', () => {
    const bench = new NatBench();
    const frames = Array.from({ length: 40 }, (_, i) => bench.udp4({ srcPort: 4000 + (i % 10) }, `n${i % 10}-${i}`));
    bench.hearsAll(frames);
    for (const [flow, socket] of bench.sockets.all.entries()) {
      const mine = Array.from({ length: 40 }, (_, i) => i).filter((i) => i % 10 === flow);
      assert.deepEqual(
        socket.sent,
        mine.map((i) => `n${flow}-${i}`),
      );
    }
  });

  test('a hop limit holds for what was sent with it', () => {
    const bench = new NatBench();
    bench.hearsAll([64, 64, 5, 5, 64].map((hops) => bench.udp4({ hops })));
    assert.deepEqual(
      [bench.sockets.last.hops, bench.sockets.last.runs],
      [
        [4, -1],
        [2, 2],
      ],
    );
  });

  test('a flow that ends sends what waits', () => {
    const bench = new NatBench();
    bench.hearsAll([bench.udp4()]);
    const { last } = bench.sockets;
    bench.sockets.flushLater({ flush: () => bench.udp.closeAll(bench.port, null) });
    bench.hearsAll([bench.udp4({}, 'two'), bench.udp4({}, 'one')]);
    assert.deepEqual([last.sent, last.closed], [['hello', 'two', 'one'], true]);
  });

  test('a host that joins nothing', () => {
    const bench = new NatBench();
    bench.sockets.sendsRuns = false;
    bench.hearsAll([bench.udp4({}, 'one'), bench.udp4({}, 'two')]);
    bench.hearsAll([bench.udp4({}, 'threefour')], 5);
    assert.deepEqual([bench.sockets.last.sent, bench.sockets.last.runs], [['one', 'two', 'three', 'four'], []]);
  });
});

describe('a run that the guest’s kernel left uncut', () => {
  test('leaves as it came', () => {
    const bench = new NatBench();
    bench.hearsAll([bench.udp4({}, 'before')]);
    bench.hearsAll([bench.udp4({}, 'aaaabbbbcc')], 4);
    assert.deepEqual(bench.sockets.last.sent, ['before', 'aaaa', 'bbbb', 'cc']);
    assert.deepEqual(bench.sockets.last.runs, [3]);
    assert.equal(bench.counters.get('udp_datagrams_from_guest'), 4);
  });

  test('of 128, in two calls; of more: dropped and counted', () => {
    const bench = new NatBench();
    bench.hearsAll([bench.udp4({}, text(128))], 1);
    assert.deepEqual(bench.sockets.last.runs, [64, 64]);
    bench.hearsAll([bench.udp4({}, text(129))], 1);
    assert.deepEqual(bench.sockets.last.runs, [64, 64]);
    bench.dropped('drop_udp_bad_offload');
  });

  test('whose size is no less than its length is one datagram', () => {
    const bench = new NatBench();
    bench.hearsAll([bench.udp4({}, 'four')], 4);
    bench.hearsAll([bench.udp4({}, 'four')], 60_000);
    assert.deepEqual([bench.sockets.last.sent, bench.sockets.last.runs], [['four', 'four'], []]);
  });
});

describe('a run that the host does not take', () => {
  test('an error that waits is taken first, then all of it leaves', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    const { last } = bench.sockets;
    last.failSend.push(ECONNREFUSED);
    last.errors.push({ from: REMOTE_4, type: 3, code: 3 });
    bench.hearsAll([bench.udp4({}, 'one'), bench.udp4({}, 'two')]);
    assert.equal(bench.says().length, 1);
    assert.deepEqual([last.sent, last.runs], [['hello', 'one', 'two'], [2]]);
  });

  test('too long for the way: each by itself, and no run of that size again', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    const { last } = bench.sockets;
    last.failSend.push(EINVAL, EINVAL);
    bench.hearsAll([bench.udp4({}, 'one'), bench.udp4({}, 'two')]);
    bench.hearsAll([bench.udp4({}, 'sixsix')], 3);
    bench.hearsAll([bench.udp4({}, 'ab'), bench.udp4({}, 'cd')]);
    assert.deepEqual(last.sent.slice(1), ['one', 'two', 'six', 'six', 'ab', 'cd']);
    assert.deepEqual(last.runs, [2]);
    bench.dropped();
  });

  test('a way that takes none at all', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    const { last } = bench.sockets;
    last.failSend.push(EIO, EIO);
    bench.hearsAll([bench.udp4({}, 'one'), bench.udp4({}, 'two')]);
    bench.hearsAll([bench.udp4({}, 'a'), bench.udp4({}, 'b')]);
    assert.deepEqual([last.sent.slice(1), last.runs], [['one', 'two', 'a', 'b'], []]);
  });

  test('an error hits the datagram that causes it', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    const { last } = bench.sockets;
    last.failSend.push(ENETUNREACH, ENETUNREACH, ENETUNREACH, ENETUNREACH);
    bench.hearsAll([bench.udp4({}, 'one'), bench.udp4({}, 'two')]);
    assert.deepEqual(bench.says(), [`${GATEWAY_4} > ${GUEST_4} icmp type 3 code 0 rest 0 length 36`]);
    assert.deepEqual(last.sent, ['hello', 'two']);
    assert.equal(bench.counters.get('drop_udp_send_failed'), 1);
  });

  test('a full socket drops all of it', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    bench.sockets.last.failSend.push(EAGAIN);
    bench.hearsAll([bench.udp4({}, 'one'), bench.udp4({}, 'two')]);
    assert.deepEqual(bench.says(), []);
    assert.equal(bench.counters.get('drop_udp_send_failed'), 2);
  });
});

describe('datagrams for a guest', () => {
  function told(messages: readonly string[], gro = 0, mtu = 1500): { payloads: string[]; runs: number } {
    const bench = new NatBench({ mtu });
    bench.hears(bench.udp4());
    const { last } = bench.sockets;
    last.gro = gro;
    for (const message of messages) last.inbox.push(new Uint8Array(Buffer.from(message, 'latin1')));
    last.listener!.onReadable(bench.nowMs);
    return { payloads: bench.payloads(), runs: bench.runs };
  }

  test('of one size are one frame, with their borders', () => {
    assert.deepEqual(told(['aa', 'bb', 'c']), { payloads: ['aa', 'bb', 'c'], runs: 1 });
    assert.deepEqual(told(['aa', 'b', 'cc', 'ddd']), { payloads: ['aa', 'b', 'cc', 'ddd'], runs: 1 });
    assert.deepEqual(told(['', 'a', '', 'b']), { payloads: ['', 'a', '', 'b'], runs: 0 });
  });

  test('that the kernel joined stay so', () => {
    assert.deepEqual(told(['aabbc'], 2), { payloads: ['aa', 'bb', 'c'], runs: 1 });
    assert.deepEqual(told(['aabb', 'ccdde', 'ff'], 2), { payloads: ['aa', 'bb', 'cc', 'dd', 'e', 'ff'], runs: 1 });
  });

  test('that need fragments come one by one', () => {
    const bench = new NatBench();
    bench.hears(bench.udp4());
    const { last } = bench.sockets;
    last.gro = 2000;
    bench.sockets.receives(text(4100));
    assert.equal(bench.runs, 0);
    assert.equal(bench.says().length, 2 + 2 + 1);
    assert.equal(bench.counters.get('udp_datagrams_to_guest'), 3);
  });

  test('after a long message the next are read one at a time', () => {
    const lengths = [16_800, 16_800, 28, 28];
    const messages = lengths.map((len, i) => text(len, i));
    const pieces = messages.flatMap((message) => message.match(/[^]{1,1400}/g)!);
    assert.deepEqual(told(messages, 1400).payloads, pieces);
  });

  test('whatever comes, borders and order stay', () => {
    const message = fc.integer({ min: 0, max: 40 }).map((len) => text(len, len));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 60 }), (messages) => {
        assert.deepEqual(told(messages).payloads, messages);
      }),
      { numRuns: 50 },
    );
  });
});

test('a forward joins what its clients say, each by itself, and what its guest answers', () => {
  const bench = new ForwardBench();
  const forward = bench.udpForward(53);
  const { inbox } = bench.forwards.listeners[0]!;
  const say = (port: number, what: string): void =>
    void inbox.push({ from: '127.0.0.1', port, scope: 0, payload: new Uint8Array(Buffer.from(what)) });
  for (const what of ['a1', 'a2', 'a3']) say(7000, what);
  say(7001, 'b1');
  say(7000, 'a4');
  bench.forwards.listeners[0]!.onReady(bench.nowMs);
  assert.deepEqual(bench.payloads(), ['a1', 'a2', 'a3', 'b1', 'a4']);
  assert.equal(bench.runs, 1);
  assert.equal(forward.connections, 2);
});
