import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_PARTIALS, MAX_QUEUES, PARTIAL_LEN, QUEUE_LEN } from '../links/stream-framing.ts';
import { CELL_BYTES, MAX_CELLS } from '../links/shape-queue.ts';
import * as receive from '../stack/tcp/receive-queue.ts';
import { ARENA_BYTES } from './arena-bytes.ts';
import { EngineBench } from './bench.fixture.ts';
import { MAX_PORTS } from './guests.ts';

/** A pool aligns each of its buffers. */
const ALIGNMENT = 64; // bytes
const pool = (count: number, size: number): number => count * (size + ALIGNMENT);

test('the arena holds every pool at its bound, beside what the engine takes at its start', () => {
  const bench = new EngineBench();
  const pools =
    pool(MAX_QUEUES, QUEUE_LEN) +
    pool(MAX_PARTIALS, PARTIAL_LEN) +
    pool(MAX_CELLS, CELL_BYTES) +
    pool(receive.MAX_QUEUES, receive.QUEUE_LEN);
  assert.ok(bench.sys.arena.used + pools <= ARENA_BYTES, `${bench.sys.arena.used} and ${pools} bytes`);
});

test('every port of a network can have frames queued, or half received, at the same time', () => {
  assert.ok(MAX_QUEUES >= MAX_PORTS);
  assert.ok(MAX_PARTIALS >= MAX_PORTS);
});
