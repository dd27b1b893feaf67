/**
 * networks.yaml: the shape of the file, a strict superset of Lima's file of that name.
 *
 * Zone: control.  Only shapes and single values are judged here; what one value means for another is resolve.ts.
 */
import * as z from 'zod';
import { parseCidr4, parseCidr6, parseIpv4, parseIpv6 } from '../wire/address.ts';
import { parseDuration } from './duration.ts';
import { MAX_SOCKET_PATH_BYTES } from './forward.ts';
import {
  guestNameSchema,
  hostNameSchema,
  interfaceNameSchema,
  macSchema,
  networkNameSchema,
  portSchema,
} from './names.ts';
import { DRIVERS, MODES } from './network.ts';
import type { DriverChoice, Mode } from './network.ts';

/** RFC 8200 §5: every IPv6 link carries 1280 bytes. */
export const MIN_MTU = 1280;
/** The largest IP datagram less the room that a TCP header may take. */
export const MAX_MTU = 65_520;
const MAX_VLAN = 4094;
const MAX_NETWORKS = 256;
const MAX_ENTRIES = 4096;
/** Shorter leases only make traffic; longer ones than a year are a mistake. */
export const MIN_LEASE_SECONDS = 60;
export const MAX_LEASE_SECONDS = 31_536_000; // 365 days

export interface NetworkInput {
  readonly mode: Mode;
  readonly driver?: DriverChoice | undefined;
  readonly subnet?: string | undefined;
  readonly gateway?: string | undefined;
  readonly netmask?: string | undefined;
  readonly dhcpEnd?: string | undefined;
  /** `auto`, `off` or a prefix. */
  readonly subnet6?: string | undefined;
  readonly interface?: string | undefined;
  readonly vlan?: number | undefined;
  readonly mtu?: number | undefined;
  readonly dhcp?: DhcpInput | undefined;
  readonly dns?: DnsInput | undefined;
  readonly hostAccess?: 'all' | 'none' | readonly number[] | undefined;
  readonly isolation?: { readonly guests?: boolean | undefined; readonly host?: boolean | undefined } | undefined;
  readonly filter?: string | undefined;
  readonly forwards?: readonly ForwardEntryInput[] | undefined;
  readonly autostart?: boolean | undefined;
  readonly socket?: string | undefined;
  readonly listen?: readonly string[] | undefined;
}

export interface DhcpInput {
  readonly range?: readonly string[] | undefined;
  readonly leaseTime?: string | number | undefined;
  readonly reservations?: readonly ReservationInput[] | undefined;
}

export interface ReservationInput {
  readonly guest?: string | undefined;
  readonly mac?: string | undefined;
  readonly ip: string;
}

export interface DnsInput {
  readonly domain?: string | undefined;
  readonly search?: readonly string[] | undefined;
  readonly upstream?: 'host' | 'none' | undefined;
  /** Name → address, addresses, or another name. */
  readonly hosts?: Readonly<Record<string, string | readonly string[]>> | undefined;
}

export interface ForwardEntryInput {
  readonly host: string;
  readonly guest: string;
  readonly protocol?: 'tcp' | 'udp' | undefined;
  readonly direction?: 'host' | 'reverse' | undefined;
}

export interface NetworksFile {
  /** Lima's paths of socket_vmnet; kept, and used by the vmnet driver alone. */
  readonly paths?: { readonly socketVMNet?: string; readonly varRun?: string; readonly sudoers?: string } | undefined;
  readonly group?: string | undefined;
  readonly networks: Readonly<Record<string, NetworkInput>>;
}

const matches = (accepts: (text: string) => boolean, message: string): z.ZodType<string, string> =>
  z.string().refine(accepts, message);

const ipv4Schema = matches((text) => parseIpv4(text) !== null, 'not an IPv4 address such as 192.168.105.1');
const ipSchema = matches(
  (text) => parseIpv4(text) !== null || parseIpv6(text) !== null,
  'not an IP address such as 192.168.105.1 or fd00::1',
);
const subnetSchema = matches((text) => parseCidr4(text) !== null, 'not a subnet such as 192.168.105.0/24');
const netmaskSchema = matches((text) => parseIpv4(text) !== null, 'not a netmask such as 255.255.255.0');
const subnet6Schema = matches(
  (text) => text === 'auto' || text === 'off' || parseCidr6(text) !== null,
  'not `auto`, `off` or a prefix such as fd12:3456:789a::/64',
);
const leaseTimeSchema = z.union([z.string(), z.number()], 'not a duration such as 12h or 1d').refine((value) => {
  const seconds = parseDuration(value);
  return seconds !== null && seconds >= MIN_LEASE_SECONDS && seconds <= MAX_LEASE_SECONDS;
}, 'not a duration of 60s to 365d, such as 12h or 1d');

/** `/path`, `unix:/path`, `dgram:/path` or `tcp://HOST:PORT`. */
const LISTEN = /^(?:(?:unix:|dgram:)?\/[^\0]+|tcp:\/\/(?:\[[0-9a-fA-F:.]+\]|[0-9.]+|localhost):\d{1,5})$/;
const listenSchema = matches((text) => LISTEN.test(text), 'not a socket path, dgram:/PATH or tcp://HOST:PORT');
const pathSchema = z
  .string()
  .startsWith('/', 'a socket path is absolute')
  .refine((text) => new TextEncoder().encode(text).length <= MAX_SOCKET_PATH_BYTES, {
    message: `a socket path has at most ${MAX_SOCKET_PATH_BYTES} bytes`,
  });

const reservationSchema: z.ZodType<ReservationInput, ReservationInput> = z
  .strictObject({ guest: guestNameSchema.optional(), mac: macSchema.optional(), ip: ipv4Schema })
  .refine((entry) => entry.guest !== undefined || entry.mac !== undefined, {
    message: 'a reservation names a guest or a mac',
  });

const dhcpSchema = z.strictObject({
  range: z.array(ipv4Schema).length(2, 'a range is [FIRST, LAST]').optional(),
  leaseTime: leaseTimeSchema.optional(),
  reservations: z.array(reservationSchema).max(MAX_ENTRIES).optional(),
});

const hostsValueSchema = z.union(
  [ipSchema, z.array(ipSchema).min(1).max(64), hostNameSchema],
  'not an address, a list of addresses, or another name',
);

const dnsSchema = z.strictObject({
  domain: hostNameSchema.optional(),
  search: z.array(hostNameSchema).max(16).optional(),
  upstream: z.enum(['host', 'none']).optional(),
  hosts: z.record(hostNameSchema, hostsValueSchema).optional(),
});

const forwardSchema = z.strictObject({
  host: z.union([z.string(), z.int()]).transform(String),
  guest: z.union([z.string(), z.int()]).transform(String),
  protocol: z.enum(['tcp', 'udp']).optional(),
  direction: z.enum(['host', 'reverse']).optional(),
});

/** `gateway:` with nothing behind it is how Lima's file says that there is none. */
function withoutEmpty(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== null && entry !== ''));
}

const networkShape = {
  mode: z.enum(MODES),
  driver: z.enum(DRIVERS).optional(),
  subnet: subnetSchema.optional(),
  gateway: ipv4Schema.optional(),
  netmask: netmaskSchema.optional(),
  dhcpEnd: ipv4Schema.optional(),
  subnet6: subnet6Schema.optional(),
  interface: interfaceNameSchema.optional(),
  vlan: z.int().min(1).max(MAX_VLAN).optional(),
  mtu: z.int().min(MIN_MTU).max(MAX_MTU).optional(),
  dhcp: dhcpSchema.optional(),
  dns: dnsSchema.optional(),
  hostAccess: z.union([z.enum(['all', 'none']), z.array(portSchema).max(MAX_ENTRIES)]).optional(),
  isolation: z.strictObject({ guests: z.boolean().optional(), host: z.boolean().optional() }).optional(),
  filter: z.string().min(1).optional(),
  forwards: z.array(forwardSchema).max(MAX_ENTRIES).optional(),
  autostart: z.boolean().optional(),
  socket: pathSchema.optional(),
  listen: z.array(listenSchema).max(64).optional(),
};

/** A network as a document of the API; a file may also leave keys empty. */
export const networkObjectSchema: z.ZodType<NetworkInput, NetworkInput> = z.strictObject(
  networkShape,
) as unknown as z.ZodType<NetworkInput, NetworkInput>;

export const networkInputSchema: z.ZodType<NetworkInput> = z.preprocess(withoutEmpty, networkObjectSchema);

const identifierSchema = z
  .string()
  .max(76)
  .regex(/^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/, 'letters and digits, joined by single dots, underscores or hyphens');

const pathsSchema = z.strictObject({
  socketVMNet: z.string().exactOptional(),
  varRun: z.string().exactOptional(),
  sudoers: z.string().exactOptional(),
});

export const networksFileSchema: z.ZodType<NetworksFile> = z.strictObject({
  paths: pathsSchema.optional(),
  group: identifierSchema.optional(),
  networks: z
    .record(networkNameSchema, networkInputSchema)
    .nullish()
    .transform((networks) => networks ?? {})
    .refine((networks) => Object.keys(networks).length <= MAX_NETWORKS, `at most ${MAX_NETWORKS} networks`),
});

const keysOf = (schema: { readonly shape: object }): readonly string[] => Object.keys(schema.shape);

/** The keys that the object at `path` may have: what a misspelt one can have meant. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return ['networks', 'paths', 'group'];
  if (path[0] === 'paths') return keysOf(pathsSchema);
  if (path.length === 2) return Object.keys(networkShape);
  const [, , section, list] = path;
  if (section === 'dhcp') return list === undefined ? keysOf(dhcpSchema) : ['guest', 'mac', 'ip'];
  if (section === 'dns') return keysOf(dnsSchema);
  if (section === 'forwards') return keysOf(forwardSchema);
  return section === 'isolation' ? ['guests', 'host'] : [];
}
