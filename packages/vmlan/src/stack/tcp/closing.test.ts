import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_TIME_WAIT, TIME_WAIT_MS } from './limits.ts';
import { ack, anySynAck, data, established, fin, rst, rstAck, syn, transcript } from './transcript.fixture.ts';

describe('half-close', () => {
  test('by the guest: the host reads to the end and can still answer', () => {
    const { guest, host } = established();
    guest.sends(data('all'), fin());
    host.hears('all');
    assert.equal(host.socket.shut, true);
    guest.receives(ack({ ack: 5 }));
    host.writes('late answer');
    guest.receives(data('late answer', { seq: 1, ack: 5 }));
    guest.sends(ack());
    assert.equal(host.socket.discarded, 11);
    assert.equal(host.socket.closed, 'no');
    host.ends();
    guest.receives(fin({ seq: 12, ack: 5 }));
    guest.sends(ack());
    assert.equal(host.socket.closed, 'fin');
  });

  test('by the host: the guest can still send', () => {
    const { guest, host } = established();
    host.writes('bye');
    host.ends();
    guest.receives(data('bye'), fin({ seq: 4 }));
    guest.sends(ack());
    assert.equal(host.socket.closed, 'no');
    guest.sends(data('more'));
    host.hears('more');
    guest.receives(ack({ ack: 5 }));
    guest.sends(fin());
    guest.receives(ack({ seq: 5, ack: 6 }));
    assert.equal(host.socket.shut, true);
    assert.equal(host.socket.closed, 'fin');
  });

  test('data, FIN and ACK of ours in one segment', () => {
    const { guest, host } = established();
    host.ends();
    guest.receives(fin({ seq: 1 }));
    guest.sends(fin({ data: 'end' }));
    host.hears('end');
    guest.receives(ack({ seq: 2, ack: 5 }));
    assert.equal(host.socket.closed, 'fin');
  });

  test('by the host: what the guest said last reaches a slow host after the guest has gone', () => {
    const { guest, host } = established();
    host.ends();
    guest.receives(fin({ seq: 1 }));
    host.takesOnly(4);
    guest.sends(fin({ data: 'some and more', ack: 2 }));
    guest.receives(ack({ seq: 2, ack: 15 }));
    host.hears('some');
    // The guest's socket is gone: no update of the window may ask for a reset, and one that comes is too late.
    host.takes(4);
    guest.receivesNothing();
    guest.sends(rst({ seq: 15 }));
    assert.equal(host.socket.closed, 'no');
    host.takes();
    guest.receivesNothing();
    host.hears(' and more');
    assert.equal(host.socket.closed, 'fin');
  });

  test('FIN on both sides at once', () => {
    const { guest, host } = established();
    host.ends();
    guest.sends(fin({ ack: 1 })); // has not seen ours
    guest.receives(fin({ seq: 1, ack: 1 }), ack({ seq: 2, ack: 2 }));
    assert.equal(host.socket.closed, 'no');
    guest.sends(ack());
    assert.equal(host.socket.closed, 'fin');
  });

  test('FIN waits behind data that the window holds back', () => {
    const { guest, host } = established();
    guest.sends(ack({ window: 1 }));
    host.appends('x'.repeat(200));
    host.ends();
    guest.receives(data('x'.repeat(128)));
    guest.receivesNothing();
    guest.sends(ack());
    guest.receives(data('x'.repeat(72)));
    guest.sends(ack());
    guest.receives(fin({ seq: 201 }));
  });

  test('acknowledging our FIN discards no byte that was never there', () => {
    const { guest, host } = established();
    host.writes('abc');
    host.ends();
    guest.receives(data('abc'), fin());
    guest.sends(ack({ ack: 5 }));
    assert.equal(host.socket.discarded, 3);
  });

  test('a FIN that is sent again is acknowledged again', () => {
    const { guest, host } = established();
    guest.sends(fin());
    guest.receives(ack({ ack: 2 }));
    guest.sends(fin({ seq: 1 }));
    guest.receives(ack({ ack: 2 }));
    assert.equal(host.socket.shut, true);
  });

  test('a FIN from long ago does not end the stream, and the true one does', () => {
    const { guest, host } = established();
    guest.sends(data('0123456789'));
    guest.sends(fin({ seq: 4 }));
    assert.equal(host.socket.shut, false);
    guest.sends(data('ab', { seq: 11 }), fin({ seq: 13 }));
    host.hears('0123456789ab');
    assert.equal(host.socket.shut, true);
    assert.equal(guest.inbox.at(-1)!.ack, 14);
  });

  test('data behind the FIN belongs to nobody', () => {
    const { guest, host } = established();
    guest.sends(data('abc'), fin());
    guest.sends(data('zzz', { seq: 5 }));
    host.hears('abc');
    assert.equal(guest.inbox.at(-1)!.ack, 5);
  });
});

describe('our FIN is lost', () => {
  test('it is sent again until it is acknowledged', () => {
    const made = established();
    const { guest, host } = made;
    host.ends();
    guest.receives(fin({ seq: 1 }));
    made.passes(1100);
    guest.receives(fin({ seq: 1 }));
    made.passes(2100);
    guest.receives(fin({ seq: 1 }));
    guest.sends(ack());
    made.passes(60_000);
    guest.receivesNothing();
  });

  test('together with the data before it', () => {
    const made = established();
    const { guest, host } = made;
    host.writes('abc');
    host.ends();
    guest.receives(data('abc'), fin({ seq: 4 }));
    made.passes(1100);
    guest.receives(data('abc', { seq: 1 }), fin({ seq: 4 }));
    guest.sends(ack({ ack: 5 }));
    made.passes(60_000);
    guest.receivesNothing();
    assert.equal(host.socket.discarded, 3);
  });
});

describe('reset', () => {
  test('by the guest: the host is reset, unread data or not', () => {
    const { guest, host, translator } = established();
    host.writes('unread');
    guest.receives(data('unread'));
    guest.sends(rst({ seq: 1 }));
    assert.equal(host.socket.closed, 'reset');
    assert.equal(translator.size, 0);
    guest.receivesNothing();
  });

  test('by the guest after its own FIN', () => {
    const { guest, host } = established();
    guest.sends(fin());
    guest.receives(ack({ ack: 2 }));
    guest.sends(rst({ seq: 2 }));
    assert.equal(host.socket.closed, 'reset');
  });

  test('by the host: the guest is reset where it expects the next byte', () => {
    const { guest, host, translator } = established();
    host.writes('abc');
    guest.receives(data('abc'));
    host.resets();
    guest.receives(rstAck({ seq: 4, ack: 1, window: 0 }));
    assert.equal(translator.size, 0);
    host.translator!.poll(0);
    guest.receivesNothing();
  });

  test('by the host after its own FIN', () => {
    const { guest, host } = established();
    host.ends();
    guest.receives(fin());
    guest.sends(ack());
    host.resets();
    guest.receives(rstAck({ seq: 2 }));
  });

  test('abort: both sides are reset, once', () => {
    const { guest, host, translator } = established();
    translator.abort(host.flow);
    translator.abort(host.flow);
    guest.receives(rstAck({ seq: 1, ack: 1 }));
    guest.receivesNothing();
    assert.equal(host.socket.closed, 'reset');
  });

  test('a segment for a flow that is gone is reset (RFC 9293 §3.10.7.1)', () => {
    const { guest, host } = established();
    host.resets();
    guest.receives(rstAck());
    guest.sends(data('still there?', { seq: 1, ack: 1 }));
    guest.receives(rst({ seq: 1, window: 0 }));
    guest.sends({ flags: 0, seq: 20, data: 'ab' });
    guest.receives(rstAck({ seq: 0, ack: 22 }));
    guest.sends(rst({ seq: 1 }), rstAck({ seq: 1, ack: 1 }));
    guest.receivesNothing();
  });
});

describe('TIME_WAIT', () => {
  /** The host closes first, so that the waiting is ours. */
  const waiting = (): ReturnType<typeof established> => {
    const made = established();
    made.host.ends();
    made.guest.receives(fin({ seq: 1 }));
    made.guest.sends(fin());
    made.guest.receives(ack({ seq: 2, ack: 2 }));
    return made;
  };

  test('answers a FIN that is sent again, and is over after a while', () => {
    const made = waiting();
    made.guest.sends(fin({ seq: 1 }));
    made.guest.receives(ack({ seq: 2, ack: 2 }));
    assert.equal(made.translator.size, 1);
    made.passes(TIME_WAIT_MS + 20);
    assert.equal(made.translator.size, 0);
    made.guest.receivesNothing();
  });

  test('is not ended by a reset (RFC 1337)', () => {
    const { guest, translator } = waiting();
    guest.sends(rst({ seq: 2 }));
    assert.equal(translator.size, 1);
  });

  test('a new SYN from the same port takes the place', () => {
    const { guest, host, translator } = waiting();
    guest.sends(syn({ seq: 1000 }));
    assert.equal(host.sockets.length, 2);
    host.connects();
    guest.receives(anySynAck({ ack: 1001 }));
    assert.equal(translator.size, 1);
  });

  test('an old SYN does not', () => {
    const { guest, host } = waiting();
    guest.sends(syn({ seq: -100 }));
    assert.equal(host.sockets.length, 1);
    guest.receives(ack({ seq: 2, ack: 2 }));
  });

  test("is the guest's when the guest closed first: nothing is left", () => {
    const { guest, host, translator } = established();
    guest.sends(fin());
    host.ends();
    guest.receives(ack(), fin());
    guest.sends(ack());
    assert.equal(host.socket.closed, 'fin');
    assert.equal(translator.size, 0);
    guest.receivesNothing();
  });

  test('too many of them: the oldest are over early', () => {
    const { guest, host, translator } = transcript();
    for (let i = 0; i < MAX_TIME_WAIT + 3; i++) {
      const ports = { guestPort: 1000 + i };
      guest.sends(syn(ports));
      host.connects();
      guest.sends(ack({ ...ports, seq: 1, ack: 1 }));
      host.ends();
      guest.sends(fin({ ...ports, seq: 1, ack: 2 }));
      assert.equal(host.socket.closed, 'fin');
      guest.inbox.length = 0;
    }
    assert.equal(translator.size, MAX_TIME_WAIT);
    guest.sends(fin({ guestPort: 1000, seq: 1, ack: 2 }));
    guest.receives(rst({ seq: 2 }));
    guest.sends(fin({ guestPort: 1003, seq: 1, ack: 2 }));
    guest.receives(ack({ seq: 2, ack: 2 }));
  });

  test('a stray ACK is ignored', () => {
    const { guest } = waiting();
    guest.sends(ack());
    guest.receivesNothing();
  });
});

test('a guest that leaves: every flow of its port is reset towards the host', () => {
  const { guest, host, translator } = established();
  guest.sends(syn({ guestPort: 40_001 }));
  translator.closePort(guest.port);
  assert.deepEqual(
    host.sockets.map((socket) => socket.closed),
    ['reset', 'reset'],
  );
  assert.equal(translator.size, 0);
  guest.receivesNothing();
});

test('a guest that comes back on another port goes on where it was', () => {
  const { guest, host, translator } = established();
  const old = guest.port;
  guest.port = { ...old, id: 2 };
  translator.movePort(old, guest.port);
  host.writes('hello again');
  guest.receives(data('hello again'));
  translator.closePort(old);
  assert.equal(translator.size, 1);
  translator.closePort(guest.port);
  assert.equal(translator.size, 0);
});
