import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MAX_HALF_OPEN_PER_PORT, RESPONSE_BURST, RESPONSES_PER_SECOND } from './limits.ts';
import { ack, anySynAck, data, established, fin, rst, rstAck, syn, transcript } from './transcript.fixture.ts';

describe('blind attacks (RFC 5961)', () => {
  const resets: { name: string; seq: number; outcome: 'ends' | 'challenge' | 'dropped' }[] = [
    { name: 'exactly where the next byte is expected', seq: 1, outcome: 'ends' },
    { name: 'elsewhere in the window', seq: 2, outcome: 'challenge' },
    { name: 'at the last byte of the window', seq: 65_535, outcome: 'challenge' },
    { name: 'just behind the window', seq: 65_536, outcome: 'dropped' },
    { name: 'just before the window', seq: 0, outcome: 'dropped' },
    { name: 'half the circle away', seq: 0x7fff_ffff, outcome: 'dropped' },
  ];
  for (const { name, seq, outcome } of resets) {
    test(`a reset ${name}`, () => {
      const { guest, translator, counters } = established();
      guest.sends(rst({ seq }));
      assert.equal(translator.size, outcome === 'ends' ? 0 : 1);
      if (outcome === 'challenge') guest.receives(ack({ seq: 1, ack: 1 }));
      guest.receivesNothing();
      assert.equal(counters.get('tcp_challenge_acks'), outcome === 'challenge' ? 1 : 0);
      assert.equal(counters.get('drop_tcp_outside_window'), outcome === 'dropped' ? 1 : 0);
    });
  }

  for (const seq of [0, 1, 100, -5000, 0x7000_0000]) {
    test(`a SYN with ${seq} draws a challenge and nothing else`, () => {
      const { guest, host, translator } = established();
      guest.sends(syn({ seq }));
      guest.receives(ack({ seq: 1, ack: 1 }));
      assert.equal(host.sockets.length, 1);
      assert.equal(translator.size, 1);
      host.writes('still here');
      guest.receives(data('still here'));
    });
  }

  test('the answer to a challenge is a reset that is exact, and ends it', () => {
    const { guest, host } = established();
    guest.sends(syn({ seq: 5000 })); // a guest that was restarted
    guest.receives(ack({ seq: 1, ack: 1 }));
    guest.sends(rst({ seq: 1 }));
    assert.equal(host.socket.closed, 'reset');
    guest.sends(syn({ seq: 5000 }));
    host.connects();
    guest.receives(anySynAck({ ack: 5001 }));
  });

  test('data with an acknowledgement out of range is not taken (§5)', () => {
    const { guest, host } = established();
    guest.sends(data('injected', { ack: 0x4000_0000 }));
    host.hears('');
    guest.receives(ack({ ack: 1 }));
  });
});

describe('limits', () => {
  test('the flow table is full: the SYN is dropped and counted, and a freed place is used', () => {
    const { guest, host, translator, counters } = transcript({ maxFlows: 3 });
    for (let i = 0; i < 5; i++) guest.sends(syn({ guestPort: 1000 + i }));
    assert.equal(translator.size, 3);
    assert.equal(host.sockets.length, 3);
    assert.equal(counters.get('drop_tcp_flow_table_full'), 2);
    guest.receivesNothing();
    guest.sends(rst({ seq: 1, guestPort: 1001 }));
    guest.sends(syn({ guestPort: 1004 }));
    assert.equal(host.sockets.length, 4);
  });

  test('a guest that leaves connections half open', () => {
    const { guest, host, translator, counters } = transcript();
    for (let i = 0; i < MAX_HALF_OPEN_PER_PORT + 10; i++) guest.sends(syn({ guestPort: 1000 + i }));
    assert.equal(translator.size, MAX_HALF_OPEN_PER_PORT);
    assert.equal(counters.get('drop_tcp_guest_limit'), 10);
    const other = { ...guest.port, id: 2 };
    guest.port = other;
    guest.sends(syn({ guestPort: 9 }));
    assert.equal(translator.size, MAX_HALF_OPEN_PER_PORT + 1, 'costs no other guest anything');
    host.connects();
    guest.receives(anySynAck());
    translator.closePort(other);
    assert.equal(translator.size, MAX_HALF_OPEN_PER_PORT);
  });

  test('what opens completely no longer counts as half open', () => {
    const { guest, host, translator, counters } = transcript();
    for (let i = 0; i < 2 * MAX_HALF_OPEN_PER_PORT; i++) {
      guest.sends(syn({ guestPort: 1000 + i }));
      host.connects();
      guest.receives(anySynAck());
      guest.sends(ack({ guestPort: 1000 + i, seq: 1, ack: 1 }));
    }
    assert.equal(translator.size, 2 * MAX_HALF_OPEN_PER_PORT);
    assert.equal(counters.get('drop_tcp_guest_limit'), 0);
  });

  test('refused connections leave nothing that counts', () => {
    const { guest, host, translator, counters } = transcript();
    for (let i = 0; i < 2 * MAX_HALF_OPEN_PER_PORT; i++) {
      guest.sends(syn({ guestPort: 1000 + i }));
      host.refuses(111);
    }
    assert.equal(guest.inbox.length, 2 * MAX_HALF_OPEN_PER_PORT);
    assert.equal(translator.size, 0);
    assert.equal(counters.get('drop_tcp_guest_limit'), 0);
  });

  test('answers to segments of no flow come at a bounded rate', () => {
    const made = transcript();
    const { guest, counters } = made;
    for (let i = 0; i < RESPONSE_BURST + 100; i++) guest.sends(ack({ seq: i, ack: i }));
    assert.equal(guest.inbox.splice(0).length, RESPONSE_BURST);
    assert.equal(counters.get('drop_tcp_response_rate'), 100);
    made.passes(100);
    for (let i = 0; i < RESPONSE_BURST; i++) guest.sends(ack({ seq: i, ack: i }));
    assert.equal(guest.inbox.length, RESPONSES_PER_SECOND / 10);
  });

  test('challenges come at the same rate', () => {
    const { guest } = established();
    for (let i = 0; i < RESPONSE_BURST + 100; i++) guest.sends(rst({ seq: 2 }));
    assert.equal(guest.inbox.length, RESPONSE_BURST);
  });
});

test('any segments in any order neither throw nor leave a broken table', () => {
  const near = fc.oneof(fc.integer({ min: -3, max: 12 }), fc.constantFrom(65_535, 65_536, 1 << 20, 0x7fff_ffff));
  const segment = fc.record(
    {
      flags: fc.nat(255),
      seq: near,
      ack: near,
      window: fc.constantFrom(0, 1, 1024, 65_535),
      data: fc.constantFrom('', 'a', 'bcd', 'x'.repeat(1400)),
      guestPort: fc.constantFrom(1, 2),
      sack: fc.array(fc.tuple(near, near), { minLength: 1, maxLength: 4 }),
      rawOptions: fc.uint8Array({ minLength: 4, maxLength: 4 }),
      mss: fc.nat(0xffff),
      windowScale: fc.nat(255),
      sackPermitted: fc.boolean(),
    },
    { requiredKeys: ['flags', 'seq', 'ack', 'guestPort'] },
  );
  const small = segment.map((said) => (said.sack === undefined ? said : { ...said, sack: said.sack.slice(0, 2) }));
  const step = fc.oneof(
    { weight: 8, arbitrary: small.map((said) => ({ said })) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('connect', 'write', 'end', 'reset', 'block', 'unblock').map((host) => ({ host })),
    },
    { weight: 1, arbitrary: fc.nat(5000).map((ms) => ({ ms })) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const made = transcript();
      const { guest, host, translator } = made;
      for (const next of steps) {
        if ('said' in next) guest.sends(next.said);
        else if ('ms' in next) made.passes(next.ms);
        else if (host.sockets.length > 0 && host.socket.closed === 'no') act(host, next.host);
      }
      made.passes(3 * 3_600_000);
      assert.equal(translator.size, host.sockets.filter(({ closed }) => closed === 'no').length);
      assert.ok(host.sockets.every(({ closed, flow }) => closed !== 'no' || flow.fd >= 0));
    }),
  );
});

function act(host: ReturnType<typeof transcript>['host'], what: string): void {
  const { socket } = host;
  const connecting = socket.flow.state === 1;
  if (what === 'connect') {
    if (connecting) host.connects();
  } else if (connecting) {
    if (what === 'reset') host.refuses(111);
  } else if (what === 'write') host.writes('some bytes');
  else if (what === 'end') host.ends();
  else if (what === 'reset') host.resets();
  else if (what === 'block') host.takesOnly(1);
  else host.takes(1000);
}

test('segments that make no sense together', () => {
  const { guest, host } = established();
  guest.sends({ flags: 0xff, seq: 1, ack: 1, data: 'x' }); // all flags: a reset first of all
  assert.equal(host.socket.closed, 'reset');
  guest.sends({ flags: 0, seq: 1 }); // none
  guest.receives(rstAck());
  guest.sends(fin({ seq: 1, ack: 1 }));
  guest.receives(rst());
});
