import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ACK_DELAY, WINDOW_FAR_MS, WINDOW_NEAR } from './limits.ts';
import { QUEUE_LEN } from './receive-queue.ts';
import { ack, anySynAck, data, established, fin, syn, transcript } from './transcript.fixture.ts';

const waiting = { ackDelayMs: ACK_DELAY };
const big = (len: number): Uint8Array => new Uint8Array(len).fill(0x62);

describe('the acknowledgement of a little data', () => {
  test('travels with the answer', () => {
    const { guest, host, ...made } = established(waiting);
    guest.sends(data('ping'));
    guest.receivesNothing();
    host.writes('pong');
    guest.receives(data('pong', { ack: 5 }));
    Object.assign(made, { guest, host });
    guest.receivesNothing();
  });

  test('goes alone when no answer comes', () => {
    const made = established(waiting);
    made.guest.sends(data('ping'));
    made.passes(ACK_DELAY - 1);
    made.guest.receivesNothing();
    made.passes(1);
    made.guest.receives(ack({ ack: 5 }));
    made.passes(10 * ACK_DELAY);
    made.guest.receivesNothing();
  });

  test('goes once for all that came meanwhile', () => {
    const made = established(waiting);
    made.guest.sends(data('a'));
    made.guest.sends(data('b'));
    made.passes(ACK_DELAY);
    made.guest.receives(ack({ ack: 3 }));
    made.guest.receivesNothing();
  });

  test('does not wait for two full segments', () => {
    const { guest } = established(waiting);
    guest.sends(data(big(1460)));
    guest.receivesNothing();
    guest.sends(data(big(1460)));
    guest.receives(ack({ ack: 2921 }));
  });

  test('does not wait behind a hole, nor for what is there already', () => {
    const { guest } = established(waiting);
    guest.sends(data('cd', { seq: 3 }));
    guest.receives(ack({ ack: 1, sack: [[3, 5]] }));
    guest.sends(data('ab', { seq: 1 }));
    guest.sends(data('ab', { seq: 1 }));
    guest.receives(ack({ ack: 5 }));
  });

  test('is forgotten with its conversation, and leaves the next one alone', () => {
    const made = established(waiting);
    made.guest.sends(data('ping'));
    made.translator.abort(made.host.flow);
    made.guest.inbox.length = 0;
    made.passes(10 * ACK_DELAY);
    made.guest.receivesNothing();
  });

  test('of a FIN travels with ours', () => {
    const { guest, host } = established(waiting);
    guest.sends(fin());
    guest.receivesNothing();
    host.ends();
    guest.receives(fin({ ack: 2 }));
    guest.receivesNothing();
  });
});

test('half a window in one wake-up is acknowledged in its midst', () => {
  const { guest } = established(waiting);
  guest.sends(data(big(4096)));
  guest.receives(ack({ ack: 4097, window: WINDOW_NEAR >>> 7 })); // before, it had the 65 535 bytes of the SYN-ACK
  guest.sends(...Array.from({ length: 8 }, () => data(big(WINDOW_NEAR / 8))));
  guest.receives(ack({ ack: 4097 + WINDOW_NEAR / 2 }), ack({ ack: 4097 + WINDOW_NEAR }));
  guest.receivesNothing();
});

describe('the window', () => {
  /** Fills one window after the other, each taking `roundMs`; the last window that was offered. */
  function fills(rounds: number, roundMs: number, made = established()): number {
    let window = 0;
    for (let round = 0; round < rounds; round++) {
      const edge = made.host.flow.edgeFromGuest;
      while (made.host.flow.nextFromGuest !== edge) {
        const len = Math.min((edge - made.host.flow.nextFromGuest) | 0, 60_000);
        made.guest.sends(data(big(len)));
      }
      window = made.guest.inbox.at(-1)!.window << 7;
      made.guest.inbox.length = 0;
      made.passes(roundMs);
    }
    return window;
  }

  test('stays small for a guest that is near', () => assert.equal(fills(20, 0), WINDOW_NEAR));

  test('grows for one that is far away', () => assert.equal(fills(6, 20), QUEUE_LEN));

  test('grows where the link is the bound', () => {
    const made = established();
    made.guest.port = { ...made.guest.port, isBounded: true };
    assert.equal(fills(4, 0, made), QUEUE_LEN);
  });

  test('forgives one pause', () => {
    const made = established();
    fills(5, 0, made);
    made.passes(6 * WINDOW_FAR_MS);
    assert.equal(fills(3, 0, made), WINDOW_NEAR);
  });

  test('never takes back what it offered', () => {
    const made = established();
    fills(6, 20, made);
    const far = made.host.flow.edgeFromGuest;
    fills(80, 0, made);
    assert.ok(((made.host.flow.edgeFromGuest - far) | 0) > 0);
    assert.equal(fills(1, 0, made), WINDOW_NEAR);
  });
});

test('a peek that got less than it asked for is the last until the next event', () => {
  const { guest, host } = established();
  host.writes('abc');
  guest.receives(data('abc'));
  host.appends('def'); // without an event, as if it had come a moment later
  guest.sends(ack({ ack: 4 }));
  guest.receivesNothing();
  host.writes('ghi');
  guest.receives(data('defghi'));
});

test('the end of a stream that came with its last bytes follows them at once', () => {
  const { guest, host } = transcript();
  guest.sends(syn());
  host.connects();
  guest.receives(anySynAck());
  host.appends('bye');
  host.ends();
  guest.sends(ack({ seq: 1, ack: 1, window: 1024 }));
  guest.receives(data('bye'), fin());
});
