/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Zone: packet.
 *
 * `sum` adds the 16-bit big-endian words of a range to `initial`. It returns `initial` plus at most 0xffff, so chained sums
 * (pseudo header, header, payload) stay far below 2^32. Only the last part of a chain may have an odd length.
 *
 *   emit    finish(sum(v, o, len, pseudo4(src, dst, proto, len)))      with the checksum field zero
 *   verify  fold(sum(v, o, len, pseudo4(src, dst, proto, len))) === VALID
 *
 * Speed: 32 bits at a time in little-endian order, the folded result swapped once: the sum does not depend on byte order
 * (RFC 1071 §2 (B)). Reading through the DataView needs neither alignment nor an array kept per buffer. What lies in the
 * memory of an accelerator (simd-sum.ts) and is longer than headers is summed there; docs/datapath.md tells what that saves.
 */
import type { SumKernel } from './simd-sum.ts';

/** What a verified sum folds to. */
export const VALID = 0xffff;

/** From here on the call costs less than it saves, bytes. */
const ACCELERATED_LEN = 96;

let kernelView: DataView | null = null;
let kernel: SumKernel | null = null;

/** From now on this thread's sums over `v` are `by`'s work; null: nobody's. */
export function accelerate(v: DataView, by: SumKernel | null): void {
  kernelView = by === null ? null : v;
  kernel = by;
}

/** Unfolded sum of `len` bytes at `off`, plus `initial`. `len` is at most 128 KiB: the accumulators take 32768 words each. */
export function sum(v: DataView, off: number, len: number, initial: number = 0): number {
  if (len >= ACCELERATED_LEN && v === kernelView) return initial + swap(fold(kernel!.sum(off, len)));
  let low = 0;
  let high = 0;
  let p = off;
  for (const end = off + (len & ~3); p < end; p += 4) {
    const word = v.getInt32(p, true);
    low = (low + (word & 0xffff)) | 0;
    high = (high + (word >>> 16)) | 0;
  }
  if ((len & 2) !== 0) {
    low += v.getUint16(p, true);
    p += 2;
  }
  if ((len & 1) !== 0) low += v.getUint8(p); // the missing byte counts as zero
  return initial + swap(fold(low + high));
}

/** Copies `len` bytes from `off` to `to`, which do not overlap, and returns their sum as `sum` does. */
export function copySum(
  v: DataView,
  u8: Uint8Array,
  off: number,
  len: number,
  to: number,
  initial: number = 0,
): number {
  if (v === kernelView) return initial + swap(fold(kernel!.copySum(off, len, to)));
  u8.copyWithin(to, off, off + len);
  return sum(v, to, len, initial);
}

const swap = (folded: number): number => ((folded & 0xff) << 8) | (folded >>> 8);

/** One's complement fold of a sum below 2^32 to 16 bits; only a sum of zero folds to zero. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The value for a checksum field. */
export function finish(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** Pseudo header sum for IPv4 (RFC 9293 §3.1); addresses are uint32. */
export function pseudo4(src: number, dst: number, proto: number, len: number): number {
  return (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff) + proto + len;
}

/** Pseudo header sum for IPv6 (RFC 8200 §8.1); `len` below 64 KiB. */
export function pseudo6(
  s0: number,
  s1: number,
  s2: number,
  s3: number,
  d0: number,
  d1: number,
  d2: number,
  d3: number,
  proto: number,
  len: number,
): number {
  return (
    halves(s0) + halves(s1) + halves(s2) + halves(s3) + halves(d0) + halves(d1) + halves(d2) + halves(d3) + proto + len
  );
}

const halves = (word: number): number => (word >>> 16) + (word & 0xffff);

/** New checksum after a 16-bit aligned field changed from `was` to `is`: RFC 1624 §3, equation 3. */
export function incremental16(checksum: number, was: number, is: number): number {
  return finish((~checksum & 0xffff) + (~was & 0xffff) + is);
}

/** The same for a 32-bit field that starts at an even offset of the summed data. */
export function incremental32(checksum: number, was: number, is: number): number {
  return finish((~checksum & 0xffff) + halves(~was) + halves(is));
}
