/**
 * The routes of this host, from /proc/net/route and /proc/net/ipv6_route (proc_net(5)).
 *
 * Zone: control.  Interfaces that vmlan itself made are left out: their routes are our own networks.
 */
import { readFileSync } from 'node:fs';
import { formatIpv4, formatIpv6, prefixOfMask4 } from '../wire/address.ts';
import type { HostRoute } from '../model/subnet.ts';

/** How interfaces that vmlan makes on the host are called. */
const OWN_INTERFACE = /^vml-/;
const RTF_UP = 1;
const RTF_REJECT = 0x200;

export function readHostRoutes(proc = '/proc'): readonly HostRoute[] {
  const routes = [
    ...readLines(`${proc}/net/route`).slice(1).flatMap(parseRoute4),
    ...readLines(`${proc}/net/ipv6_route`).flatMap(parseRoute6),
  ];
  const seen = new Set<string>();
  return routes.filter((route) => {
    const isNew = !OWN_INTERFACE.test(route.interface) && !seen.has(`${route.subnet} ${route.interface}`);
    seen.add(`${route.subnet} ${route.interface}`);
    return isNew;
  });
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return []; // a kernel without this family, or another system
  }
}

/** Iface Destination Gateway Flags RefCnt Use Metric Mask …, addresses as hex of the machine's byte order. */
function parseRoute4(line: string): readonly HostRoute[] {
  const [name, destination, , flags, , , , mask] = line.split(/\s+/);
  if (name === undefined || destination === undefined || mask === undefined || flags === undefined) return [];
  const bits = Number.parseInt(flags, 16);
  const prefix = prefixOfMask4(littleEndian(mask));
  if (prefix === null || (bits & RTF_UP) === 0 || (bits & RTF_REJECT) !== 0) return [];
  return [{ subnet: `${formatIpv4(littleEndian(destination))}/${prefix}`, interface: name }];
}

const littleEndian = (hex: string): number => Number.parseInt(hex.match(/../g)!.toReversed().join(''), 16);

/** Destination, prefix, source, prefix, next hop, metric, refcnt, use, flags, name: addresses as 32 hex digits. */
function parseRoute6(line: string): readonly HostRoute[] {
  const columns = line.trim().split(/\s+/);
  const [destination, prefix] = columns;
  const [flags, name] = columns.slice(8);
  if (destination === undefined || prefix === undefined || flags === undefined || name === undefined) return [];
  if (name === 'lo' || (Number.parseInt(flags, 16) & RTF_REJECT) !== 0) return [];
  const words = destination.match(/.{8}/g)!.map((word) => Number.parseInt(word, 16));
  return [{ subnet: `${formatIpv6(words)}/${Number.parseInt(prefix, 16)}`, interface: name }];
}
