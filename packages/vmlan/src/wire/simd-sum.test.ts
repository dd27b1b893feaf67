import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { accelerate, copySum, fold, sum } from './checksum.ts';
import { newSumKernel, sumModule } from './simd-sum.ts';

interface Wasm {
  readonly Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly validate: (bytes: Uint8Array) => boolean;
}

const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: Wasm };
const memory = new wasm.Memory({ initial: 8, maximum: 8 });
const v = new DataView(memory.buffer);
const u8 = new Uint8Array(memory.buffer);
const kernel = newSumKernel(memory)!;

/** The fields of the module's head, in hex: what an assembler makes of the text in simd-sum.ts. */
const HEAD = [
  '0061736d 01000000', // "\0asm", version 1
  '01 08 01 60 03 7f7f7f 01 7f', // types: (i32 i32 i32) -> i32
  '02 08 01 01 6d 01 6d 02 00 00', // imports: "m" "m", a memory of at least no page
  '03 03 02 00 00', // functions: two of type 0
  '07 11 02 03 73756d 00 00 07 636f707953756d 00 01', // exports: "sum" and "copySum"
];

const lengths = fc.oneof(fc.nat(200), fc.nat(70_000));

function fill(seed: number): void {
  for (let i = 0, x = seed | 1; i < u8.length; i++) {
    x = Math.imul(x, 1_103_515_245) + 12_345;
    u8[i] = x >>> 16;
  }
}

describe('the module', () => {
  test('is as its text says', () => {
    const hex = HEAD.join('').replaceAll(' ', '');
    assert.equal(Buffer.from(sumModule().subarray(0, hex.length / 2)).toString('hex'), hex);
    assert.ok(wasm.validate(sumModule()));
  });

  test('is done without where there is no WebAssembly, or a memory that is none', (t) => {
    assert.equal(newSumKernel({}), null);
    t.mock.property(globalThis as unknown as { WebAssembly: unknown }, 'WebAssembly', undefined);
    assert.equal(newSumKernel(memory), null);
  });
});

describe('sums', () => {
  test('equal those of JavaScript, at any offset and length', () => {
    fc.assert(
      fc.property(lengths, fc.nat(64), fc.integer(), (len, at, seed) => {
        fill(seed);
        accelerate(v, null);
        const wanted = fold(sum(v, 64 + at, len));
        accelerate(v, kernel);
        assert.equal(fold(sum(v, 64 + at, len)), wanted);
      }),
      { numRuns: 60 },
    );
  });

  test('of a copy, likewise, and the copy is one: nothing before, nothing behind it', () => {
    fc.assert(
      fc.property(lengths, fc.nat(64), fc.nat(64), fc.boolean(), (len, at, to, isAccelerated) => {
        fill(len);
        u8.fill(0xee, 200_000, 300_000);
        accelerate(v, null);
        const wanted = fold(sum(v, 64 + at, len, 77));
        accelerate(v, isAccelerated ? kernel : null);
        const target = 200_064 + to;
        assert.equal(fold(copySum(v, u8, 64 + at, len, target, 77)), wanted);
        assert.ok(Buffer.from(u8.subarray(target, target + len)).equals(u8.subarray(64 + at, 64 + at + len)));
        assert.deepEqual([u8[target - 1], u8[target + len]], [0xee, 0xee]);
      }),
      { numRuns: 60 },
    );
  });

  test('of 128 KiB of ones do not overflow', () => {
    u8.fill(0xff);
    accelerate(v, kernel);
    assert.equal(sum(v, 0, 131_072, 1000), 1000 + 0xffff);
    assert.equal(copySum(v, u8, 0, 131_072, 200_000, 1000), 1000 + 0xffff);
  });

  test('over other memory stay in JavaScript', () => {
    accelerate(v, kernel);
    const other = new DataView(new Uint8Array(1000).fill(1).buffer);
    assert.equal(fold(sum(other, 0, 1000)), fold(500 * 0x0101));
  });

  after(() => accelerate(v, null));
});
