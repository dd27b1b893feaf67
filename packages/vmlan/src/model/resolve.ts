/**
 * From what networks.yaml says about a network to a complete Network.
 *
 * Zone: control.  Throws ConfigIssue, whose path is relative to the network's entry.  Knows nothing of the host but
 * what `ResolveContext` tells: that keeps it pure, and fit for a browser.
 */
import { ALWAYS_CLOSED, DEFAULT_MTU, defaultDomain, usesAddresses, withDefaultAddresses } from './defaults.ts';
import { resolveIpv4, resolveReservations } from './resolve-ipv4.ts';
import { resolveForwards, resolveListen, resolveRecords } from './resolve-services.ts';
import { ConfigIssue, IssueList } from './issue.ts';
import { MODE_TRAITS } from './network.ts';
import type { ModeTraits, Network, NetworkIpv6 } from './network.ts';
import type { NetworkInput } from './schema.ts';
import { subnetsOverlap, ulaPrefix } from './subnet.ts';
import { formatIpv6, parseCidr6 } from '../wire/address.ts';

export interface ResolveContext {
  /** At least 16 bytes that this machine always gives for this text, and no other machine does. */
  readonly identify: (text: string) => Uint8Array;
  /** A subnet for a network that names none; null when none is free. */
  readonly pickSubnet: (network: string) => string | null;
}

/** Third word of the host's own address: far from what DHCPv6 leases, and no modified EUI-64. */
const HOST_WORD = 0xffff_0000;
/** `02:76:6d` is a locally administered prefix, so that no real card has it. */
const GATEWAY_MAC_PREFIX = '02:76:6d';

export function resolveNetwork(name: string, written: NetworkInput, context: ResolveContext): Network {
  const input = withDefaultAddresses(name, written);
  const traits = MODE_TRAITS[input.mode];
  const issues = new IssueList();
  issues.try(() => checkKeysOfMode(name, input));
  const hostIsolated = input.isolation?.host ?? false;
  const ipv4 = needsIpv4(input, traits) ? issues.try(() => resolveIpv4(name, input, hostIsolated, context)) : null;
  const hasHostSide = traits.hostSide && !hostIsolated;
  const ipv6 = needsIpv6(input, traits) ? issues.try(() => resolveIpv6(name, input, hasHostSide, context)) : null;
  // What hangs on addresses that make no sense is not judged by them.
  const reservations = ipv4 === undefined ? [] : issues.try(() => resolveReservations(input, ipv4));
  const hostAccess = issues.try(() => resolveHostAccess(input, traits, hostIsolated));
  const hasAddresses = ipv4 !== undefined && ipv6 !== undefined;
  const forwards = hasAddresses ? issues.try(() => resolveForwards(input, ipv4, ipv6)) : [];
  const listen = issues.try(() => resolveListen(input));
  issues.end();
  const domain = input.dns?.domain ?? defaultDomain(name);
  return {
    name,
    mode: input.mode,
    driver: input.driver ?? 'auto',
    ipv4: ipv4!,
    ipv6: ipv6!,
    mtu: input.mtu ?? DEFAULT_MTU,
    gatewayMac: macFrom(GATEWAY_MAC_PREFIX, context.identify(`gateway/${name}`)),
    dns: {
      domain,
      searchDomains: input.dns?.search ?? [domain],
      upstream: input.dns?.upstream ?? traits.upstream,
      records: resolveRecords(input.dns?.hosts ?? {}),
    },
    reservations: reservations!,
    hostAccess: hostAccess!,
    isolation: { guests: input.isolation?.guests ?? false, host: hostIsolated },
    outward: traits.outward,
    guards: traits.guards,
    forwards: forwards!,
    listen: listen!,
    autostart: input.autostart ?? false,
    interface: input.interface ?? null,
    vlan: input.vlan ?? null,
    filter: input.filter ?? null,
    socket: input.socket ?? null,
  };
}

export function macFrom(prefix: string, digest: Uint8Array): string {
  const tail = [...digest.subarray(0, 3)].map((byte) => byte.toString(16).padStart(2, '0'));
  return [prefix, ...tail].join(':');
}

const givesSubnet = (input: NetworkInput): boolean => input.subnet !== undefined || input.gateway !== undefined;

const needsIpv4 = (input: NetworkInput, traits: ModeTraits): boolean => traits.addressed || givesSubnet(input);

const needsIpv6 = (input: NetworkInput, traits: ModeTraits): boolean =>
  input.subnet6 === undefined ? traits.addressed : input.subnet6 !== 'off';

/** Keys that mean nothing in a mode are mistakes, not decoration. */
function checkKeysOfMode(name: string, input: NetworkInput): void {
  const { mode } = input;
  const forbid = (keys: readonly (keyof NetworkInput)[], why: string): void => {
    const key = keys.find((candidate) => input[candidate] !== undefined);
    if (key !== undefined)
      throw new ConfigIssue([key], `network "${name}": \`${key}\` does not fit mode ${mode}: ${why}`);
  };
  if (!usesAddresses(mode)) {
    const why = mode === 'bridged' ? 'the LAN gives the addresses' : 'whoever runs the socket gives the addresses';
    forbid(['subnet', 'gateway', 'netmask', 'dhcpEnd', 'subnet6', 'dhcp', 'dns', 'hostAccess', 'forwards'], why);
  }
  if (mode === 'isolated') forbid(['hostAccess', 'forwards'], 'the host is no part of an isolated network');
  if (mode === 'bridged' && input.interface === undefined) {
    throw new ConfigIssue(
      ['mode'],
      `network "${name}": mode bridged needs \`interface\``,
      'name the card, e.g. interface: eth0',
    );
  }
  if (mode === 'unmanaged' && input.socket === undefined) {
    throw new ConfigIssue(
      ['mode'],
      `network "${name}": mode unmanaged needs \`socket\``,
      'give the path of its socket',
    );
  }
  if (mode !== 'unmanaged') forbid(['socket'], 'it belongs to mode unmanaged; `listen` adds sockets to attach to');
  if (mode !== 'bridged' && mode !== 'routed') forbid(['vlan'], 'VLANs are those of a LAN');
}

function resolveIpv6(name: string, input: NetworkInput, hasHostSide: boolean, context: ResolveContext): NetworkIpv6 {
  const written = input.subnet6 ?? 'auto';
  const prefix = written === 'auto' ? ulaPrefix(context.identify(`ula/${name}`)) : written;
  const cidr = parseCidr6(prefix)!;
  const fail = (message: string, hint?: string): never => {
    throw new ConfigIssue(['subnet6'], `network "${name}": subnet6 ${prefix} ${message}`, hint);
  };
  if (cidr.hasHostBits) fail('has bits behind its prefix', `write ${formatIpv6(cidr.network)}/${cidr.prefix}`);
  // RFC 4862 §5.5.3 (d): SLAAC makes addresses of 64-bit prefixes only.
  if (cidr.prefix !== 64) fail('is no /64, which stateless address configuration needs');
  if (['fe80::/10', 'ff00::/8', '::/8'].some((special) => subnetsOverlap(special, prefix))) {
    fail('is no prefix that guests may have', 'use `auto`, or a prefix in fd00::/8');
  }
  const [high = 0, low = 0] = cidr.network;
  return {
    prefix: `${formatIpv6(cidr.network)}/64`,
    gateway: formatIpv6([high, low, 0, 1]),
    hostAddress: hasHostSide ? formatIpv6([high, low, HOST_WORD, 1]) : null,
  };
}

function resolveHostAccess(input: NetworkInput, traits: ModeTraits, hostIsolated: boolean): Network['hostAccess'] {
  if (!hostIsolated) return input.hostAccess ?? traits.hostAccess;
  if (input.hostAccess !== undefined && input.hostAccess !== 'none') {
    throw new ConfigIssue(['hostAccess'], '`hostAccess` opens what `isolation.host` closes', 'drop one of the two');
  }
  return 'none';
}

/** What guests of this network never reach: link-local addresses, and the networks that the host is a neighbour of. */
export function closedDestinations(network: Network, others: readonly Network[]): readonly string[] {
  const subnets = others
    .filter((other) => other.name !== network.name && MODE_TRAITS[other.mode].hostSide)
    .flatMap((other) => [other.ipv4?.subnet ?? [], other.ipv6?.prefix ?? []].flat());
  return [...ALWAYS_CLOSED, ...subnets];
}
