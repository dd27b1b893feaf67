import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { IN_FLIGHT_CAP, IN_FLIGHT_FAR, MAX_RUN, MAX_SEGMENT } from './limits.ts';
import { type Transcript, ack, data, established, syn } from './transcript.fixture.ts';

const big = (len: number): Uint8Array => Uint8Array.from({ length: len }, (_, i) => (i * 7 + (i >>> 8)) & 0xff);
const ROOM = 1 << 19;

/** A guest of `mtu` whose link lends its place, with a window for all that is written. */
function lending(mtu = 1500, family: 4 | 6 = 4, mss = mtu - (family === 4 ? 40 : 60)): Transcript {
  const made = established({ mtu, family, arenaBytes: 16 << 20 }, syn({ mss, windowScale: 9, sackPermitted: true }));
  made.guest.lends(ROOM);
  made.guest.window = 0xffff;
  made.guest.sends(ack({ window: 0xffff }));
  return made;
}

describe('in place', () => {
  for (const [mtu, family] of [
    [1500, 4],
    [1500, 6],
    [65520, 4],
    [65520, 6],
    [577, 4],
  ] as const) {
    test(`every byte comes once, in segments of the guest's size: MTU ${mtu}, IPv${family}`, () => {
      const { guest, host } = lending(mtu, family);
      const sent = big(700_001);
      host.writes(sent);
      assert.ok(guest.inPlace > 0);
      const sizes = guest.inbox.map((heard) => heard.data.length);
      assert.ok(Math.max(...sizes.slice(1)) <= mtu - (family === 4 ? 40 : 60));
      guest.receivesStream(sent);
      guest.sends(ack());
      assert.equal(host.socket.discarded, sent.length);
    });
  }

  test('whatever is written, and however it is acknowledged', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(200_000), fc.boolean()), { maxLength: 12 }), (writes) => {
        const { guest, host } = lending();
        for (const [len, acknowledged] of writes) {
          host.writes(big(len + 1));
          guest.receivesStream(big(len + 1));
          if (acknowledged) guest.sends(ack());
        }
      }),
      { numRuns: 30 },
    );
  });

  test('PSH is in the last segment of a run alone', () => {
    const { guest, host } = lending();
    host.writes(big(MAX_SEGMENT + 10 * 1460));
    const flags = guest.inbox.map((heard) => heard.flags & 8);
    assert.deepEqual(flags.slice(-10), [0, 0, 0, 0, 0, 0, 0, 0, 0, 8]);
  });

  test('a short answer is read as one segment', () => {
    const { guest, host } = lending();
    host.writes('hello');
    guest.receives(data('hello', { seq: 1 }));
    assert.equal(guest.inPlace, 0);
  });

  test('after the end of the bulk, answers are short again', () => {
    const { guest, host } = lending();
    host.writes(big(300_000));
    guest.receivesStream(big(300_000));
    host.writes('one');
    const before = guest.inPlace;
    host.writes('two');
    assert.equal(guest.inPlace, before);
    guest.receivesStream(new TextEncoder().encode('onetwo'));
  });

  test('what is less than a segment stays within the window', () => {
    const { guest, host } = lending();
    host.writes(big(300_000));
    guest.receivesStream(big(300_000));
    guest.sends(ack({ window: 1 })); // 512 bytes
    host.writes(big(4000));
    guest.receivesStream(big(512));
  });

  test('a full place is no loss: the rest comes the other way', () => {
    const { guest, host } = lending();
    guest.port = { ...guest.port, run: { ...guest.port.run!, runOffset: 0, reserveRun: () => 0 } };
    guest.sends(ack());
    host.writes(big(300_000));
    guest.receivesStream(big(300_000));
    assert.equal(guest.inPlace, 0);
  });

  test('the place is given back when there is nothing to read', () => {
    const { guest, host } = lending();
    host.writes(big(MAX_SEGMENT - (MAX_SEGMENT % 1460))); // all that was asked for: there may be more
    assert.deepEqual([guest.inPlace, guest.runs], [0, 1]);
  });

  test('what is lost is sent again, one segment at a time', () => {
    const { guest, host } = lending();
    host.writes(big(200_000));
    const all = guest.inbox.splice(0);
    guest.ack = all[0]!.seq + all[0]!.data.length;
    guest.sends(ack(), ack(), ack(), ack());
    const again = guest.inbox.shift()!;
    assert.deepEqual([again.seq, again.data.length], [guest.ack, 1460]);
    assert.deepEqual(Buffer.from(again.data), Buffer.from(big(200_000).subarray(again.seq - 1, again.seq - 1 + 1460)));
  });
});

describe('under way', () => {
  const inFlight = ({ host }: Transcript): number => (host.flow.nextToGuest - host.flow.unackedToGuest) | 0;

  test('more where the link bounds it and peeking far costs nothing', () => {
    const made = lending();
    made.host.writes(big(IN_FLIGHT_FAR + (1 << 20)));
    made.passes(1);
    assert.ok(inFlight(made) <= IN_FLIGHT_FAR && inFlight(made) > IN_FLIGHT_FAR - MAX_RUN, `${inFlight(made)}`);
  });

  test('the usual where every peek passes what was peeked before', () => {
    const made = lending();
    made.host.peeksFar = false;
    made.host.writes(big(2 * IN_FLIGHT_CAP));
    made.passes(1);
    assert.ok(inFlight(made) <= IN_FLIGHT_CAP);
    assert.equal(made.guest.inPlace, 0);
  });
});
