import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Arena } from './arena.ts';
import { BufferPool } from './buffer-pool.ts';

describe('arena', () => {
  test('offset zero is never given out', () => {
    const arena = new Arena(new ArrayBuffer(1024));
    assert.ok(arena.alloc(1, 1) > 0);
  });

  test('views and base name the same memory', () => {
    const arena = new Arena(new ArrayBuffer(256), 0x1000);
    const at = arena.alloc(8);
    arena.view.setUint16(at, 0x1234);
    assert.deepEqual([...arena.u8.subarray(at, at + 2)], [0x12, 0x34]);
    assert.equal(arena.base, 0x1000);
  });

  test('allocations are aligned, apart, and inside', () => {
    const request = fc.record({ size: fc.nat(300), align: fc.constantFrom(1, 2, 8, 64, 4096) });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 30 }), (requests) => {
        const arena = new Arena(new ArrayBuffer(1 << 18));
        let end = 0;
        for (const { size, align } of requests) {
          const at = arena.alloc(size, align);
          assert.equal(at % align, 0);
          assert.ok(at >= end);
          end = at + size;
          assert.equal(arena.used, end);
        }
      }),
    );
  });

  test('a full arena says so, and still gives what fits', () => {
    const arena = new Arena(new ArrayBuffer(256));
    arena.alloc(128, 1);
    assert.throws(() => arena.alloc(65, 1), { name: 'RangeError', message: /arena of 256 bytes is full: 65 more/ });
    assert.equal(arena.alloc(64, 1), 192);
    assert.throws(() => arena.alloc(1, 1), RangeError);
  });
});

describe('buffer pool', () => {
  test('takes arena space when it is needed, and lends at most `max`', () => {
    const arena = new Arena(new ArrayBuffer(1 << 16));
    const pool = new BufferPool(arena, 100, 3);
    const used = arena.used;
    assert.equal(pool.inUse, 0);
    const lent = [pool.take(), pool.take(), pool.take()];
    assert.ok(arena.used >= used + 300);
    assert.equal(new Set(lent).size, 3);
    assert.equal(pool.inUse, 3);
    assert.equal(pool.take(), 0);
    assert.equal(pool.inUse, 3);
  });

  test('a buffer that came back is lent again before new space is taken', () => {
    const arena = new Arena(new ArrayBuffer(1 << 16));
    const pool = new BufferPool(arena, 64, 2);
    const first = pool.take();
    const used = arena.used;
    pool.give(first);
    assert.equal(pool.inUse, 0);
    assert.equal(pool.take(), first);
    assert.equal(arena.used, used);
  });

  test('no two borrowers ever share a byte', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 100 }), (steps) => {
        const pool = new BufferPool(new Arena(new ArrayBuffer(1 << 16)), 128, 8);
        const lent: number[] = [];
        for (const step of steps) {
          if (step % 3 === 0 && lent.length > 0) {
            pool.give(lent.splice(step % lent.length, 1)[0]!);
          } else {
            const at = pool.take();
            if (lent.length === 8) assert.equal(at, 0);
            else lent.push(at);
          }
          assert.equal(pool.inUse, lent.length);
          const sorted = [...lent].sort((a, b) => a - b);
          for (const [i, at] of sorted.entries()) {
            if (i > 0) assert.ok(at - sorted[i - 1]! >= 128);
          }
        }
      }),
    );
  });
});
