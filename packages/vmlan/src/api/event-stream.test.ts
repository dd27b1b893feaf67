import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import type { EventView } from '../model/api.ts';
import { MAX_WAITING_BYTES, lastEventId, streamEvents } from './event-stream.ts';
import type { EventSource } from './handlers.ts';

const listeners = new Set<(event: EventView) => void>();
const source: EventSource = {
  subscribe: (listener) => {
    listeners.add(listener);
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  },
};
const server = createServer((_request, response) => streamEvents(response, source, null));
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => server.close().closeAllConnections());

const event = (id: number, message = 'm'): EventView => ({
  id,
  timeMs: 0,
  type: 'warning',
  network: null,
  guest: null,
  message,
});

function open(): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' }, resolve)
      .on('error', reject)
      .end();
  });
}

test('an event is three lines and a blank one', async () => {
  const response = await open();
  assert.equal(response.headers['content-type'], 'text/event-stream');
  let seen = '';
  response.setEncoding('utf8');
  for (const listener of listeners) listener(event(7));
  for await (const chunk of response) {
    seen += String(chunk);
    if (seen.includes('data:')) break;
  }
  assert.match(seen, /event: warning\nid: 7\ndata: \{"id":7,.*\}\n\n$/);
  response.destroy();
});

test('a reader that leaves is forgotten, and so is one that does not read', async () => {
  const response = await open();
  response.pause();
  const closed = new Promise<void>((resolve) => response.once('close', () => resolve()));
  const large = event(1, 'x'.repeat(100_000));
  for (let sent = 0; listeners.size > 0; sent += 100_000) {
    for (const listener of listeners) listener(large);
    await new Promise(setImmediate);
    assert.ok(sent < 100 * MAX_WAITING_BYTES, 'it is cut off');
  }
  response.resume().on('error', () => undefined);
  await closed;
});

test('the id of the last event seen is a number or nothing', () => {
  assert.deepEqual(
    [lastEventId('17'), lastEventId('x'), lastEventId(undefined), lastEventId(['1'])],
    [17, null, null, null],
  );
});
