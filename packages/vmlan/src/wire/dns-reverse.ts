/**
 * Reverse names: the place of an address in in-addr.arpa and ip6.arpa, and back (RFC 1035 §3.5, RFC 3596 §2.5).
 *
 * Zone: flow.  Names are keys (dns-name.ts): lower case, no final dot.
 */
const REVERSE4_SUFFIX = '.in-addr.arpa';
const REVERSE6_SUFFIX = '.ip6.arpa';

/** The part of the address space that a reverse name stands for. */
export interface ReverseRange {
  readonly family: 4 | 6;
  /** Words of the address, one or four; bits behind the prefix are zero. */
  readonly words: Uint32Array;
  /** Multiple of 8 or of 4. */
  readonly prefix: number;
}

/** `4.3.2.1.in-addr.arpa`; fewer octets for a shorter prefix, which is rounded down to whole ones. */
export function reverseKey4(ip: number, prefix = 32): string {
  const octets = [ip >>> 24, (ip >>> 16) & 0xff, (ip >>> 8) & 0xff, ip & 0xff].slice(0, prefix >>> 3);
  return joinReversed(octets, 10, REVERSE4_SUFFIX);
}

/** Nibbles in reverse order under ip6.arpa; fewer for a shorter prefix, which is rounded down to whole ones. */
export function reverseKey6(words: ArrayLike<number>, prefix = 128): string {
  const nibbles = Array.from({ length: prefix >>> 2 }, (_, i) => (words[i >>> 3]! >>> (28 - 4 * (i & 7))) & 0xf);
  return joinReversed(nibbles, 16, REVERSE6_SUFFIX);
}

function joinReversed(parts: number[], radix: number, suffix: string): string {
  const labels = parts.toReversed().map((part) => part.toString(radix));
  return labels.length > 0 ? `${labels.join('.')}${suffix}` : suffix.slice(1);
}

/** What a name below in-addr.arpa or ip6.arpa stands for; null for all other names. */
export function parseReverseKey(key: string): ReverseRange | null {
  if (key.endsWith(REVERSE4_SUFFIX)) return parseLabels(key.slice(0, -REVERSE4_SUFFIX.length), 4);
  if (key.endsWith(REVERSE6_SUFFIX)) return parseLabels(key.slice(0, -REVERSE6_SUFFIX.length), 6);
  return null;
}

const OCTET = /^(?:0|[1-9]\d{0,2})$/;
const NIBBLE = /^[0-9a-f]$/;

function parseLabels(text: string, family: 4 | 6): ReverseRange | null {
  const labels = text.split('.').toReversed();
  const [pattern, radix, bits, most] = family === 4 ? [OCTET, 10, 8, 4] : [NIBBLE, 16, 4, 32];
  if (labels.length > most) return null;
  const words = new Uint32Array(family === 4 ? 1 : 4);
  for (const [i, label] of labels.entries()) {
    const value = pattern.test(label) ? Number.parseInt(label, radix) : 256;
    if (value > 255) return null;
    words[(i * bits) >>> 5]! |= value << (32 - bits - ((i * bits) & 31));
  }
  return { family, words, prefix: labels.length * bits };
}
