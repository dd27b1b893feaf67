/**
 * Arithmetic on subnets: overlap, the free one, the addresses that may not be given away.
 *
 * Zone: control.  IPv4 addresses are uint32, IPv6 ones four words, as in wire/address.
 */
import { contains4, contains6, formatCidr4, formatIpv6, mask4, parseCidr4, parseCidr6 } from '../wire/address.ts';
import type { Cidr4 } from '../wire/address.ts';

/** The first subnet that is tried when a network names none: 192.168.107.0/24 (Lima's own end at .106). */
const FIRST_FREE_192 = 0xc0a8_6b00;
const LAST_FREE_192 = 0xc0a8_ff00;
/** When those are all taken: 10.107.0.0/24 and on. */
const FIRST_FREE_10 = 0x0a6b_0000;
const LAST_FREE_10 = 0x0aff_ff00;
const FREE_PREFIX = 24;
const FREE_STEP = 256; // addresses
/** Routes shorter than this are ways out, not places: 0.0.0.0/0, and 0.0.0.0/1 as VPNs write it. */
const SHORTEST_PLACE = 8;

export const lastAddress = (cidr: Pick<Cidr4, 'network' | 'mask'>): number => (cidr.network | ~cidr.mask) >>> 0;

export function overlaps4(a: Pick<Cidr4, 'network' | 'prefix'>, b: Pick<Cidr4, 'network' | 'prefix'>): boolean {
  const mask = mask4(Math.min(a.prefix, b.prefix));
  return contains4((a.network & mask) >>> 0, mask, b.network);
}

/** Whether two subnets of either family, as text, share an address. */
export function subnetsOverlap(a: string, b: string): boolean {
  const [a4, b4] = [parseCidr4(a), parseCidr4(b)];
  if (a4 !== null && b4 !== null) return overlaps4(a4, b4);
  const [a6, b6] = [parseCidr6(a), parseCidr6(b)];
  if (a6 === null || b6 === null) return false;
  return a6.prefix <= b6.prefix
    ? contains6(a6.network, a6.prefix, b6.network)
    : contains6(b6.network, b6.prefix, a6.network);
}

/** A route of the host. `interface` is named in the error. */
export interface HostRoute {
  readonly subnet: string;
  readonly interface: string;
}

/** The host route that a network may not lie in, if there is one; ways out and link-local routes are none. */
export function routeInTheWay(subnet: string, routes: readonly HostRoute[]): HostRoute | null {
  return routes.find((route) => isPlace(route.subnet) && subnetsOverlap(route.subnet, subnet)) ?? null;
}

function isPlace(subnet: string): boolean {
  const prefix = Number(subnet.split('/')[1]);
  return prefix >= SHORTEST_PLACE && !/^f[ef]/i.test(subnet);
}

/** The first /24 that overlaps none of `taken`, always the same one for the same list; null when all are taken. */
export function freeSubnet(taken: readonly string[]): string | null {
  const places = taken.flatMap((subnet) => parseCidr4(subnet) ?? []).filter((cidr) => cidr.prefix >= SHORTEST_PLACE);
  return firstFree(FIRST_FREE_192, LAST_FREE_192, places) ?? firstFree(FIRST_FREE_10, LAST_FREE_10, places);
}

function firstFree(first: number, last: number, taken: readonly Cidr4[]): string | null {
  for (let network = first; network <= last; network += FREE_STEP) {
    const candidate = { network, prefix: FREE_PREFIX };
    if (!taken.some((cidr) => overlaps4(cidr, candidate))) return formatCidr4(network, FREE_PREFIX);
  }
  return null;
}

/** A ULA /64 (RFC 4193 §3.1: fd, 40 bits of global ID, subnet ID 0) from 5 bytes that are stable for this network. */
export function ulaPrefix(globalId: Uint8Array): string {
  const [b0, b1, b2, b3, b4] = [globalId[0]!, globalId[1]!, globalId[2]!, globalId[3]!, globalId[4]!];
  const words = [((0xfd << 24) | (b0 << 16) | (b1 << 8) | b2) >>> 0, ((b3 << 24) | (b4 << 16)) >>> 0, 0, 0];
  return `${formatIpv6(words)}/64`;
}
