/**
 * The long fuzz run: `npm run fuzz -- --frames 10000000 --seed 1`.
 *
 * Zone: control.  Prints progress, fails on the first broken invariant, and names the seed that shows it again.
 */
import { parseArgs } from 'node:util';
import { FuzzHarness } from './harness.ts';

const CHUNK = 200_000;
const DRAIN_MS = 30 * 60_000;

const { values } = parseArgs({
  options: { frames: { type: 'string', default: '10000000' }, seed: { type: 'string', default: '1' } },
});
const total = Number(values.frames);
const seed = Number(values.seed);
const harness = new FuzzHarness(seed);
const started = performance.now();
let settledHeap = 0;

for (let done = 0; done < total; done += CHUNK) {
  harness.run(Math.min(CHUNK, total - done));
  harness.check();
  globalThis.gc?.();
  const heap = process.memoryUsage().heapUsed;
  if (done === 2 * CHUNK) settledHeap = heap;
  const seconds = (performance.now() - started) / 1000;
  const { tcp, udp, echo } = harness.engine;
  console.log(
    `seed ${seed}: ${harness.frames} frames, ${Math.round(harness.frames / seconds)}/s, heap ${Math.round(heap / 1e6)} MB, ` +
      `tcp ${tcp.size} udp ${udp.size} echo ${echo.size} fds ${harness.kernel.openCount}`,
  );
}
harness.drain(DRAIN_MS);
harness.check();
globalThis.gc?.();
const heap = process.memoryUsage().heapUsed;
console.log(
  `after ${DRAIN_MS / 60_000} quiet minutes: heap ${Math.round(heap / 1e6)} MB, tcp ${harness.engine.tcp.size}, fds ${harness.kernel.openCount}`,
);
console.log(harness.engine.counters.snapshot());
if (settledHeap > 0 && heap > settledHeap * 1.5 + 20e6) {
  console.error(`seed ${seed}: heap grew from ${settledHeap} to ${heap} bytes`);
  process.exit(1);
}
