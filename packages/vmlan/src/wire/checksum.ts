/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Zone: packet.
 *
 * `sum` adds the 16-bit big-endian words of a range to `initial`. It returns `initial` plus at most 0xffff, so chained sums
 * (pseudo header, header, payload) stay far below 2^32. Only the last part of a chain may have an odd length.
 *
 *   emit    finish(sum(v, o, len, pseudo4(src, dst, proto, len)))      with the checksum field zero
 *   verify  fold(sum(v, o, len, pseudo4(src, dst, proto, len))) === VALID
 *
 * Speed: the range is read through a Uint16Array over the view's *whole* buffer (the view's byteOffset is respected), in
 * host byte order, and the folded result is swapped once: the sum does not depend on byte order (RFC 1071 §2 (B)). An odd
 * start is as fast as an even one: its words straddle ours, which is the same swap once more.
 * The arrays of the two buffers used last (arena and one other) are cached at module level by buffer identity, so these
 * two buffers are kept alive; buffers are assumed not to be detached or resized while in use.
 */

/** What a verified sum folds to. */
export const VALID = 0xffff;

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

let recentBuffer: ArrayBufferLike = new ArrayBuffer(0);
let recentWords: Uint16Array = new Uint16Array(recentBuffer);
let olderBuffer: ArrayBufferLike = recentBuffer;
let olderWords: Uint16Array = recentWords;

function wordsOf(buffer: ArrayBufferLike): Uint16Array {
  if (buffer === recentBuffer) return recentWords;
  const words = buffer === olderBuffer ? olderWords : new Uint16Array(buffer, 0, buffer.byteLength >>> 1);
  olderBuffer = recentBuffer;
  olderWords = recentWords;
  recentBuffer = buffer;
  recentWords = words;
  return words;
}

/** Unfolded sum of `len` bytes at `off`, plus `initial`; `len` up to 128 KiB. */
export function sum(v: DataView, off: number, len: number, initial: number = 0): number {
  if (len <= 0) return initial;
  const start = v.byteOffset + off;
  const odd = start & 1;
  // An odd start contributes its first byte as a high byte; what follows is aligned, with high and low exchanged.
  const edge = odd === 0 ? 0 : v.getUint8(off) << 8;
  const from = (start + odd) >>> 1;
  const to = (start + len) >>> 1;
  let total = fold(sumWords(wordsOf(v.buffer), from, to));
  if (LITTLE_ENDIAN === (odd === 0)) total = ((total & 0xff) << 8) | (total >>> 8);
  // A byte left over at the end: high byte of a last word when the length is odd, else the low one.
  const rest = ((start + len) & 1) === 0 ? 0 : v.getUint8(off + len - 1) << ((len & 1) << 3);
  return initial + fold(edge + total + rest);
}

/** Two int32 accumulators: each takes 32768 words of 0xffff without overflow. */
function sumWords(words: Uint16Array, from: number, to: number): number {
  let a = 0;
  let b = 0;
  let i = from;
  for (const end = to - 7; i < end; i += 8) {
    a = (a + words[i]! + words[i + 1]! + words[i + 2]! + words[i + 3]!) | 0;
    b = (b + words[i + 4]! + words[i + 5]! + words[i + 6]! + words[i + 7]!) | 0;
  }
  for (; i < to; i++) a = (a + words[i]!) | 0;
  return a + b;
}

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
