import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WINDOW_NEAR } from './limits.ts';
import { ack, bytes, data, established, fin, sameBytes, syn } from './transcript.fixture.ts';

const big = (len: number, first = 0): Uint8Array => Uint8Array.from({ length: len }, (_, i) => (first + i) & 0xff);

describe('in sequence', () => {
  test('goes straight to the host; one acknowledgement for a wake-up', () => {
    const { guest, host } = established();
    guest.sends(data('one '), data('two '), data('three'));
    assert.deepEqual(
      host.socket.outbox.map((part) => part.length),
      [4, 4, 5],
    );
    host.hears('one two three');
    guest.receives(ack({ seq: 1, ack: 14, sack: [] }));
    guest.receivesNothing();
  });

  test('an empty segment is not acknowledged', () => {
    const { guest } = established();
    guest.sends(ack(), ack({ window: 2000 }));
    guest.receivesNothing();
  });

  test('a segment without ACK is dropped', () => {
    const { guest, host } = established();
    guest.sends({ flags: 0, data: 'x', seq: 1 });
    host.hears('');
    guest.receivesNothing();
  });

  test('urgent and push mean nothing: the bytes are in the stream', () => {
    const { guest, host } = established();
    guest.sends(data('a'), { flags: 0x30, data: 'b' });
    host.hears('ab');
  });
});

describe('out of sequence', () => {
  test('a hole: the bytes behind it are kept and reported, and given on when it is filled', () => {
    const { guest, host, queues } = established();
    guest.sends(data('fghij', { seq: 6 }));
    host.hears('');
    guest.receives(ack({ ack: 1, sack: [[6, 11]] }));
    assert.equal(queues.inUse, 1);
    guest.sends(data('abcde', { seq: 1 }));
    host.hears('abcdefghij');
    guest.receives(ack({ ack: 11, sack: [] }));
    assert.equal(queues.inUse, 0, 'an empty queue goes back');
  });

  test('the block that came last is reported first (RFC 2018 §4)', () => {
    const { guest } = established();
    guest.sends(data('x', { seq: 3 }));
    guest.sends(data('x', { seq: 5 }));
    guest.sends(data('x', { seq: 7 }));
    guest.sends(data('x', { seq: 9 }));
    guest.sends(data('x', { seq: 5 }));
    guest.receives(
      ack({ sack: [[3, 4]] }),
      ack({
        sack: [
          [5, 6],
          [3, 4],
        ],
      }),
      ack({
        sack: [
          [7, 8],
          [3, 4],
          [5, 6],
        ],
      }),
      ack({
        sack: [
          [9, 10],
          [3, 4],
          [5, 6],
        ],
      }),
      ack({
        sack: [
          [5, 6],
          [3, 4],
          [7, 8],
        ],
      }),
    );
  });

  test('without SACK there are no blocks, and the bytes are kept all the same', () => {
    const { guest, host } = established({}, syn({ sackPermitted: false }));
    guest.sends(data('world', { seq: 6 }));
    guest.receives(ack({ ack: 1, sack: [] }));
    guest.sends(data('hello', { seq: 1 }));
    host.hears('helloworld');
    guest.receives(ack({ ack: 11 }));
  });

  test('many holes, filled in any order', () => {
    const { guest, host } = established();
    const text = 'abcdefghijklmnopqrst';
    for (const i of [19, 3, 7, 11, 1, 15, 5, 9, 17, 13, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18]) {
      guest.sends(data(text[i]!, { seq: 1 + i }));
    }
    host.hears(text);
    assert.equal(guest.inbox.at(-1)!.ack, 21);
  });

  test('FIN ahead of missing bytes waits for them', () => {
    const { guest, host } = established();
    guest.sends(fin({ seq: 4 }));
    guest.receives(ack({ ack: 1 }));
    assert.equal(host.socket.shut, false);
    guest.sends(data('abc', { seq: 1 }));
    host.hears('abc');
    assert.equal(host.socket.shut, true);
    guest.receives(ack({ ack: 5 }));
  });
});

describe('twice and overlapping', () => {
  test('an old segment is acknowledged again and given to nobody', () => {
    const { guest, host } = established();
    guest.sends(data('hello'));
    guest.sends(data('hello', { seq: 1 }));
    host.hears('hello');
    guest.receives(ack({ ack: 6 }), ack({ ack: 6 }));
  });

  const table: { name: string; parts: [number, string][] }[] = [
    {
      name: 'old bytes before new ones',
      parts: [
        [1, 'abcd'],
        [3, 'cdef'],
      ],
    },
    {
      name: 'one that covers all before it',
      parts: [
        [1, 'ab'],
        [1, 'abcdef'],
      ],
    },
    {
      name: 'over a kept block, from the left',
      parts: [
        [4, 'def'],
        [1, 'abcd'],
      ],
    },
    {
      name: 'over a kept block, wholly',
      parts: [
        [3, 'cd'],
        [1, 'abcdef'],
      ],
    },
    {
      name: 'kept blocks that overlap',
      parts: [
        [3, 'cdef'],
        [2, 'bcd'],
        [1, 'ab'],
      ],
    },
    {
      name: 'kept blocks that touch',
      parts: [
        [5, 'ef'],
        [3, 'cd'],
        [1, 'ab'],
      ],
    },
    {
      name: 'the same block again and again',
      parts: [
        [5, 'ef'],
        [5, 'ef'],
        [1, 'abcd'],
        [5, 'ef'],
      ],
    },
  ];
  for (const { name, parts } of table) {
    test(name, () => {
      const { guest, host } = established();
      for (const [seq, text] of parts) guest.sends(data(text, { seq }));
      host.hears('abcdef');
      assert.equal(guest.inbox.at(-1)!.ack, 7);
      guest.inbox.length = 0;
      guest.sends(data('g', { seq: 7 }));
      host.hears('g');
    });
  }

  test('over a kept block while the host takes only a part', () => {
    const { guest, host, queues } = established();
    guest.sends(data('fg', { seq: 6 }));
    host.takesOnly(6);
    guest.sends(data('abcdefghij', { seq: 1 }));
    host.hears('abcdef');
    guest.receives(ack({ ack: 1 }), ack({ ack: 11, sack: [] }));
    host.takes();
    host.hears('ghij');
    assert.equal(queues.inUse, 0);
  });
});

describe('outside the window', () => {
  test('beyond it: acknowledged, not taken', () => {
    const { guest, host, queues } = established();
    guest.sends(data('x', { seq: 1 + WINDOW_NEAR }));
    host.hears('');
    guest.receives(ack({ ack: 1, sack: [] }));
    assert.equal(queues.inUse, 0);
  });

  test('across its edge: what lies inside is taken', () => {
    const { guest, host } = established();
    guest.sends(data('x')); // the window of a SYN-ACK is never scaled: this one opens all of it
    guest.receives(ack({ ack: 2, window: WINDOW_NEAR >>> 7 }));
    guest.sends(data(big(1400), { seq: 2 + WINDOW_NEAR - 700 }));
    guest.receives(ack({ ack: 2, sack: [[2 + WINDOW_NEAR - 700, 2 + WINDOW_NEAR]] }));
    host.hears('x');
  });
});

describe('the host takes no more', () => {
  test('what it did not take waits, and the window shrinks by it', () => {
    const { guest, host, queues } = established();
    host.takesOnly(1000);
    guest.sends(data(big(1400)));
    guest.receives(ack({ ack: 1401, window: (WINDOW_NEAR - 400) >>> 7 }));
    guest.sends(data(big(1400)), data(big(1400)));
    guest.receives(ack({ ack: 4201, window: (WINDOW_NEAR - 3200) >>> 7 }));
    assert.equal(host.socket.received.length, 1000);
    assert.equal(queues.inUse, 1);
    host.takes();
    assert.equal(host.socket.received.length, 4200);
    sameBytes(host.socket.received.subarray(0, 1400), big(1400));
    guest.receives(ack({ ack: 4201, window: WINDOW_NEAR >>> 7 }));
    assert.equal(queues.inUse, 0);
  });

  test('the window closes, and opens again when a quarter has been taken', () => {
    const { guest, host } = established();
    host.takesOnly(0);
    let seq = 1;
    while (seq <= WINDOW_NEAR) {
      const len = Math.min(32_768, 1 + WINDOW_NEAR - seq);
      guest.sends(data(big(len, seq), { seq }));
      seq += len;
    }
    assert.equal(guest.inbox.at(-1)!.ack, 1 + WINDOW_NEAR);
    assert.equal(guest.inbox.at(-1)!.window, 0);
    guest.inbox.length = 0;
    guest.sends(data('?', { seq }));
    guest.receives(ack({ ack: 1 + WINDOW_NEAR, window: 0 }));
    host.takes(1000);
    guest.receivesNothing();
    host.takes(WINDOW_NEAR / 4);
    guest.receives(ack({ ack: 1 + WINDOW_NEAR }));
    assert.ok(guest.inbox.length === 0);
    host.takes();
    assert.equal(host.socket.received.length, WINDOW_NEAR);
    sameBytes(host.socket.received, big(WINDOW_NEAR, 1));
    guest.receives(ack({ window: WINDOW_NEAR >>> 7 }));
  });

  test('FIN waits for the bytes before it', () => {
    const { guest, host } = established();
    host.takesOnly(2);
    guest.sends(data('abcd'), fin());
    guest.receives(ack({ ack: 6 }));
    assert.equal(host.socket.shut, false);
    host.takes();
    host.hears('abcd');
    assert.equal(host.socket.shut, true);
  });

  test('without a guest that scales, the window is at most 65535', () => {
    const { guest, host } = established({}, { flags: syn().flags, seq: 0 });
    host.takesOnly(0);
    guest.sends(data('abc'));
    guest.receives(ack({ ack: 4, window: 65_535 }));
  });
});

test('no queue is left: what the host does not take is refused and asked for again', () => {
  const { guest, host, queues, counters } = established({ arenaBytes: 80 << 20 });
  while (queues.open(0) >= 0);
  host.takesOnly(3);
  guest.sends(data('abcdef'));
  host.hears('abc');
  guest.receives(ack({ ack: 4, window: 0 }));
  assert.equal(counters.get('tcp_receive_queues_exhausted'), 1);
  guest.sends(data('zz', { seq: 9 }));
  host.takes();
  guest.receives(ack({ ack: 4 }), ack({ ack: 4, window: WINDOW_NEAR >>> 7 }));
  guest.sends(data('def', { seq: 4 }));
  host.hears('def');
});

test('a socket that fails while it is written to resets the guest', () => {
  const { guest, host, translator } = established();
  host.socket.errno = 32; // EPIPE
  guest.sends(data('abc'));
  assert.equal(guest.inbox.length, 1);
  assert.equal(guest.inbox[0]!.flags & 0x04, 0x04);
  assert.equal(translator.size, 0);
});

test('a socket that fails while it is drained resets the guest', () => {
  const { guest, host, translator } = established();
  host.takesOnly(1);
  guest.sends(data('abc'));
  guest.inbox.length = 0;
  host.socket.errno = 104;
  host.takes();
  assert.equal(guest.inbox[0]!.flags & 0x04, 0x04);
  assert.equal(translator.size, 0);
});

test('one byte a segment, a thousand times', () => {
  const { guest, host } = established();
  const text = 'x'.repeat(1000);
  for (let i = 0; i < 1000; i++) guest.sends(data('x'));
  sameBytes(host.socket.received, bytes(text));
  assert.equal(guest.inbox.at(-1)!.ack, 1001);
});
