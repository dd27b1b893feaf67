/**
 * Events through the socket for readers that come back: to the same daemon, and to the next one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventView } from '../model/api.ts';
import { CONFIG, TestDaemon } from './daemon.fixture.ts';
import { rawRequest } from './raw-request.fixture.ts';

/** What a reader hears that saw this event last. */
async function heard(daemon: TestDaemon, lastId: number, query = ''): Promise<EventView[]> {
  const { body } = await rawRequest(
    { path: daemon.paths.socket },
    { path: `/v1/events?follow=false${query}`, headers: { 'last-event-id': String(lastId) } },
  );
  return Array.from(body.matchAll(/^data: (.*)$/gm), ([, data]) => JSON.parse(data!) as EventView);
}

const types = (events: readonly EventView[]): string[] => events.map(({ type }) => type);

test('who comes back to the next daemon is told that events are missing, once', async () => {
  await using daemon = await TestDaemon.start(CONFIG);
  await daemon.client.call('createGuest', { body: { name: 'web', network: 'lab' } });
  const before = await heard(daemon, 0);
  const seen = before.at(-1)!;
  assert.equal(seen.type, 'guest-registered');
  assert.deepEqual(await heard(daemon, seen.id), [], 'nothing is missing');
  await daemon.restart();
  await daemon.client.call('createGuest', { body: { name: 'db', network: 'lab' } });
  for (const query of ['', '&network=lab', '&guest=db']) {
    const [missed, ...rest] = await heard(daemon, seen.id, query);
    assert.deepEqual([missed?.type, rest.at(-1)?.type], ['events-missed', 'guest-registered'], query);
    assert.ok(missed!.id > seen.id && rest.every(({ id }) => id > missed!.id), 'ids grow');
    assert.ok(!types(await heard(daemon, missed!.id, query)).includes('events-missed'), 'told once');
  }
  assert.ok(!types(await heard(daemon, 0)).includes('events-missed'), 'who names no event misses none');
});
