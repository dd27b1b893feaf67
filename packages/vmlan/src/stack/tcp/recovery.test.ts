/**
 * Loss that duplicate acknowledgements do not tell of: the tail, what is sent again and lost again, time-outs.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IN_FLIGHT_CAP, PROBE_MIN, RTO_INITIAL, RTO_MIN } from './limits.ts';
import { ack, anySynAck, data, established, syn, transcript, type Said } from './transcript.fixture.ts';

const MSS = 1000;
const TICK_MS = 16; // timers fire up to one tick late
const RTT_MS = 50;
const big = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => (i * 7 + (i >>> 8)) & 0xff);
type Made = ReturnType<typeof transcript>;

/** A guest with MSS 1000 whose handshake took RTT_MS. */
function measured(window = 1024): Made {
  const made = transcript();
  made.guest.sends(syn({ mss: MSS }));
  made.host.connects();
  made.guest.receives(anySynAck());
  made.nowMs += RTT_MS;
  made.guest.sends(ack({ window }));
  return made;
}

/** With `count` segments under way, none acknowledged. */
function underWay(count: number, made = measured()): Made {
  made.host.writes(big(count * MSS));
  made.guest.receives(data(big(count * MSS), { seq: 1 }));
  made.guest.ack = 1;
  return made;
}

/** What was sent again so far, as [first, last] segment numbers from 0. */
const again = ({ guest }: Made): number[] => guest.inbox.splice(0).map(({ seq }) => (seq - 1) / MSS);
const segments = (from: number, to: number): [number, number] => [1 + from * MSS, 1 + to * MSS];
const sacks = (...sack: [number, number][]): Said => ack({ ack: 1, sack });

describe('the handshake', () => {
  test('is the first sample of the round trip', () => {
    const { host } = measured();
    assert.deepEqual([host.flow.srttMs, host.flow.rtoMs], [RTT_MS, RTO_MIN]);
  });

  test('is none when it had to be repeated; then the time-out is the initial one', () => {
    const made = transcript();
    made.guest.sends(syn({ mss: MSS }));
    made.host.connects();
    made.passes(3500);
    assert.equal(made.guest.inbox.length, 3);
    made.guest.inbox.length = 0;
    made.guest.sends(ack({ ack: 1 }));
    assert.deepEqual([made.host.flow.srttMs, made.host.flow.rtoMs], [0, RTO_INITIAL]);
  });
});

describe('silence for two round trips', () => {
  test('sends the last segment again, once; then the time-out follows', () => {
    const made = underWay(10);
    made.passes(2 * RTT_MS - TICK_MS);
    made.guest.receivesNothing();
    made.passes(2 * TICK_MS);
    assert.deepEqual(again(made), [9]);
    made.passes(RTO_MIN - 2 * TICK_MS);
    made.guest.receivesNothing();
    made.passes(3 * TICK_MS);
    assert.deepEqual(again(made), [0, 1]);
  });

  test('is no shorter than PROBE_MIN', () => {
    const made = underWay(10);
    made.host.flow.srttMs = 1;
    made.guest.sends(ack({ ack: 1001 }));
    made.passes(PROBE_MIN - 1);
    made.guest.receivesNothing();
    made.passes(1 + TICK_MS);
    assert.deepEqual(again(made), [9]);
  });

  test('says nothing about a single segment, whose acknowledgement may be delayed', () => {
    const made = underWay(1);
    made.passes(RTO_MIN - 1);
    made.guest.receivesNothing();
    made.passes(1 + TICK_MS);
    assert.deepEqual(again(made), [0]);
  });

  test('says nothing without a round trip to go by', () => {
    const made = established({}, syn({ mss: MSS }));
    made.host.writes(big(5 * MSS));
    made.guest.inbox.length = 0;
    made.passes(RTO_INITIAL - 1);
    made.guest.receivesNothing();
  });

  test('the answer to the probe tells what is missing: it is sent again without three duplicates', () => {
    const made = underWay(3);
    made.passes(2 * RTT_MS + TICK_MS);
    assert.deepEqual(again(made), [2]);
    made.guest.sends(sacks(segments(2, 3)));
    assert.deepEqual(again(made), [0, 1]);
    made.guest.sends(ack({ ack: 3001 }));
    made.passes(10_000);
    made.guest.receivesNothing();
  });

  test('with holes known already, these go', () => {
    const made = underWay(4);
    made.guest.sends(sacks(segments(1, 2), segments(3, 4)));
    made.guest.receivesNothing();
    made.passes(2 * RTT_MS + TICK_MS);
    assert.deepEqual(again(made), [0, 2]);
  });

  test('in recovery, what was sent again was lost again', () => {
    const made = underWay(10);
    made.guest.sends(sacks(segments(2, 8)));
    assert.deepEqual(again(made), [0, 1]);
    made.passes(2 * RTT_MS + TICK_MS);
    assert.deepEqual(again(made), [0, 1]);
    assert.equal(made.counters.get('tcp_tail_probes'), 1);
    assert.equal(made.counters.get('tcp_retransmission_timeouts'), 0);
  });

  test('a FIN at the end counts as sent', () => {
    const made = underWay(2);
    made.host.ends();
    made.guest.inbox.length = 0;
    made.passes(2 * RTT_MS + TICK_MS);
    assert.deepEqual(again(made), [1]);
    made.guest.sends(sacks(segments(1, 2)));
    assert.deepEqual(again(made), [0]);
  });
});

describe('a time-out', () => {
  function timedOut(): Made {
    const made = underWay(10);
    made.guest.sends(sacks(segments(1, 3)));
    made.passes(2 * RTT_MS + TICK_MS);
    assert.deepEqual(again(made), [0]); // the probe
    made.passes(RTO_MIN + TICK_MS);
    return made;
  }

  test('spares what the guest has acknowledged selectively', () => {
    const made = timedOut();
    assert.deepEqual(again(made), [0]);
    made.guest.sends(ack({ ack: 3001 }));
    const [first] = again(made);
    assert.equal(first, 3);
  });

  test('a second one in a row trusts nothing (RFC 2018 §8)', () => {
    const made = timedOut();
    again(made);
    made.passes(2 * RTO_MIN + 2 * TICK_MS);
    assert.deepEqual(again(made), [0, 1]);
  });

  test('is as long as before once something has come through', () => {
    const made = timedOut();
    assert.ok(made.host.flow.rtoMs > RTO_MIN);
    made.guest.sends(ack({ ack: 3001 }));
    assert.equal(made.host.flow.rtoMs, RTO_MIN);
  });
});

test('a guest that shuts its window over what is under way, and answers, is waited for', () => {
  const made = underWay(2);
  const { guest, translator } = made;
  for (let minute = 0; minute < 60; minute++) {
    guest.sends(ack({ ack: 1, window: 0 }));
    made.passes(60_000);
    guest.inbox.length = 0;
  }
  assert.equal(translator.size, 1);
  guest.sends(ack({ ack: 1, window: 1024 }));
  assert.deepEqual(again(made), [0, 1]);
  made.passes(600_000); // and when it answers no more, it is given up as any other
  assert.equal(translator.size, 0);
});

describe('in recovery', () => {
  test('what the guest holds behind a hole makes place for new data', () => {
    const made = measured(65_535); // 8 MiB
    made.host.writes(new Uint8Array(3 * IN_FLIGHT_CAP));
    const sent = (): number => made.guest.inbox.splice(0).reduce((sum, { data: { length } }) => sum + length, 0);
    made.passes(5);
    const first = sent();
    assert.ok(first > IN_FLIGHT_CAP - MSS && first <= IN_FLIGHT_CAP);
    made.guest.sends(ack({ ack: 1, sack: [segments(1, 501)] }));
    made.passes(5);
    const more = sent() - MSS; // and the first segment again
    assert.ok(more > 499 * MSS && more <= 500 * MSS, `${more} bytes more`);
    made.guest.sends(ack({ ack: 1, sack: [segments(1, 1501)] }));
    made.passes(5);
    sent();
    const { flow } = made.host;
    assert.ok(((flow.nextToGuest - flow.unackedToGuest) | 0) <= 2 * IN_FLIGHT_CAP);
  });

  test('nothing is sent again into a link without room; it follows when there is some', () => {
    const made = underWay(10);
    made.guest.linkRoom = 0;
    made.guest.sends(sacks(segments(2, 8)));
    made.guest.receivesNothing();
    made.guest.linkRoom = 100_000;
    made.passes(2);
    assert.deepEqual(again(made), [0, 1]);
  });

  test('holes beyond the end of a recovery start the next one', () => {
    const made = underWay(10);
    made.guest.sends(sacks(segments(1, 6)));
    assert.deepEqual(again(made), [0]);
    made.host.writes(big(10 * MSS));
    made.guest.inbox.length = 0;
    made.guest.sends(ack({ ack: 1 + 10 * MSS, sack: [segments(12, 18)] }));
    assert.deepEqual(again(made), [10, 11]);
    assert.equal(made.counters.get('tcp_fast_recoveries'), 2);
  });
});
