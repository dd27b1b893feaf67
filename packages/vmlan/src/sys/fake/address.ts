/**
 * Internet addresses and socket names as the fake kernel keeps them, and their form in memory.
 *
 * Zone: control.  An IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is the IPv4 address wherever it occurs; it
 * becomes mapped again only in a sockaddr for an IPv6 socket.
 */
import { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC } from '../constants.ts';

export interface Ip {
  readonly family: typeof AF_INET | typeof AF_INET6;
  /** One word or four, most significant first. */
  readonly words: readonly number[];
  /** Canonical text (RFC 5952); two addresses are equal if their texts are. */
  readonly text: string;
}

export interface Endpoint {
  readonly ip: Ip;
  readonly port: number;
}

export type SocketName =
  | ({ readonly kind: 'inet'; readonly family: number } & Endpoint)
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'unspec' }
  | { readonly kind: 'short' };

const UNIX_PATH_AT = 2;
const MAPPED = 0xffff;

export function ipv4(word: number): Ip {
  const text = `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
  return { family: AF_INET, words: [word >>> 0], text };
}

export function ipv6(w0: number, w1: number, w2: number, w3: number): Ip {
  if (w0 === 0 && w1 === 0 && w2 === MAPPED) return ipv4(w3);
  const words = [w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0];
  return { family: AF_INET6, words, text: formatIpv6(words) };
}

export const ANY_V4: Ip = ipv4(0);
export const ANY_V6: Ip = ipv6(0, 0, 0, 0);
export const LOOPBACK_V4: Ip = ipv4(0x7f00_0001);
export const LOOPBACK_V6: Ip = ipv6(0, 0, 0, 1);

function formatIpv6(words: readonly number[]): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let best = { at: -1, len: 1 }; // a run of one zero group is not shortened
  for (let at = 0; at < 8; at++) {
    let len = 0;
    while (at + len < 8 && groups[at + len] === 0) len++;
    if (len > best.len) best = { at, len };
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return best.at < 0 ? hex(0, 8) : `${hex(0, best.at)}::${hex(best.at + best.len, 8)}`;
}

/** Throws on what is no address: tests name hosts with it. */
export function parseIp(text: string): Ip {
  if (!text.includes(':')) {
    const parts = text.split('.').map(Number);
    if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) throw new Error(`no address: ${text}`);
    return ipv4(parts.reduce((word, part) => word * 256 + part, 0));
  }
  const [head = '', tail, third] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const fill = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: fill }, () => '0'), ...right].map((group) => parseInt(group, 16));
  if (third !== undefined || groups.length !== 8 || groups.some((group) => !(group >= 0 && group <= 0xffff))) {
    throw new Error(`no address: ${text}`);
  }
  const word = (i: number): number => groups[2 * i]! * 0x1_0000 + groups[2 * i + 1]!;
  return ipv6(word(0), word(1), word(2), word(3));
}

export function isAny(ip: Ip): boolean {
  return ip.words.every((word) => word === 0);
}

export function isLoopback(ip: Ip): boolean {
  return ip.family === AF_INET ? ip.words[0]! >>> 24 === 127 : ip.text === '::1';
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.ip.text === b.ip.text;
}

export function formatEndpoint(endpoint: Endpoint | undefined): string {
  if (endpoint === undefined) return '*';
  return endpoint.ip.family === AF_INET
    ? `${endpoint.ip.text}:${endpoint.port}`
    : `[${endpoint.ip.text}]:${endpoint.port}`;
}

/** Reads the struct sockaddr of `len` bytes at `off`. */
export function readName(view: DataView, off: number, len: number): SocketName {
  if (len < 2) return { kind: 'short' };
  const family = view.getUint16(off, true);
  if (family === AF_UNSPEC) return { kind: 'unspec' };
  if (family === AF_UNIX) return { kind: 'unix', path: readPath(view, off + UNIX_PATH_AT, len - UNIX_PATH_AT) };
  if (family === AF_INET && len >= 16) {
    return { kind: 'inet', family, ip: ipv4(view.getUint32(off + 4)), port: view.getUint16(off + 2) };
  }
  if (family === AF_INET6 && len >= 28) {
    const ip = ipv6(
      view.getUint32(off + 8),
      view.getUint32(off + 12),
      view.getUint32(off + 16),
      view.getUint32(off + 20),
    );
    return { kind: 'inet', family, ip, port: view.getUint16(off + 2) };
  }
  return { kind: 'short' };
}

/** A path ends at its NUL; an abstract name (man 7 unix) begins with one and ends with the address. */
function readPath(view: DataView, off: number, len: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + off, len);
  const end = len > 0 && bytes[0] === 0 ? len : bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? len : end));
}

/** Writes the address for a socket of `domain` and returns its length. */
export function writeEndpoint(view: DataView, off: number, domain: number, endpoint: Endpoint): number {
  view.setUint16(off, domain, true);
  view.setUint16(off + 2, endpoint.port);
  view.setUint32(off + 4, 0);
  const { words, family } = endpoint.ip;
  if (domain === AF_INET) {
    view.setUint32(off + 4, words[0]!);
    view.setBigUint64(off + 8, 0n);
    return 16;
  }
  const wide = family === AF_INET6 || words[0] === 0 ? [...words, 0, 0, 0].slice(0, 4) : [0, 0, MAPPED, words[0]!];
  wide.forEach((word, i) => view.setUint32(off + 8 + 4 * i, word));
  view.setUint32(off + 24, 0);
  return 28;
}

export function writePath(view: DataView, off: number, path: string): number {
  const bytes = new TextEncoder().encode(path);
  view.setUint16(off, AF_UNIX, true);
  new Uint8Array(view.buffer, view.byteOffset + off + UNIX_PATH_AT).set(bytes);
  if (bytes.length === 0) return UNIX_PATH_AT;
  if (bytes[0] === 0) return UNIX_PATH_AT + bytes.length;
  view.setUint8(off + UNIX_PATH_AT + bytes.length, 0);
  return UNIX_PATH_AT + bytes.length + 1;
}
