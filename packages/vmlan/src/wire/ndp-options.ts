/**
 * Options of router advertisements: prefix and MTU (RFC 4861 §4.6), DNS servers and search list (RFC 8106 §5), routes
 * (RFC 4191 §2.3). Zone: packet, but for `encodeSearchList`, which is control.
 * Each `put…` writes at `p` and returns the offset behind the option. Lifetimes are seconds, LIFETIME_INFINITE = for ever.
 */
import {
  OPTION_DNSSL,
  OPTION_MTU,
  OPTION_PREFIX,
  OPTION_RDNSS,
  OPTION_ROUTE,
  OPTION_SOURCE_LINK_LAYER,
  putLinkLayer,
} from './ndp.ts';

export const LIFETIME_INFINITE = 0xffff_ffff;

export const PREFIX_ON_LINK = 0x80;
export const PREFIX_AUTONOMOUS = 0x40;

/** 8 bytes. */
export function putSourceLinkLayer(v: DataView, p: number, macHi: number, macLo: number): number {
  return putLinkLayer(v, p, OPTION_SOURCE_LINK_LAYER, macHi, macLo);
}

/** 8 bytes. */
export function putMtu(v: DataView, p: number, mtuBytes: number): number {
  v.setUint32(p, ((OPTION_MTU << 8) | 1) << 16);
  v.setUint32(p + 4, mtuBytes);
  return p + 8;
}

/** 32 bytes. */
export function putPrefix(
  v: DataView,
  p: number,
  prefixBits: number,
  flags: number,
  validS: number,
  preferredS: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  v.setUint16(p, (OPTION_PREFIX << 8) | 4);
  v.setUint8(p + 2, prefixBits);
  v.setUint8(p + 3, flags);
  v.setUint32(p + 4, validS);
  v.setUint32(p + 8, preferredS);
  v.setUint32(p + 12, 0);
  return putWords(v, p + 16, w0, w1, w2, w3);
}

/** One DNS server, 24 bytes. */
export function putRdnss(
  v: DataView,
  p: number,
  lifetimeS: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  v.setUint32(p, ((OPTION_RDNSS << 8) | 3) << 16);
  v.setUint32(p + 4, lifetimeS);
  return putWords(v, p + 8, w0, w1, w2, w3);
}

/** Search list as `encodeSearchList` made it, 8 + its length; nothing at all for an empty list. */
export function putDnssl(v: DataView, p: number, lifetimeS: number, encoded: Uint8Array): number {
  if (encoded.length === 0) return p;
  v.setUint32(p, ((OPTION_DNSSL << 8) | (1 + (encoded.length >>> 3))) << 16);
  v.setUint32(p + 4, lifetimeS);
  for (let i = 0; i < encoded.length; i++) v.setUint8(p + 8 + i, encoded[i]!);
  return p + 8 + encoded.length;
}

/** A more specific route through the sender, 24 bytes; `preference` is 0 (medium), 0x08 (high) or 0x18 (low). */
export function putRoute(
  v: DataView,
  p: number,
  prefixBits: number,
  preference: number,
  lifetimeS: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  v.setUint16(p, (OPTION_ROUTE << 8) | 3);
  v.setUint8(p + 2, prefixBits);
  v.setUint8(p + 3, preference);
  v.setUint32(p + 4, lifetimeS);
  return putWords(v, p + 8, w0, w1, w2, w3);
}

function putWords(v: DataView, p: number, w0: number, w1: number, w2: number, w3: number): number {
  v.setUint32(p, w0);
  v.setUint32(p + 4, w1);
  v.setUint32(p + 8, w2);
  v.setUint32(p + 12, w3);
  return p + 16;
}

const MAX_SEARCH_LIST_LEN = 2032; // the option's length is one byte of 8-byte units, 8 of them its header: (255 - 1) × 8

/** Domain names as labels (RFC 1035 §3.1, never compressed), padded with zeros to a multiple of 8 (RFC 8106 §5.2). */
export function encodeSearchList(domains: readonly string[]): Uint8Array {
  const bytes: number[] = [];
  for (const domain of domains) {
    for (const label of domain.split('.').filter((label) => label !== '')) {
      const encoded = new TextEncoder().encode(label);
      if (encoded.length > 63) throw new RangeError(`search domain ${domain}: a label is longer than 63 bytes`);
      bytes.push(encoded.length, ...encoded);
    }
    bytes.push(0);
  }
  while (bytes.length % 8 !== 0) bytes.push(0);
  if (bytes.length > MAX_SEARCH_LIST_LEN) throw new RangeError('search list is longer than a DNSSL option holds');
  return Uint8Array.from(bytes);
}
