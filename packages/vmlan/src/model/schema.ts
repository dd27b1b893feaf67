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

/** A key that may be left out, with what docs/config.md and the JSON Schema say about it. */
function key<Schema extends z.ZodType>(schema: Schema, text: string, more: KeyTexts = {}): z.ZodOptional<Schema> {
  return schema.optional().meta({ description: text, ...more });
}

interface KeyTexts {
  /** What holds without the key. */
  readonly default?: boolean | number | string;
  /** The same in words, where it is no value. */
  readonly 'x-default'?: string;
  readonly 'x-examples'?: readonly unknown[];
}

const reservationSchema: z.ZodType<ReservationInput, ReservationInput> = z
  .strictObject({
    guest: key(guestNameSchema, 'The guest, by its name.', { 'x-examples': ['db'] }),
    mac: key(macSchema, 'The guest, by its MAC address.', { 'x-examples': ['52:54:00:12:34:56'] }),
    ip: ipv4Schema.meta({ description: 'The address that is kept for it.', 'x-examples': ['192.168.105.10'] }),
  })
  .refine((entry) => entry.guest !== undefined || entry.mac !== undefined, {
    message: 'a reservation names a guest or a mac',
  });

const dhcpSchema = z.strictObject({
  range: key(z.array(ipv4Schema).length(2, 'a range is [FIRST, LAST]'), 'The addresses to lease, first and last.', {
    'x-default': "all of the subnet but the gateway; the last is the host's own in modes shared, nat and host",
    'x-examples': [['192.168.105.50', '192.168.105.99']],
  }),
  leaseTime: key(leaseTimeSchema, 'How long a lease lasts, 60s to 365d; a bare number means seconds.', {
    default: '1d',
    'x-examples': ['12h'],
  }),
  reservations: key(
    z.array(reservationSchema).max(MAX_ENTRIES),
    'Addresses kept for guests, inside or outside of `range`. They change live.',
    { 'x-examples': [[{ guest: 'db', ip: '192.168.105.10' }]] },
  ),
});

const hostsValueSchema = z.union(
  [ipSchema, z.array(ipSchema).min(1).max(64), hostNameSchema],
  'not an address, a list of addresses, or another name',
);

const dnsSchema = z.strictObject({
  domain: key(hostNameSchema, 'The domain of the guests: guest `web` is `web.DOMAIN`.', {
    'x-default': 'NAME.internal',
    'x-examples': ['lab.test'],
  }),
  search: key(z.array(hostNameSchema).max(16), 'The search list that guests are given.', {
    'x-default': 'the domain',
    'x-examples': [['lab.test', 'example.com']],
  }),
  upstream: key(z.enum(['host', 'none']), 'Who answers for all other names: the resolver of the host, or nobody.', {
    'x-default': 'host; none in modes host and isolated',
    'x-examples': ['none'],
  }),
  hosts: key(
    z.record(hostNameSchema, hostsValueSchema),
    'Further names: an address, several, or another name. They change live.',
    { 'x-examples': [{ 'registry.lab.internal': '192.168.105.10' }] },
  ),
});

const forwardSchema = z.strictObject({
  host: z
    .union([z.string(), z.int()])
    .transform(String)
    .meta({
      description:
        'The side of the host: PORT (of 127.0.0.1), ADDRESS:PORT, `"*:PORT"`, ports FIRST-LAST, or the path of a unix socket.',
      'x-examples': ['127.0.0.1:8080'],
    }),
  guest: z
    .union([z.string(), z.int()])
    .transform(String)
    .meta({
      description: "The side of the guest: GUEST:PORT or ADDRESS:PORT; for `reverse` a PORT of the gateway's address.",
      'x-examples': ['web:80'],
    }),
  protocol: key(z.enum(['tcp', 'udp']), 'TCP or UDP.', { default: 'tcp', 'x-examples': ['udp'] }),
  direction: key(z.enum(['host', 'reverse']), 'From the host to the guest, or from the guests to the host.', {
    default: 'host',
    'x-examples': ['reverse'],
  }),
});

const isolationSchema = z.strictObject({
  guests: key(z.boolean(), 'Guests do not reach each other.', { default: false, 'x-examples': [true] }),
  host: key(z.boolean(), 'The host is no neighbour, and guests reach nothing of it.', {
    default: false,
    'x-examples': [true],
  }),
});

/** `gateway:` with nothing behind it is how Lima's file says that there is none. */
function withoutEmpty(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== null && entry !== ''));
}

const networkShape = {
  mode: z.enum(MODES).meta({
    description:
      'What guests may reach; the modes are explained in docs/config.md. bridged, routed and unmanaged are read, and refused when they are to start.',
    'x-examples': ['shared'],
  }),
  driver: key(z.enum(DRIVERS), 'What moves the frames. This version has userspace alone.', {
    default: 'auto',
    'x-examples': ['userspace'],
  }),
  subnet: key(subnetSchema, 'The IPv4 subnet, /8 to /30. The gateway is its first address (.2 in mode user).', {
    'x-default': 'a free one is picked and remembered',
    'x-examples': ['192.168.105.0/24'],
  }),
  gateway: key(ipv4Schema, "The gateway's address; with `netmask` it gives the subnet, as Lima writes it.", {
    'x-default': 'the first of the subnet',
    'x-examples': ['192.168.105.1'],
  }),
  netmask: key(netmaskSchema, 'The netmask that goes with `gateway`.', {
    default: '255.255.255.0',
    'x-examples': ['255.255.255.0'],
  }),
  dhcpEnd: key(ipv4Schema, 'The last address to lease, as Lima writes it; `dhcp.range` says both ends.', {
    'x-default': 'the last of the subnet',
    'x-examples': ['192.168.105.254'],
  }),
  subnet6: key(
    subnet6Schema,
    'The IPv6 prefix, a /64: one of its own for each machine (`auto`), a given one, or none.',
    {
      'x-default': 'auto; off in mode isolated without a subnet',
      'x-examples': ['fd12:3456:789a::/64', 'off'],
    },
  ),
  interface: key(interfaceNameSchema, 'The card of modes bridged and routed; not in this version.', {
    'x-examples': ['eth0'],
  }),
  vlan: key(z.int().min(1).max(MAX_VLAN), 'The VLAN on that card; not in this version.', { 'x-examples': [12] }),
  mtu: key(z.int().min(MIN_MTU).max(MAX_MTU), 'The largest IP packet, bytes.', { default: 1500, 'x-examples': [9000] }),
  dhcp: key(dhcpSchema, 'Addresses that are leased.'),
  dns: key(dnsSchema, 'Names that are answered.'),
  hostAccess: key(
    z.union(
      [z.enum(['all', 'none']), z.array(portSchema).max(MAX_ENTRIES)],
      'not all, none, or ports such as [5432, 6379]',
    ),
    "What of the host's loopback guests reach as host.vmlan.internal: all, none, or these ports.",
    { 'x-default': 'all; none in mode isolated', 'x-examples': ['none', [5432, 6379]] },
  ),
  isolation: key(isolationSchema, 'Who is kept apart.'),
  filter: key(z.string().min(1), 'A file of filter rules; not in this version.', {
    'x-examples': ['filters/lab.rules'],
  }),
  forwards: key(z.array(forwardSchema).max(MAX_ENTRIES), 'Port forwards. They change live.', {
    'x-examples': [[{ host: 8080, guest: 'web:80' }]],
  }),
  autostart: key(z.boolean(), 'Start it with the daemon.', { default: false, 'x-examples': [true] }),
  socket: key(pathSchema, 'Mode unmanaged: the socket of whoever runs the network; not in this version.', {
    'x-examples': ['/var/run/socket_vmnet'],
  }),
  listen: key(
    z.array(listenSchema).max(64),
    'Further sockets that guests connect to: /PATH or tcp://HOST:PORT with the framing of QEMU, dgram:/PATH. They change live.',
    { 'x-examples': [['/run/lab.sock', 'tcp://127.0.0.1:5555']] },
  ),
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
  socketVMNet: z.string().exactOptional().meta({ description: 'The program of socket_vmnet.' }),
  varRun: z.string().exactOptional().meta({ description: 'Where it keeps its sockets.' }),
  sudoers: z.string().exactOptional().meta({ description: 'Its file of sudo.' }),
});

const fileShape = {
  paths: key(pathsSchema, "Lima's paths of socket_vmnet; kept for Lima, and used by nobody here."),
  group: key(identifierSchema, 'The group that may use the socket of the daemon.', { 'x-examples': ['vmlan'] }),
};
const NETWORKS_TEXT = 'The networks by name.';

export const networksFileSchema: z.ZodType<NetworksFile> = z.strictObject({
  ...fileShape,
  networks: z
    .record(networkNameSchema, networkInputSchema)
    .nullish()
    .transform((networks) => networks ?? {})
    .refine((networks) => Object.keys(networks).length <= MAX_NETWORKS, `at most ${MAX_NETWORKS} networks`),
});

/** The file as it is written, without what reading it does: what a JSON Schema can say. */
export const networksTextSchema: z.ZodType = z.strictObject({
  networks: z.record(networkNameSchema, networkObjectSchema).meta({ description: NETWORKS_TEXT }),
  ...fileShape,
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
