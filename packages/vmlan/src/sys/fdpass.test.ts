import assert from 'node:assert/strict';
import { existsSync, fstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { AF_UNIX, SOCK_STREAM, SOL_SOCKET } from './constants.ts';
import { receiveFd, sendFd } from './fdpass.ts';
import { openLibc } from './libc.ts';
import { SockAddr } from './sockaddr.ts';

const directory = mkdtempSync('/tmp/vmlan-fdpass-');
after(() => rmSync(directory, { recursive: true }));
const sys = openLibc({ arenaBytes: 1 << 16 });
let counter = 0;
const freshPath = (): string => join(directory, `${counter++}.sock`);
const inode = (fd: number): number => fstatSync(fd).ino;

const hasCode =
  (code: string, text: RegExp) =>
  (error: unknown): boolean =>
    error instanceof VmlanError && error.code === code && text.test(error.message);

test('a descriptor arrives, is acknowledged, and the path is gone', async () => {
  const path = freshPath();
  const first = sys.socketpair(AF_UNIX, SOCK_STREAM);
  const second = sys.pairSecond();
  const [received] = await Promise.all([receiveFd(sys, path), sendFd(sys, path, second)]);
  assert.notEqual(received, second);
  assert.equal(inode(received), inode(second));
  assert.equal(existsSync(path), false);
  sys.arena.u8.set([1, 2, 3], 64);
  assert.equal(sys.write(received, 64, 3), 3);
  assert.equal(sys.read(first, 128, 10), 3);
  for (const fd of [first, second, received]) assert.equal(sys.close(fd), 0);
});

test('the sender may come first', async () => {
  const path = freshPath();
  const sending = sendFd(sys, path, 0);
  const received = await receiveFd(sys, path);
  await sending;
  assert.equal(inode(received), inode(0));
  sys.close(received);
});

test('ten transfers at once keep their descriptors apart', async () => {
  const rounds = Array.from({ length: 10 }, async () => {
    const path = freshPath();
    const fd = sys.socket(AF_UNIX, SOCK_STREAM, 0);
    const [received] = await Promise.all([receiveFd(sys, path), sendFd(sys, path, fd)]);
    assert.equal(inode(received), inode(fd));
    sys.close(fd);
    sys.close(received);
  });
  await Promise.all(rounds);
});

/** Sends one byte and the descriptors in one message, as a peer with other habits would. */
function sendSeveral(path: string, fds: readonly number[]): number {
  const { arena } = sys;
  const [message, iovec, control] = [arena.alloc(56), arena.alloc(16), arena.alloc(64)];
  const address = new SockAddr(arena).setUnix(path);
  const socket = sys.socket(AF_UNIX, SOCK_STREAM, 0);
  assert.equal(sys.connect(socket, address.off, address.len), 0);
  const length = 16 + 4 * fds.length;
  arena.view.setUint32(control, length, true);
  arena.view.setInt32(control + 8, SOL_SOCKET, true);
  arena.view.setInt32(control + 12, 1, true); // SCM_RIGHTS
  for (const [index, fd] of fds.entries()) arena.view.setInt32(control + 16 + 4 * index, fd, true);
  sys.setIovec(iovec, 0, control, 1);
  sys.setMsghdr(message, 0, 0, iovec, 1, control, length);
  assert.equal(sys.sendmsg(socket, message, 0), 1);
  return socket;
}

test('of several descriptors the first is taken and the others are closed', async () => {
  const path = freshPath();
  const before = readdirSync('/proc/self/fd').length;
  const receiving = receiveFd(sys, path);
  const socket = sendSeveral(path, [0, 1, 2]);
  const received = await receiving;
  assert.equal(inode(received), inode(0));
  sys.close(received);
  sys.close(socket);
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('a peer that sends no descriptor is refused', async () => {
  const path = freshPath();
  const receiving = receiveFd(sys, path);
  const peer = connect(path);
  peer.write('x');
  await assert.rejects(receiving, hasCode('unavailable', /sent no descriptor/));
  peer.destroy();
});

test('a peer that hangs up is refused', async () => {
  const path = freshPath();
  const receiving = receiveFd(sys, path);
  connect(path).end();
  await assert.rejects(receiving, hasCode('unavailable', /sent no descriptor/));
});

test('a receiver that hangs up is reported', async () => {
  const path = freshPath();
  const server = createServer((socket) => socket.resume().end()).listen(path);
  await assert.rejects(sendFd(sys, path, 0), hasCode('unavailable', /did not take the descriptor/));
  server.close();
});

test('waiting ends at the deadline, on both sides', async () => {
  await assert.rejects(receiveFd(sys, freshPath(), { timeoutMs: 20 }), hasCode('timeout', /a descriptor at/));
  await assert.rejects(sendFd(sys, freshPath(), 0, { timeoutMs: 20 }), hasCode('timeout', /a listener at/));
});

test('waiting ends when the signal aborts', async () => {
  const controller = new AbortController();
  const receiving = receiveFd(sys, freshPath(), { signal: controller.signal });
  controller.abort();
  await assert.rejects(receiving, { name: 'AbortError' });
});

test('a path that exists or is too long is refused', async () => {
  const path = freshPath();
  writeFileSync(path, '');
  await assert.rejects(receiveFd(sys, path), hasCode('address-in-use', /exists already/));
  assert.ok(existsSync(path), 'a file that was there is left alone');
  await assert.rejects(receiveFd(sys, `${directory}/${'x'.repeat(120)}`), hasCode('invalid', /at most 107/));
  await assert.rejects(receiveFd(sys, `${directory}/none/s`), hasCode('unavailable', /errno 2/));
});

test('a descriptor that is not open cannot be sent', async () => {
  const path = freshPath();
  const controller = new AbortController();
  const receiving = receiveFd(sys, path, { signal: controller.signal });
  await assert.rejects(sendFd(sys, path, 9999), hasCode('unavailable', /sendmsg to .* errno 9/));
  controller.abort();
  await assert.rejects(receiving);
});
