import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, listenUrl, parseListenAddress } from './listen-address.ts';

test('addresses of the loopback interface', () => {
  const table: [string, string | null][] = [
    ['7117', 'http://127.0.0.1:7117'],
    ['127.0.0.1:7117', 'http://127.0.0.1:7117'],
    ['127.3.2.1:0', 'http://127.3.2.1:0'],
    ['localhost:80', 'http://127.0.0.1:80'],
    ['LOCALHOST:80', 'http://127.0.0.1:80'],
    ['[::1]:7117', 'http://[::1]:7117'],
    ...[
      '0.0.0.0:80',
      '192.168.1.5:80',
      '[::]:80',
      '[::ffff:10.0.0.1]:80',
      ':80',
      '',
      'example.com:80',
      '127.0.0.1',
    ].map((text): [string, null] => [text, null]),
    ...['127.0.0.1:65536', '127.0.0.1:-1', '127.0.0.1:80 ', '127.1:80', '[::1]', '2130706433:80'].map(
      (text): [string, null] => [text, null],
    ),
  ];
  for (const [text, want] of table) {
    const address = parseListenAddress(text);
    assert.equal(address === null ? null : listenUrl(address), want, JSON.stringify(text));
  }
});

test('what is loopback', () => {
  for (const host of ['127.0.0.1', '127.255.0.1', '::1', 'localhost']) assert.ok(isLoopback(host), host);
  for (const host of ['128.0.0.1', '0.0.0.0', '::', 'localhost.example', '']) assert.ok(!isLoopback(host), host);
});
