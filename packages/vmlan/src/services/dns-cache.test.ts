import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_CACHE_OCTETS, ReplyCache } from './dns-cache.ts';
import type { StoredReply } from './dns-reply.ts';

const reply = (lifetimeS: number, octets = 20, isNegative = false): StoredReply => ({
  bytes: new Uint8Array(octets),
  ttlOffsets: [],
  lifetimeS,
  isNegative,
});

test('replies live as long as their TTL, and a few seconds at most', () => {
  const cache = new ReplyCache(10);
  cache.put('short', reply(3), 1000);
  cache.put('long', reply(86_400), 1000);
  cache.put('gone', reply(86_400, 20, true), 1000);
  cache.put('never', reply(0), 1000);
  assert.equal(cache.get('never', 1000), null);
  assert.equal(cache.get('short', 3999)?.ageS, 2);
  assert.equal(cache.get('short', 4000), null);
  assert.equal(cache.get('long', 30_999)?.ageS, 29);
  assert.equal(cache.get('long', 31_000), null);
  assert.equal(cache.get('gone', 6000), null);
  assert.equal(cache.size, 0);
});

test('the entry used least recently goes first', () => {
  const cache = new ReplyCache(2);
  cache.put('a', reply(9), 0);
  cache.put('b', reply(9), 0);
  cache.get('a', 1);
  cache.put('c', reply(9), 2);
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => cache.get(key, 3) !== null),
    [true, false, true],
  );
});

test('octets are bounded too', () => {
  const cache = new ReplyCache(1_000_000);
  for (let i = 0; i < 100; i++) cache.put(`k${i}`, reply(9, 65_535), 0);
  assert.equal(cache.size, Math.floor(MAX_CACHE_OCTETS / 65_535));
  for (let i = 0; i < 100; i++) cache.put('same', reply(9, 65_535), 0);
  assert.equal(cache.size, Math.floor(MAX_CACHE_OCTETS / 65_535));
});

test('clear, and no cache at all', () => {
  const cache = new ReplyCache(10);
  cache.put('a', reply(9), 0);
  cache.clear();
  assert.equal(cache.get('a', 0), null);
  const none = new ReplyCache(0);
  none.put('a', reply(9), 0);
  assert.equal(none.size, 0);
});
