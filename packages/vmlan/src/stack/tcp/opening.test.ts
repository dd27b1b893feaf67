import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ack, anySynAck, data, rst, rstAck, syn, synAck, transcript, fin } from './transcript.fixture.ts';

const ECONNREFUSED = 111;

for (const family of [4, 6] as const) {
  describe(`opened by the guest, IPv${family}`, () => {
    const mss = family === 4 ? 1460 : 1440;

    test('the SYN-ACK comes when the host has connected, and answers what was offered', () => {
      const { guest, host } = transcript({ family });
      guest.sends(syn());
      guest.receivesNothing();
      host.connects();
      guest.receives(synAck({ seq: 0, ack: 1, mss, windowScale: 7, sackPermitted: true, window: 65_535, gso: 0 }));
      guest.sends(ack(), data('hello'));
      host.hears('hello');
      guest.receives(ack({ seq: 1, ack: 6 }));
      guest.receivesNothing();
    });

    test('nobody listens: RST at once, and nothing is left of the flow', () => {
      const { guest, host, translator } = transcript({ family });
      guest.sends(syn());
      host.refuses(ECONNREFUSED);
      guest.receives(rstAck({ seq: 0, ack: 1, window: 0 }));
      guest.receivesNothing();
      assert.equal(translator.size, 0);
      assert.deepEqual(host.unreachables, []);
    });
  });
}

test('what was not offered is not answered', () => {
  const { guest, host } = transcript();
  guest.sends({ flags: syn().flags, seq: 0, window: 8192, mss: 1000 });
  host.connects();
  guest.receives(anySynAck({ mss: 1460, windowScale: -1, sackPermitted: false }));
});

test('sequence numbers may wrap anywhere', () => {
  for (const isn of [-1, -3, 0x7fff_ffff, 0x7fff_fffd, -0x8000_0000, 0]) {
    const { guest, host } = transcript({ guestIsn: isn, ourIsn: isn });
    guest.sends(syn());
    host.connects();
    guest.receives(synAck());
    guest.sends(data('question'));
    host.hears('question');
    host.writes('answer');
    guest.receives(ack({ ack: 9 }), data('answer', { seq: 1, ack: 9 }));
    guest.sends(fin());
    host.ends();
    guest.receives(ack({ ack: 10 }), fin({ seq: 7, ack: 10 }));
  }
});

describe('the host cannot connect', () => {
  const table: { name: string; errno: number; icmp: boolean; reset: boolean }[] = [
    { name: 'ECONNREFUSED: reset', errno: 111, icmp: false, reset: true },
    { name: 'ENETUNREACH: ICMP', errno: 101, icmp: true, reset: false },
    { name: 'EHOSTUNREACH: ICMP', errno: 113, icmp: true, reset: false },
    { name: 'EACCES: ICMP', errno: 13, icmp: true, reset: false },
    { name: 'EPERM: ICMP', errno: 1, icmp: true, reset: false },
    { name: 'ETIMEDOUT: silence, as from a host that is off', errno: 110, icmp: false, reset: false },
    { name: 'EMFILE: silence, so that the guest tries again', errno: 24, icmp: false, reset: false },
  ];
  for (const { name, errno, icmp, reset } of table) {
    for (const atOnce of [true, false]) {
      test(`${name}${atOnce ? ', at once' : ', later'}`, () => {
        const { guest, host, translator, counters } = transcript();
        if (atOnce) host.openResult = -errno;
        guest.sends(syn());
        if (!atOnce) host.refuses(errno);
        if (reset) guest.receives(rstAck({ seq: 0, ack: 1 }));
        guest.receivesNothing();
        assert.deepEqual(host.unreachables, icmp ? [errno] : []);
        assert.equal(counters.get('drop_tcp_no_descriptor'), errno === 24 ? 1 : 0);
        assert.equal(translator.size, 0);
      });
    }
  }

  test('a socket that fails while it connects counts as refused', () => {
    const { guest, host, translator } = transcript();
    guest.sends(syn());
    translator.onHostError(host.flow, ECONNREFUSED, 0);
    guest.receives(rstAck({ ack: 1 }));
    assert.equal(host.socket.closed, 'fin');
  });
});

describe('while the host connects', () => {
  test('a SYN that is sent again opens nothing else', () => {
    const { guest, host, translator } = transcript();
    guest.sends(syn(), syn());
    guest.sends(syn());
    assert.equal(host.sockets.length, 1);
    assert.equal(translator.size, 1);
    host.connects();
    guest.receives(synAck());
    guest.receivesNothing();
  });

  test('a SYN with another number starts anew', () => {
    const { guest, host, translator } = transcript();
    guest.sends(syn());
    guest.sends(syn({ seq: 5000 }));
    assert.equal(host.sockets.length, 2);
    assert.equal(host.sockets[0]!.closed, 'reset');
    assert.equal(translator.size, 1);
    host.connects();
    guest.receives(synAck({ ack: 5001 }));
  });

  test('a reset ends it', () => {
    const { guest, host, translator } = transcript();
    guest.sends(syn());
    guest.sends(rst({ seq: 1 }));
    assert.equal(host.socket.closed, 'reset');
    assert.equal(translator.size, 0);
    guest.receivesNothing();
  });

  test('anything but SYN and RST is ignored', () => {
    const { guest, host } = transcript();
    guest.sends(syn());
    guest.sends(ack({ seq: 1 }), data('early', { seq: 1 }), fin({ seq: 1 }));
    guest.receivesNothing();
    host.connects();
    guest.receives(synAck());
    host.hears('');
  });
});

describe('between SYN-ACK and ACK', () => {
  const answered = (): ReturnType<typeof transcript> => {
    const made = transcript();
    made.guest.sends(syn());
    made.host.connects();
    made.guest.receives(synAck());
    return made;
  };

  test('a SYN that is sent again is answered again', () => {
    const { guest } = answered();
    guest.sends(syn());
    guest.receives(synAck());
  });

  test('an ACK of something else draws a reset, and the flow waits on', () => {
    const { guest, host } = answered();
    guest.sends(ack({ seq: 1, ack: 77 }));
    guest.receives(rst({ seq: 77 }));
    guest.sends(ack({ seq: 1, ack: 1 }));
    host.writes('there');
    guest.receives(data('there'));
  });

  test('a segment without ACK is ignored', () => {
    const { guest, host } = answered();
    guest.sends({ flags: 0, seq: 1, data: 'x' });
    guest.receivesNothing();
    host.hears('');
  });

  test('an exact reset ends it, another one does not', () => {
    const { guest, host, translator } = answered();
    guest.sends(rst({ seq: 900 }));
    assert.equal(translator.size, 1);
    guest.sends(rst({ seq: 1 }));
    assert.equal(translator.size, 0);
    assert.equal(host.socket.closed, 'reset');
  });

  test('the host gives up: the guest is reset once it knows that it was connected', () => {
    const { guest, host, translator } = answered();
    host.resets();
    guest.receivesNothing();
    guest.sends(ack());
    guest.receives(rstAck({ seq: 1, ack: 1 }));
    assert.equal(translator.size, 0);
  });

  test('data on the ACK is taken', () => {
    const { guest, host } = answered();
    guest.sends(data('first', { seq: 1, ack: 1 }));
    host.hears('first');
    guest.receives(ack({ seq: 1, ack: 6 }));
  });

  test('the SYN-ACK is sent again, each time later, then both sides are reset', () => {
    const made = answered();
    const { guest, host, translator } = made;
    const start = made.nowMs;
    made.passes(120_000);
    const times = guest.inbox.splice(0, 5).map((heard) => {
      assert.equal(heard.flags, synAck().flags);
      return Math.round((heard.atMs - start) / 100) / 10;
    });
    assert.deepEqual(times, [1, 3, 7, 15, 31]);
    guest.receives(rstAck());
    guest.receivesNothing();
    assert.equal(host.socket.closed, 'reset');
    assert.equal(translator.size, 0);
  });
});

test('a SYN with malformed options opens nothing', () => {
  const { guest, host, counters } = transcript();
  guest.sends({ flags: syn().flags, seq: 0, rawOptions: Uint8Array.of(2, 9, 5, 180) }); // MSS, 9 of 4 bytes
  guest.receivesNothing();
  assert.deepEqual(host.sockets, []);
  assert.equal(counters.get('drop_tcp_bad_options'), 1);
});

test('a SYN may come with data; the bytes are sent again when we have not acknowledged them', () => {
  const { guest, host } = transcript();
  guest.sends(syn({ data: 'fast' }));
  host.connects();
  guest.receives(synAck({ ack: 1 }));
  guest.sends(data('fast', { seq: 1 }));
  host.hears('fast');
});
