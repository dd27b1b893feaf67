/**
 * Bytes that must arrive as they were sent: sizes around every edge of a segment and a superframe, both ways, both families,
 * small and large MTU, TAP and stream socket.
 *
 *   VMLAN_LONG=1      and 1 GiB each way
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LONG } from '../support/needs.ts';
import { INTERNET } from '../support/netns.ts';
import { knownDigest } from '../support/peer-stream.ts';
import { client, type Peers, serve } from '../support/peers.ts';
import { type BedGuest, EngineBed, ready, root } from './engine-bed.ts';

/** 1460 is the MSS of MTU 1500; 65 535 the longest IP packet. */
const SIZES = [0, 1, 1459, 1460, 1461, 65_535, 65_536, 1 << 20, 64 << 20, ...(LONG ? [1 << 30] : [])];
const SINK = 9100;
const FIRST_SOURCE = 9200;
const TIMEOUT_MS = LONG ? 600_000 : 120_000;
const expected = root ? SIZES.map(knownDigest) : [];

for (const mtu of [1500, 65_520]) {
  describe(`transfers at MTU ${mtu}`, () => {
    let bed: EngineBed;
    let peers: Peers;
    const guests = new Map<string, BedGuest>();

    before(async () => {
      if (!root) return;
      bed = await EngineBed.create({ mtu });
      await Promise.all(
        (['tap', 'stream'] as const).map(async (kind) => guests.set(kind, await bed.guest(kind, kind))),
      );
      peers = await serve(bed.lab.internet, [
        { kind: 'sink', port: SINK },
        ...SIZES.map((bytes, i) => ({ kind: 'source', port: FIRST_SOURCE + i, bytes }) as const),
      ]);
    });
    after(async () => {
      await peers?.[Symbol.asyncDispose]();
      await bed?.[Symbol.asyncDispose]();
    });

    for (const kind of ['tap', 'stream'])
      for (const host of [INTERNET.server4, INTERNET.server6])
        test(`over ${kind} with ${host}`, async (t) => {
          if (!ready(t)) return;
          const argument = { host, downloads: SIZES.map((_, i) => FIRST_SOURCE + i), sink: SINK, uploads: SIZES };
          const { down, up } = await client(guests.get(kind)!.namespace, 'transfers', argument, {
            timeoutMs: TIMEOUT_MS,
          });
          for (const [i, { bytes, sha256 }] of expected.entries()) {
            assert.deepEqual([down[i]!.bytes, down[i]!.sha256], [bytes, sha256], `${bytes} bytes to the guest`);
            assert.deepEqual([up[i]!.bytes, up[i]!.sha256], [bytes, sha256], `${bytes} bytes from the guest`);
          }
          const rate = (ms: number): string => `${((SIZES.at(-1)! * 8) / ms / 1e6).toFixed(1)} Gbit/s`;
          t.diagnostic(`${rate(down.at(-1)!.ms)} to the guest, ${rate(up.at(-1)!.ms)} from it`);
        });
  });
}
