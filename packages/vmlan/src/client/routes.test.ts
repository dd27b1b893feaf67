import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_ROUTES } from '../model/api.ts';
import { ROUTE_LINES, requestLine } from './routes.ts';

test('the table is the one of the API', () => {
  const lines = Object.entries(API_ROUTES).map(([name, route]) => [name, `${route.method} ${route.path}`]);
  assert.deepEqual(ROUTE_LINES, Object.fromEntries(lines));
});

test('parameters are encoded, queries left out when empty', () => {
  assert.deepEqual(requestLine('getGuest', { name: 'a/b c' }, {}), { method: 'GET', path: '/v1/guests/a%2Fb%20c' });
  assert.deepEqual(requestLine('listGuests', {}, { network: 'lab' }), {
    method: 'GET',
    path: '/v1/guests?network=lab',
  });
  assert.deepEqual(requestLine('listGuests', {}, { network: undefined }), { method: 'GET', path: '/v1/guests' });
});
