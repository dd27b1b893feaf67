/**
 * The short form of the fuzz run: whole engine, hostile guests, kernel in memory.  The long form is `npm run fuzz`.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FuzzHarness } from './harness.ts';

const FRAMES = 60_000;
/** Longer than every time-out but the two hours of keep-alive. */
const QUIET_MS = 30 * 60_000;

describe('hostile guests', () => {
  for (const seed of [1, 2, 3]) {
    test(`seed ${seed}: ${FRAMES} frames change nothing but counters and bounded tables`, () => {
      const harness = new FuzzHarness(seed);
      for (let i = 0; i < 4; i++) {
        harness.run(FRAMES / 4);
        harness.check();
      }
      const { counters } = harness.engine;
      for (const name of [
        'tcp_flows_opened',
        'udp_flows_opened',
        'tcp_bytes_to_guest',
        'icmp_echo_replies',
        'ra_solicited',
        'shape_frames_delayed',
        'shape_frames_reordered',
        'drop_shape_loss',
        'drop_shape_partition',
      ]) {
        assert.ok(counters.get(name) > 0, `${name}: the generator did not get that deep`);
      }
      harness.heal();
      harness.drain(QUIET_MS);
      harness.check();
      assert.equal(harness.engine.udp.size, 0);
      assert.equal(harness.engine.echo.size, 0);
      assert.equal(harness.shaped, 0);
    });
  }

  test('one seed is one run', () => {
    const runs = [5, 5].map((seed) => {
      const harness = new FuzzHarness(seed);
      harness.run(5_000);
      return harness.engine.counters.snapshot();
    });
    assert.deepEqual(runs[0], runs[1]);
  });
});
