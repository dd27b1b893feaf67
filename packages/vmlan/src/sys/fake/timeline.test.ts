import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Timeline } from './timeline.ts';

describe('virtual time', () => {
  test('events run in the order of their times, then of their making', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ at: fc.integer({ min: 0, max: 50 }), cancel: fc.boolean() })), (entries) => {
        const timeline = new Timeline(10);
        const ran: { at: number; index: number }[] = [];
        const handles = entries.map(({ at }, index) => timeline.at(at, () => ran.push({ at: timeline.now, index })));
        entries.forEach(({ cancel }, index) => cancel && handles[index]!.cancel());
        const want = entries
          .flatMap(({ at, cancel }, index) => (cancel ? [] : [{ at: Math.max(at, 10), index }]))
          .toSorted((a, b) => a.at - b.at || a.index - b.index);
        timeline.advance(100);
        assert.deepEqual(ran, want);
        assert.equal(timeline.now, 110);
        assert.equal(timeline.nextAt, Infinity);
      }),
    );
  });

  test('an event may schedule others, also for now', () => {
    const timeline = new Timeline(0);
    const ran: string[] = [];
    timeline.after(5, () => {
      ran.push(`first at ${timeline.now}`);
      timeline.after(0, () => ran.push(`second at ${timeline.now}`));
      timeline.after(2, () => ran.push(`third at ${timeline.now}`));
    });
    assert.equal(timeline.nextAt, 5);
    timeline.advanceTo(6);
    assert.deepEqual(ran, ['first at 5', 'second at 5']);
    timeline.advanceTo(3);
    assert.equal(timeline.now, 6);
    timeline.advance(1);
    assert.deepEqual(ran.at(-1), 'third at 7');
  });

  test('cancelled events do not pile up, and the others keep their order', () => {
    const timeline = new Timeline(0);
    const ran: number[] = [];
    for (let i = 0; i < 5000; i++) {
      const handle = timeline.after(5000 - i, () => ran.push(i));
      if (i % 10 !== 0) handle.cancel();
    }
    timeline.advance(10_000);
    assert.deepEqual(
      ran,
      Array.from({ length: 500 }, (_, i) => 4990 - 10 * i),
    );
  });

  test('events that schedule each other without end are found out', () => {
    const timeline = new Timeline(0);
    const again = (): void => {
      timeline.after(0, again);
    };
    again();
    assert.throws(() => timeline.runDue(), /without end/);
  });
});
