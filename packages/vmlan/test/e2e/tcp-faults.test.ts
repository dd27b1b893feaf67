/**
 * Transfers over a bad wire with real kernels at both ends: every byte arrives, whatever the wire does.  How fast is printed,
 * not demanded: towards the host it depends on the guest's own congestion control, and on what else the machine does.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LineShape } from '../../src/engine/control-messages.ts';
import { INTERNET } from '../support/netns.ts';
import { knownDigest } from '../support/peer-stream.ts';
import { client, type Peers, serve } from '../support/peers.ts';
import { type BedGuest, EngineBed, ready, root } from './engine-bed.ts';

const SINK = 9000;
const SOURCE = { 8: 9008, 1: 9001 } as const; // by MiB
const TIMEOUT_MS = 120_000;
const usual: LineShape = { lossPercent: 1, duplicatePercent: 1, reorderPercent: 5 };

const TABLE: { name: string; faults: LineShape; mib: 1 | 8; host: string }[] = [
  { name: '1 % lost, 1 % twice, 5 % out of order', faults: usual, mib: 8, host: INTERNET.server4 },
  { name: 'the same over IPv6', faults: usual, mib: 8, host: INTERNET.server6 },
  { name: 'the same with 20 ms each way', faults: { ...usual, delayMs: 20 }, mib: 8, host: INTERNET.server4 },
  {
    name: 'jitter that reorders everything',
    faults: { lossPercent: 1, delayMs: 10, jitterMs: 5 },
    mib: 1,
    host: INTERNET.server4,
  },
  {
    name: '5 % lost, 2 % with a bit turned over',
    faults: { ...usual, lossPercent: 5, corruptPercent: 2 },
    mib: 1,
    host: INTERNET.server6,
  },
];

describe('transfers over a bad wire', () => {
  let bed: EngineBed;
  let peers: Peers;
  const guests = new Map<string, BedGuest>();

  before(async () => {
    if (!root) return;
    bed = await EngineBed.create();
    await Promise.all((['tap', 'stream'] as const).map(async (kind) => guests.set(kind, await bed.guest(kind, kind))));
    peers = await serve(bed.lab.internet, [
      { kind: 'sink', port: SINK },
      { kind: 'source', port: SOURCE[8], bytes: 8 << 20 },
      { kind: 'source', port: SOURCE[1], bytes: 1 << 20 },
    ]);
  });
  after(async () => {
    await peers?.[Symbol.asyncDispose]();
    await bed?.[Symbol.asyncDispose]();
  });

  for (const kind of ['tap', 'stream'])
    for (const { name, faults, mib, host } of TABLE)
      test(`${kind}: ${name}`, async (t) => {
        if (!ready(t)) return;
        const guest = guests.get(kind)!;
        const fromGuest = { ...faults, seed: 1 };
        const toGuest = { ...faults, seed: 2 };
        await bed.shapes(guest, fromGuest, toGuest);
        const lost = await bed.counter('drop_shape_loss');
        const argument = { host, downloads: [SOURCE[mib]], sink: SINK, uploads: [mib << 20] };
        const { down, up } = await client(guest.namespace, 'transfers', argument, { timeoutMs: TIMEOUT_MS });
        const expected = knownDigest(mib << 20);
        assert.equal(down[0]!.sha256, expected.sha256, 'to the guest');
        assert.equal(up[0]!.sha256, expected.sha256, 'from the guest');
        assert.ok((await bed.counter('drop_shape_loss')) > lost);
        const rate = (ms: number): string => `${Math.round((mib * 8 * 1.048576e6) / ms / 1000)} Mbit/s`;
        t.diagnostic(`${rate(down[0]!.ms)} to the guest, ${rate(up[0]!.ms)} from it`);
      });

  test('without faults again, nothing is lost', async (t) => {
    if (!ready(t)) return;
    const guest = guests.get('stream')!;
    await bed.shapes(guest, null, null);
    const before = await bed.counter('drop_shape_loss');
    const argument = { host: INTERNET.server4, downloads: [SOURCE[8]], sink: SINK, uploads: [8 << 20] };
    await client(guest.namespace, 'transfers', argument);
    assert.equal(await bed.counter('drop_shape_loss'), before);
  });
});
