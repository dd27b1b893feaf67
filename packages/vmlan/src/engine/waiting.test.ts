import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters } from '../core/counters.ts';
import { FakeKernel } from '../sys/fake/kernel.ts';
import type { Sys } from '../sys/sys.ts';
import { AWAKE_US, SHORT_US, Waiting } from './waiting.ts';

const POLL_US = 1;
const EPOLL = 7;
const MAX_EVENTS = 16;

/** Events come at set times; each poll takes a microsecond, each sleep lasts until the next of them. */
class EpollBench {
  nowUs = 5_000;
  readonly #events: { atUs: number; count: number }[] = [];
  readonly timeouts: number[] = [];
  readonly counters = new Counters();
  readonly sys: Sys = Object.assign(Object.create(new FakeKernel().sys) as Sys, {
    monotonicUs: () => this.nowUs,
    epollWait: (epoll: number, maxEvents: number, timeoutMs: number) => this.#epollWait(epoll, maxEvents, timeoutMs),
  });

  #epollWait(epoll: number, maxEvents: number, timeoutMs: number): number {
    assert.deepEqual([epoll, maxEvents], [EPOLL, MAX_EVENTS]);
    this.timeouts.push(timeoutMs);
    const next = this.#events[0];
    const endUs = this.nowUs + (timeoutMs === 0 ? POLL_US : timeoutMs * 1000);
    if (next === undefined || next.atUs > endUs) {
      this.nowUs = endUs;
      return 0;
    }
    this.#events.shift();
    this.nowUs = timeoutMs === 0 ? endUs : Math.max(next.atUs, this.nowUs);
    return next.count;
  }

  /** Waits at most a second, with `count` events after `us`: what came, how many polls, how many sleeps. */
  wait(waiting: Waiting, us: number, count = 1, timeoutMs = 1000): { n: number; polls: number; sleeps: number } {
    this.#events.push({ atUs: this.nowUs + us, count });
    this.timeouts.length = 0;
    const n = waiting.wait(timeoutMs);
    const sleeps = this.timeouts.filter((ms) => ms > 0).length;
    return { n, polls: this.timeouts.length - sleeps, sleeps };
  }
}

const newWaiting = (bench: EpollBench, awakeUs = AWAKE_US): Waiting =>
  new Waiting(bench.sys, bench.counters, EPOLL, MAX_EVENTS, awakeUs);

describe('waiting', () => {
  test('sleeps at first, and polls after a short wait', () => {
    const bench = new EpollBench();
    const waiting = newWaiting(bench);
    assert.deepEqual(bench.wait(waiting, SHORT_US - 1), { n: 1, polls: 0, sleeps: 1 });
    assert.deepEqual(bench.wait(waiting, 20), { n: 1, polls: 20, sleeps: 0 });
    assert.deepEqual(bench.wait(waiting, 30), { n: 1, polls: 30, sleeps: 0 });
    assert.equal(bench.counters.get('loop_turns_awake'), 2);
  });

  test('falls asleep when nothing comes in time; goes on polling after a nap, not after a long wait', () => {
    for (const [us, next] of [
      [SHORT_US, { n: 1, polls: 0, sleeps: 1 }],
      [SHORT_US - 1, { n: 1, polls: 10, sleeps: 0 }],
    ] as const) {
      const bench = new EpollBench();
      const waiting = newWaiting(bench);
      bench.wait(waiting, 10);
      assert.deepEqual(bench.wait(waiting, us), { n: 1, polls: AWAKE_US / POLL_US, sleeps: 1 });
      assert.deepEqual(bench.wait(waiting, 10), next);
    }
  });

  test('sleeps after several events at once', () => {
    const bench = new EpollBench();
    const waiting = newWaiting(bench);
    bench.wait(waiting, 10);
    assert.deepEqual(bench.wait(waiting, 10, 2), { n: 2, polls: 10, sleeps: 0 });
    assert.deepEqual(bench.wait(waiting, 10, 2), { n: 2, polls: 0, sleeps: 1 });
    assert.deepEqual(bench.wait(waiting, 10), { n: 1, polls: 0, sleeps: 1 });
    assert.deepEqual(bench.wait(waiting, 10), { n: 1, polls: 10, sleeps: 0 });
  });

  test('asks once where it must not wait', () => {
    const bench = new EpollBench();
    const waiting = newWaiting(bench);
    bench.wait(waiting, 10);
    assert.deepEqual(bench.wait(waiting, 10, 1, 0), { n: 0, polls: 1, sleeps: 0 });
  });

  test('never polls where it may not', () => {
    const bench = new EpollBench();
    const waiting = newWaiting(bench, 0);
    for (let i = 0; i < 3; i++) assert.deepEqual(bench.wait(waiting, 10), { n: 1, polls: 0, sleeps: 1 });
  });
});
