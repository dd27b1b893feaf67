import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FLOOD_BURST_BYTES, FloodShare } from './flood-share.ts';

const COPIES = 15;
const LEN = 65_534;

test('a burst costs no rest', () => {
  const share = new FloodShare();
  for (let bytes = 0; bytes + 256 * 577 <= FLOOD_BURST_BYTES; bytes += 256 * (65 + 512)) share.charge(256, 65, 1000);
  assert.equal(share.restMs(1000), 0);
});

test('what is beyond is waited for, and then forgotten', () => {
  const share = new FloodShare();
  for (let i = 0; i < 4; i++) share.charge(COPIES, LEN, 1000);
  const rest = share.restMs(1000);
  assert.ok(rest > 0 && rest <= 50, `${rest} ms`);
  assert.equal(share.restMs(1000 + rest), 0);
});

test('no rest is longer than 50 ms, however large the network', () => {
  const share = new FloodShare();
  share.charge(1023, LEN, 0);
  assert.equal(share.restMs(0), 50);
});

test('a clock that stands or steps back gives nothing', () => {
  const share = new FloodShare();
  for (let i = 0; i < 4; i++) share.charge(COPIES, LEN, 1000);
  assert.equal(share.restMs(500), share.restMs(1000));
});

test('a storm that rests when told copies no more than 256 KiB a ms in the long run', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 60, max: LEN }), (copies, len) => {
      const share = new FloodShare();
      let bytes = 0;
      for (let now = 0; now < 2000; now += Math.max(share.restMs(now), 1)) {
        for (let i = 0; i < 64 && share.restMs(now) === 0; i++) {
          share.charge(copies, len, now);
          bytes += copies * len;
        }
      }
      assert.ok(bytes <= 2051 * 256 * 1024 + FLOOD_BURST_BYTES + copies * len, `${bytes} bytes`);
    }),
  );
});
