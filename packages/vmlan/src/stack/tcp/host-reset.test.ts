/**
 * The host's peer resets: what it said before reaches the guest first, as it would reach a program on the host.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ack, data, established, fin, rstAck, syn, synAck, transcript } from './transcript.fixture.ts';

const ECONNRESET = 104;

describe('when the peer resets', () => {
  test('data that nobody was told about yet goes before the reset', () => {
    const { guest, host, translator } = established();
    host.appends('413 too much');
    host.resets();
    guest.receives(data('413 too much', { seq: 1 }), rstAck({ seq: 13 }));
    assert.equal(translator.size, 0);
    assert.equal(host.socket.closed, 'fin');
  });

  test('data that did not fit the window follows when it opens, then the reset', () => {
    const { guest, host, translator } = established();
    guest.sends(ack({ window: 0 }));
    host.appends('late');
    host.resets();
    guest.receivesNothing();
    assert.equal(translator.size, 1);
    guest.sends(ack({ window: 100 }));
    guest.receives(data('late', { seq: 1 }), rstAck({ seq: 5 }));
    assert.equal(translator.size, 0);
  });

  test('a guest that goes on sending is reset at once', () => {
    const { guest, host, translator } = established();
    guest.sends(ack({ window: 0 }));
    host.appends('late');
    host.resets();
    host.socket.errno = ECONNRESET;
    guest.sends(data('more', { window: 0 }));
    guest.receives(rstAck({ seq: 1 }));
    assert.equal(translator.size, 0);
  });

  test('a send that fails is no reason to lose what came before', () => {
    const { guest, host, translator } = established();
    host.appends('bye');
    host.socket.failSend = ECONNRESET;
    guest.sends(data('hello'));
    guest.receives(data('bye', { seq: 1 }), rstAck({ seq: 4 }));
    assert.equal(translator.size, 0);
  });

  test('before the guest has heard that it is connected, it hears that first', () => {
    const { guest, host, translator } = transcript();
    guest.sends(syn());
    host.connects();
    host.appends('welcome, and goodbye');
    host.resets();
    guest.receives(synAck());
    guest.receivesNothing();
    guest.sends(ack());
    guest.receives(data('welcome, and goodbye', { seq: 1 }), rstAck({ seq: 21 }));
    assert.equal(translator.size, 0);
  });

  test('behind its end of stream nothing can follow: the guest is reset at once', () => {
    const { guest, host, translator } = established();
    host.ends();
    guest.receives(fin());
    host.resets();
    guest.receives(rstAck({ seq: 2 }));
    assert.equal(translator.size, 0);
  });
});
