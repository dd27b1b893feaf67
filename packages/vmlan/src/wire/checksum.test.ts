import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { finish, fold, incremental16, incremental32, pseudo4, pseudo6, sum, VALID } from './checksum.ts';
import { hex, view } from './frames.fixture.ts';

/** RFC 1071 as written: byte pairs, carries folded one by one. */
function slowSum(bytes: Uint8Array, initial: number): number {
  let total = initial;
  for (const [i, byte] of bytes.entries()) {
    total += i % 2 === 0 ? byte * 256 : byte;
    while (total > 0xffff) total = total - 0x10000 + 1;
  }
  while (total > 0xffff) total = total - 0x10000 + 1;
  return total;
}

test('the example of RFC 1071 §3', () => {
  const bytes = hex('0001 f203 f4f5 f6f7');
  assert.equal(fold(sum(view(bytes), 0, 8)), 0xddf2);
  assert.equal(finish(sum(view(bytes), 0, 8)), 0x220d);
});

test('any range of any view sums as the plain definition does', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(9),
      fc.nat(9),
      fc.nat(0x3fffff),
      (bytes, byteOffset, off, initial) => {
        const buffer = new Uint8Array(byteOffset + off + bytes.length);
        buffer.set(bytes, byteOffset + off);
        const v = new DataView(buffer.buffer, byteOffset);
        assert.equal(fold(sum(v, off, bytes.length, initial)), slowSum(bytes, initial));
      },
    ),
  );
});

for (const len of [65534, 65535, 65536, 131_072]) {
  test(`${len} bytes of 0xff do not overflow`, () => {
    const bytes = new Uint8Array(len).fill(0xff);
    assert.equal(fold(sum(view(bytes), 0, len)), slowSum(bytes, 0));
  });
}

test('a sum adds at most 0xffff to its initial value, so that chains stay small', () => {
  const bytes = new Uint8Array(65536).fill(0xff);
  assert.equal(sum(view(bytes), 0, bytes.length, 1000), 1000 + 0xffff);
  assert.equal(sum(view(bytes), 0, 0, 1000), 1000);
});

test('only nothing but zeros folds to zero', () => {
  assert.equal(fold(0), 0);
  assert.equal(fold(0xffff), 0xffff);
  assert.equal(fold(0x1_0000), 1);
  assert.equal(fold(0xffff_ffff), 0xffff);
});

test('chained sums equal one sum over the joined bytes', () => {
  const even = fc.uint8Array({ maxLength: 64 }).map((bytes) => bytes.subarray(0, bytes.length & ~1));
  fc.assert(
    fc.property(even, fc.uint8Array({ maxLength: 64 }), (head, tail) => {
      const joined = Uint8Array.from([...head, ...tail]);
      const chained = sum(view(tail), 0, tail.length, sum(view(head), 0, head.length));
      assert.equal(fold(chained), fold(sum(view(joined), 0, joined.length)));
    }),
  );
});

test('a field set to finish() makes the whole VALID', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 200 }), (bytes) => {
      bytes.fill(0, 0, 2);
      view(bytes).setUint16(0, finish(sum(view(bytes), 0, bytes.length)));
      assert.equal(fold(sum(view(bytes), 0, bytes.length)), VALID);
    }),
  );
});

test('pseudo headers equal the sum of their bytes', () => {
  const v4 = hex('c0a80001 0a00ffff 00 06 0014'); // src, dst, zero, protocol, length
  assert.equal(fold(pseudo4(0xc0a80001, 0x0a00ffff, 6, 20)), fold(sum(view(v4), 0, v4.length)));
  const v6 = hex('20010db8 00000000 ffffffff 00000001  fe800000 00000000 505400ff fe00000a  00000020 0000003a');
  const sum6 = pseudo6(0x20010db8, 0, 0xffffffff, 1, 0xfe800000, 0, 0x505400ff, 0xfe00000a, 58, 32);
  assert.equal(fold(sum6), fold(sum(view(v6), 0, v6.length)));
});

test('incremental updates equal a fresh checksum', () => {
  const word = fc.nat(0xffff);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 40 }), word, word, word, (bytes, a, b, c) => {
      const v = view(bytes);
      v.setUint16(0, 0);
      v.setUint16(2, 0x4500); // as in any header, not all is zero
      const before = finish(sum(v, 0, bytes.length));
      const was16 = v.getUint16(4);
      const was32 = v.getUint32(6);
      v.setUint16(4, a);
      v.setUint16(6, b);
      v.setUint16(8, c);
      const after = incremental32(incremental16(before, was16, a), was32, v.getUint32(6));
      assert.equal(after, finish(sum(v, 0, bytes.length)));
    }),
  );
});

test('the corner case of RFC 1624 §4', () => {
  assert.equal(incremental16(0xdd2f, 0x5555, 0x3285), 0x0000);
});
