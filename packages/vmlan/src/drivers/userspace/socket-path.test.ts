import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openLibc } from '../../sys/libc.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_STREAM } from '../../sys/constants.ts';
import { SockAddr } from '../../sys/sockaddr.ts';
import { clearPath, removeSocket } from './socket-path.ts';

const directory = mkdtempSync('/tmp/vmlan-path-');
after(() => rmSync(directory, { recursive: true }));
const sys = openLibc({ arenaBytes: 1 << 18 });
const address = new SockAddr(sys.arena);

/** A bound socket; closed at once it leaves the file that a killed process leaves. */
function bind(path: string, type: number): number {
  const fd = sys.socket(AF_UNIX, type, 0);
  address.setUnix(path);
  assert.equal(sys.bind(fd, address.off, address.len), 0);
  return fd;
}

test('a free path is free', () => clearPath(join(directory, 'free')));

for (const [name, type] of [
  ['stream', SOCK_STREAM],
  ['datagram', SOCK_DGRAM],
] as const) {
  test(`a ${name} socket that a dead process left is removed`, async () => {
    const path = join(directory, `stale-${name}`);
    sys.close(bind(path, type));
    assert.ok(existsSync(path));
    await clearPath(path);
    assert.ok(!existsSync(path));
  });
}

test('a socket that somebody listens at stays', async () => {
  const path = join(directory, 'live');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await assert.rejects(clearPath(path), { code: 'address-in-use', message: /is in use/ });
  assert.ok(existsSync(path));
  server.close();
});

test('a datagram socket that lives stays', async () => {
  const path = join(directory, 'live-dgram');
  const fd = bind(path, SOCK_DGRAM);
  await assert.rejects(clearPath(path), { code: 'address-in-use' });
  sys.close(fd);
});

test('a regular file and a link stay', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  symlinkSync(file, join(directory, 'link'));
  for (const path of [file, join(directory, 'link')]) {
    await assert.rejects(clearPath(path), { code: 'address-in-use', message: /is no socket/ });
    removeSocket(path);
    assert.ok(existsSync(path));
  }
});

test('a directory that is not there is said so', async () => {
  await assert.rejects(clearPath(join(directory, 'none', 'x')), { code: 'not-found', message: /none does not exist/ });
  await assert.rejects(clearPath(join(directory, 'file', 'x')), /ENOTDIR|no directory/);
});

test('our own socket is removed', () => {
  const path = join(directory, 'own');
  sys.close(bind(path, SOCK_STREAM));
  removeSocket(path);
  assert.ok(!existsSync(path));
  removeSocket(path);
});
