import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventHub, MAX_EVENT_READERS, MAX_REMEMBERED_EVENTS } from './events.ts';

test('events reach who listens, with growing ids', () => {
  const hub = new EventHub(1000);
  const seen: number[] = [];
  const subscription = hub.subscribe(({ id }) => seen.push(id), null);
  hub.publish('network-started', { network: 'lab' }, 'lab runs');
  hub.publish('guest-up', { network: 'lab', guest: 'web' }, 'web is up');
  subscription[Symbol.dispose]();
  hub.publish('warning', {}, 'unheard');
  assert.deepEqual(seen, [1001, 1002]);
});

test('who comes back hears what was missed', () => {
  const hub = new EventHub(0);
  for (const message of ['a', 'b', 'c']) hub.publish('warning', {}, message);
  const seen: string[] = [];
  hub.subscribe(({ message }) => seen.push(message), 1);
  assert.deepEqual(seen, ['b', 'c']);
});

test('memory and readers are bounded', () => {
  const hub = new EventHub(0);
  for (let i = 0; i < MAX_REMEMBERED_EVENTS + 5; i++) hub.publish('warning', {}, '');
  const remembered: number[] = [];
  hub.subscribe(({ id }) => remembered.push(id), 0);
  assert.deepEqual([remembered.length, remembered[0]], [MAX_REMEMBERED_EVENTS, 6]);
  const heard = Array.from({ length: MAX_EVENT_READERS }, () => 0);
  for (const i of heard.keys()) hub.subscribe(() => heard[i]!++, null);
  const before = remembered.length;
  hub.publish('warning', {}, '');
  assert.equal(remembered.length, before, 'the oldest reader gave way');
  assert.ok(heard.every((count) => count === 1));
});
