import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counters } from '../core/counters.ts';
import type { Source } from '../core/poller.ts';
import * as C from '../sys/constants.ts';
import { FakeKernel } from '../sys/fake/kernel.ts';
import { EventLoop, type Turns } from './loop.ts';

/** A loop over eventfds: each is a source that notes what it hears. */
class LoopBench {
  readonly kernel: FakeKernel = new FakeKernel();
  readonly counters: Counters = new Counters();
  readonly loop: EventLoop;
  readonly heard: string[] = [];
  nextAt = Infinity;
  onPoll: (nowMs: number) => void = () => {};
  readonly #one: number;
  readonly #turns: Turns = { pollAt: () => this.nextAt, poll: (nowMs) => this.onPoll(nowMs) };

  constructor() {
    const { sys } = this.kernel;
    this.loop = new EventLoop(sys, sys.epollCreate(), this.counters);
    this.#one = sys.arena.alloc(8, 8);
    sys.arena.view.setBigUint64(this.#one, 1n, true);
  }

  get now(): number {
    return this.kernel.now;
  }

  /** An eventfd and its registration; `react` runs when it is ready. */
  source(name: string, react: () => void = () => {}, events: number = C.EPOLLIN): { fd: number; token: number } {
    const fd = this.kernel.sys.eventfd();
    const source: Source = {
      onReady: (mask, nowMs) => {
        this.heard.push(`${name} ${mask} ${nowMs}`);
        react();
      },
    };
    return { fd, token: this.loop.add(fd, events, source) };
  }

  signal(...fds: number[]): void {
    for (const fd of fds) this.kernel.sys.write(fd, this.#one, 8);
  }

  turn(maxWaitMs = 0): string[] {
    this.heard.length = 0;
    this.loop.turn(this.#turns, maxWaitMs);
    return [...this.heard];
  }
}

describe('events', () => {
  test('reach their source with the mask and one time for the whole turn', () => {
    const bench = new LoopBench();
    const a = bench.source('a');
    const b = bench.source('b');
    bench.kernel.advance(5);
    bench.signal(a.fd, b.fd);
    assert.deepEqual(bench.turn(), [`a ${C.EPOLLIN} 1005`, `b ${C.EPOLLIN} 1005`]);
    assert.equal(bench.loop.now, 1005);
    assert.equal(bench.counters.get('loop_turns'), 1);
    assert.equal(bench.loop.size, 2);
  });

  test('of a source that was removed earlier in the same batch are dropped', () => {
    const bench = new LoopBench();
    const a = bench.source('a', () => bench.loop.remove(b.token));
    const b = bench.source('b', () => bench.loop.remove(a.token));
    bench.signal(a.fd, b.fd);
    assert.deepEqual(bench.turn(), [`a ${C.EPOLLIN} 1000`]);
    assert.equal(bench.loop.size, 1);
  });

  test('are not taken for those of a source that got the slot meanwhile', () => {
    const bench = new LoopBench();
    let late = { fd: -1, token: -1 };
    const a = bench.source('a', () => {
      bench.loop.remove(b.token);
      late = bench.source('late');
    });
    const b = bench.source('b');
    bench.signal(a.fd, b.fd);
    assert.deepEqual(bench.turn(), [`a ${C.EPOLLIN} 1000`]);
    assert.equal(late.token & 0xfffff, b.token & 0xfffff, 'the slot is used again');
    assert.notEqual(late.token, b.token);
    bench.loop.remove(a.token);
    bench.signal(late.fd);
    assert.deepEqual(bench.turn(), [`late ${C.EPOLLIN} 1000`]);
  });

  test('a token stays good through thousands of others in its slot, and an old one never comes back soon', () => {
    const bench = new LoopBench();
    const first = bench.source('first');
    bench.loop.remove(first.token);
    const tokens = new Set([first.token]);
    for (let i = 0; i < 2047; i++) {
      const { token, fd } = bench.source('next');
      assert.ok(token >= 0 && !tokens.has(token));
      tokens.add(token);
      bench.loop.remove(token);
      bench.kernel.sys.close(fd);
    }
    bench.loop.modify(first.token, C.EPOLLIN);
    bench.loop.remove(first.token); // as often as one likes
    assert.equal(bench.loop.size, 0);
  });

  test('are asked for anew by modify', () => {
    const bench = new LoopBench();
    const a = bench.source('a', undefined, 0);
    bench.signal(a.fd);
    assert.deepEqual(bench.turn(), []);
    bench.loop.modify(a.token, C.EPOLLIN);
    assert.deepEqual(bench.turn(), [`a ${C.EPOLLIN} 1000`]);
    bench.loop.modify(a.token, 0);
    assert.deepEqual(bench.turn(), []);
  });

  test('what epoll refuses is answered with its errno, and its slot is free', () => {
    const bench = new LoopBench();
    const source = { onReady: () => {} };
    assert.equal(bench.loop.add(999, C.EPOLLIN, source), -C.EBADF);
    assert.equal(bench.loop.size, 0);
    const a = bench.source('a');
    assert.equal(a.token, 0);
    assert.equal(bench.loop.add(a.fd, C.EPOLLIN, source), -C.EEXIST);
    bench.loop.modify(-C.EEXIST, C.EPOLLIN); // no token
    bench.loop.remove(-C.EEXIST);
    assert.equal(bench.loop.size, 1);
  });
});

describe('waiting', () => {
  test('ends when something is due, an event comes or patience does', () => {
    const bench = new LoopBench();
    const a = bench.source('a');
    bench.nextAt = 1020;
    bench.turn(100);
    assert.equal(bench.now, 1020);
    bench.nextAt = 1021.4;
    bench.turn(100);
    assert.equal(bench.now, 1022, 'never too early');
    bench.nextAt = Infinity;
    bench.turn(100);
    assert.equal(bench.now, 1122);
    bench.kernel.after(30, () => bench.signal(a.fd));
    bench.turn(100);
    assert.equal(bench.now, 1152);
  });

  test('what is overdue does not wait at all', () => {
    const bench = new LoopBench();
    bench.nextAt = 500;
    bench.turn(100);
    assert.equal(bench.now, 1000);
  });
});

describe('wakeAt', () => {
  test('calls the source once, at its time, with mask 0', () => {
    const bench = new LoopBench();
    const a = bench.source('a');
    bench.loop.wakeAt(a.token, 1050);
    assert.deepEqual(bench.turn(20), []);
    assert.deepEqual(bench.turn(100), ['a 0 1050']);
    assert.deepEqual(bench.turn(100), []);
  });

  test('the later call replaces the earlier one', () => {
    const bench = new LoopBench();
    const a = bench.source('a');
    bench.loop.wakeAt(a.token, 1010);
    bench.loop.wakeAt(a.token, 1030);
    assert.deepEqual(bench.turn(100), ['a 0 1030']);
  });

  test('a source that goes takes its wake with it; one that calls again is called again', () => {
    const bench = new LoopBench();
    let left = 2;
    const a = bench.source('a', () => {
      if (left-- > 0) bench.loop.wakeAt(a.token, bench.loop.now + 10);
      bench.loop.remove(b.token);
    });
    const b = bench.source('b');
    bench.loop.wakeAt(a.token, 1010);
    bench.loop.wakeAt(b.token, 1010);
    assert.deepEqual(bench.turn(100), ['a 0 1010']);
    assert.deepEqual(bench.turn(100), ['a 0 1020']);
    assert.deepEqual(bench.turn(100), ['a 0 1030']);
    assert.deepEqual(bench.turn(5), []);
  });

  test('for now comes with the next turn, behind its events, and without a wait', () => {
    const bench = new LoopBench();
    const order: string[] = [];
    let left = 1;
    const a = bench.source('a', () => {
      order.push('a');
      if (left-- > 0) bench.loop.wakeAt(a.token, bench.loop.now);
    });
    bench.loop.wakeAt(a.token, bench.loop.now);
    assert.deepEqual(bench.turn(100), ['a 0 1000']);
    assert.deepEqual(bench.turn(100), ['a 0 1000'], 'not within the same turn');
    assert.deepEqual(bench.turn(7), []);
    assert.deepEqual(order, ['a', 'a']);
  });

  test('of a registration that is gone does nothing', () => {
    const bench = new LoopBench();
    const a = bench.source('a');
    bench.loop.remove(a.token);
    bench.loop.wakeAt(a.token, 1010);
    assert.deepEqual(bench.turn(100), []);
    assert.deepEqual(bench.turn(100), []);
    assert.equal(bench.now, 1110);
  });
});

describe('flushLater', () => {
  test('comes once, after events, wakes and timers; what a flush asks for comes with the next turn', () => {
    const bench = new LoopBench();
    const order: string[] = [];
    let again = true;
    const target = {
      flush: (nowMs: number) => {
        order.push(`flush ${nowMs}`);
        if (again) bench.loop.flushLater(target);
        again = false;
      },
    };
    const a = bench.source('a', () => {
      order.push('event');
      bench.loop.flushLater(target);
    });
    bench.onPoll = () => void order.push('poll');
    bench.signal(a.fd);
    bench.turn();
    assert.deepEqual(order.splice(0), ['event', 'poll', 'flush 1000']);
    bench.loop.remove(a.token);
    bench.turn(100); // which does not wait
    assert.deepEqual(order.splice(0), ['poll', 'flush 1000']);
    bench.turn();
    assert.deepEqual(order, ['poll']);
  });
});

test('close gives the descriptor back', () => {
  const bench = new LoopBench();
  bench.loop.close();
  assert.equal(bench.kernel.openCount, 0);
});
