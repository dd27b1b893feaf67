/**
 * The Internet checksum by SIMD: a WebAssembly module of two functions, assembled here.
 *
 * Zone: packet (assembling it: control).  RFC 1071 §2 (B): the words are added as they lie, in little-endian order, and
 * the result is swapped once, by the caller.  What it saves over JavaScript's loop stands in docs/datapath.md.  The module
 * sees its own memory only: an arena whose pages it shares (sys/low-memory.ts).
 *
 *   (module (import "m" "m" (memory 0))
 *     (func (export "sum") (param $from i32) (param $len i32) (result i32) …)
 *     (func (export "copySum") (param $from i32) (param $len i32) (param $to i32) (result i32) …))
 *
 * Both add 64 bytes a turn in four accumulators of four 32-bit lanes, then 16, then 2, then the last byte (the missing
 * one counts as zero), and fold once.  128 KiB of ones do not overflow: 2^16 words of at most 2^16 - 1.
 */

/** The part of WebAssembly's interface that is used; the library for Node has no types for it. */
interface WasmGlobal {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

export interface SumKernel {
  /** Folded once, below 2^17, in little-endian order. `len` is at most 128 KiB. */
  sum(from: number, len: number): number;
  /** The same while copying to `to`; the ranges do not overlap. */
  copySum(from: number, len: number, to: number): number;
}

// Opcodes (WebAssembly core specification 2.0, §5.4).
const BLOCK = [0x02, 0x40];
const LOOP = [0x03, 0x40];
const END = 0x0b;
const BR = 0x0c;
const BR_IF = 0x0d;
const LOCAL_GET = 0x20;
const LOCAL_SET = 0x21;
const I32_LOAD8_U = [0x2d, 0];
const I32_LOAD16_U = [0x2f, 0];
const I32_STORE8 = [0x3a, 0];
const I32_STORE16 = [0x3b, 0];
const I32_CONST = 0x41;
const I32_GE_U = 0x4f;
const I32_ADD = 0x6a;
const I32_AND = 0x71;
const I32_SHR_U = 0x76;
const V128_LOAD = [0xfd, 0x00, 0];
const V128_STORE = [0xfd, 0x0b, 0];
const I32X4_EXTADD_PAIRWISE_I16X8_U = [0xfd, 0x7f];
const I32X4_ADD = [0xfd, 0xae, 0x01];
const I32X4_EXTRACT_LANE = [0xfd, 0x1b];
const I32 = 0x7f;
const V128 = 0x7b;

// Locals: the parameters, then our own. `sum` has a third parameter that it does not use: one body shape for both.
const FROM = 0;
const LEN = 1;
const TO = 2;
const STOP = 3;
const TOTAL = 4;
const LANES = [5, 6, 7, 8];
const CHUNK = 9;

const get = (local: number): number[] => [LOCAL_GET, local];
const set = (local: number): number[] => [LOCAL_SET, local];

/** Signed LEB128. */
function constant(value: number): number[] {
  const bytes = [I32_CONST];
  for (let rest = value; ; rest >>= 7) {
    const byte = rest & 0x7f;
    if (rest >> 6 === 0 || rest >> 6 === -1) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

/** Unsigned LEB128. */
const length = (n: number): number[] => (n < 0x80 ? [n] : [(n & 0x7f) | 0x80, ...length(n >>> 7)]);

const advance = (local: number, bytes: number): number[] => [...get(local), ...constant(bytes), I32_ADD, ...set(local)];

/** STOP = FROM + (LEN & mask) */
const stopAt = (mask: number): number[] => [
  ...[...get(FROM), ...get(LEN), ...constant(mask), I32_AND, I32_ADD],
  ...set(STOP),
];

/** while (FROM < STOP) { body; FROM += step; TO += step when copying } */
const whileBefore = (step: number, copies: boolean, body: number[]): number[] => [
  ...[...BLOCK, ...LOOP, ...get(FROM), ...get(STOP), I32_GE_U, BR_IF, 1],
  ...body,
  ...advance(FROM, step),
  ...(copies ? advance(TO, step) : []),
  ...[BR, 0, END, END],
];

/** 16 bytes at FROM + at, added to a lane's accumulator. */
const addChunk = (at: number, lane: number, copies: boolean): number[] => [
  ...[...get(FROM), ...V128_LOAD, at, ...set(CHUNK)],
  ...(copies ? [...get(TO), ...get(CHUNK), ...V128_STORE, at] : []),
  ...[...get(CHUNK), ...I32X4_EXTADD_PAIRWISE_I16X8_U, ...get(lane), ...I32X4_ADD, ...set(lane)],
];

/** A word of 2 bytes, or 1, at FROM, added to TOTAL. */
const addWord = (load: number[], store: number[], copies: boolean): number[] => [
  ...(copies ? [...get(TO), ...get(FROM), ...load, 0, ...store, 0] : []),
  ...[...get(FROM), ...load, 0, ...get(TOTAL), I32_ADD, ...set(TOTAL)],
];

function body(copies: boolean): number[] {
  const [a, b, c, d] = LANES as [number, number, number, number];
  const lanes = [0, 1, 2, 3].flatMap((lane) => [...get(a), ...I32X4_EXTRACT_LANE, lane]);
  const code = [
    ...stopAt(-64),
    ...whileBefore(
      64,
      copies,
      [a, b, c, d].flatMap((lane, i) => addChunk(16 * i, lane, copies)),
    ),
    ...stopAt(48),
    ...whileBefore(16, copies, addChunk(0, a, copies)),
    // a = a + b + c + d; TOTAL = its lanes
    ...[...get(a), ...get(b), ...I32X4_ADD, ...get(c), ...I32X4_ADD, ...get(d), ...I32X4_ADD, ...set(a)],
    ...[...lanes, I32_ADD, I32_ADD, I32_ADD, ...set(TOTAL)],
    ...stopAt(14),
    ...whileBefore(2, copies, addWord(I32_LOAD16_U, I32_STORE16, copies)),
    ...stopAt(1),
    ...whileBefore(1, copies, addWord(I32_LOAD8_U, I32_STORE8, copies)),
    // (TOTAL & 0xffff) + (TOTAL >>> 16)
    ...[...get(TOTAL), ...constant(0xffff), I32_AND, ...get(TOTAL), ...constant(16), I32_SHR_U, I32_ADD, END],
  ];
  const locals = [2, 2, I32, 5, V128];
  return [...length(locals.length + code.length), ...locals, ...code];
}

const name = (text: string): number[] => [text.length, ...Array.from(text, (letter) => letter.charCodeAt(0))];
const section = (id: number, content: number[]): number[] => [id, ...length(content.length), ...content];

/** The module's bytes. */
export function sumModule(): Uint8Array {
  const signature = [0x60, 3, I32, I32, I32, 1, I32];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, ...signature]),
    ...section(2, [1, ...name('m'), ...name('m'), 0x02, 0x00, 0]),
    ...section(3, [2, 0, 0]),
    ...section(7, [2, ...name('sum'), 0x00, 0, ...name('copySum'), 0x00, 1]),
    ...section(10, [2, ...body(false), ...body(true)]),
  ]);
}

/** The two functions over `memory` (a WebAssembly.Memory), or null where there is no WebAssembly with SIMD. */
export function newSumKernel(memory: object): SumKernel | null {
  const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly?: WasmGlobal };
  if (wasm === undefined) return null;
  try {
    const instance = new wasm.Instance(new wasm.Module(sumModule()), { m: { m: memory } });
    const exported = instance.exports as {
      sum: (from: number, len: number, to: number) => number;
      copySum: (from: number, len: number, to: number) => number;
    };
    return { sum: (from, len) => exported.sum(from, len, 0), copySum: exported.copySum };
  } catch {
    return null;
  }
}
