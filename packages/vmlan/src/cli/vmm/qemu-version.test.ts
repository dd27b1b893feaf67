import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasStream, parseQemuVersion, reconnectOption } from './qemu-version.ts';

test('versions as QEMU and people write them', () => {
  const table: [string, { major: number; minor: number } | null][] = [
    ['QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright', { major: 7, minor: 2 }],
    ['QEMU emulator version 10.0.13', { major: 10, minor: 0 }],
    ['9.2', { major: 9, minor: 2 }],
    ['8.1.0', { major: 8, minor: 1 }],
    ['nine', null],
    ['', null],
    ['9', null],
  ];
  for (const [text, want] of table) assert.deepEqual(parseQemuVersion(text), want, text);
});

test('how a stream client comes back, by version', () => {
  const table: [string, string | null][] = [
    ['7.2', null],
    ['7.9', null],
    ['8.0', 'reconnect=1'],
    ['9.1', 'reconnect=1'],
    ['9.2', 'reconnect-ms=200'],
    ['10.0', 'reconnect-ms=200'],
  ];
  for (const [text, want] of table) assert.equal(reconnectOption(parseQemuVersion(text)), want, text);
  assert.equal(reconnectOption(null), null);
});

test('stream sockets came with 7.2', () => {
  assert.deepEqual(
    ['6.9', '7.1', '7.2', '8.0'].map((text) => hasStream(parseQemuVersion(text)!)),
    [false, false, true, true],
  );
});
