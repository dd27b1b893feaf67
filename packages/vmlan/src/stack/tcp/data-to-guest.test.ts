import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IN_FLIGHT_CAP, MAX_SEGMENT, PUMP_BUDGET } from './limits.ts';
import { ack, anySynAck, data, established, syn, transcript } from './transcript.fixture.ts';

const big = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => (i * 7 + (i >>> 8)) & 0xff);

describe('the server speaks first', () => {
  test('its greeting follows the handshake, and the first ACK discards no byte of it', () => {
    const { guest, host } = transcript();
    guest.sends(syn());
    host.connects();
    host.writes('220 hello');
    guest.receives(anySynAck());
    guest.receivesNothing();
    guest.sends(ack());
    guest.receives(data('220 hello', { seq: 1, ack: 1 }));
    assert.equal(host.socket.discarded, 0);
    guest.sends(ack());
    assert.equal(host.socket.discarded, 9);
    assert.equal(host.socket.inbox.length, 0);
  });

  test('with the guest speaking on the same ACK', () => {
    const { guest, host } = transcript();
    guest.sends(syn());
    host.connects();
    host.writes('220 hello');
    guest.receives(anySynAck());
    guest.sends(data('EHLO'));
    host.hears('EHLO');
    guest.receives(data('220 hello', { seq: 1, ack: 5 }));
    guest.receivesNothing();
  });
});

test('what is acknowledged leaves the socket, byte for byte', () => {
  const { guest, host } = established();
  host.writes('abcdef');
  guest.receives(data('abcdef', { seq: 1 }));
  guest.sends(ack({ ack: 3 }));
  assert.equal(host.socket.discarded, 2);
  guest.sends(ack({ ack: 3 }));
  assert.equal(host.socket.discarded, 2);
  guest.sends(ack({ ack: 7 }));
  assert.equal(host.socket.discarded, 6);
  host.writes('gh');
  guest.receives(data('gh', { seq: 7 }));
  guest.sends(ack());
  assert.equal(host.socket.discarded, 8);
});

test('data and acknowledgement share a segment', () => {
  const { guest, host } = established();
  guest.sends(data('ping'));
  guest.receives(ack({ ack: 5 }));
  host.writes('pong');
  guest.receives(data('pong', { ack: 5 }));
  guest.receivesNothing();
});

describe('segments', () => {
  test('a long read is one segment that the link cuts by the MSS', () => {
    const { guest, host } = established({}, syn({ mss: 1000 }));
    host.writes(big(5500));
    guest.receives(data(big(5500), { seq: 1, gso: 1000 }));
    guest.receivesNothing();
  });

  test('a read that fits one MSS needs no cutting', () => {
    const { guest, host } = established({}, syn({ mss: 1000 }));
    host.writes(big(1000));
    guest.receives(data(big(1000), { gso: 0 }));
  });

  test('no IP packet is longer than 64 KiB, and full ones are whole numbers of MSS', () => {
    const { guest, host } = established();
    guest.sends(ack({ window: 2048 }));
    host.writes(big(200_000));
    const lens = guest.inbox.map((heard) => heard.data.length);
    assert.ok(lens.every((len) => len <= MAX_SEGMENT));
    assert.ok(
      lens.slice(0, -1).every((len) => len % 1460 === 0),
      lens.join(' '),
    );
    guest.receivesStream(big(200_000));
  });

  const mssTable: { name: string; said: number | undefined; family: 4 | 6; mtu: number; used: number }[] = [
    { name: 'what the guest says', said: 700, family: 4, mtu: 1500, used: 700 },
    { name: 'no more than the MTU allows', said: 9000, family: 4, mtu: 1500, used: 1460 },
    { name: 'no more than the MTU allows, IPv6', said: 9000, family: 6, mtu: 1500, used: 1440 },
    { name: '536 when the guest says nothing', said: undefined, family: 4, mtu: 1500, used: 536 },
    { name: '1220 when the guest says nothing, IPv6', said: undefined, family: 6, mtu: 1500, used: 1220 },
    { name: 'never so small that headers outweigh data', said: 1, family: 4, mtu: 1500, used: 48 },
    { name: 'zero counts as not said', said: 0, family: 4, mtu: 1500, used: 536 },
    { name: 'jumbo frames', said: 8960, family: 4, mtu: 9000, used: 8960 },
  ];
  for (const { name, said, family, mtu, used } of mssTable) {
    test(`MSS: ${name}`, () => {
      const offer = said === undefined ? { flags: syn().flags, seq: 0 } : syn({ mss: said });
      const { guest, host } = established({ family, mtu }, offer);
      guest.sends(ack({ window: 60_000 }));
      host.writes(big(used + 1));
      assert.equal(guest.inbox[0]!.gso, used);
    });
  }
});

describe('the window of the guest', () => {
  test('is never overrun, and its opening continues the stream', () => {
    const { guest, host } = established();
    guest.sends(ack({ window: 40 })); // 5120 bytes
    host.writes(big(20_000));
    guest.receivesStream(big(20_000).subarray(0, 4380));
    guest.sends(ack());
    guest.receivesStream(big(20_000).subarray(4380, 8760));
    guest.sends(ack({ window: 1000 }));
    guest.receivesStream(big(20_000).subarray(8760));
  });

  test('a small rest of it is not filled with a small segment (RFC 9293 §3.8.6.2.1)', () => {
    const { guest, host } = established();
    guest.sends(ack({ window: 23 })); // 2944: two segments and a rest
    host.writes(big(10_000));
    guest.receives(data(big(2920), { gso: 1460 }));
    guest.receivesNothing();
  });

  test('smaller than a segment: it is used when nothing else is under way', () => {
    const { guest, host } = established();
    guest.sends(ack({ window: 1 }));
    host.writes(big(300));
    guest.receives(data(big(300).subarray(0, 128)));
    guest.sends(ack());
    guest.receives(data(big(300).subarray(128, 256)));
    guest.sends(ack());
    guest.receives(data(big(300).subarray(256)));
  });

  test('in the SYN is never scaled, behind it always', () => {
    const { guest, host } = transcript();
    guest.sends(syn({ window: 1000, windowScale: 14 }));
    host.connects();
    host.writes(big(100_000));
    guest.receives(anySynAck());
    guest.sends(ack({ window: 1 })); // 16 KiB
    guest.receivesStream(big(100_000).subarray(0, 16_060));
  });

  test('a shift beyond 14 counts as 14 (RFC 7323 §2.3)', () => {
    const { guest, host } = established({}, syn({ windowScale: 15 }));
    guest.sends(ack({ window: 1 }));
    host.writes(big(100_000));
    guest.receivesStream(big(100_000).subarray(0, 16_060));
  });

  test('without window scaling it is what the field says', () => {
    const { guest, host } = established({}, { flags: syn().flags, seq: 0, mss: 1460 });
    guest.sends(ack({ window: 5000 }));
    host.writes(big(9000));
    guest.receivesStream(big(9000).subarray(0, 4380));
  });

  test('an old segment does not move it (RFC 9293 §3.10.7.4)', () => {
    const { guest, host } = established();
    guest.sends(data('abc'), data('def', { window: 100 }));
    guest.sends(ack({ seq: 2, window: 0 }));
    guest.inbox.length = 0;
    host.writes('x');
    guest.receives(data('x'));
  });

  test('never more than the cap is in flight', () => {
    const { guest, host } = established({ arenaBytes: 16 << 20 }, syn({ windowScale: 14 }));
    guest.sends(ack({ window: 65_535 }));
    host.writes(big(3 * IN_FLIGHT_CAP));
    const inFlight = guest.inbox.reduce((total, heard) => total + heard.data.length, 0);
    assert.ok(inFlight <= IN_FLIGHT_CAP && inFlight > IN_FLIGHT_CAP - 2 * MAX_SEGMENT, `${inFlight}`);
  });
});

describe('the link of the guest', () => {
  test('has little room: the flow sends what fits, waits, and goes on', () => {
    const made = established();
    const { guest, host, translator } = made;
    guest.linkRoom = 10_000;
    host.writes(big(30_000));
    guest.receivesStream(big(30_000).subarray(0, 8760));
    guest.linkRoom = 1000;
    guest.sends(ack());
    guest.receivesNothing();
    assert.ok(translator.pollAt() <= made.nowMs + 1, 'the loop looks again soon');
    guest.linkRoom = 1 << 20;
    made.passes(1);
    guest.receivesStream(big(30_000).subarray(8760));
    made.passes(1);
    assert.ok(translator.pollAt() > made.nowMs + 1, 'and then sleeps');
  });
});

test('a socket with very much to say takes turns with others', () => {
  const made = established({ arenaBytes: 16 << 20 }, syn({ mss: 48 }));
  const { guest, host, translator } = made;
  guest.sends(ack({ window: 8192 }));
  host.appends(big(PUMP_BUDGET * 65_000));
  translator.onHostReadable(host.flow, made.nowMs);
  assert.equal(guest.inbox.length, PUMP_BUDGET);
  assert.equal(translator.busy, true);
  assert.ok(translator.pollAt() <= made.nowMs + 1);
  translator.poll(made.nowMs);
  assert.equal(translator.busy, false);
});

describe('the socket fails', () => {
  test('while it is read: the guest is reset', () => {
    const { guest, host, translator } = established();
    host.socket.errno = 104;
    translator.onHostReadable(host.flow, 0);
    assert.deepEqual(
      guest.inbox.map((heard) => heard.flags),
      [0x14],
    );
    assert.equal(translator.size, 0);
  });
});
