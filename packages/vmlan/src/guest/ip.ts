/**
 * IP addresses of both families as values.
 *
 * Zone: control.  The canonical text is the identity: two of the same address have the same `text`.
 */
import * as address from '../wire/address.ts';

export interface Ip {
  readonly text: string;
  readonly family: 4 | 6;
  /** uint32; 0 for IPv6. */
  readonly v4: number;
  /** Most significant first; all zero for IPv4. */
  readonly words: Uint32Array;
}

const NO_WORDS = new Uint32Array(4);

export const ip4 = (value: number): Ip => ({
  text: address.formatIpv4(value >>> 0),
  family: 4,
  v4: value >>> 0,
  words: NO_WORDS,
});

export const ip6 = (w0: number, w1: number, w2: number, w3: number): Ip => {
  const words = Uint32Array.of(w0, w1, w2, w3);
  return { text: address.formatIpv6(words), family: 6, v4: 0, words };
};

export function parseIp(text: string): Ip | null {
  const v4 = address.parseIpv4(text);
  if (v4 !== null) return ip4(v4);
  const words = address.parseIpv6(text.replace(/^\[(.*)\]$/, '$1'));
  return words === null ? null : ip6(words[0]!, words[1]!, words[2]!, words[3]!);
}

export const ANY4: Ip = ip4(0);
export const BROADCAST: Ip = ip4(address.BROADCAST4);
export const ANY6: Ip = ip6(0, 0, 0, 0);
export const ALL_NODES: Ip = ip6(0xff02_0000, 0, 0, 1);
export const ALL_ROUTERS: Ip = ip6(0xff02_0000, 0, 0, 2);

export const isMulticast = (ip: Ip): boolean =>
  ip.family === 4 ? address.isMulticast4(ip.v4) : ip.words[0]! >>> 24 === 0xff;

export const isLinkLocal = (ip: Ip): boolean => ip.family === 6 && ip.words[0]! >>> 22 === 0x3fa;

/** RFC 4291 §2.7.1. */
export const solicitedNode = (ip: Ip): Ip => ip6(...address.SOLICITED_NODE, address.solicitedNodeWord3(ip.words[3]!));

/** An address with the length of its prefix. */
export interface Placed {
  readonly ip: Ip;
  readonly prefix: number;
}

export function isOnLink({ ip, prefix }: Placed, other: Ip): boolean {
  if (ip.family !== other.family) return false;
  if (ip.family === 4) return ((ip.v4 ^ other.v4) & address.mask4(prefix)) === 0;
  return [0, 1, 2, 3].every((i) => ((ip.words[i]! ^ other.words[i]!) & address.maskWord6(prefix, i)) === 0);
}

/** The subnet's last address, to which all hosts listen. */
export const subnetBroadcast = ({ ip, prefix }: Placed): number => (ip.v4 | ~address.mask4(prefix)) >>> 0;
