/**
 * Shaped lines: how often faults come, that they come the same way again, what waits and for how long, the rate, live
 * changes, and that no frame is lost uncounted.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Arena } from '../core/arena.ts';
import { VALID, fold, pseudo4, sum } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import type { LineShape } from './line-shape.ts';
import { MAX_FRAME_LEN } from './link.ts';
import { FRAME_LEN, ShapeBench, type BenchLine } from './shape.fixture.ts';
import { MAX_CELLS, cellsOf } from './shape-queue.ts';

const DROPS = ['loss', 'partition', 'queue_full', 'rate_queue_full', 'uncuttable', 'link_gone'];

function made(shape: LineShape | null): { bench: ShapeBench; line: BenchLine } {
  const bench = new ShapeBench();
  return { bench, line: bench.line(shape) };
}

const dropped = (bench: ShapeBench): number =>
  DROPS.reduce((total, reason) => total + bench.counters.get(`drop_shape_${reason}`), 0);

/** Whether an IPv4 TCP frame's checksum is right. */
function sumsUp(frame: Uint8Array): boolean {
  const arena = new Arena(new ArrayBuffer(MAX_FRAME_LEN + 256));
  const at = arena.alloc(frame.length) + 64;
  arena.u8.set(frame, at);
  const l4 = at + ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN;
  const len = frame.length - ethernet.HEADER_LEN - ipv4.MIN_HEADER_LEN;
  return fold(sum(arena.view, l4, len, pseudo4(0x0a000001, 0x0a000002, ipv4.PROTO_TCP, len))) === VALID;
}

const inOrder = (numbers: readonly number[]): boolean => numbers.every((n, i) => i === 0 || numbers[i - 1]! <= n);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('what happens to frames', () => {
  test('nothing, without a shape', () => {
    const { line } = made(null);
    line.sendAll(10);
    assert.deepEqual(line.numbers(), upTo(10));
    assert.equal(line.line.isIdle, true);
  });

  for (const { shape, counter, least, most } of [
    { shape: { lossPercent: 10 }, counter: 'drop_shape_loss', least: 850, most: 950 },
    { shape: { lossPercent: 0.5 }, counter: 'drop_shape_loss', least: 985, most: 999 },
    { shape: { duplicatePercent: 10 }, counter: 'shape_frames_duplicated', least: 1050, most: 1150 },
    { shape: { lossPercent: 100 }, counter: 'drop_shape_loss', least: 0, most: 0 },
    { shape: { lossPercent: 100, lossBurst: 4 }, counter: 'drop_shape_loss', least: 0, most: 0 },
    { shape: { duplicatePercent: 100 }, counter: 'shape_frames_duplicated', least: 2000, most: 2000 },
    { shape: { partition: true }, counter: 'drop_shape_partition', least: 0, most: 0 },
  ] satisfies { shape: LineShape; counter: string; least: number; most: number }[]) {
    test(`${JSON.stringify(shape)} of 1000 frames leaves ${least} to ${most}`, () => {
      const { bench, line } = made({ ...shape, seed: 1 });
      line.sendAll(1000);
      const { length } = line.arrivals;
      assert.ok(length >= least && length <= most, `${length} arrived`);
      assert.equal(bench.counters.get(counter), Math.abs(1000 - length));
      assert.ok(inOrder(line.numbers()));
    });
  }

  test('losses in bursts: the share is kept, and they are as long as was asked for', () => {
    const { line } = made({ lossPercent: 5, lossBurst: 8, seed: 3 });
    line.sendAll(100_000);
    const bursts = line.numbers().flatMap((n, i, all) => (i > 0 && n - all[i - 1]! > 1 ? [n - all[i - 1]! - 1] : []));
    const lost = bursts.reduce((total, length) => total + length, 0);
    assert.ok(lost > 4000 && lost < 6000, `${lost} lost`);
    const mean = lost / bursts.length;
    assert.ok(mean > 7 && mean < 9, `${mean} a burst`);
  });

  test('the same seed gives the same faults, another seed others, no seed the random ones', () => {
    const run = (seed: number | undefined): number[] => {
      const { bench, line } = made({ lossPercent: 10, duplicatePercent: 10, reorderPercent: 10, seed });
      line.sendAll(200);
      bench.drain();
      return line.numbers();
    };
    assert.deepEqual(run(7), run(7));
    assert.notDeepEqual(run(7), run(8));
    assert.deepEqual(run(undefined), run(1));
  });

  test('reordering loses nothing and moves a frame by three at most', () => {
    const { bench, line } = made({ reorderPercent: 20, seed: 1 });
    line.sendAll(1000);
    bench.drain();
    const numbers = line.numbers();
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      upTo(1000),
    );
    assert.ok(bench.counters.get('shape_frames_reordered') > 80);
    for (const [at, number] of numbers.entries()) assert.ok(Math.abs(at - number) <= 3, `${number} came as ${at}`);
    assert.ok(!inOrder(numbers));
  });

  test('with a delay, too, frames overtake', () => {
    const { bench, line } = made({ reorderPercent: 20, delayMs: 10, seed: 1 });
    for (let i = 0; i < 500; i++) {
      line.send(i);
      bench.passes(0.5);
    }
    bench.drain();
    assert.equal(line.arrivals.length, 500);
    assert.ok(!inOrder(line.numbers()));
    for (const [at, number] of line.numbers().entries()) assert.ok(Math.abs(at - number) <= 3);
    assert.equal(bench.queue.inUse, 0);
  });

  test('a frame that nobody overtakes leaves by itself', () => {
    const { bench, line } = made({ reorderPercent: 100 });
    line.send(1);
    assert.deepEqual(line.numbers(), []);
    bench.wait();
    assert.deepEqual(line.numbers(), [1]);
    assert.deepEqual(line.waits(), [5]);
  });

  test('corruption turns one bit over, in one of two copies alone', () => {
    const { bench, line } = made({ corruptPercent: 50, duplicatePercent: 100, seed: 1 });
    const plain = bench.line(null);
    line.sendAll(100);
    plain.sendAll(100);
    const bits = line.arrivals.map(({ bytes }, i) => {
      const expected = plain.arrivals[i >> 1]!.bytes;
      return bytes.reduce((n, byte, at) => n + ((byte ^ expected[at]!) === 0 ? 0 : 1), 0);
    });
    assert.ok(bits.every((differing) => differing <= 1));
    assert.equal(bits.filter((differing) => differing === 1).length, bench.counters.get('shape_frames_corrupted'));
    assert.ok(bench.counters.get('shape_frames_corrupted') > 60);
  });

  test('a superframe is cut: a fault hits one segment, and a turned bit shows in the checksum', () => {
    const whole = made({ delayMs: 1 });
    whole.line.sendSuperframe(10_000, 1000);
    whole.bench.drain();
    assert.equal(whole.line.arrivals.length, 10);
    assert.ok(whole.line.arrivals.every(({ bytes }) => sumsUp(bytes)));
    const lossy = made({ lossPercent: 30, seed: 5 }).line;
    lossy.sendSuperframe(10_000, 1000);
    assert.ok(lossy.arrivals.length > 0 && lossy.arrivals.length < 10);
    const corrupting = made({ corruptPercent: 100, seed: 2 }).line;
    for (let i = 0; i < 20; i++) corrupting.sendSuperframe(1000, 1460);
    const wrong = corrupting.arrivals.filter(({ bytes }) => !sumsUp(bytes));
    assert.ok(wrong.length > 15, `${wrong.length} of 20 show it`); // the others were hit before the segment
  });

  test('a superframe that cannot be cut is dropped and counted', () => {
    const { bench, line } = made({ delayMs: 1 });
    const { view } = bench.arena;
    vnetHdr.emit(view, bench.frame - vnetHdr.LEN, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_TCPV4, 54, 1000, 34, 16);
    line.line.pass(bench.frame, 60);
    assert.equal(bench.counters.get('drop_shape_uncuttable'), 1);
  });
});

describe('delay', () => {
  test('keeps order, and each frame arrives when it is due', () => {
    const { bench, line } = made({ delayMs: 20.25 });
    for (let i = 0; i < 50; i++) {
      line.send(i);
      bench.passes(1);
    }
    bench.drain();
    assert.deepEqual(
      line.arrivals.map(({ number, atMs }) => atMs - 1000 - number),
      Array.from({ length: 50 }, () => 20.25),
    );
    assert.equal(bench.queue.inUse, 0);
  });

  for (const { distribution, least, most, mean, deviation } of [
    { distribution: undefined, least: 40, most: 60, mean: 50, deviation: 10 / Math.sqrt(3) },
    { distribution: 'uniform', least: 40, most: 60, mean: 50, deviation: 10 / Math.sqrt(3) },
    { distribution: 'normal', least: 0, most: 110, mean: 50, deviation: 10 },
    { distribution: 'pareto', least: 40, most: 90, mean: 50, deviation: 8 }, // its tail is cut at 4 deviations
  ] as const) {
    test(`jitter of 10 ms around 50, ${distribution ?? 'unless told'}`, () => {
      const { bench, line } = made({ delayMs: 50, jitterMs: 10, distribution, seed: 1 });
      line.sendAll(5000);
      bench.drain();
      const waits = line.waits();
      assert.equal(waits.length, 5000);
      assert.ok(
        Math.min(...waits) >= least && Math.max(...waits) <= most,
        `${Math.min(...waits)} to ${Math.max(...waits)}`,
      );
      const average = waits.reduce((total, wait) => total + wait, 0) / waits.length;
      const spread = Math.sqrt(waits.reduce((total, wait) => total + (wait - average) ** 2, 0) / waits.length);
      assert.ok(Math.abs(average - mean) < 0.6, `mean ${average}`);
      assert.ok(Math.abs(spread - deviation) < 1, `deviation ${spread}`);
      assert.ok(!inOrder(line.numbers()));
    });
  }

  test('jitter beyond the delay does not turn time back', () => {
    const { bench, line } = made({ delayMs: 1, jitterMs: 50, seed: 1 });
    line.sendAll(100);
    bench.drain();
    assert.ok(Math.min(...line.waits()) === 0 && line.arrivals.length === 100);
  });

  test('frames of any length come out as they went in', () => {
    const { bench, line } = made({ delayMs: 5 });
    const plain = bench.line(null);
    for (const [i, len] of [60, 1514, 1984, 1985, 3968, 3969, 9014, MAX_FRAME_LEN].entries()) {
      line.send(i, len);
      plain.send(i, len);
    }
    bench.drain();
    assert.deepEqual(
      line.arrivals.map(({ bytes }) => bytes),
      plain.arrivals.map(({ bytes }) => bytes),
    );
    assert.equal(bench.queue.inUse, 0);
  });
});

describe('rate', () => {
  test('a frame takes its own length to leave, and those behind it wait', () => {
    const { bench, line } = made({ rateBps: 1e6 }); // 125 bytes a millisecond
    line.sendAll(4, 250);
    bench.drain();
    assert.deepEqual(line.waits(), [2, 4, 6, 8]);
  });

  test('ten megabits for ten seconds are a hundred, whatever the sender tries', () => {
    const { bench, line } = made({ rateBps: 10e6 });
    for (let ms = 0; ms < 10_000; ms++) {
      for (let i = 0; i < 2; i++) line.send(i, 1514); // 24 Mbit/s
      bench.passes(1);
    }
    const bits = line.arrivals.filter(({ atMs }) => atMs <= 11_000).length * 1514 * 8;
    assert.ok(Math.abs(bits - 100e6) < 0.2e6, `${bits} bits`);
    assert.ok(bench.counters.get('drop_shape_rate_queue_full') > 10_000);
  });

  test('its queue holds what leaves in 100 ms, and never less than 16 KiB', () => {
    for (const [rateBps, limit] of [
      [100e6, 1_250_000],
      [64_000, 16_384],
    ] as const) {
      const { bench, line } = made({ rateBps });
      line.sendAll(2000, 1000);
      assert.equal(2000 - bench.counters.get('drop_shape_rate_queue_full'), Math.floor(limit / 1000));
    }
  });

  test('a limit of its own; a frame longer than that passes an idle line', () => {
    const { bench, line } = made({ rateBps: 8000, limitBytes: 5000 });
    line.sendAll(10, 1000);
    assert.equal(bench.counters.get('drop_shape_rate_queue_full'), 5);
    bench.drain();
    assert.deepEqual(line.waits(), [1000, 2000, 3000, 4000, 5000]);
    line.send(1, 9000);
    bench.drain();
    assert.equal(line.arrivals.length, 6);
  });

  test('a superframe of 64 KiB counts as what it is cut into', () => {
    const { bench, line } = made({ rateBps: 8e6, limitBytes: 1 << 20 }); // a byte a microsecond
    line.sendSuperframe(60_000, 1000);
    bench.drain();
    assert.equal(line.arrivals.length, 60);
    assert.ok(Math.abs(line.waits().at(-1)! - 60 * 1.054) < 1e-6);
    assert.ok(Math.abs(line.waits()[0]! - 1.054) < 1e-6);
  });

  test('tells who asks how much it takes, so that TCP loses nothing to it', () => {
    const { bench, line } = made({ rateBps: 1e6, limitBytes: 10_000 });
    assert.equal(line.line.plannable(), 9000);
    line.sendAll(3, 1000);
    assert.equal(line.line.plannable(), 6300);
    bench.passes(8);
    assert.equal(line.line.plannable(), 7200);
    assert.equal(bench.line({ partition: true }).line.plannable(), Infinity);
    assert.ok(bench.line({ delayMs: 1 }).line.plannable() > 10e6);
  });
});

describe('what waits', () => {
  test('is due, and waits for the room that the end has', () => {
    const { bench, line } = made({ delayMs: 20 });
    line.sendAll(4);
    line.room = 2 * FRAME_LEN;
    bench.wait();
    assert.deepEqual(line.numbers(), [0, 1]);
    bench.wait();
    line.room = FRAME_LEN;
    bench.wait();
    assert.deepEqual(line.numbers(), [0, 1, 2]);
    line.room = FRAME_LEN;
    bench.drain();
    assert.deepEqual(line.waits(), [20, 20, 22, 23]);
  });

  test('copies wait for room, too, and others behind them', () => {
    const { bench, line } = made({ duplicatePercent: 100 });
    line.room = 3 * FRAME_LEN;
    line.sendAll(2);
    assert.deepEqual(line.numbers(), [0, 0, 1]);
    line.room = 2 * FRAME_LEN;
    line.send(2);
    bench.wait();
    assert.deepEqual(line.numbers(), [0, 0, 1, 1, 2]);
    line.room = FRAME_LEN;
    bench.wait();
    assert.deepEqual(line.numbers(), [0, 0, 1, 1, 2, 2]);
  });

  test('one line never takes all: half is left for the others', () => {
    const { bench, line } = made({ delayMs: 1000 });
    line.sendAll(MAX_CELLS);
    assert.equal(bench.queue.inUse, MAX_CELLS / 2);
    assert.equal(bench.counters.get('drop_shape_queue_full'), MAX_CELLS / 2);
    const other = bench.line({ delayMs: 1000 });
    other.sendAll(100);
    bench.drain();
    assert.equal(other.arrivals.length, 100);
    assert.equal(line.arrivals.length, MAX_CELLS / 2);
    assert.equal(bench.queue.inUse, 0);
  });

  test('a line that has no room does not hold up another', () => {
    const { bench, line } = made({ delayMs: 10 });
    const other = bench.line({ delayMs: 10 });
    line.room = 0;
    line.sendAll(5);
    other.sendAll(5);
    bench.passes(10);
    assert.deepEqual([line.arrivals.length, other.arrivals.length], [0, 5]);
    line.room = Infinity;
    bench.passes(1);
    assert.deepEqual(line.numbers(), upTo(5));
  });

  test('leaves at once, in order, when the shape ends', () => {
    const { bench, line } = made({ delayMs: 1000, jitterMs: 10 });
    line.sendAll(5);
    const due = line.numbers();
    line.line.set(null);
    line.send(5);
    assert.equal(due.length, 0);
    assert.deepEqual(
      line.numbers().toSorted((a, b) => a - b),
      upTo(6),
    );
    assert.equal(line.numbers().at(-1), 5);
    assert.equal(bench.queue.nextAt, Infinity);
    assert.equal(line.line.isIdle, true);
  });

  test('leaves as there is room when the shape ends, and what comes meanwhile stays behind it', () => {
    const { bench, line } = made({ delayMs: 1000 });
    line.sendAll(5);
    line.room = 2 * FRAME_LEN;
    line.line.set(null);
    assert.deepEqual([line.numbers(), line.line.isIdle, line.line.isShaped], [[0, 1], false, false]);
    line.send(5);
    line.room = Infinity;
    bench.passes(1);
    assert.deepEqual(line.numbers(), upTo(6));
    assert.equal(line.line.isIdle, true);
  });

  test('is overtaken by nothing when the delay shrinks, and waits no longer than the new one', () => {
    const { bench, line } = made({ delayMs: 1000 });
    line.sendAll(5);
    bench.passes(100);
    line.line.set({ delayMs: 50 });
    line.send(5);
    bench.drain();
    assert.deepEqual(line.numbers(), upTo(6));
    assert.deepEqual(line.waits(), [150, 150, 150, 150, 150, 150]);
  });

  test('keeps its time when the delay grows', () => {
    const { bench, line } = made({ delayMs: 50 });
    line.send(0);
    line.line.set({ delayMs: 500 });
    line.send(1);
    bench.drain();
    assert.deepEqual(line.waits(), [50, 500]);
  });

  test('a frame that is held for others goes with a partition, and haunts no later one', () => {
    const { bench, line } = made({ reorderPercent: 100, seed: 1 });
    line.sendAll(8);
    line.line.set({ partition: true });
    line.line.set({ delayMs: 1 });
    const before = line.arrivals.length;
    line.sendAll(5);
    bench.drain();
    assert.deepEqual(line.numbers().slice(before), upTo(5));
    assert.equal(bench.queue.inUse, 0);
  });

  test('is dropped and counted by a partition, and by the end of the link', () => {
    const { bench, line } = made({ delayMs: 1000, reorderPercent: 50, seed: 1 });
    line.sendAll(20);
    line.line.set({ partition: true });
    line.sendAll(5);
    assert.equal(bench.counters.get('drop_shape_partition'), 25);
    line.line.set({ delayMs: 10 });
    line.sendAll(7);
    line.room = 0;
    bench.passes(20);
    line.sendAll(3);
    line.line.close();
    assert.equal(bench.counters.get('drop_shape_link_gone'), 10);
    assert.equal(bench.queue.nextAt === Infinity || bench.queue.inUse === 0, true);
    bench.passes(100);
    assert.deepEqual([line.arrivals.length, bench.queue.inUse], [0, 0]);
  });
});

test('no frame is lost uncounted, whatever the shape and its changes', () => {
  const share = fc.constantFrom(0, 0, 10, 50, 100);
  const shape = fc.option(
    fc.record({
      delayMs: fc.constantFrom(0, 0.5, 30),
      jitterMs: fc.constantFrom(0, 20),
      lossPercent: share,
      lossBurst: fc.constantFrom(1, 5),
      duplicatePercent: share,
      reorderPercent: share,
      corruptPercent: share,
      rateBps: fc.constantFrom(undefined, 50_000, 10e6),
      partition: fc.constantFrom(false, false, false, true),
      seed: fc.nat(),
    }),
  );
  const action = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), shape }),
    fc.record({ kind: fc.constant('send' as const), count: fc.nat(40), len: fc.constantFrom(60, 1514, 5000) }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(50) }),
    fc.record({ kind: fc.constant('room' as const), room: fc.constantFrom(0, 5000, Infinity) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
      const bench = new ShapeBench();
      const line = bench.line(null);
      let sent = 0;
      for (const step of actions) {
        if (step.kind === 'set') line.line.set(step.shape);
        else if (step.kind === 'send') {
          for (let i = 0; i < step.count; i++) line.send(sent++, step.len);
        } else if (step.kind === 'pass') bench.passes(step.ms);
        else line.room = step.room;
        assert.ok(line.line.cells >= 0 && line.line.cells === bench.queue.inUse);
      }
      line.room = Infinity;
      bench.drain();
      const lost = dropped(bench) - bench.counters.get('shape_frames_duplicated');
      assert.equal(line.arrivals.length + lost, sent);
      assert.equal(bench.queue.inUse, 0);
      assert.ok(line.arrivals.every(({ bytes }) => cellsOf(bytes.length) >= 1));
    }),
    { numRuns: 300 },
  );
});
