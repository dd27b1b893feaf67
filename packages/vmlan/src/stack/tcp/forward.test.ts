import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TIME_WAIT, type TcpFlow } from './flow.ts';
import {
  GUEST_PORT,
  REMOTE_PORT,
  ack,
  data,
  fin,
  rst,
  rstAck,
  syn,
  synAck,
  transcript,
  type Said,
} from './transcript.fixture.ts';

type Made = ReturnType<typeof transcript>;

/** A client of the host has connected; the guest's MAC is known at once. */
function opens(made: Made, guestPort = GUEST_PORT): TcpFlow {
  const { guest, host, translator } = made;
  const flow = translator.openToGuest(guest.path(), guestPort, REMOTE_PORT, made.nowMs)!;
  host.adopt(flow);
  translator.onResolved(flow, made.nowMs);
  return flow;
}

/** And the guest accepts. */
function connected(answer: Said = synAck({ seq: 0, ack: 1 })): Made {
  const made = transcript();
  opens(made);
  made.guest.receives({ flags: syn().flags });
  made.guest.sends(answer);
  made.guest.receives(ack({ seq: 1, ack: 1 }));
  return made;
}

for (const family of [4, 6] as const) {
  test(`handshake and data both ways, IPv${family}`, () => {
    const made = transcript({ family });
    const { guest, host } = made;
    opens(made);
    guest.receives(syn({ seq: 0, ack: 0, mss: family === 4 ? 1460 : 1440, windowScale: 7, window: 65_535 }));
    guest.sends(synAck({ window: 1000, windowScale: 7 }));
    guest.receives(ack({ seq: 1, ack: 1 }));
    host.writes('GET /');
    guest.receives(data('GET /', { seq: 1 }));
    guest.sends(data('200 OK'));
    host.hears('200 OK');
    guest.receives(ack({ ack: 7 }));
    assert.equal(host.socket.discarded, 5);
  });
}

test('what the client said meanwhile follows the handshake', () => {
  const made = transcript();
  const { guest, host } = made;
  opens(made);
  host.appends('early');
  host.translator!.onHostReadable(host.flow, made.nowMs);
  guest.receives({ flags: syn().flags });
  guest.receivesNothing();
  guest.sends(synAck());
  guest.receives(ack({ seq: 1, ack: 1 }), data('early', { seq: 1 }));
});

test('a guest without options is spoken to without', () => {
  const made = connected({ flags: synAck().flags, seq: 0, ack: 1, window: 3000 });
  const { guest, host } = made;
  host.writes('x'.repeat(4000));
  guest.receives(data('x'.repeat(2680), { gso: 536 }));
  guest.sends(data('y', { window: 3000 }));
  host.hears('y');
  assert.equal(guest.inbox.pop()!.window, 65_535);
});

describe('the guest does not accept', () => {
  test('refuses: the client is reset', () => {
    const made = transcript();
    opens(made);
    made.guest.receives({ flags: syn().flags });
    made.guest.sends(rstAck({ seq: 0, ack: 1 }));
    assert.equal(made.host.socket.closed, 'reset');
    assert.equal(made.translator.size, 0);
    made.guest.receivesNothing();
  });

  test('a reset that does not acknowledge our SYN is ignored (RFC 9293 §3.10.7.3)', () => {
    const made = transcript();
    opens(made);
    made.guest.inbox.length = 0;
    made.guest.sends(rst({ seq: 0 }), rstAck({ seq: 0, ack: 0 }), rstAck({ seq: 0, ack: 77 }));
    assert.equal(made.translator.size, 1);
  });

  test('neither is a SYN-ACK that acknowledges something else', () => {
    const made = transcript();
    opens(made);
    made.guest.inbox.length = 0;
    made.guest.sends(synAck({ ack: 2 }), ack({ seq: 1, ack: 1 }), syn());
    made.guest.receivesNothing();
    assert.equal(made.translator.size, 1);
  });

  test('says nothing: SYN again, each time later, then the client is reset', () => {
    const made = transcript();
    const start = made.nowMs;
    opens(made);
    made.passes(200_000);
    const times = made.guest.inbox.map((heard) => Math.round((heard.atMs - start) / 1000));
    assert.deepEqual(times, [0, 1, 3, 7, 15, 31]);
    assert.ok(made.guest.inbox.every((heard) => heard.flags === syn().flags && heard.seq === 0));
    assert.equal(made.host.socket.closed, 'reset');
    assert.equal(made.translator.size, 0);
  });
});

test('our ACK was lost: the repeated SYN-ACK is acknowledged again', () => {
  const { guest } = connected();
  guest.sends(synAck());
  guest.receives(ack({ seq: 1, ack: 1 }));
});

test('the client ends, the guest ends', () => {
  const { guest, host } = connected();
  host.writes('request');
  host.ends();
  guest.receives(data('request'), fin({ seq: 8 }));
  guest.sends(data('answer'), fin());
  host.hears('answer');
  guest.receives(ack({ seq: 9, ack: 8 }));
  assert.equal(host.socket.closed, 'fin');
  assert.equal(host.flow.state, TIME_WAIT);
});

test('the client resets: so is the guest', () => {
  const { guest, host } = connected();
  host.resets();
  guest.receives(rstAck({ seq: 1, ack: 1 }));
});

test('the client gives up before the guest has answered: the late SYN-ACK is reset', () => {
  const made = transcript();
  opens(made);
  made.guest.receives({ flags: syn().flags });
  made.host.resets();
  assert.equal(made.translator.size, 0);
  made.guest.inbox.length = 0;
  made.guest.sends(synAck());
  made.guest.receives(rst({ seq: 1 }));
});

describe('while the MAC of the guest is asked for', () => {
  const resolving = (): { made: Made; flow: TcpFlow } => {
    const made = transcript();
    const path = made.guest.path();
    path.port = null;
    const flow = made.translator.openToGuest(path, GUEST_PORT, REMOTE_PORT, made.nowMs)!;
    made.host.adopt(flow);
    return { made, flow };
  };

  test('nothing is said; then SYN', () => {
    const { made, flow } = resolving();
    made.passes(2000);
    made.guest.receivesNothing();
    flow.port = made.guest.port;
    made.translator.onResolved(flow, made.nowMs);
    made.guest.receives({ flags: syn().flags, seq: 0 });
    made.guest.sends(synAck());
    made.guest.receives(ack());
    made.translator.closePort(made.guest.port);
    assert.equal(made.translator.size, 0);
  });

  test('nobody has it: the client is reset, nothing is sent', () => {
    const { made, flow } = resolving();
    made.translator.abort(flow);
    assert.equal(made.host.socket.closed, 'reset');
    assert.equal(made.translator.size, 0);
    made.guest.receivesNothing();
  });

  test('the client gives up', () => {
    const { made } = resolving();
    made.host.resets();
    assert.equal(made.translator.size, 0);
    made.guest.receivesNothing();
  });

  test('forwards do not blur the limits of the guest', () => {
    const { made, flow } = resolving();
    flow.port = made.guest.port;
    made.translator.onResolved(flow, made.nowMs);
    made.guest.sends(synAck());
    made.guest.sends(syn({ guestPort: 5, remotePort: 9 }));
    assert.equal(made.translator.size, 2);
    made.guest.sends(rst({ seq: 1 }));
    assert.equal(made.translator.size, 1);
    made.translator.closePort(made.guest.port);
    assert.equal(made.translator.size, 0);
  });
});

test('the same ports twice: taken', () => {
  const made = transcript();
  assert.equal(made.translator.isTaken(made.guest.path(), GUEST_PORT, REMOTE_PORT), false);
  opens(made);
  assert.equal(made.translator.isTaken(made.guest.path(), GUEST_PORT, REMOTE_PORT), true);
  assert.equal(made.translator.isTaken(made.guest.path(), GUEST_PORT, REMOTE_PORT + 1), false);
});

test('a full table has no room for a forward', () => {
  const made = transcript({ maxFlows: 1 });
  opens(made);
  assert.equal(made.translator.openToGuest(made.guest.path(), 1, 2, made.nowMs), null);
});
