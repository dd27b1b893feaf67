import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { until } from '../../core/deadline.fixture.ts';
import { giveSocket, sharePeerSockets } from './peer-sockets.ts';

const skip = process.getuid!() !== 0;
const NOBODY = { uid: 65_534, gid: 65_534, name: 'nobody' };

async function listening(t: TestContext, path: string): Promise<Server> {
  const server = createServer();
  t.after(() => void server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

function folder(t: TestContext): string {
  const directory = mkdtempSync('/tmp/vmlan-peers-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('sockets that are there and that come are given away', { skip }, async (t) => {
  const directory = folder(t);
  await listening(t, join(directory, 'early.peer'));
  using _sharing = sharePeerSockets(directory, NOBODY);
  assert.equal(statSync(join(directory, 'early.peer')).uid, NOBODY.uid);
  await listening(t, join(directory, 'late.peer'));
  await listening(t, join(directory, 'other.sock'));
  await until('the socket to be given', 10_000, () => statSync(join(directory, 'late.peer')).uid === NOBODY.uid);
  assert.equal(statSync(join(directory, 'other.sock')).uid, 0);
});

test('nothing but sockets is', { skip }, (t) => {
  const directory = folder(t);
  const file = join(directory, 'precious');
  writeFileSync(file, '');
  symlinkSync(file, join(directory, 'link.peer'));
  linkSync(file, join(directory, 'hard.peer'));
  mkdirSync(join(directory, 'folder.peer'));
  for (const name of ['link.peer', 'hard.peer', 'folder.peer', 'none.peer']) {
    assert.equal(giveSocket(join(directory, name), NOBODY), false);
  }
  assert.equal(statSync(file).uid, 0);
});

test('a folder that goes ends the watching', { skip }, (t) => {
  const directory = folder(t);
  using _sharing = sharePeerSockets(directory, NOBODY);
  rmSync(directory, { recursive: true });
});
