import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IN_FLIGHT_CAP, MAX_RETRIES, RTO_INITIAL, RTO_MAX, RTO_MIN } from './limits.ts';
import { ack, bytes, data, established, rstAck, syn } from './transcript.fixture.ts';

const MSS = 1000;
const TICK_MS = 16; // timers fire up to one tick late
const big = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => (i * 7 + (i >>> 8)) & 0xff);
/** Bytes of the stream by sequence number, as `big` makes them. */
const part = (from: number, to: number): Uint8Array => big(to - 1).subarray(from - 1);

/** A guest with MSS 1000 and ten segments under way, none acknowledged. */
function tenSegments(offer = syn({ mss: MSS })): ReturnType<typeof established> {
  const made = established({}, offer);
  made.host.writes(big(10 * MSS));
  made.guest.receives(data(big(10 * MSS), { seq: 1 }));
  made.guest.ack = 1;
  return made;
}

describe('the round-trip time (RFC 6298)', () => {
  const table: { name: string; rttMs: number[]; rtoMs: number }[] = [
    { name: 'no sample yet: one second', rttMs: [], rtoMs: RTO_INITIAL },
    { name: 'first sample: SRTT + 4 × RTT/2', rttMs: [100], rtoMs: 300 },
    { name: 'never below the minimum', rttMs: [1, 1, 1], rtoMs: RTO_MIN },
    { name: 'second sample, the same: the variance shrinks', rttMs: [100, 100], rtoMs: 100 + 4 * 37.5 },
    { name: 'second sample, longer', rttMs: [100, 200], rtoMs: 112.5 + 4 * (50 + (100 - 50) / 4) },
    { name: 'never above the maximum', rttMs: [50_000], rtoMs: RTO_MAX },
  ];
  for (const { name, rttMs, rtoMs } of table) {
    test(name, () => {
      const made = established();
      const { guest, host } = made;
      for (const rtt of rttMs) {
        host.writes('x');
        made.passes(Math.min(rtt, 900)); // a longer one would be cut short by a retransmission, which is no sample
        host.flow.timedAtMs -= rtt - Math.min(rtt, 900);
        guest.receives(data('x'));
        guest.sends(ack());
      }
      assert.equal(host.flow.rtoMs, rtoMs);
      host.writes('y');
      guest.receives(data('y'));
      made.passes(rtoMs - 1);
      guest.receivesNothing();
      made.passes(1 + TICK_MS);
      guest.receives(data('y'));
    });
  }

  test('what was sent twice is no sample (Karn)', () => {
    const made = established();
    const { guest, host } = made;
    host.writes('x');
    made.passes(RTO_INITIAL + TICK_MS);
    guest.receives(data('x'), data('x', { seq: 1 }));
    guest.sends(ack());
    assert.equal(host.flow.srttMs, 0);
  });
});

describe('nothing comes back', () => {
  test('the wait doubles each time, up to the maximum; then both sides are reset', () => {
    const made = established();
    const { guest, host, translator } = made;
    const start = made.nowMs;
    host.writes('x');
    made.passes(1_000_000);
    const reset = guest.inbox.pop()!;
    assert.equal(reset.flags, rstAck().flags);
    const waits = guest.inbox.map(({ atMs }, i) => atMs - (guest.inbox[i - 1]?.atMs ?? start)).slice(1);
    const want = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60].map((s) => s * 1000);
    assert.equal(waits.length, MAX_RETRIES);
    for (const [i, wait] of waits.entries()) assert.ok(wait >= want[i]! && wait <= want[i]! + TICK_MS, waits.join());
    assert.ok(guest.inbox.every((heard) => heard.seq === 1 && heard.data.length === 1));
    assert.equal(host.socket.closed, 'reset');
    assert.equal(translator.size, 0);
  });

  test('an acknowledgement puts the timer off (§5.3) or stops it (§5.2)', () => {
    const made = tenSegments();
    const { guest } = made;
    made.passes(900);
    guest.sends(ack({ ack: 5001 })); // no sample yet: that is taken from the last byte of what was sent at once
    made.passes(990);
    guest.receivesNothing();
    guest.sends(ack({ ack: 10_001 }));
    made.passes(100_000);
    guest.receivesNothing();
  });

  test('all counts as lost: it is sent again in a burst that starts small and grows', () => {
    const made = tenSegments();
    const { guest, host } = made;
    made.passes(RTO_INITIAL + TICK_MS);
    guest.receives(data(part(1, 1001), { seq: 1 }), data(part(1001, 2001), { seq: 1001 }));
    guest.receivesNothing();
    guest.sends(ack({ ack: 2001 }));
    const second = guest.inbox.splice(0);
    assert.ok(second.length > 2 && second[0]!.seq === 2001, 'twice what was acknowledged, or more');
    guest.sends(ack({ ack: 10_001 }));
    guest.receivesNothing();
    assert.equal(host.socket.discarded, 10_000);
    assert.equal(host.flow.burstToGuest, IN_FLIGHT_CAP, 'recovered');
    host.writes(big(5000));
    guest.receives(data(big(5000), { seq: 10_001 }));
  });

  test('new data waits until the old has arrived', () => {
    const made = tenSegments();
    const { guest, host } = made;
    made.passes(RTO_INITIAL + TICK_MS);
    guest.inbox.length = 0;
    host.writes(big(500));
    guest.receivesNothing();
  });

  test('what the guest had acknowledged selectively is not sent again', () => {
    const made = tenSegments();
    const { guest } = made;
    guest.sends(ack({ ack: 1, sack: [[1001, 3001]] }));
    guest.receivesNothing();
    made.passes(RTO_INITIAL + TICK_MS);
    const again = guest.inbox.splice(0);
    assert.equal(again[0]!.seq, 1);
    guest.sends(ack({ ack: 3001, sack: [[4001, 10_001]] }));
    assert.deepEqual(
      guest.inbox.map((heard) => [heard.seq, heard.data.length]),
      [[3001, 1000]],
    );
  });
});

describe('three duplicate acknowledgements (RFC 5681 §3.2)', () => {
  test('the missing segment is sent again at once, once', () => {
    const { guest, counters } = tenSegments(syn({ mss: MSS, sackPermitted: false }));
    guest.sends(ack(), ack());
    guest.receivesNothing();
    guest.sends(ack());
    guest.receives(data(part(1, 1001), { seq: 1, gso: 0 }));
    guest.sends(ack({ ack: 1 }), ack({ ack: 1 }), ack({ ack: 1 }));
    guest.receivesNothing();
    assert.equal(counters.get('tcp_fast_recoveries'), 1);
  });

  test('a partial acknowledgement names the next hole (RFC 6582 §3.2)', () => {
    const { guest } = tenSegments(syn({ mss: MSS, sackPermitted: false }));
    guest.sends(ack(), ack(), ack());
    guest.receives(data(part(1, 1001)));
    guest.sends(ack({ ack: 4001 }));
    guest.receives(data(part(4001, 5001), { seq: 4001 }));
    guest.sends(ack({ ack: 10_001 }));
    guest.receivesNothing();
  });

  test('are not: a window update, a segment with data, a FIN, an ACK with nothing under way', () => {
    const { guest, host } = tenSegments(syn({ mss: MSS, sackPermitted: false }));
    guest.sends(ack({ window: 1025 }), ack({ window: 1026 }), ack({ window: 1027 }), ack({ window: 1028 }));
    guest.receivesNothing();
    guest.sends(data('a'), data('b'), data('c'), data('d'));
    guest.receives(ack({ ack: 5 }));
    guest.receivesNothing();
    guest.sends(ack({ ack: 10_001 }));
    guest.sends(ack(), ack(), ack(), ack(), ack());
    guest.receivesNothing();
    assert.equal(host.socket.discarded, 10_000);
  });
});

describe('selective acknowledgements (RFC 2018, RFC 6675)', () => {
  test('one that shows enough to be missing starts the repair at once', () => {
    const { guest } = tenSegments();
    guest.sends(ack({ ack: 1, sack: [[2001, 6001]] }));
    guest.receives(data(part(1, 1001), { seq: 1 }), data(part(1001, 2001), { seq: 1001 }));
    guest.receivesNothing();
  });

  test('only the holes are sent again, each once', () => {
    const { guest } = tenSegments();
    guest.sends(
      ack({ ack: 1, sack: [[1001, 2001]] }),
      ack({
        ack: 1,
        sack: [
          [3001, 4001],
          [1001, 2001],
        ],
      }),
      ack({
        ack: 1,
        sack: [
          [5001, 6001],
          [3001, 4001],
          [1001, 2001],
        ],
      }),
    );
    guest.receives(
      data(part(1, 1001), { seq: 1 }),
      data(part(2001, 3001), { seq: 2001 }),
      data(part(4001, 5001), { seq: 4001 }),
    );
    guest.sends(
      ack({
        ack: 1,
        sack: [
          [9001, 10_001],
          [5001, 6001],
          [3001, 4001],
        ],
      }),
    );
    guest.receives(
      data(part(6001, 7001), { seq: 6001 }),
      data(part(7001, 8001), { seq: 7001 }),
      data(part(8001, 9001), { seq: 8001 }),
    );
    guest.sends(ack({ ack: 10_001 }));
    guest.receivesNothing();
  });

  test('a hole that is lost again is sent again after two round trips', () => {
    const made = tenSegments();
    const { guest } = made;
    guest.sends(ack({ ack: 1, sack: [[1001, 6001]] }));
    guest.receives(data(part(1, 1001)));
    guest.sends(ack({ ack: 1, sack: [[1001, 7001]] }));
    guest.receivesNothing();
    made.passes(50);
    guest.sends(ack({ ack: 1, sack: [[1001, 8001]] }));
    guest.receives(data(part(1, 1001), { seq: 1 }));
  });

  test('an odd hole is sent as it is, not as a whole segment', () => {
    const { guest } = tenSegments();
    guest.sends(ack({ ack: 1, sack: [[34, 5001]] }));
    guest.receives(data(part(1, 34), { seq: 1 }));
    guest.receivesNothing();
  });

  const lies: { name: string; sack: [number, number][] }[] = [
    { name: 'beyond what was sent', sack: [[5001, 90_000]] },
    { name: 'backwards', sack: [[6001, 2001]] },
    { name: 'empty', sack: [[3001, 3001]] },
    { name: 'below the acknowledgement (RFC 2883: a duplicate report)', sack: [[-5000, 1]] },
    { name: 'across the acknowledgement', sack: [[-5000, 8001]] },
    { name: 'half the circle away', sack: [[0x7000_0000, 0x7000_2000]] },
  ];
  for (const { name, sack } of lies) {
    test(`a block that is ${name} is ignored`, () => {
      const { guest, host } = tenSegments();
      guest.sends(ack({ ack: 1, sack }));
      assert.equal(host.flow.scoreboard.count, 0);
      guest.receivesNothing();
    });
  }

  test('blocks of a guest that did not agree on SACK are ignored', () => {
    const { guest, host } = tenSegments(syn({ mss: MSS, sackPermitted: false }));
    guest.sends(ack({ ack: 1, sack: [[2001, 8001]] }));
    assert.equal(host.flow.scoreboard.count, 0);
  });
});

describe('an acknowledgement of something never sent', () => {
  test('is answered and otherwise ignored (RFC 9293 §3.10.7.4)', () => {
    const { guest, host, counters } = tenSegments();
    guest.sends(data('lie', { ack: 10_002 }));
    guest.receives(ack({ seq: 10_001, ack: 1 }));
    host.hears('');
    assert.equal(host.socket.discarded, 0);
    assert.equal(counters.get('drop_tcp_unsent_ack'), 1);
  });

  test('an old one changes nothing', () => {
    const { guest, host } = tenSegments();
    guest.sends(ack({ ack: 5001 }));
    guest.sends(data('x', { ack: 2001 }));
    host.hears('x');
    assert.equal(host.socket.discarded, 5000);
    assert.equal(host.flow.unackedToGuest, (host.flow.initialToGuest + 5001) | 0);
  });
});

test('retransmissions read the same bytes again while new ones arrive in the socket', () => {
  const made = established({}, syn({ mss: MSS }));
  const { guest, host } = made;
  host.writes('first ');
  host.writes('second ');
  guest.receives(data('first '), data('second '));
  made.passes(RTO_INITIAL + TICK_MS);
  guest.receives(data('first second ', { seq: 1 }));
  host.writes('third');
  guest.sends(ack({ ack: 14 }));
  guest.receives(data('third', { seq: 14 }));
  guest.sends(ack());
  assert.equal(host.socket.discarded, bytes('first second third').length);
});
