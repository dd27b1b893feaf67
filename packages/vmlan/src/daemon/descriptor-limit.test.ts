import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionsWithin } from './descriptor-limit.ts';

test('half of the descriptors are for clients', () => {
  assert.deepEqual([1, 64, 4096, Number.MAX_SAFE_INTEGER].map(connectionsWithin), [1, 32, 1024, 1024]);
});
