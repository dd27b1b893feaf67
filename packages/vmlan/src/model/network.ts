/**
 * A network as it will run: every default filled in, every address checked.
 *
 * Zone: control.  Made by resolve.ts from what stands in networks.yaml; read by drivers, the daemon and the API.
 */
import type { Forward } from './forward.ts';

/** What guests may reach; docs/config.md tells of each. */
export type Mode = 'user' | 'user-v2' | 'shared' | 'nat' | 'host' | 'bridged' | 'routed' | 'isolated' | 'unmanaged';

export const MODES: readonly [
  'user',
  'user-v2',
  'shared',
  'nat',
  'host',
  'bridged',
  'routed',
  'isolated',
  'unmanaged',
] = ['user', 'user-v2', 'shared', 'nat', 'host', 'bridged', 'routed', 'isolated', 'unmanaged'];

/** What guests may reach in each mode, in words for docs/config.md and networks.yaml(5). */
export const MODE_MEANINGS: Readonly<Record<Mode, string>> = {
  user: 'Each guest is alone on a segment of its own, always with the same address. It goes out through the host; forwards lead in.',
  'user-v2':
    'Guests have addresses of one subnet and reach each other, also by name. They go out through the host; forwards lead in.',
  shared:
    'As `user-v2`, and the host is their neighbour: it reaches guests at their addresses where vmlan runs as root, which a TAP takes.',
  nat: 'As `shared`, without the guards against guests with a false address. For guests that you trust.',
  host: 'Guests and the host reach each other, as in `shared`; nothing goes out.',
  isolated:
    'Guests reach each other and nobody else: no gateway, no forwards. They are given addresses when the network has a `subnet`.',
  bridged: 'Guests are on the LAN of the card `interface`, and get their addresses there. Not in this version.',
  routed: 'As `shared`, without NAT: the LAN needs a route to the subnet. Not in this version.',
  unmanaged: 'Guests are on whatever is behind `socket`, such as socket_vmnet. Not in this version.',
};

export const DRIVERS: readonly ['auto', 'userspace', 'linux', 'vmnet', 'ovn'] = [
  'auto',
  'userspace',
  'linux',
  'vmnet',
  'ovn',
];
export type DriverChoice = (typeof DRIVERS)[number];

export interface NetworkIpv4 {
  readonly subnet: string;
  readonly prefix: number;
  readonly gateway: string;
  readonly dns: string;
  readonly poolStart: string;
  readonly poolEnd: string;
  /** Addresses of the pool that no guest gets: the host's own one, and the gateway where it lies inside. */
  readonly excluded: readonly string[];
  /** The host's own address on the segment: the last of the pool in the modes where the host is a neighbour. */
  readonly hostAddress: string | null;
  /** Mode `user`: the one address that every guest has. */
  readonly fixedGuest: string | null;
  readonly leaseSeconds: number;
  readonly announceRouter: boolean;
}

export interface NetworkIpv6 {
  /** A /64. */
  readonly prefix: string;
  readonly gateway: string;
  /** The host's own address on the segment, in the modes where the host is a neighbour; DHCPv6 never leases it. */
  readonly hostAddress: string | null;
}

export interface ReservationEntry {
  readonly guest?: string;
  readonly mac?: string;
  readonly ip: string;
}

/** A DNS record. */
export interface RecordEntry {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly ttl?: number;
}

export type HostAccess = 'all' | 'none' | readonly number[];

/** A further socket that guests attach to: QEMU stream framing on a unix path or TCP, or unix datagrams. */
export type ListenSocket =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'dgram'; readonly path: string };

export interface Network {
  readonly name: string;
  readonly mode: Mode;
  /** As configured; `auto` is decided by the daemon. */
  readonly driver: DriverChoice;
  readonly ipv4: NetworkIpv4 | null;
  readonly ipv6: NetworkIpv6 | null;
  /** IP MTU, bytes. */
  readonly mtu: number;
  readonly gatewayMac: string;
  readonly dns: {
    readonly domain: string;
    readonly searchDomains: readonly string[];
    readonly upstream: 'host' | 'none';
    readonly records: readonly RecordEntry[];
  };
  readonly reservations: readonly ReservationEntry[];
  readonly hostAccess: HostAccess;
  readonly isolation: { readonly guests: boolean; readonly host: boolean };
  /** Whether guests reach anything beyond the segment. */
  readonly outward: boolean;
  readonly guards: boolean;
  readonly forwards: readonly Forward[];
  readonly listen: readonly ListenSocket[];
  readonly autostart: boolean;
  readonly interface: string | null;
  readonly vlan: number | null;
  readonly filter: string | null;
  /** Mode `unmanaged`: the socket of whoever runs the segment. */
  readonly socket: string | null;
}

/** What a mode means, where the network says nothing else. */
export interface ModeTraits {
  readonly outward: boolean;
  readonly announceRouter: boolean;
  readonly guards: boolean;
  readonly upstream: 'host' | 'none';
  readonly hostAccess: 'all' | 'none';
  /** The host is a neighbour on the segment when a TAP may be made, and keeps an address for it. */
  readonly hostSide: boolean;
  /** Addresses are handed out even when no subnet is configured. */
  readonly addressed: boolean;
}

const NAT: ModeTraits = {
  outward: true,
  announceRouter: true,
  guards: true,
  upstream: 'host',
  hostAccess: 'all',
  hostSide: false,
  addressed: true,
};
const FOREIGN: ModeTraits = { ...NAT, announceRouter: false, hostAccess: 'none', addressed: false };

/** One row per mode (design: modes and drivers). */
export const MODE_TRAITS: Readonly<Record<Mode, ModeTraits>> = {
  user: NAT,
  'user-v2': NAT,
  shared: { ...NAT, hostSide: true },
  nat: { ...NAT, hostSide: true, guards: false },
  host: { ...NAT, hostSide: true, outward: false, announceRouter: false, upstream: 'none' },
  isolated: {
    ...NAT,
    outward: false,
    announceRouter: false,
    upstream: 'none',
    hostAccess: 'none',
    addressed: false,
  },
  bridged: FOREIGN,
  routed: { ...NAT, hostSide: true },
  unmanaged: FOREIGN,
};
