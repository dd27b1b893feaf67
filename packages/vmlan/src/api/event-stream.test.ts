import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as connect } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect as dial } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import type { EventView, EventsQuery } from '../model/api.ts';
import { MAX_WAITING_BYTES, lastEventId, streamEvents } from './event-stream.ts';
import type { EventSource } from './handlers.ts';

const listeners = new Set<(event: EventView) => void>();
const remembered: EventView[] = [];
const source: EventSource = {
  after: (id) => remembered.filter((each) => each.id > id),
  subscribe: (listener) => {
    listeners.add(listener);
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  },
};
const server = createServer((request, response) => streamEvents(response, source, queryOf(request), null));
Object.assign(server, { httpAllowHalfOpen: true }); // as http-server.ts has it
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

const queryOf = ({ url = '/' }: IncomingMessage): EventsQuery =>
  Object.fromEntries(new URL(url, 'http://vmlan').searchParams);

function open(query = ''): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', path: `/?${query}` }, resolve)
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

test('what is remembered, without waiting for more', async () => {
  remembered.push(event(1), { ...event(2), network: 'lab' }, { ...event(3), network: 'lab', guest: 'web' });
  const table: [query: string, want: string[]][] = [
    ['follow=false', []],
    ['after=0&follow=false', ['1', '2', '3']],
    ['after=2&follow=false', ['3']],
    ['after=0&follow=false&network=lab', ['2', '3']],
    ['after=0&follow=false&guest=web', ['3']],
  ];
  for (const [query, want] of table) {
    let seen = '';
    for await (const chunk of (await open(query)).setEncoding('utf8')) seen += String(chunk);
    assert.deepEqual(
      Array.from(seen.matchAll(/^id: (\d+)$/gm), ([, id]) => id),
      want,
      query,
    );
  }
  assert.equal(listeners.size, 0);
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

test('a reader that closes its half of the connection is forgotten', async () => {
  const { port } = server.address() as AddressInfo;
  const socket = dial(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(socket, 'data');
  assert.equal(listeners.size, 1);
  socket.end();
  await once(socket, 'close');
  assert.equal(listeners.size, 0);
});

test('the id of the last event seen is a number or nothing', () => {
  assert.deepEqual(
    [lastEventId('17'), lastEventId('x'), lastEventId(undefined), lastEventId(['1'])],
    [17, null, null, null],
  );
});
