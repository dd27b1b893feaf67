import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KEEP_ALIVE_IDLE, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TRIES, PROBE_MAX } from './limits.ts';
import { type Heard, ack, data, established, fin, rst, rstAck } from './transcript.fixture.ts';

const TICK_MS = 16;
const HOUR_MS = 3_600_000;

function waitsOf(heard: readonly Heard[], startMs: number): number[] {
  return heard.map(({ atMs }, i) => atMs - (heard[i - 1]?.atMs ?? startMs));
}

function assertWaits(waits: readonly number[], want: readonly number[]): void {
  assert.equal(waits.length, want.length, waits.join());
  for (const [i, wait] of waits.entries()) assert.ok(wait >= want[i]! && wait <= want[i]! + TICK_MS, waits.join());
}

describe('the guest has shut its window', () => {
  /** One byte has gone through; the host has more to say. */
  const shut = (): ReturnType<typeof established> => {
    const made = established();
    made.guest.sends(ack({ window: 0 }));
    made.host.writes('waiting');
    made.guest.receivesNothing();
    return made;
  };

  test('it is asked again and again, ever more slowly, and nothing is sent into it', () => {
    const made = shut();
    const start = made.nowMs;
    made.passes(62_000);
    for (const heard of made.guest.inbox) {
      assert.deepEqual([heard.flags, heard.seq, heard.data.length], [ack().flags, 0, 0], 'below the window');
    }
    assertWaits(waitsOf(made.guest.inbox, start), [1000, 2000, 4000, 8000, 16_000, PROBE_MAX]);
  });

  test('the window opens: the data goes out at once and the asking ends', () => {
    const made = shut();
    made.passes(5000);
    made.guest.inbox.length = 0;
    made.guest.sends(ack({ window: 100 }));
    made.guest.receives(data('waiting', { seq: 1 }));
    made.guest.sends(ack());
    made.passes(100_000);
    made.guest.receivesNothing();
  });

  test('the answer to a probe opens it', () => {
    const made = shut();
    made.passes(1016);
    made.guest.receives(ack({ seq: 0 }));
    made.guest.sends(ack({ window: 0 }));
    made.guest.receivesNothing();
    made.passes(2016);
    made.guest.receives(ack({ seq: 0 }));
    made.guest.sends(ack({ window: 7 }));
    made.guest.receives(data('waiting'));
  });

  test('a guest that answers may keep it shut for ever', () => {
    const made = shut();
    for (let i = 0; i < 200; i++) {
      made.passes(PROBE_MAX);
      if (made.guest.inbox.splice(0).length > 0) made.guest.sends(ack({ window: 0 }));
    }
    assert.equal(made.translator.size, 1);
    made.guest.sends(ack({ window: 7 }));
    made.guest.receives(data('waiting'));
  });

  test('a guest that is gone is given up, and the host is reset', () => {
    const made = shut();
    made.passes(HOUR_MS);
    assert.equal(made.guest.inbox.at(-1)!.flags, rstAck().flags);
    assert.equal(made.host.socket.closed, 'reset');
    assert.equal(made.translator.size, 0);
  });

  test('with data under way it is no probe but a retransmission', () => {
    const made = established();
    const { guest, host } = made;
    host.writes('one');
    guest.receives(data('one'));
    guest.sends(ack({ ack: 1, window: 0 }));
    host.writes('two');
    made.passes(1016);
    guest.receives(data('one', { seq: 1 }));
    guest.sends(ack({ ack: 4, window: 100 }));
    guest.receives(data('two', { seq: 4 }));
  });

  test('and the host ends meanwhile: FIN comes when the data has gone', () => {
    const made = shut();
    made.host.ends();
    made.guest.receivesNothing();
    made.guest.sends(ack({ window: 100 }));
    made.guest.receives(data('waiting'), fin({ seq: 8 }));
  });
});

describe('a conversation where nothing is said', () => {
  test('is asked after two hours, then nine times, then given up', () => {
    const made = established();
    const start = made.nowMs;
    made.passes(2.5 * HOUR_MS);
    const reset = made.guest.inbox.pop()!;
    assert.equal(reset.flags, rstAck().flags);
    assert.deepEqual(new Set(made.guest.inbox.map((heard) => heard.seq)), new Set([0]));
    const want = [KEEP_ALIVE_IDLE, ...Array.from({ length: KEEP_ALIVE_TRIES - 1 }, () => KEEP_ALIVE_INTERVAL)];
    assertWaits(waitsOf(made.guest.inbox, start), want);
    assert.ok(Math.abs(reset.atMs - start - KEEP_ALIVE_IDLE - KEEP_ALIVE_TRIES * KEEP_ALIVE_INTERVAL) < 200);
    assert.equal(made.translator.size, 0);
  });

  test('lives on while the guest answers', () => {
    const made = established();
    for (let i = 0; i < 50; i++) {
      made.passes(HOUR_MS);
      if (made.guest.inbox.splice(0).length > 0) made.guest.sends(ack());
    }
    assert.equal(made.translator.size, 1);
    made.host.writes('good morning');
    made.guest.receives(data('good morning'));
  });

  test('a half-closed one too', () => {
    const made = established();
    made.guest.sends(fin());
    made.guest.receives(ack());
    made.passes(3 * HOUR_MS);
    assert.equal(made.host.socket.closed, 'reset');
    assert.equal(made.translator.size, 0);
  });

  test('the probe of the guest is answered', () => {
    const { guest } = established();
    guest.sends(ack({ seq: 0 }));
    guest.receives(ack({ seq: 1, ack: 1 }));
    guest.sends(data('x', { seq: 0 }));
    guest.receives(ack({ seq: 1, ack: 1 }));
  });
});

test('the loop may sleep while nothing is due', () => {
  const made = established();
  assert.ok(made.translator.pollAt() - made.nowMs > 1000, 'a turn of the wheel at most, but not now');
  assert.equal(made.translator.busy, false);
});

describe('a guest that came back on another link', () => {
  const moved = (): ReturnType<typeof established> => {
    const made = established();
    const old = made.guest.port;
    made.guest.port = { ...old, id: 2 };
    made.translator.movePort(old, made.guest.port);
    return made;
  };

  test('is asked whether it still knows the conversation, and goes on', () => {
    const made = moved();
    made.passes(2100);
    made.guest.receives(ack({ seq: 0 }));
    made.guest.sends(ack());
    made.passes(HOUR_MS);
    made.guest.receivesNothing();
    made.host.writes('still here');
    made.guest.receives(data('still here'));
  });

  test('and was started anew resets it: the host hears at once', () => {
    const made = moved();
    made.passes(2100);
    made.guest.receives(ack({ seq: 0 }));
    made.guest.sends(rst());
    assert.equal(made.host.socket.closed, 'reset');
    assert.equal(made.translator.size, 0);
  });

  test('and speaks by itself is not asked', () => {
    const made = moved();
    made.guest.sends(data('hello'));
    made.passes(10);
    made.guest.inbox.length = 0;
    made.passes(HOUR_MS);
    made.guest.receivesNothing();
  });

  test('and is silent is given up after some minutes', () => {
    const made = moved();
    const start = made.nowMs;
    made.passes(HOUR_MS);
    assert.equal(made.guest.inbox.pop()!.flags, rstAck().flags);
    const waits = waitsOf(made.guest.inbox, start);
    assertWaits(waits.slice(1), [2000, 4000, 8000, 16_000, 32_000, 64_000, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_INTERVAL]);
    assert.ok(waits[0]! >= 1000 && waits[0]! <= 2100);
    assert.equal(made.counters.get('tcp_return_probes'), 9);
    assert.equal(made.host.socket.closed, 'reset');
    assert.equal(made.translator.size, 0);
  });

  test('and owes an acknowledgement is not asked twice: the retransmission asks', () => {
    const made = established();
    made.host.writes('under way');
    made.guest.receives(data('under way'));
    const old = made.guest.port;
    made.guest.port = { ...old, id: 2 };
    made.translator.movePort(old, made.guest.port);
    made.passes(900);
    for (const heard of made.guest.inbox.splice(0)) assert.equal(heard.data.length, 9);
    made.guest.sends(ack({ ack: 10 }));
    made.passes(HOUR_MS);
    made.guest.receivesNothing();
  });
});
