/**
 * The IPv4 side of a network: subnet, gateway, pool, reservations.
 *
 * Zone: control.  Addresses are uint32 while they are compared, text in the result.  Throws ConfigIssue.
 */
import {
  contains4,
  formatCidr4,
  formatIpv4,
  isLinkLocal4,
  isLoopback4,
  isMulticast4,
  isReserved4,
  isThisNetwork4,
  parseCidr4,
  parseIpv4,
  prefixOfMask4,
} from '../wire/address.ts';
import type { Cidr4 } from '../wire/address.ts';
import {
  DEFAULT_LEASE_SECONDS,
  DEFAULT_NETMASK,
  USER_DNS_OFFSET,
  USER_GATEWAY_OFFSET,
  USER_GUEST_OFFSET,
} from './defaults.ts';
import { parseDuration } from './duration.ts';
import { ConfigIssue, IssueList } from './issue.ts';
import type { IssuePath } from './issue.ts';
import { MODE_TRAITS } from './network.ts';
import type { NetworkIpv4, ReservationEntry } from './network.ts';
import type { NetworkInput } from './schema.ts';
import { lastAddress } from './subnet.ts';

/** The largest pool; a larger subnet leases its first addresses. */
const MAX_POOL_ADDRESSES = 65_536;
const LONGEST_PREFIX = 30;
const SHORTEST_PREFIX = 8;

interface Layout {
  readonly name: string;
  readonly cidr: Cidr4;
  readonly gateway: number;
  readonly dns: number;
}

interface Pool {
  readonly start: number;
  readonly end: number;
}

export function resolveIpv4(
  name: string,
  input: NetworkInput,
  hostIsolated: boolean,
  context: { readonly pickSubnet: (network: string) => string | null },
): NetworkIpv4 {
  const cidr = resolveSubnet(name, input, context);
  const layout = placeGateway(name, input, cidr);
  const fixedGuest = input.mode === 'user' ? placeFixedGuest(layout, input) : null;
  const pool = fixedGuest === null ? resolvePool(layout, input) : { start: fixedGuest, end: fixedGuest };
  const traits = MODE_TRAITS[input.mode];
  const hostAddress = traits.hostSide && !hostIsolated ? pool.end : null;
  if (hostAddress !== null && pool.start === pool.end) {
    throw new ConfigIssue(
      poolPath(input),
      `network "${name}": no address is left for guests, for the last of the pool, ${formatIpv4(pool.end)}, is the host's own`,
      'use a larger subnet or range',
    );
  }
  const inPool = (ip: number): boolean => ip >= pool.start && ip <= pool.end;
  const excluded = [layout.gateway, layout.dns, hostAddress].filter((ip) => ip !== null).filter(inPool);
  return {
    subnet: formatCidr4(cidr.network, cidr.prefix),
    prefix: cidr.prefix,
    gateway: formatIpv4(layout.gateway),
    dns: formatIpv4(layout.dns),
    poolStart: formatIpv4(pool.start),
    poolEnd: formatIpv4(pool.end),
    excluded: [...new Set(excluded)].map(formatIpv4),
    hostAddress: hostAddress === null ? null : formatIpv4(hostAddress),
    fixedGuest: fixedGuest === null ? null : formatIpv4(fixedGuest),
    leaseSeconds: parseDuration(input.dhcp?.leaseTime ?? DEFAULT_LEASE_SECONDS)!,
    announceRouter: traits.announceRouter,
  };
}

function resolveSubnet(
  name: string,
  input: NetworkInput,
  context: { readonly pickSubnet: (network: string) => string | null },
): Cidr4 {
  const key = input.subnet === undefined && input.gateway !== undefined ? 'gateway' : 'subnet';
  const text = input.subnet ?? subnetOfGateway(name, input) ?? context.pickSubnet(name);
  if (text === null) throw new ConfigIssue([], `network "${name}": no subnet is free`, 'give it one with `subnet`');
  const cidr = parseCidr4(text)!;
  const fail = (path: IssuePath, message: string, hint?: string): never => {
    throw new ConfigIssue(path, `network "${name}": ${message}`, hint);
  };
  const plain = formatCidr4(cidr.network, cidr.prefix);
  if (cidr.hasHostBits) fail(['subnet'], `subnet ${text} has bits behind its prefix`, `write ${plain}`);
  if (cidr.prefix < SHORTEST_PREFIX || cidr.prefix > LONGEST_PREFIX) {
    fail(
      [input.netmask === undefined ? key : 'netmask'],
      `subnet ${plain} is not of the size /${SHORTEST_PREFIX} to /${LONGEST_PREFIX}`,
    );
  }
  const special = [isThisNetwork4, isLoopback4, isLinkLocal4, isMulticast4, isReserved4];
  if (special.some((is) => is(cidr.network))) {
    fail([key], `subnet ${plain} is reserved`, 'use one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16');
  }
  if (
    input.subnet !== undefined &&
    input.netmask !== undefined &&
    prefixOfNetmask(name, input.netmask) !== cidr.prefix
  ) {
    fail(['netmask'], `netmask ${input.netmask} contradicts subnet ${plain}`, 'drop `netmask`');
  }
  return cidr;
}

/** Lima's way of writing a subnet: gateway and netmask. */
function subnetOfGateway(name: string, input: NetworkInput): string | null {
  if (input.gateway === undefined) {
    if (input.netmask === undefined) return null;
    throw new ConfigIssue(
      ['netmask'],
      `network "${name}": \`netmask\` without \`gateway\` or \`subnet\``,
      'add `gateway`',
    );
  }
  const cidr = parseCidr4(`${input.gateway}/${prefixOfNetmask(name, input.netmask ?? DEFAULT_NETMASK)}`)!;
  return formatCidr4(cidr.network, cidr.prefix);
}

function prefixOfNetmask(name: string, netmask: string): number {
  const prefix = prefixOfMask4(parseIpv4(netmask)!);
  if (prefix !== null) return prefix;
  throw new ConfigIssue(['netmask'], `network "${name}": netmask ${netmask} has holes`, 'write e.g. 255.255.255.0');
}

function placeGateway(name: string, input: NetworkInput, cidr: Cidr4): Layout {
  const offset = input.mode === 'user' ? USER_GATEWAY_OFFSET : 1;
  const gateway = input.gateway === undefined ? cidr.network + offset : parseIpv4(input.gateway)!;
  const dns = input.mode === 'user' ? gateway + USER_DNS_OFFSET - USER_GATEWAY_OFFSET : gateway;
  const layout = { name, cidr, gateway, dns };
  checkHostAddress(layout, gateway, ['gateway'], 'gateway');
  return layout;
}

/** An address that a host of this subnet may have. */
function checkHostAddress(layout: Omit<Layout, 'dns'>, ip: number, path: IssuePath, what: string): void {
  const { cidr, name } = layout;
  const fail = (message: string): never => {
    throw new ConfigIssue(path, `network "${name}": ${what} ${formatIpv4(ip)} ${message}`);
  };
  const subnet = formatCidr4(cidr.network, cidr.prefix);
  if (!contains4(cidr.network, cidr.mask, ip)) fail(`lies outside the subnet ${subnet}`);
  if (ip === cidr.network) fail(`is the address of the subnet ${subnet} itself`);
  if (ip === lastAddress(cidr)) fail(`is the broadcast address of the subnet ${subnet}`);
}

function placeFixedGuest(layout: Layout, input: NetworkInput): number {
  const first = input.dhcp?.range?.[0];
  const guest = first === undefined ? layout.cidr.network + USER_GUEST_OFFSET : parseIpv4(first)!;
  checkHostAddress(layout, guest, first === undefined ? ['subnet'] : ['dhcp', 'range', 0], "the guests' address");
  if (guest === layout.gateway || guest === layout.dns) {
    throw new ConfigIssue(
      ['gateway'],
      `network "${layout.name}": the guests' address ${formatIpv4(guest)} is the gateway's or DNS's`,
    );
  }
  return guest;
}

const poolPath = (input: NetworkInput): IssuePath => {
  if (input.dhcp?.range !== undefined) return ['dhcp', 'range'];
  return [input.dhcpEnd === undefined ? (input.subnet === undefined ? 'gateway' : 'subnet') : 'dhcpEnd'];
};

function resolvePool(layout: Layout, input: NetworkInput): Pool {
  const { cidr, gateway, name } = layout;
  const range = input.dhcp?.range;
  if (range !== undefined && input.dhcpEnd !== undefined) {
    throw new ConfigIssue(
      ['dhcpEnd'],
      `network "${name}": \`dhcpEnd\` and \`dhcp.range\` both say where the pool ends`,
      'drop `dhcpEnd`',
    );
  }
  if (range !== undefined) return explicitPool(layout, range);
  const first = cidr.network + 1;
  const last = lastAddress(cidr) - 1;
  if (input.dhcpEnd !== undefined) {
    const end = parseIpv4(input.dhcpEnd)!;
    checkPoolEdge(layout, end, ['dhcpEnd'], 'dhcpEnd');
    if (end > gateway) return boundedPool(gateway + 1, end);
    throw new ConfigIssue(
      ['dhcpEnd'],
      `network "${name}": dhcpEnd ${input.dhcpEnd} comes before the first address of the pool, ${formatIpv4(gateway + 1)}`,
    );
  }
  // The larger side of the gateway, which for the usual .1 is everything behind it.
  return last - gateway >= gateway - first ? boundedPool(gateway + 1, last) : boundedPool(first, gateway - 1);
}

function explicitPool(layout: Layout, range: readonly string[]): Pool {
  const [start, end] = [parseIpv4(range[0]!)!, parseIpv4(range[1]!)!];
  checkPoolEdge(layout, start, ['dhcp', 'range', 0], 'dhcp.range');
  checkPoolEdge(layout, end, ['dhcp', 'range', 1], 'dhcp.range');
  if (end < start) {
    throw new ConfigIssue(
      ['dhcp', 'range'],
      `network "${layout.name}": dhcp.range ends at ${range[1]!} before it begins at ${range[0]!}`,
    );
  }
  if (end - start >= MAX_POOL_ADDRESSES) {
    throw new ConfigIssue(
      ['dhcp', 'range'],
      `network "${layout.name}": dhcp.range has more than ${MAX_POOL_ADDRESSES} addresses`,
    );
  }
  return { start, end };
}

function checkPoolEdge(layout: Layout, ip: number, path: IssuePath, what: string): void {
  checkHostAddress(layout, ip, path, what);
  if (ip !== layout.gateway) return;
  throw new ConfigIssue(path, `network "${layout.name}": ${what} ${formatIpv4(ip)} is the gateway's address`);
}

const boundedPool = (start: number, end: number): Pool => ({
  start,
  end: Math.min(end, start + MAX_POOL_ADDRESSES - 1),
});

export function resolveReservations(input: NetworkInput, ipv4: NetworkIpv4 | null): readonly ReservationEntry[] {
  const entries = input.dhcp?.reservations ?? [];
  const seen = new Set<string>();
  const issues = new IssueList();
  for (const [i, entry] of entries.entries()) {
    const path = ['dhcp', 'reservations', i];
    if (ipv4 === null || ipv4.fixedGuest !== null) {
      throw new ConfigIssue(path, `mode ${input.mode} leases no addresses that could be reserved`);
    }
    issues.try(() => checkReservedAddress(ipv4, entry.ip, [...path, 'ip']));
    for (const [key, value] of Object.entries({ ip: entry.ip, guest: entry.guest, mac: entry.mac })) {
      if (value === undefined) continue;
      const name = `${key} ${value}`;
      issues.try(() => checkUnseen(seen, name, [...path, key]));
      seen.add(name);
    }
  }
  issues.end();
  return entries.map((entry) => ({
    ip: entry.ip,
    ...(entry.guest === undefined ? {} : { guest: entry.guest }),
    ...(entry.mac === undefined ? {} : { mac: entry.mac }),
  }));
}

function checkUnseen(seen: ReadonlySet<string>, name: string, path: IssuePath): void {
  if (seen.has(name)) throw new ConfigIssue(path, `${name} is reserved twice`, 'drop one of the two');
}

/** Why a guest of this network cannot have an address; null when it can. */
export function reservedAddressProblem(ipv4: NetworkIpv4, text: string): string | null {
  const cidr = parseCidr4(ipv4.subnet)!;
  const ip = parseIpv4(text)!;
  if (!contains4(cidr.network, cidr.mask, ip)) return `address ${text} lies outside the subnet ${ipv4.subnet}`;
  if (ip === cidr.network) return `address ${text} is the address of the subnet ${ipv4.subnet} itself`;
  if (ip === lastAddress(cidr)) return `address ${text} is the broadcast address of the subnet ${ipv4.subnet}`;
  if (text === ipv4.gateway) return `address ${text} is the gateway's own`;
  if (text === ipv4.hostAddress) return `address ${text} is the host's own on this network`;
  return text === ipv4.dns ? `address ${text} is that of DNS` : null;
}

function checkReservedAddress(ipv4: NetworkIpv4, text: string, path: IssuePath): void {
  const problem = reservedAddressProblem(ipv4, text);
  if (problem !== null) throw new ConfigIssue(path, problem);
}
