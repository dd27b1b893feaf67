import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Side } from '../support/peer-exchange.ts';
import { wrong } from './judge.ts';
import { edgesUpTo, plan, type Transfer } from './plan.ts';

const MAX = 64 << 20;
const full = plan({ count: 1000, maxBytes: MAX, seed: 7 });

describe('a plan of transfers', () => {
  test('is made from its seed', () => {
    assert.deepEqual(plan({ count: 1000, maxBytes: MAX, seed: 7 }), full);
    assert.notDeepEqual(plan({ count: 1000, maxBytes: MAX, seed: 8 }), full);
  });

  test('has every edge in both directions, also a short one', () => {
    for (const count of [100, 1000]) {
      const transfers = plan({ count, maxBytes: MAX, seed: 3 });
      assert.equal(transfers.length, count);
      for (const edge of edgesUpTo(MAX)) {
        assert.ok(
          transfers.some(({ down }) => down === edge),
          `${edge} down`,
        );
        assert.ok(
          transfers.some(({ up }) => up === edge),
          `${edge} up`,
        );
      }
    }
  });

  test('stays within its bounds and covers every lane and shape', () => {
    assert.ok(full.every(({ down, up }) => Math.min(down, up) >= 0 && Math.max(down, up) <= MAX));
    const lanes = new Set(full.map(({ mtu, path, family, shape }) => `${mtu} ${path} ${family} ${shape}`));
    assert.equal(lanes.size, 2 * 2 * 2 * 4);
    assert.deepEqual(new Set(full.map(({ mark }) => mark)).size, 1000);
  });
});

describe('a transfer is wrong', () => {
  const transfer: Transfer = { mtu: 1500, path: 'tap', family: 4, shape: 'answer', down: 5, up: 0, mark: 1 };
  const [five, none] = [
    { bytes: 5, sha256: 'a' },
    { bytes: 0, sha256: 'e' },
  ];
  const client: Side = { mark: 1, said: none, heard: five, errno: null };
  const server: Side = { mark: 1, said: five, heard: none, errno: null };
  const cases: { name: string; client?: Side; server?: Side; want: RegExp | null }[] = [
    { name: 'not when both sides agree', client, server, want: null },
    { name: 'when a byte differs', client: { ...client, heard: { ...five, sha256: 'b' } }, server, want: /not those/ },
    { name: 'when a byte is missing', client: { ...client, heard: none }, server, want: /0 of 5 bytes came/ },
    { name: 'when too little was sent', client, server: { ...server, said: none }, want: /0 of 5 bytes were sent/ },
    { name: 'when a side failed', client: { ...client, errno: 'ECONNRESET' }, server, want: /client met ECONNRESET/ },
    { name: 'when a side says nothing', client, want: /no report of the server/ },
  ];
  for (const { name, want, ...sides } of cases) {
    test(name, () => {
      const found = wrong(transfer, sides.client, sides.server);
      if (want === null) assert.equal(found, null);
      else assert.match(found ?? '', want);
    });
  }
});
