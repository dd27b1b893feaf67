import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import * as c from './constants.ts';
import { EPOLL_EVENTS_MAX, openLibc } from './libc.ts';
import { SockAddr } from './sockaddr.ts';
import type { Sys } from './sys.ts';

const ARENA_BYTES = 2 << 20;
const STREAM = c.SOCK_STREAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
const DATAGRAM = c.SOCK_DGRAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
const LOOPBACK = 0x7f000001;
const WAIT_MS = 1000; // longest wait for something that loopback delivers at once

type Loader = { _load: (this: void, name: string, ...rest: unknown[]) => unknown };
type Koffi = { load(path: null): { func(...args: unknown[]): (...values: unknown[]) => unknown } };

/** Runs `body` while `require('koffi')` answers with `replacement`. */
function withKoffi<T>(replacement: () => unknown, body: () => T): T {
  const loader = Module as unknown as Loader;
  const original = loader._load;
  loader._load = (name, ...rest) => (name === 'koffi' ? replacement() : original(name, ...rest));
  try {
    return body();
  } finally {
    loader._load = original;
  }
}

test('sockets leave the descriptors that are kept for others', () => {
  const sys = openLibc({ arenaBytes: ARENA_BYTES });
  const lowest = sys.socket(c.AF_INET, STREAM, 0);
  const listener = sys.socket(c.AF_INET, STREAM, 0);
  const client = sys.socket(c.AF_INET, STREAM, 0);
  const address = new SockAddr(sys.arena);
  sys.bind(listener, address.setIpv4(LOOPBACK, 0).off, address.len);
  sys.listen(listener, 1);
  sys.getsockname(listener, address.off);
  sys.connect(client, address.off, address.len);
  sys.close(lowest);
  const few = openLibc({ arenaBytes: ARENA_BYTES, socketsBelow: lowest + 1 });
  assert.equal(few.socketpair(c.AF_UNIX, STREAM), -c.EMFILE, 'the first would do, the second would not');
  assert.equal(few.socket(c.AF_INET, STREAM, 0), lowest);
  assert.equal(few.socket(c.AF_INET, STREAM, 0), -c.EMFILE);
  assert.equal(few.accept(listener, 0), -c.EMFILE);
  const byte = sys.arena.alloc(1);
  assert.equal(sys.recv(client, byte, 1, 0), -c.ECONNRESET, 'who was accepted hears of it');
  for (const fd of [lowest, listener, client]) sys.close(fd);
});

const realKoffi = createRequire(import.meta.url)('koffi') as Koffi;

const SHARED = 0x4021; // MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE
const PRIVATE = 0x4022;

/** koffi whose mmap has nothing to give below 4 GiB, as a platform without MAP_32BIT and with low memory taken. */
function koffiWithoutLowMemory(placed = SHARED): unknown {
  const libc = realKoffi.load(null);
  const func = (...args: unknown[]): unknown => {
    const call = libc.func(...args);
    if (args[0] !== 'mmap') return call;
    return (hint: number, bytes: number, prot: number, _flags: number, fd: number, offset: number) =>
      call(hint === 0 ? 2 ** 36 : 2 ** 36 + hint, bytes, prot, placed, fd, offset);
  };
  return { ...realKoffi, load: () => ({ func }) };
}

const placements: readonly { name: string; open: () => Sys; base: (base: number) => boolean }[] = [
  { name: 'below 2^31', open: () => openLibc({ arenaBytes: ARENA_BYTES }), base: (base) => base < 2 ** 31 },
  {
    name: 'above 2^32',
    open: () =>
      withKoffi(
        () => koffiWithoutLowMemory(),
        () => openLibc({ arenaBytes: ARENA_BYTES }),
      ),
    base: (base) => base >= 2 ** 32,
  },
];

function onArch<T>(arch: string, body: () => T): T {
  const original = process.arch;
  Object.defineProperty(process, 'arch', { value: arch, configurable: true });
  try {
    return body();
  } finally {
    Object.defineProperty(process, 'arch', { value: original, configurable: true });
  }
}

for (const placement of placements) {
  describe(`libc table, arena ${placement.name}`, () => {
    const sys = placement.open();
    const { arena } = sys;
    const addr = new SockAddr(arena);
    const peer = new SockAddr(arena);
    const buf = arena.alloc(65536);
    const out = arena.alloc(65536);
    const dir = mkdtempSync(join(tmpdir(), 'vmlan-libc-'));
    after(() => rmSync(dir, { recursive: true }));

    const put = (text: string): number => {
      arena.u8.set(new TextEncoder().encode(text), out);
      return text.length;
    };
    const got = (len: number): string => new TextDecoder().decode(arena.u8.subarray(buf, buf + Math.max(len, 0)));
    const waitFor = (fd: number, events: number): number => {
      const epoll = sys.epollCreate();
      assert.equal(sys.epollCtl(epoll, c.EPOLL_CTL_ADD, fd, events, 0), 0);
      const count = sys.epollWait(epoll, 1, WAIT_MS);
      sys.close(epoll);
      return count === 1 ? sys.eventMask(0) : 0;
    };
    /** Listener, client and accepted end over loopback. */
    const tcp = (family: number = c.AF_INET): [number, number, number] => {
      if (family === c.AF_INET) addr.setIpv4(LOOPBACK, 0);
      else addr.setIpv6(0, 0, 0, 1, 0);
      const listener = sys.socket(family, STREAM, 0);
      assert.equal(sys.bind(listener, addr.off, addr.len), 0);
      assert.equal(sys.listen(listener, 8), 0);
      assert.equal(sys.getsockname(listener, addr.off), 0);
      const client = sys.socket(family, STREAM, 0);
      assert.equal(sys.connect(client, addr.off, addr.len), -c.EINPROGRESS);
      assert.ok(waitFor(listener, c.EPOLLIN) & c.EPOLLIN);
      const server = sys.accept(listener, peer.off);
      assert.ok(server >= 0);
      return [listener, client, server];
    };
    const closeAll = (...fds: number[]): void => {
      for (const fd of fds) assert.equal(sys.close(fd), 0);
    };

    test('the arena lies where it should and belongs to this table', () => {
      assert.ok(placement.base(arena.base), arena.base.toString(16));
      assert.equal(arena.buffer.byteLength, ARENA_BYTES);
      arena.u8[ARENA_BYTES - 1] = 1;
    });

    test('WebAssembly sees the same bytes', () => {
      const { buffer } = arena.wasmMemory as { readonly buffer: ArrayBuffer };
      assert.notEqual(buffer, arena.buffer);
      assert.equal(buffer.byteLength, ARENA_BYTES);
      const seen = new Uint8Array(buffer);
      arena.u8[buf] = 42;
      assert.equal(seen[buf], 42);
      seen[ARENA_BYTES - 1] = 43;
      assert.equal(arena.u8[ARENA_BYTES - 1], 43);
    });

    test('clocks', () => {
      const real = (): number => Number(process.hrtime.bigint()) / 1e6;
      const clocks: [name: string, real: () => number, ours: () => number][] = [
        ['monotonic', real, () => sys.monotonicMs()],
        ['epoch', Date.now, () => sys.epochMs()],
      ];
      for (const [name, theirs, ours] of clocks) {
        const before = theirs();
        const now = ours();
        const after = theirs();
        assert.ok(before - 2 <= now && now <= after + 2, `${name}: ${before}, ${now}, ${after}`);
      }
      assert.ok(Number.isInteger(sys.monotonicMs()));
      const [beforeMs, startUs, startMs] = [real(), sys.monotonicUs(), real()];
      while (real() < startMs + 3) continue;
      const passedUs = sys.monotonicUs() - startUs;
      assert.ok(passedUs >= 2900 && passedUs <= 1000 * (real() - beforeMs) + 100, String(passedUs));
    });

    test('epoll: masks and data, edges, change and removal', () => {
      const [listener, client, server] = tcp();
      const epoll = sys.epollCreate();
      const want = c.EPOLLIN | c.EPOLLOUT | c.EPOLLRDHUP | c.EPOLLET;
      assert.equal(sys.epollCtl(epoll, c.EPOLL_CTL_ADD, client, want, -7), 0);
      assert.equal(sys.epollCtl(epoll, c.EPOLL_CTL_ADD, client, want, -7), -17 /* EEXIST */);
      assert.equal(sys.epollWait(epoll, 16, 0), 1);
      assert.equal(sys.eventMask(0), c.EPOLLOUT);
      assert.equal(sys.eventData(0), -7);
      assert.equal(sys.epollWait(epoll, 16, 0), 0);
      assert.equal(sys.epollCtl(epoll, c.EPOLL_CTL_ADD, server, c.EPOLLOUT, 0x7fffffff), 0);
      assert.equal(sys.epollCtl(epoll, c.EPOLL_CTL_MOD, client, c.EPOLLOUT, 5), 0);
      assert.equal(sys.epollWait(epoll, EPOLL_EVENTS_MAX * 2, 0), 2);
      assert.deepEqual(new Set([sys.eventData(0), sys.eventData(1)]), new Set([0x7fffffff, 5]));
      assert.equal(sys.epollWait(epoll, 1, 0), 1);
      assert.equal(sys.epollCtl(epoll, c.EPOLL_CTL_DEL, server, 0, 0), 0);
      assert.equal(sys.epollCtl(epoll, c.EPOLL_CTL_DEL, server, 0, 0), -c.ENOENT);
      assert.equal(sys.epollWait(-1, 1, 0), -c.EBADF);
      closeAll(epoll, listener, client, server);
    });

    test('eventfd, read and write', () => {
      const fd = sys.eventfd();
      assert.equal(sys.read(fd, buf, 8), -c.EAGAIN);
      arena.view.setBigUint64(out, 3n, true);
      assert.equal(sys.write(fd, out, 8), 8);
      assert.equal(waitFor(fd, c.EPOLLIN), c.EPOLLIN);
      assert.equal(sys.read(fd, buf, 8), 8);
      assert.equal(arena.view.getBigUint64(buf, true), 3n);
      assert.equal(sys.fcntl(fd, c.F_GETFD, 0), 1 /* FD_CLOEXEC */);
      closeAll(fd);
    });

    for (const [name, family, len] of [
      ['IPv4', c.AF_INET, 16],
      ['IPv6', c.AF_INET6, 28],
    ] as const) {
      test(`TCP over ${name}: names, peek offset, half-close`, () => {
        const [listener, client, server] = tcp(family);
        assert.equal(sys.addrLen(), len);
        const clientPort = peer.port;
        assert.equal(sys.getsockname(client, addr.off), 0);
        assert.equal(addr.port, clientPort);
        assert.equal(sys.getpeername(server, addr.off), 0);
        assert.equal(addr.port, clientPort);
        assert.equal(sys.addrLen(), len);
        assert.equal(addr.family, family);
        assert.equal(sys.recv(server, buf, 10, 0), -c.EAGAIN);
        assert.equal(sys.setsockopt(server, c.SOL_SOCKET, c.SO_PEEK_OFF, 0), 0);
        assert.equal(sys.send(client, out, put('hello world'), 0), 11);
        assert.equal(waitFor(server, c.EPOLLIN), c.EPOLLIN);
        assert.equal(got(sys.recv(server, buf, 6, c.MSG_PEEK)), 'hello ');
        assert.equal(got(sys.recv(server, buf, 6, c.MSG_PEEK)), 'world');
        assert.equal(sys.recv(server, 0, 6, c.MSG_TRUNC), 6);
        assert.equal(sys.ioctl(server, c.FIONREAD, buf, 0), 0);
        assert.equal(arena.view.getInt32(buf, true), 5);
        assert.equal(got(sys.recv(server, buf, 10, 0)), 'world');
        assert.equal(sys.shutdown(client, c.SHUT_WR), 0);
        assert.equal(waitFor(server, c.EPOLLRDHUP), c.EPOLLRDHUP);
        assert.equal(sys.recv(server, buf, 10, 0), 0);
        assert.equal(sys.send(server, out, put('late'), 0), 4);
        assert.equal(waitFor(client, c.EPOLLIN) & c.EPOLLIN, c.EPOLLIN);
        assert.equal(got(sys.recv(client, buf, 10, 0)), 'late');
        closeAll(listener, client, server);
      });
    }

    test('vectors: readv, writev, sendmsg, recvmsg', () => {
      const [listener, client, server] = tcp();
      const iov = arena.alloc(64);
      const msg = arena.alloc(56);
      put('abcdefgh');
      sys.setIovec(iov, 0, out + 4, 4);
      sys.setIovec(iov, 1, out, 4);
      assert.equal(sys.writev(client, iov, 2), 8);
      sys.setMsghdr(msg, 0, 0, iov, 1, 0, 0);
      assert.equal(sys.sendmsg(client, msg, 0), 4);
      assert.equal(waitFor(server, c.EPOLLIN), c.EPOLLIN);
      sys.setIovec(iov, 0, buf + 5, 5);
      sys.setIovec(iov, 1, buf, 5);
      assert.equal(sys.readv(server, iov, 2), 10);
      assert.equal(got(10), 'bcdefefgha');
      sys.setIovec(iov, 0, buf, 100);
      assert.equal(sys.recvmsg(server, msg, 0), 2);
      assert.equal(got(2), 'gh');
      closeAll(listener, client, server);
    });

    test('reset: linger 0, then SO_ERROR', () => {
      const [listener, client, server] = tcp();
      assert.equal(sys.setLingerZero(server), 0);
      closeAll(server);
      assert.equal(waitFor(client, c.EPOLLIN) & c.EPOLLERR, c.EPOLLERR);
      assert.equal(sys.getsockopt(client, c.SOL_SOCKET, c.SO_ERROR), c.ECONNRESET);
      assert.equal(sys.getsockopt(client, c.SOL_SOCKET, c.SO_ERROR), 0);
      assert.equal(sys.send(client, out, 1, 0), -c.EPIPE);
      closeAll(listener, client);
    });

    test('datagrams: sendto, recvfrom, connected, refused', () => {
      const receiver = sys.socket(c.AF_INET, DATAGRAM, 0);
      addr.setIpv4(LOOPBACK, 0);
      assert.equal(sys.bind(receiver, addr.off, addr.len), 0);
      assert.equal(sys.getsockname(receiver, addr.off), 0);
      const sender = sys.socket(c.AF_INET, DATAGRAM, 0);
      assert.equal(sys.sendto(sender, out, put('ping'), 0, addr.off, addr.len), 4);
      assert.equal(waitFor(receiver, c.EPOLLIN), c.EPOLLIN);
      assert.equal(sys.recvfrom(receiver, buf, 100, c.MSG_PEEK, 0), 4);
      assert.equal(sys.recvfrom(receiver, buf, 2, c.MSG_TRUNC, peer.off), 4);
      assert.equal(sys.addrLen(), 16);
      assert.equal(peer.ip4, LOOPBACK);
      assert.equal(sys.sendto(receiver, out, put('pong'), 0, peer.off, 16), 4);
      assert.equal(waitFor(sender, c.EPOLLIN), c.EPOLLIN);
      assert.equal(got(sys.recvfrom(sender, buf, 100, 0, addr.off)), 'pong');
      closeAll(receiver);
      assert.equal(sys.connect(sender, addr.off, 16), 0);
      assert.equal(sys.send(sender, out, 4, 0), 4);
      assert.equal(waitFor(sender, c.EPOLLIN) & c.EPOLLERR, c.EPOLLERR);
      assert.equal(sys.recv(sender, buf, 4, 0), -c.ECONNREFUSED);
      closeAll(sender);
    });

    test('unix: pair, path, names, options that are not ints', () => {
      const first = sys.socketpair(c.AF_UNIX, STREAM);
      const second = sys.pairSecond();
      assert.ok(first >= 0 && second >= 0 && first !== second);
      assert.equal(sys.write(first, out, put('x')), 1);
      assert.equal(got(sys.read(second, buf, 10)), 'x');
      assert.equal(sys.getsockoptBytes(first, c.SOL_SOCKET, c.SO_PEERCRED, buf, 12), 12);
      assert.equal(arena.view.getInt32(buf, true), process.pid);
      assert.equal(sys.getsockoptBytes(-1, c.SOL_SOCKET, c.SO_PEERCRED, buf, 12), -c.EBADF);
      const listener = sys.socket(c.AF_UNIX, STREAM, 0);
      peer.setUnix(join(dir, 'a.sock'));
      assert.equal(sys.bind(listener, peer.off, peer.len), 0);
      assert.equal(sys.listen(listener, 1), 0);
      const client = sys.socket(c.AF_UNIX, STREAM, 0);
      assert.equal(sys.connect(client, peer.off, peer.len), 0);
      assert.equal(sys.getpeername(client, addr.off), 0);
      assert.equal(addr.unixPath(sys.addrLen()), join(dir, 'a.sock'));
      const server = sys.accept(listener, 0);
      assert.ok(server >= 0);
      arena.view.setInt32(out, 1, true);
      assert.equal(sys.setsockoptBytes(server, c.SOL_SOCKET, c.SO_KEEPALIVE, out, 4), 0);
      assert.equal(sys.getsockopt(server, c.SOL_SOCKET, c.SO_KEEPALIVE), 1);
      closeAll(first, second, listener, client, server);
    });

    test('descriptors: open, dup, flags, errors', () => {
      const fd = sys.open('/dev/null', c.O_RDWR | c.O_CLOEXEC);
      assert.equal(sys.write(fd, out, 10), 10);
      assert.equal(sys.fcntl(fd, c.F_GETFL, 0) & c.O_NONBLOCK, 0);
      assert.equal(sys.fcntl(fd, c.F_SETFL, c.O_RDWR | c.O_NONBLOCK), 0);
      const copy = sys.dup(fd);
      assert.equal(sys.fcntl(copy, c.F_GETFL, 0) & c.O_NONBLOCK, c.O_NONBLOCK);
      assert.equal(sys.fcntl(copy, c.F_GETFD, 0), 1 /* FD_CLOEXEC */);
      closeAll(fd, copy);
      assert.equal(sys.open('/nonexistent/file', 0), -c.ENOENT);
      assert.equal(sys.open('/'.repeat(5000), 0), -c.ENAMETOOLONG);
      assert.equal(sys.ioctl(copy, c.FIONREAD, -1, 0), -c.EBADF);
      const calls: readonly [string, number][] = [
        ['close', sys.close(copy)],
        ['dup', sys.dup(copy)],
        ['fcntl', sys.fcntl(copy, c.F_GETFL, 0)],
        ['read', sys.read(copy, buf, 1)],
        ['write', sys.write(copy, buf, 1)],
        ['bind', sys.bind(copy, addr.off, 16)],
        ['connect', sys.connect(copy, addr.off, 16)],
        ['listen', sys.listen(copy, 1)],
        ['accept', sys.accept(copy, 0)],
        ['getsockname', sys.getsockname(copy, addr.off)],
        ['getpeername', sys.getpeername(copy, addr.off)],
        ['shutdown', sys.shutdown(copy, c.SHUT_RD)],
        ['getsockopt', sys.getsockopt(copy, c.SOL_SOCKET, c.SO_ERROR)],
        ['setsockopt', sys.setsockopt(copy, c.SOL_SOCKET, c.SO_KEEPALIVE, 1)],
        ['setLingerZero', sys.setLingerZero(copy)],
      ];
      for (const [name, result] of calls) assert.equal(result, -c.EBADF, name);
      assert.ok(sys.socket(99, 1, 0) < 0);
      assert.equal(sys.socketpair(c.AF_INET, STREAM), -c.ENOTSUP);
    });

    test('100 000 sends and receives leave heap and descriptors as they were', () => {
      const [listener, client, server] = tcp();
      const fdCount = readdirSync('/proc/self/fd').length;
      const rounds = (count: number): void => {
        for (let i = 0; i < count; i++) {
          if (sys.send(client, out, 512, 0) !== 512 || sys.recv(server, buf, 65536, 0) < 0) assert.fail(`round ${i}`);
        }
      };
      rounds(10_000);
      const before = process.memoryUsage().heapUsed;
      rounds(100_000);
      const grown = process.memoryUsage().heapUsed - before;
      // Addresses above 2^31 are doubles and become short-lived heap numbers; small integers must cost nothing.
      if (arena.base < 2 ** 31) assert.ok(grown < 1 << 20, `heap grew by ${grown} bytes`);
      assert.equal(readdirSync('/proc/self/fd').length, fdCount);
      closeAll(listener, client, server);
    });
  });
}

describe('opening the table', () => {
  const unsupported = (error: unknown): boolean => error instanceof VmlanError && error.code === 'unsupported';

  test('pages that cannot be shared with WebAssembly', () => {
    const sys = withKoffi(
      () => koffiWithoutLowMemory(PRIVATE),
      () => openLibc({ arenaBytes: ARENA_BYTES }),
    );
    assert.equal(sys.arena.wasmMemory, null);
  });

  test('without koffi', () => {
    const missing = (): never => {
      throw new Error("Cannot find module 'koffi'");
    };
    assert.throws(() => withKoffi(missing, () => openLibc({ arenaBytes: 1 << 16 })), unsupported);
  });

  test('on an architecture it does not know', () => {
    assert.throws(() => onArch('s390x', () => openLibc({ arenaBytes: 1 << 16 })), unsupported);
  });

  test('low memory is found by probing where MAP_32BIT does not exist', () => {
    const sys = onArch('arm64', () => openLibc({ arenaBytes: 1 << 20 }));
    assert.ok(sys.arena.base >= 0x1000_0000 && sys.arena.base < 2 ** 32);
    const second = onArch('arm64', () => openLibc({ arenaBytes: 1 << 20 }));
    assert.notEqual(second.arena.base, sys.arena.base);
  });

  test('an arena beyond the address space is refused', () => {
    assert.throws(
      () => openLibc({ arenaBytes: 2 ** 50 }),
      (error) => error instanceof VmlanError && error.code === 'exhausted',
    );
  });
});
