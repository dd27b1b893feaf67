import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { TimerWheel } from './timer-wheel.ts';

const TICK_MS = 16;
const TURN_MS = 1024 * TICK_MS;

/** Ids that fire at `nowMs`, in any order. */
function firedBy(wheel: TimerWheel, nowMs: number): number[] {
  const fired: number[] = [];
  wheel.poll(nowMs, (id) => fired.push(id));
  return fired.sort((a, b) => a - b);
}

test('pollAt names the nearest turn of a timer, whatever came and went before it', () => {
  const step = fc.tuple(fc.constantFrom('set', 'cancel', 'pass', 'ask'), fc.nat(7), fc.nat(40_000));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const wheel = new TimerWheel(8, 0);
      let now = 0;
      for (const [what, id, ms] of steps) {
        if (what === 'set') wheel.schedule(id, now + ms);
        else if (what === 'cancel') wheel.cancel(id);
        else if (what === 'ask') wheel.pollAt();
        else firedBy(wheel, (now += ms));
        const deadlines = Array.from({ length: 8 }, (_, other) => wheel.deadline(other)).filter(Number.isFinite);
        if (deadlines.length === 0) assert.equal(wheel.pollAt(), Infinity);
        else assert.ok(wheel.pollAt() <= Math.max(Math.min(...deadlines), now) + TICK_MS);
        assert.ok(wheel.pollAt() > now - TICK_MS);
      }
    }),
  );
});

describe('one timer', () => {
  const table: { name: string; startMs: number; deadlineMs: number; quietMs: number; firesMs: number }[] = [
    { name: 'on a tick', startMs: 0, deadlineMs: 160, quietMs: 159, firesMs: 160 },
    { name: 'between ticks: at the next one', startMs: 0, deadlineMs: 161, quietMs: 175, firesMs: 176 },
    { name: 'already due: with the next tick', startMs: 1000, deadlineMs: 5, quietMs: 1007, firesMs: 1008 },
    { name: 'now: with the next tick', startMs: 1008, deadlineMs: 1008, quietMs: 1023, firesMs: 1024 },
    { name: 'exactly one turn away', startMs: 0, deadlineMs: TURN_MS, quietMs: TURN_MS - 1, firesMs: TURN_MS },
    {
      name: 'many turns away',
      startMs: 7,
      deadlineMs: 5 * TURN_MS + 33,
      quietMs: 5 * TURN_MS + 32,
      firesMs: 5 * TURN_MS + 48,
    },
    {
      name: 'where the tick number no longer fits an int32',
      startMs: 2 ** 36 + 3,
      deadlineMs: 2 ** 36 + 40,
      quietMs: 2 ** 36 + 47,
      firesMs: 2 ** 36 + 48,
    },
  ];
  for (const { name, startMs, deadlineMs, quietMs, firesMs } of table) {
    test(name, () => {
      const wheel = new TimerWheel(4, startMs);
      wheel.schedule(2, deadlineMs);
      assert.equal(wheel.deadline(2), deadlineMs);
      assert.deepEqual(firedBy(wheel, quietMs), []);
      assert.deepEqual(firedBy(wheel, firesMs), [2]);
      assert.equal(wheel.deadline(2), Infinity);
      assert.equal(wheel.size, 0);
      assert.deepEqual(firedBy(wheel, firesMs + 10 * TURN_MS), [], 'once only');
    });
  }

  test('fires also when the clock jumps over its turn', () => {
    const wheel = new TimerWheel(1, 0);
    wheel.schedule(0, 100);
    assert.deepEqual(firedBy(wheel, 50 * TURN_MS), [0]);
  });

  test('does not fire when the clock stands or runs back', () => {
    const wheel = new TimerWheel(1, 1600);
    wheel.schedule(0, 100);
    assert.deepEqual(firedBy(wheel, 1600), []);
    assert.deepEqual(firedBy(wheel, 800), []);
    assert.deepEqual(firedBy(wheel, 1616), [0]);
  });
});

describe('what happens while timers fire', () => {
  test('a timer set again waits for the next tick, even when it is due', () => {
    const wheel = new TimerWheel(1, 0);
    wheel.schedule(0, 16);
    let count = 0;
    wheel.poll(16, (id) => {
      count++;
      wheel.schedule(id, 0);
    });
    assert.equal(count, 1);
    assert.equal(wheel.pollAt(), 32);
    assert.deepEqual(firedBy(wheel, 32), [0]);
  });

  test('a timer set again during a jump of a whole turn waits too', () => {
    const wheel = new TimerWheel(1, 0);
    wheel.schedule(0, 16);
    let count = 0;
    wheel.poll(3 * TURN_MS, (id) => {
      count++;
      wheel.schedule(id, 3 * TURN_MS);
    });
    assert.equal(count, 1);
    assert.deepEqual(firedBy(wheel, 3 * TURN_MS + TICK_MS), [0]);
  });

  test('one that is cancelled by another of its slot does not fire', () => {
    const wheel = new TimerWheel(2, 0);
    wheel.schedule(0, 16);
    wheel.schedule(1, 16);
    const fired: number[] = [];
    wheel.poll(16, (id) => {
      fired.push(id);
      wheel.cancel(1 - id);
    });
    assert.equal(fired.length, 1);
    assert.equal(wheel.size, 0);
    assert.equal(wheel.pollAt(), Infinity);
  });

  test('one that is put off by another of its slot fires at its new time', () => {
    const wheel = new TimerWheel(2, 0);
    wheel.schedule(0, 16);
    wheel.schedule(1, 16);
    const fired: number[] = [];
    wheel.poll(16, (id) => {
      fired.push(id);
      wheel.schedule(1 - id, 320);
    });
    assert.equal(fired.length, 1);
    assert.deepEqual(firedBy(wheel, 319), []);
    assert.deepEqual(firedBy(wheel, 320), [1 - fired[0]!]);
  });
});

describe('pollAt', () => {
  test('is Infinity without timers, and never more than a turn away with one', () => {
    const wheel = new TimerWheel(1, 0);
    assert.equal(wheel.pollAt(), Infinity);
    wheel.schedule(0, 7 * TURN_MS + 1);
    assert.ok(wheel.pollAt() <= TURN_MS);
    wheel.cancel(0);
    wheel.cancel(0);
    assert.equal(wheel.pollAt(), Infinity);
  });

  test('leads to every deadline by itself', () => {
    const wheel = new TimerWheel(3, 5);
    const deadlines = [3 * TURN_MS + 5, 40, 2 * TURN_MS];
    for (const [id, at] of deadlines.entries()) wheel.schedule(id, at);
    const fired: [number, number][] = [];
    for (let at = wheel.pollAt(); at < Infinity; at = wheel.pollAt()) wheel.poll(at, (id) => fired.push([id, at]));
    assert.deepEqual(
      fired.map(([id]) => id),
      [1, 2, 0],
    );
    for (const [id, at] of fired) assert.ok(at >= deadlines[id]! && at <= deadlines[id]! + TICK_MS);
  });
});

// ---- against a plain list

const CAPACITY = 12;
interface Model {
  nowMs: number;
  /** Deadline and the first poll that could fire it, by id. */
  readonly timers: Map<number, { deadlineMs: number; setAtMs: number }>;
}
type WheelCommand = fc.Command<Model, TimerWheel>;

const schedule = (id: number, inMs: number): WheelCommand => ({
  check: () => true,
  run(model, wheel) {
    wheel.schedule(id, model.nowMs + inMs);
    model.timers.set(id, { deadlineMs: model.nowMs + inMs, setAtMs: model.nowMs });
    assert.equal(wheel.deadline(id), model.nowMs + inMs);
  },
  toString: () => `schedule ${id} in ${inMs}`,
});

const cancel = (id: number): WheelCommand => ({
  check: () => true,
  run(model, wheel) {
    wheel.cancel(id);
    model.timers.delete(id);
    assert.equal(wheel.deadline(id), Infinity);
  },
  toString: () => `cancel ${id}`,
});

const tickOf = (ms: number): number => Math.floor(ms / TICK_MS);

const advance = (byMs: number): WheelCommand => ({
  check: () => true,
  run(model, wheel) {
    model.nowMs += byMs;
    const tick = tickOf(model.nowMs);
    const fired = firedBy(wheel, model.nowMs);
    for (const id of fired) assert.ok(model.timers.get(id)!.deadlineMs <= model.nowMs, `${id} was not due`);
    for (const [id, { deadlineMs, setAtMs }] of model.timers) {
      const mustFire = Math.ceil(deadlineMs / TICK_MS) <= tick && tickOf(setAtMs) < tick;
      if (mustFire) assert.ok(fired.includes(id), `${id} is late`);
    }
    assert.equal(new Set(fired).size, fired.length);
    for (const id of fired) model.timers.delete(id);
    assert.equal(wheel.size, model.timers.size);
    const next = wheel.pollAt();
    if (model.timers.size === 0) assert.equal(next, Infinity);
    else for (const { deadlineMs } of model.timers.values()) assert.ok(next <= Math.max(deadlineMs, model.nowMs) + 16);
  },
  toString: () => `advance ${byMs}`,
});

test('any sequence of operations fires what a plain list would', () => {
  const id = fc.nat(CAPACITY - 1);
  const delay = fc.oneof(fc.nat(100), fc.nat(3 * TURN_MS), fc.integer({ min: -50, max: 0 }));
  const step = fc.oneof(fc.nat(40), fc.nat(2 * TURN_MS), fc.constant(TURN_MS));
  const commands = fc.commands(
    [fc.tuple(id, delay).map(([i, ms]) => schedule(i, ms)), id.map(cancel), step.map(advance)],
    { maxCommands: 200 },
  );
  fc.assert(
    fc.property(fc.nat(10 * TURN_MS), commands, (startMs, run) => {
      fc.modelRun(
        () => ({ model: { nowMs: startMs, timers: new Map() }, real: new TimerWheel(CAPACITY, startMs) }),
        run,
      );
    }),
  );
});
