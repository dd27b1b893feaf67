import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { describeOwner, ownerOfPath, ownerOfPort } from './socket-owner.ts';

const directory = mkdtempSync('/tmp/vmlan-owner-');
after(() => rmSync(directory, { recursive: true }));
const me = { pid: process.pid, name: 'node' };

test('of a TCP port, of either family', async () => {
  for (const host of ['127.0.0.1', '::1']) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    assert.deepEqual(ownerOfPort('tcp', (server.address() as AddressInfo).port), me);
    server.close();
  }
});

test('of a UDP port', async () => {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  assert.deepEqual(ownerOfPort('udp', socket.address().port), me);
  assert.equal(ownerOfPort('tcp', socket.address().port), null);
  socket.close();
});

test('of a unix socket, with blanks in its path', async () => {
  const path = join(directory, 'a b.sock');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  assert.deepEqual(ownerOfPath(path), me);
  assert.equal(ownerOfPath(`${path}x`), null);
  server.close();
});

test('is put into words', () => assert.equal(describeOwner({ pid: 812, name: 'nginx' }), 'nginx (pid 812)'));

test('is nobody where nothing is known', () => {
  assert.equal(ownerOfPort('tcp', 80, join(directory, 'no-proc')), null);
});

test('is unknown when its process hides its descriptors, or ends meanwhile', () => {
  const proc = join(directory, 'proc');
  const line = '0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1';
  mkdirSync(join(proc, 'net'), { recursive: true });
  mkdirSync(join(proc, '7', 'fd'), { recursive: true });
  mkdirSync(join(proc, '8'));
  writeFileSync(join(proc, 'net', 'tcp'), `header\n${line}\n`);
  assert.equal(ownerOfPort('tcp', 80, proc), null);
  symlinkSync('socket:[4711]', join(proc, '7', 'fd', '3'));
  assert.deepEqual(ownerOfPort('tcp', 80, proc), { pid: 7, name: 'unknown' });
  writeFileSync(join(proc, '7', 'comm'), 'httpd\n');
  assert.deepEqual(ownerOfPort('tcp', 80, proc), { pid: 7, name: 'httpd' });
});
