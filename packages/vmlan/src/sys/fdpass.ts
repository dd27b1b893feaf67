/**
 * One open descriptor handed from one process to another over a unix socket (man 7 unix, SCM_RIGHTS).
 *
 * Zone: control.  The receiver listens at a path, takes the first descriptor that arrives, answers with one byte and
 * removes the path; the sender returns when that byte is there, so it may end without losing the descriptor.
 * Sockets are non-blocking and looked at every few milliseconds: the transfer happens once per attached interface.
 * The descriptor belongs to the caller and must never be given to a Node stream, which would close it a second time.
 * The path must lie in a directory that only its owner may enter.
 */
import { chmodSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { VmlanError } from '../core/errors.ts';
import {
  AF_UNIX,
  EAGAIN,
  EADDRINUSE,
  ECONNREFUSED,
  EINTR,
  ENOENT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from './constants.ts';
import { SockAddr } from './sockaddr.ts';
import type { Sys } from './sys.ts';

const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSGHDR_LEN = 56; // bytes, struct msghdr on 64-bit
const MSG_CONTROLLEN = 40; // offset in struct msghdr
const IOVEC_LEN = 16;
const CMSGHDR_LEN = 16; // bytes: u64 length, i32 level, i32 type
/** Room for one descriptor exactly: the kernel closes any further one that a peer sends. */
const CONTROL_LEN = CMSGHDR_LEN + 4;
const POLL_INTERVAL_MS = 5;
const DEFAULT_TIMEOUT_MS = 10_000;
const ACK = 0x2b;
const NO_DESCRIPTOR = -0x10000; // below every -errno

export interface FdPassOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of the arena, taken once per table; filled and used within one turn, so transfers may overlap. */
interface Scratch {
  readonly message: number;
  readonly iovec: number;
  readonly control: number;
  readonly byte: number;
  readonly address: SockAddr;
}

const scratchOf = new WeakMap<Sys, Scratch>();

function scratch(sys: Sys): Scratch {
  const known = scratchOf.get(sys);
  if (known !== undefined) return known;
  const { arena } = sys;
  const made = {
    message: arena.alloc(MSGHDR_LEN),
    iovec: arena.alloc(IOVEC_LEN),
    control: arena.alloc(CONTROL_LEN),
    byte: arena.alloc(1),
    address: new SockAddr(arena),
  };
  scratchOf.set(sys, made);
  return made;
}

/** Listens at `path` until one descriptor has come, and acknowledges it. */
export async function receiveFd(sys: Sys, path: string, options: FdPassOptions = {}): Promise<number> {
  const deadline = Date.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const listener = listenAt(sys, path);
  try {
    const peer = await settled(() => sys.accept(listener, 0), `a descriptor at ${path}`, deadline, options.signal);
    assertDone(peer, `accept at ${path}`);
    try {
      return await receiveFrom(sys, peer, path, deadline, options.signal);
    } finally {
      sys.close(peer);
    }
  } finally {
    sys.close(listener);
    rmSync(path, { force: true });
  }
}

/** Sends `fd` to the listener at `path` and waits for its acknowledgement; `fd` stays open here. */
export async function sendFd(sys: Sys, path: string, fd: number, options: FdPassOptions = {}): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const socket = openSocket(sys);
  try {
    const connect = (): number => connectTo(sys, socket, path);
    assertDone(await settled(connect, `a listener at ${path}`, deadline, options.signal), `connect to ${path}`);
    const send = (): number => sys.sendmsg(socket, prepareMessage(sys, fd), 0);
    assertDone(await settled(send, `room at ${path}`, deadline, options.signal), `sendmsg to ${path}`);
    const answer = (): number => sys.recv(socket, scratch(sys).byte, 1, 0);
    const acknowledged = await settled(answer, `an answer from ${path}`, deadline, options.signal);
    if (acknowledged !== 1) throw new VmlanError('unavailable', `the receiver at ${path} did not take the descriptor`);
  } finally {
    sys.close(socket);
  }
}

function listenAt(sys: Sys, path: string): number {
  const listener = openSocket(sys);
  const address = unixAddress(sys, path);
  const bound = sys.bind(listener, address.off, address.len);
  if (bound < 0) {
    sys.close(listener);
    if (bound === -EADDRINUSE) throw new VmlanError('address-in-use', `${path} exists already`);
    assertDone(bound, `bind ${path}`);
  }
  chmodSync(path, 0o600);
  sys.listen(listener, 1);
  return listener;
}

function connectTo(sys: Sys, socket: number, path: string): number {
  const address = unixAddress(sys, path);
  return sys.connect(socket, address.off, address.len);
}

async function receiveFrom(
  sys: Sys,
  peer: number,
  path: string,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const received = await settled(() => receiveNow(sys, peer), `a descriptor at ${path}`, deadline, signal);
  if (received === NO_DESCRIPTOR) throw new VmlanError('unavailable', `the peer at ${path} sent no descriptor`);
  assertDone(received, `recvmsg at ${path}`);
  const { byte } = scratch(sys);
  sys.arena.view.setUint8(byte, ACK);
  if (sys.send(peer, byte, 1, 0) !== 1) {
    sys.close(received);
    throw new VmlanError('unavailable', `the peer at ${path} was gone before it was answered`);
  }
  return received;
}

/** The descriptor that waits at `peer`, NO_DESCRIPTOR for a message without one, or -errno. */
function receiveNow(sys: Sys, peer: number): number {
  const message = prepareMessage(sys, -1);
  const got = sys.recvmsg(peer, message, MSG_CMSG_CLOEXEC);
  if (got < 0) return got;
  const { control } = scratch(sys);
  const { view } = sys.arena;
  const complete =
    view.getUint32(message + MSG_CONTROLLEN, true) >= CONTROL_LEN &&
    view.getInt32(control + 8, true) === SOL_SOCKET &&
    view.getInt32(control + 12, true) === SCM_RIGHTS;
  return complete ? view.getInt32(control + CMSGHDR_LEN, true) : NO_DESCRIPTOR;
}

/** A message of one data byte whose control part carries `fd`, or has room for one when `fd` is below zero. */
function prepareMessage(sys: Sys, fd: number): number {
  const { message, iovec, control, byte } = scratch(sys);
  const { view } = sys.arena;
  view.setUint8(byte, ACK);
  sys.setIovec(iovec, 0, byte, 1);
  view.setUint32(control, fd < 0 ? 0 : CONTROL_LEN, true);
  view.setUint32(control + 4, 0, true);
  view.setInt32(control + 8, SOL_SOCKET, true);
  view.setInt32(control + 12, fd < 0 ? 0 : SCM_RIGHTS, true);
  view.setInt32(control + CMSGHDR_LEN, fd, true);
  sys.setMsghdr(message, 0, 0, iovec, 1, control, CONTROL_LEN);
  return message;
}

function openSocket(sys: Sys): number {
  const fd = sys.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assertDone(fd, 'socket');
  return fd;
}

function unixAddress(sys: Sys, path: string): SockAddr {
  try {
    return scratch(sys).address.setUnix(path);
  } catch (cause) {
    throw new VmlanError('invalid', (cause as Error).message, { cause });
  }
}

const isPending = (result: number): boolean =>
  result === -EAGAIN || result === -EINTR || result === -ENOENT || result === -ECONNREFUSED;

/** Repeats a non-blocking call until it has a result, the deadline passes or the signal aborts. */
async function settled(
  call: () => number,
  awaited: string,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (;;) {
    signal?.throwIfAborted();
    const result = call();
    if (!isPending(result)) return result;
    if (Date.now() >= deadline) throw new VmlanError('timeout', `waited too long for ${awaited}`);
    await delay(POLL_INTERVAL_MS, undefined, signal === undefined ? {} : { signal });
  }
}

function assertDone(result: number, call: string): void {
  if (result < 0) throw new VmlanError('unavailable', `${call} failed with errno ${-result}`);
}
