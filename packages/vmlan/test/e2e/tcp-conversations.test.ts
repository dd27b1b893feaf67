/**
 * How conversations begin, pause and end: half-close, resets, a server that speaks first, many at once, many in a row, a
 * receiver that stops reading, a guest that is gone.
 *
 *   VMLAN_LONG=1      the receivers stop for a minute
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/deadline.ts';
import { LONG } from '../support/needs.ts';
import { INTERNET } from '../support/netns.ts';
import { knownDigest } from '../support/peer-stream.ts';
import { client, clientArgv, type Peers, serve } from '../support/peers.ts';
import { type BedGuest, EngineBed, ready, root } from './engine-bed.ts';

const PAUSE_MS = LONG ? 60_000 : 5000;
const PAUSED_BYTES = 64 << 20; // far more than all buffers on the way
/** What a process may grow by that has seen much traffic: its heap, not the data that waits. */
const GROWTH_BYTES = 24 << 20;
const GONE_MS = 10_000; // the flows of a lost link are kept for five seconds
const BANNER = 'welcome\r\n';
const FAREWELL = 'no more from me\n';

const PORT = {
  echo: 9000,
  greeter: 9001,
  source: 9002,
  sink: 9003,
  witness: 9004,
  farewell: 9005,
  reset: 9006,
  stalled: 9007,
} as const;

for (const kind of ['tap', 'stream'] as const) {
  describe(`TCP over ${kind}`, () => {
    let bed: EngineBed;
    let peers: Peers;
    let witness: Peers;
    let guest: BedGuest;
    const at = (port: number, host: string = INTERNET.server4): { host: string; port: number } => ({ host, port });

    before(async () => {
      if (!root) return;
      bed = await EngineBed.create();
      guest = await bed.guest(kind, 'web');
      peers = await serve(bed.lab.internet, [
        { kind: 'tcp-echo', port: PORT.echo },
        { kind: 'greeter', port: PORT.greeter, banner: BANNER },
        { kind: 'source', port: PORT.source, bytes: PAUSED_BYTES },
        { kind: 'sink', port: PORT.sink },
        { kind: 'reset', port: PORT.reset, banner: FAREWELL },
        { kind: 'stalled', port: PORT.stalled },
      ]);
      witness = await serve(bed.lab.internet, [
        { kind: 'witness', port: PORT.witness },
        { kind: 'witness', port: PORT.farewell, farewell: FAREWELL },
      ]);
    });
    after(async () => {
      await peers?.[Symbol.asyncDispose]();
      await witness?.[Symbol.asyncDispose]();
      await bed?.[Symbol.asyncDispose]();
    });

    for (const host of [INTERNET.server4, INTERNET.server6]) {
      test(`the server speaks first, ${host}`, async (t) => {
        if (!ready(t)) return;
        const text = 'hello';
        assert.equal(await client(guest.namespace, 'converse', { ...at(PORT.greeter, host), text }), BANNER + text);
      });

      test(`the client's half ends first and the answer follows, ${host}`, async (t) => {
        if (!ready(t)) return;
        const { bytes, sha256 } = await client(guest.namespace, 'upload', { ...at(PORT.sink, host), bytes: 100_000 });
        assert.deepEqual({ bytes, sha256 }, knownDigest(100_000));
      });
    }

    test("the server's half ends first and the client goes on", async (t) => {
      if (!ready(t)) return;
      const bytes = 1_000_000;
      assert.equal(await client(guest.namespace, 'outlast', { ...at(PORT.farewell), bytes }), FAREWELL);
      assert.deepEqual(await witness.witnessed(1), { ...knownDigest(bytes), errno: null });
    });

    test('a reset by the guest reaches the server', async (t) => {
      if (!ready(t)) return;
      await client(guest.namespace, 'abandon', { ...at(PORT.witness), bytes: 100_000 });
      const { bytes, errno } = await witness.witnessed(2);
      assert.ok(bytes <= 100_000);
      assert.equal(errno, 'ECONNRESET');
    });

    test('a reset by the server reaches the guest, behind what the server had said', async (t) => {
      if (!ready(t)) return;
      for (let i = 0; i < 3; i++) {
        const { bytes, errno } = await client(guest.namespace, 'untilReset', at(PORT.reset));
        assert.deepEqual({ bytes, errno }, { bytes: FAREWELL.length, errno: 'ECONNRESET' });
      }
    });

    test('1000 connections at once', async (t) => {
      if (!ready(t)) return;
      const { ok, errors } = await client(guest.namespace, 'crowd', { ...at(PORT.echo), count: 1000 });
      assert.deepEqual({ ok, errors }, { ok: 1000, errors: {} });
    });

    // A stream guest has a program of the test in its way, which is not what is tested.
    const count = kind === 'tap' ? 10_000 : 2000;
    test(`${count} connections one after the other`, async (t) => {
      if (!ready(t)) return;
      const { ok, errors, ms } = await client(guest.namespace, 'echoes', { ...at(PORT.echo), count, parallel: 1 });
      assert.deepEqual({ ok, errors }, { ok: count, errors: {} });
      t.diagnostic(`${Math.round(count / (ms / 1000))} connections a second`);
    });

    test(`receivers on both sides that stop for ${PAUSE_MS / 1000} s lose nothing, and nothing piles up`, async (t) => {
      if (!ready(t)) return;
      const before = await bed.residentBytes();
      const uploading = client(guest.namespace, 'upload', { ...at(PORT.stalled), bytes: PAUSED_BYTES });
      const downloading = client(guest.namespace, 'pausedDownload', { ...at(PORT.source), pauseMs: PAUSE_MS });
      const most = await peakUntil(PAUSE_MS);
      peers.resume();
      const expected = knownDigest(PAUSED_BYTES);
      const { bytes, sha256 } = await uploading;
      assert.deepEqual({ bytes, sha256 }, expected);
      assert.deepEqual(await downloading, expected);
      const grown = Math.max(most, await bed.residentBytes()) - before;
      t.diagnostic(`the process grew by ${(grown / 2 ** 20).toFixed(1)} MiB`);
      assert.ok(grown < GROWTH_BYTES, `grew by ${grown} bytes`);
    });

    /** Largest resident size seen within `ms`. */
    async function peakUntil(ms: number): Promise<number> {
      const end = performance.now() + ms;
      let most = 0;
      await until('the end of the pause', ms + 1000, async () => {
        most = Math.max(most, await bed.residentBytes());
        return performance.now() >= end;
      });
      return most;
    }

    if (kind === 'stream') {
      test('a machine that is paused goes on where it was, and costs nothing meanwhile', async (t) => {
        if (!ready(t)) return;
        const transfers = Promise.all([
          client(guest.namespace, 'download', at(PORT.source)),
          client(guest.namespace, 'upload', { ...at(PORT.sink), bytes: PAUSED_BYTES }),
        ]);
        const started = await bed.counter('tcp_bytes_to_guest');
        const moving = async (): Promise<boolean> => (await bed.counter('tcp_bytes_to_guest')) > started + (1 << 20);
        await until('data under way', 10_000, moving);
        bed.pause(guest);
        await delay(1000);
        const turns = await bed.counter('loop_turns');
        await delay(2000);
        assert.ok((await bed.counter('loop_turns')) - turns < 400);
        bed.resume(guest);
        const expected = knownDigest(PAUSED_BYTES).sha256;
        for (const { sha256 } of await transfers) assert.equal(sha256, expected);
      });
    }

    test('a guest that is gone without a word: its flows end, the servers hear of it', async (t) => {
      if (!ready(t)) return;
      const lost = await bed.guest(kind, 'lost');
      const argv = clientArgv('linger', { ...at(PORT.witness), count: 20 });
      const lingering = lost.namespace.start(argv);
      await lingering.waitFor(/lingering/);
      const downloading = lost.namespace.start(clientArgv('pausedDownload', { ...at(PORT.source), pauseMs: 60_000 }));
      await until('all flows', GONE_MS, async () => (await bed.snapshot()).flows.tcp >= 21);
      await bed.vanish(lost);
      const { errno } = await witness.witnessed(2 + 20, GONE_MS);
      assert.equal(errno, 'ECONNRESET');
      const { guests } = await bed.snapshot();
      assert.equal(guests.find(({ nic }) => nic === lost.nic)?.state, 'waiting');
      const { ok } = await client(guest.namespace, 'echoes', { ...at(PORT.echo), count: 10, parallel: 1 });
      assert.equal(ok, 10);
      await downloading.stop('SIGKILL');
    });
  });
}
