/**
 * Addresses as numbers, and their text. Zone: packet for predicates and writers, control for parse and format.
 * IPv4 = one uint32. IPv6 = four uint32, most significant first (RFC 4291). MAC = `hi` (first 2 bytes) and `lo` (last 4).
 * No Node built-ins: browsers import this file.
 */
export interface MacAddress {
  readonly hi: number;
  readonly lo: number;
}

export interface Cidr4 {
  /** The address as written. */
  readonly address: number;
  readonly network: number;
  readonly prefix: number;
  readonly mask: number;
  /** True if the text had bits behind the prefix, as in 192.168.1.7/24. */
  readonly hasHostBits: boolean;
}

export interface Cidr6 {
  readonly address: Uint32Array;
  readonly network: Uint32Array;
  readonly prefix: number;
  readonly mask: Uint32Array;
  readonly hasHostBits: boolean;
}

export const BROADCAST4 = 0xffff_ffff;
export const LOOPBACK4 = 0x7f00_0001;

// IPv4 predicates: RFC 6890 and the registry it founded.
export const isThisNetwork4 = (ip: number): boolean => ip >>> 24 === 0;
export const isLoopback4 = (ip: number): boolean => ip >>> 24 === 127;
export const isLinkLocal4 = (ip: number): boolean => ip >>> 16 === 0xa9fe;
export const isMulticast4 = (ip: number): boolean => ip >>> 28 === 0xe;
/** 240.0.0.0/4, the limited broadcast address included. */
export const isReserved4 = (ip: number): boolean => ip >>> 28 === 0xf;
export const isBroadcast = (ip: number): boolean => ip >>> 0 === BROADCAST4;
export const isPrivate4 = (ip: number): boolean => ip >>> 24 === 10 || ip >>> 20 === 0xac1 || ip >>> 16 === 0xc0a8;

/** Netmask of a prefix length 0…32. */
export const mask4 = (prefix: number): number => (prefix === 0 ? 0 : (-1 << (32 - prefix)) >>> 0);
export const contains4 = (network: number, mask: number, ip: number): boolean => (ip & mask) >>> 0 === network;

/** Prefix length of a netmask, or null if its ones are not contiguous. */
export function prefixOfMask4(mask: number): number | null {
  const prefix = Math.clz32(~mask);
  return mask4(prefix) === mask >>> 0 ? prefix : null;
}

// IPv6 predicates take the four words, so that no array is made of a packet's address.
export const isUnspecified6 = (w0: number, w1: number, w2: number, w3: number): boolean => (w0 | w1 | w2 | w3) === 0;
export const isLoopback6 = (w0: number, w1: number, w2: number, w3: number): boolean =>
  (w0 | w1 | w2) === 0 && w3 === 1;
export const isV4Mapped6 = (w0: number, w1: number, w2: number, _w3: number): boolean =>
  (w0 | w1) === 0 && w2 === 0xffff;
export const isLinkLocal6 = (w0: number, _w1: number, _w2: number, _w3: number): boolean => w0 >>> 22 === 0x3fa;
export const isMulticast6 = (w0: number, _w1: number, _w2: number, _w3: number): boolean => w0 >>> 24 === 0xff;
export const isUniqueLocal6 = (w0: number, _w1: number, _w2: number, _w3: number): boolean => w0 >>> 25 === 0x7e;

/** Word `i` (0…3) of the mask of an IPv6 prefix length. */
export const maskWord6 = (prefix: number, i: number): number => mask4(Math.max(0, Math.min(32, prefix - 32 * i)));

export const isMulticastMac = (hi: number): boolean => (hi & 0x0100) !== 0;
export const isBroadcastMac = (hi: number, lo: number): boolean => hi === 0xffff && lo >>> 0 === 0xffff_ffff;

/** Writes the MAC of an IPv4 multicast group (RFC 1112 §6.4). */
export function ipv4MulticastMac(v: DataView, o: number, ip: number): void {
  v.setUint16(o, 0x0100);
  v.setUint32(o + 2, 0x5e00_0000 | (ip & 0x7f_ffff));
}

/** Writes the MAC of an IPv6 multicast group, of which the last word counts (RFC 2464 §7). */
export function ipv6MulticastMac(v: DataView, o: number, w3: number): void {
  v.setUint16(o, 0x3333);
  v.setUint32(o + 2, w3);
}

/** Last word of a solicited-node multicast address; the others are SOLICITED_NODE (RFC 4291 §2.7.1). */
export const solicitedNodeWord3 = (w3: number): number => (0xff00_0000 | (w3 & 0xff_ffff)) >>> 0;
export const SOLICITED_NODE: readonly [number, number, number] = [0xff02_0000, 0, 1];

/** Writes the solicited-node multicast address, 16 bytes, of a unicast address whose last word is `w3`. */
export function solicitedNode(v: DataView, o: number, w3: number): void {
  v.setUint32(o, SOLICITED_NODE[0]);
  v.setUint32(o + 4, SOLICITED_NODE[1]);
  v.setUint32(o + 8, SOLICITED_NODE[2]);
  v.setUint32(o + 12, solicitedNodeWord3(w3));
}

// Modified EUI-64 interface identifier of a MAC (RFC 4291 appendix A): the universal bit is inverted.
export const eui64Word2 = (hi: number, lo: number): number => (((hi ^ 0x0200) << 16) | ((lo >>> 24) << 8) | 0xff) >>> 0;
export const eui64Word3 = (lo: number): number => (0xfe00_0000 | (lo & 0xff_ffff)) >>> 0;

/** Writes the link-local address, 16 bytes, that a MAC gives. */
export function eui64LinkLocal(v: DataView, o: number, hi: number, lo: number): void {
  v.setUint32(o, 0xfe80_0000);
  v.setUint32(o + 4, 0);
  v.setUint32(o + 8, eui64Word2(hi, lo));
  v.setUint32(o + 12, eui64Word3(lo));
}

/** The link-local address that a MAC gives, as words. */
export function linkLocalOfMac(hi: number, lo: number): Uint32Array {
  return Uint32Array.of(0xfe80_0000, 0, eui64Word2(hi, lo), eui64Word3(lo));
}

/** Strict dotted quad: four decimal numbers without leading zeros (RFC 6943 §3.1.1: other forms are ambiguous). */
export function parseIpv4(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let ip = 0;
  for (const part of parts) {
    const byte = parseDecimal(part, 255);
    if (byte === null) return null;
    ip = ip * 256 + byte;
  }
  return ip;
}

function parseDecimal(text: string, max: number): number | null {
  if (!/^(?:0|[1-9]\d{0,2})$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

export function formatIpv4(ip: number): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
}

/** All forms of RFC 4291 §2.2, with embedded IPv4; no zone. */
export function parseIpv6(text: string): Uint32Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return Uint32Array.from([0, 2, 4, 6], (i) => groups[i]! * 65536 + groups[i + 1]!);
}

/** 16-bit groups between colons; dotted IPv4 only as the last one, and only if `last` says that the address ends here. */
function parseGroups(text: string, last: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const ip = last && i === parts.length - 1 ? parseIpv4(part) : null;
    if (ip === null) return null;
    groups.push(ip >>> 16, ip & 0xffff);
  }
  return groups;
}

/** Canonical text (RFC 5952): lower case, longest run of two or more zero groups shortened, IPv4-mapped as dotted quad. */
export function formatIpv6(words: ArrayLike<number>): string {
  const [w0, w1, w2, w3] = [words[0]!, words[1]!, words[2]!, words[3]!];
  if (isV4Mapped6(w0, w1, w2, w3)) return `::ffff:${formatIpv4(w3)}`;
  const groups = [w0, w1, w2, w3].flatMap((word) => [word >>> 16, word & 0xffff]);
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(':');
  return `${hex.slice(0, run.start).join(':')}::${hex.slice(run.start + run.length).join(':')}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  const best = { start: 0, length: 0 };
  let length = 0;
  for (const [i, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) {
      best.length = length;
      best.start = i + 1 - length;
    }
  }
  return best;
}

/** Six pairs of hex digits between colons, or between dashes. */
export function parseMac(text: string): MacAddress | null {
  if (!/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text)) return null;
  const digits = text.replaceAll(/[:-]/g, '');
  return { hi: Number.parseInt(digits.slice(0, 4), 16), lo: Number.parseInt(digits.slice(4), 16) };
}

export function formatMac(hi: number, lo: number): string {
  const digits = hi.toString(16).padStart(4, '0') + (lo >>> 0).toString(16).padStart(8, '0');
  return digits.match(/../g)!.join(':');
}

/** `ADDRESS/PREFIX`; host bits are allowed and reported. */
export function parseCidr4(text: string): Cidr4 | null {
  const [addressText, prefixText, ...rest] = text.split('/');
  if (addressText === undefined || prefixText === undefined || rest.length > 0) return null;
  const address = parseIpv4(addressText);
  const prefix = parseDecimal(prefixText, 32);
  if (address === null || prefix === null) return null;
  const mask = mask4(prefix);
  const network = (address & mask) >>> 0;
  return { address, network, prefix, mask, hasHostBits: network !== address };
}

export function formatCidr4(network: number, prefix: number): string {
  return `${formatIpv4(network)}/${prefix}`;
}

/** `ADDRESS/PREFIX`; host bits are allowed and reported. */
export function parseCidr6(text: string): Cidr6 | null {
  const [addressText, prefixText, ...rest] = text.split('/');
  if (addressText === undefined || prefixText === undefined || rest.length > 0) return null;
  const address = parseIpv6(addressText);
  const prefix = parseDecimal(prefixText, 128);
  if (address === null || prefix === null) return null;
  const mask = Uint32Array.from([0, 1, 2, 3], (i) => maskWord6(prefix, i));
  const network = address.map((word, i) => word & mask[i]!);
  return { address, network, prefix, mask, hasHostBits: network.some((word, i) => word !== address[i]) };
}

export function formatCidr6(network: ArrayLike<number>, prefix: number): string {
  return `${formatIpv6(network)}/${prefix}`;
}

export function contains6(network: ArrayLike<number>, prefix: number, address: ArrayLike<number>): boolean {
  return [0, 1, 2, 3].every((i) => (address[i]! & maskWord6(prefix, i)) >>> 0 === network[i]!);
}
