/**
 * A guest whose link takes nothing: a machine that is paused. Its flows wait for it, and cost nothing meanwhile.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEEP_ALIVE_IDLE, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TRIES, MAX_RETRIES, STARVED_MAX } from './limits.ts';
import { ack, data, established, rstAck, syn } from './transcript.fixture.ts';

const MSS = 1000;
const HOUR_MS = 3_600_000;
const bytes = (len: number): Uint8Array => new Uint8Array(len).fill(7);

/** Five segments are under way, five more wait in the host's socket, and the guest stands still. */
function stuck(): ReturnType<typeof established> {
  const made = established({}, syn({ mss: MSS }));
  made.guest.linkRoom = 5 * MSS + 200;
  made.host.writes(bytes(10 * MSS));
  made.guest.receives(data(bytes(5 * MSS)));
  made.guest.linkRoom = 0;
  return made;
}

test('an hour changes nothing: then it goes on where it was', () => {
  const made = stuck();
  const { guest, host, translator } = made;
  made.passes(HOUR_MS);
  guest.receivesNothing();
  assert.equal(translator.size, 1);
  assert.ok(host.flow.retries < MAX_RETRIES);
  guest.linkRoom = 1 << 20;
  made.passes(STARVED_MAX);
  guest.sends(ack({ ack: 5001 }));
  guest.receives(data(bytes(5 * MSS), { seq: 5001 }));
  assert.equal(host.socket.closed, 'no');
});

test('after as long a silence as ends an idle conversation, this one ends', () => {
  const made = stuck();
  made.passes(KEEP_ALIVE_IDLE + KEEP_ALIVE_TRIES * KEEP_ALIVE_INTERVAL - 1000);
  assert.equal(made.translator.size, 1);
  made.passes(61_000);
  made.guest.receives(rstAck());
  assert.equal(made.translator.size, 0);
  assert.equal(made.host.socket.closed, 'reset');
});

test('the loop wakes ever more slowly for it, and soon again once something moves', () => {
  const made = stuck();
  const { guest, translator } = made;
  const waits: number[] = [];
  for (let i = 0; i < 10; i++) {
    const at = translator.pollAt();
    waits.push(at - made.nowMs);
    made.nowMs = at;
    translator.poll(at);
  }
  assert.deepEqual(
    waits,
    [1, 2, 4, 8, 16, 32, 64, 64, 64, 64].map((ms) => Math.min(ms, STARVED_MAX)),
  );
  guest.linkRoom = 2 * MSS;
  made.passes(STARVED_MAX);
  assert.equal(translator.pollAt() - made.nowMs, 1);
});
