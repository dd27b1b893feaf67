/**
 * Where a VMM listens: what is understood, and what is refused with its reason.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serverAddress } from './server-address.ts';

describe('where a machine listens', () => {
  const good: [string, object][] = [
    ['/run/web.sock', { unix: '/run/web.sock' }],
    ['127.0.0.1:4321', { host: '127.0.0.1', port: 4321 }],
    ['localhost:4321', { host: '127.0.0.1', port: 4321 }],
    ['[::1]:65535', { host: '::1', port: 65_535 }],
  ];
  for (const [text, want] of good) test(text, () => assert.deepEqual(serverAddress(text), want));

  const bad = [
    '',
    'web.sock',
    '127.0.0.1',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '::1:80',
    'example.org:80',
    `/${'x'.repeat(107)}`,
  ];
  for (const text of bad) {
    test(`not ${text.slice(0, 20)}`, () =>
      assert.throws(() => serverAddress(text), { name: 'VmlanError', code: 'invalid' }));
  }
});
