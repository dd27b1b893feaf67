/**
 * What a conversation that says nothing costs in memory.
 *
 * Zone: control.  Bytes of the heap after collection, over so many flows that what else moves the heap does not count.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Counters } from '../../core/counters.ts';
import { MAPPED, Path } from '../path.ts';
import { TcpFlows } from './flows.ts';
import { MAX_FLOWS } from './limits.ts';

const FLOWS = 20_000;
/** Measured: 509 bytes a flow. 10 000 flows may take 10 MB in all, with their sockets' bookkeeping. */
const MOST_BYTES = 800;
/** Tables of MAX_FLOWS are made whole, in one go: 40 bytes a key, 28 a timer, 12 for buckets and free ids, 32 for what it carried. */
const MOST_TABLE_BYTES = 120;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapBytes(): { used: number; external: number } {
  collect();
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return { used, external };
}

test('a flow fits its budget, and its place is used again', () => {
  const empty = heapBytes();
  const flows = new TcpFlows(MAX_FLOWS, 1, 0, new Counters());
  const tables = heapBytes();
  assert.ok(
    tables.external - empty.external <= MAX_FLOWS * MOST_TABLE_BYTES,
    `tables: ${tables.external - empty.external}`,
  );

  const path = new Path();
  path.segment = { id: 1, sendTo: () => undefined, flood: () => undefined };
  path.setGuest(0, 0, MAPPED, 0x0a00_0002);
  const openAll = (): void => {
    for (let i = 0; i < FLOWS; i++) {
      path.setRemote(0, 0, MAPPED, 0x0b00_0000 + (i >> 8));
      assert.notEqual(flows.open(path, 1024 + (i & 0xff), 80, 3e9), null); // an uptime beyond 31 bits
    }
  };
  openAll();
  const open = heapBytes();
  const perFlow = (open.used - tables.used) / FLOWS;
  assert.ok(perFlow < MOST_BYTES, `${perFlow} bytes a flow`);

  for (const flow of [...flows.records]) flows.free(flow);
  openAll();
  const again = heapBytes();
  assert.ok(again.used - open.used < FLOWS * 20, `${again.used - open.used} bytes more the second time`);
  assert.equal(flows.size, FLOWS);
});
