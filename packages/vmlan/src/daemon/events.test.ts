import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventHub, MAX_EVENT_READERS, MAX_REMEMBERED_EVENTS } from './events.ts';

test('events reach who listens, with growing ids', () => {
  const hub = new EventHub(1000);
  const seen: number[] = [];
  const subscription = hub.subscribe(({ id }) => seen.push(id));
  hub.publish('network-started', { network: 'lab' }, 'lab runs');
  hub.publish('guest-up', { network: 'lab', guest: 'web' }, 'web is up');
  subscription[Symbol.dispose]();
  hub.publish('warning', {}, 'unheard');
  assert.deepEqual(seen, [1001, 1002]);
});

test('who comes back hears what was missed', () => {
  const hub = new EventHub(0);
  for (const message of ['a', 'b', 'c']) hub.publish('warning', {}, message);
  assert.deepEqual(
    hub.after(1).map(({ message }) => message),
    ['b', 'c'],
  );
  const told = (id: number): string[] => hub.after(id).map(({ type }) => type);
  assert.deepEqual(told(1e12), ['events-missed', ...Array.from({ length: 3 }, () => 'warning')], 'a clock set back');
});

test('memory and readers are bounded', () => {
  const hub = new EventHub(0);
  for (let i = 0; i < MAX_REMEMBERED_EVENTS + 5; i++) hub.publish('warning', {}, '');
  assert.deepEqual([hub.after(0).length, hub.after(0)[0]?.id], [MAX_REMEMBERED_EVENTS, 6]);
  const [missed, first] = hub.after(4);
  assert.deepEqual([missed?.type, missed?.id, first?.id], ['events-missed', 5, 6]);
  assert.equal(hub.after(5)[0]?.id, 6, 'told once');
  const heard = Array.from({ length: MAX_EVENT_READERS }, () => 0);
  const subscriptions = heard.map((_, i) => hub.subscribe(() => heard[i]!++));
  assert.throws(() => hub.subscribe(() => assert.fail()), { code: 'exhausted', hint: /end one/ });
  hub.publish('warning', {}, '');
  assert.ok(heard.every((count) => count === 1));
  subscriptions[0]![Symbol.dispose]();
  hub.subscribe(() => undefined)[Symbol.dispose]();
});
