import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena } from '../core/arena.ts';
import { AF_INET, AF_INET6, AF_UNIX } from './constants.ts';
import { SockAddr, UNIX_PATH_MAX } from './sockaddr.ts';

describe('socket addresses in the arena', () => {
  const arena = new Arena(new ArrayBuffer(4096));
  const addr = new SockAddr(arena);
  const hex = (): string => Buffer.from(arena.u8.subarray(addr.off, addr.off + addr.len)).toString('hex');

  test('IPv4', () => {
    addr.setIpv4(0xc0000201, 8080);
    assert.equal(hex(), '02001f90c00002010000000000000000'); // family, port, address, padding
    assert.deepEqual([addr.family, addr.port, addr.ip4], [AF_INET, 8080, 0xc0000201]);
  });

  test('IPv6, with and without scope', () => {
    addr.setIpv6(0x20010db8, 1, 2, 0xfffffffe, 53, 7);
    assert.equal(hex(), '0a0000350000000020010db80000000100000002fffffffe07000000');
    assert.deepEqual([addr.family, addr.port], [AF_INET6, 53]);
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => addr.word(i)),
      [0x20010db8, 1, 2, 0xfffffffe],
    );
    assert.match(addr.setIpv6(0, 0, 0, 1, 1) && hex(), /00000000$/);
  });

  test('unix paths, the longest included', () => {
    const longest = '/' + 'é'.repeat((UNIX_PATH_MAX - 1) / 2);
    for (const path of ['/run/vmlan/lab.sock', longest]) {
      addr.setUnix(path);
      assert.equal(addr.family, AF_UNIX);
      assert.equal(addr.len, 2 + Buffer.byteLength(path) + 1);
      assert.equal(addr.unixPath(addr.len), path);
    }
    assert.throws(() => addr.setUnix(longest + 'x'), RangeError);
    assert.equal(addr.unixPath(2), '');
  });

  test('abstract names, which begin with a NUL and have none at their end', () => {
    addr.setAbstract('vmlan');
    assert.equal(hex(), '010000766d6c616e');
    assert.throws(() => addr.setAbstract('x'.repeat(UNIX_PATH_MAX)), RangeError);
  });
});
