import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as C from './constants.ts';
import { DatagramReader, MESSAGES_MAX, RunWriter } from './datagram-io.ts';
import { FakeKernel } from './fake/kernel.ts';
import { openLibc } from './libc.ts';
import { SockAddr } from './sockaddr.ts';

const LOOPBACK = 0x7f00_0001;
const ROOM = 65_536;
const ARENA_BYTES = 16 << 20;

for (const [name, sys] of [
  ['the kernel', openLibc({ arenaBytes: ARENA_BYTES })],
  ['the fake kernel', new FakeKernel({ arenaBytes: ARENA_BYTES }).sys],
] as const) {
  describe(`datagrams in ${name}`, () => {
    const address = new SockAddr(sys.arena);
    const writer = new RunWriter(sys);
    const reader = new DatagramReader(sys, true);
    const out = sys.arena.alloc(ROOM);
    const first = sys.arena.alloc(ROOM);
    const text = (off: number, len: number): string => Buffer.from(sys.arena.u8.slice(off, off + len)).toString();

    /** A socket connected to itself: what it sends it hears. */
    function mirror(gro: boolean): number {
      const fd = sys.socket(C.AF_INET, C.SOCK_DGRAM | C.SOCK_NONBLOCK, 0);
      address.setIpv4(LOOPBACK, 0);
      assert.equal(sys.bind(fd, address.off, address.len), 0);
      assert.equal(sys.getsockname(fd, address.off), 0);
      assert.equal(sys.connect(fd, address.off, address.len), 0);
      if (gro) assert.equal(sys.setsockopt(fd, C.SOL_UDP, C.UDP_GRO, 1), 0);
      return fd;
    }
    const send = (fd: number, said: string, size: number): number => {
      sys.arena.u8.set(new TextEncoder().encode(said), out);
      return writer.send(fd, out, said.length, size, 0, 0);
    };
    const heard = (n: number): string[] =>
      Array.from({ length: n }, (_, i) => `${text(reader.off[i]!, reader.len[i]!)}/${reader.segment[i]}`);

    test('a run arrives as datagrams, or as a run where that is asked for', () => {
      for (const [gro, expected] of [
        [false, ['abc/0', 'def/0', 'g/0']],
        [true, ['abcdefg/3']],
      ] as const) {
        const fd = mirror(gro);
        assert.equal(send(fd, 'abcdefg', 3), 7);
        assert.deepEqual(heard(reader.receive(fd, first, ROOM, MESSAGES_MAX)), expected);
        assert.equal(reader.off[0], first);
        assert.equal(sys.arena.view.getUint16(reader.name(0), true), C.AF_INET);
        assert.equal(sys.arena.view.getUint32(reader.name(0) + 4), LOOPBACK);
        assert.equal(reader.receive(fd, first, ROOM, MESSAGES_MAX), -C.EAGAIN);
        sys.close(fd);
      }
    });

    test('no more than asked for at once, again and again', () => {
      const fd = mirror(false);
      for (let round = 0; round < 3; round++) {
        assert.equal(send(fd, 'abcdef', 2), 6);
        assert.deepEqual(heard(reader.receive(fd, first, ROOM, 2)), ['ab/0', 'cd/0']);
        assert.deepEqual(heard(reader.receive(fd, first, ROOM, 2)), ['ef/0']);
      }
      sys.close(fd);
    });

    test('a run of too many leaves not one', () => {
      const fd = mirror(false);
      assert.equal(send(fd, 'x'.repeat(129), 1), -C.EINVAL);
      assert.equal(reader.receive(fd, first, ROOM, 1), -C.EAGAIN);
      assert.equal(reader.receive(-1, first, ROOM, 1), -C.EBADF);
      sys.close(fd);
    });
  });
}
