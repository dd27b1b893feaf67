/**
 * What the API answers: one schema and one type per kind of document.
 *
 * Zone: control.  Times are milliseconds since 1970.  Counters are totals since the guest's link came up.  Readers
 * ignore keys they do not know, so that an older client reads a newer daemon.
 */
import * as z from 'zod';

export interface Problem {
  /** `urn:vmlan:error:CODE`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** The row of the code table in core/errors.ts. */
  readonly code: string;
  readonly detail: string;
  /** The next step. */
  readonly hint?: string | undefined;
}

/** RFC 9457 problem details. */
export const problemSchema: z.ZodType<Problem> = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string(),
  hint: z.string().optional(),
});

export interface NicCounters {
  readonly framesFromGuest: number;
  readonly framesToGuest: number;
  readonly bytesFromGuest: number;
  readonly bytesToGuest: number;
  readonly dropsFromGuest: number;
  readonly dropsToGuest: number;
}

export const nicCountersSchema: z.ZodType<NicCounters> = z.object({
  framesFromGuest: z.number(),
  framesToGuest: z.number(),
  bytesFromGuest: z.number(),
  bytesToGuest: z.number(),
  dropsFromGuest: z.number(),
  dropsToGuest: z.number(),
});

export type NicState = 'connected' | 'disconnected' | 'waiting' | 'stopped';
/** `qemu-server`: the VMM listens and vmlan connects; with all others the VMM comes to vmlan's socket. */
export type AttachKind = 'qemu-stream' | 'qemu-dgram' | 'qemu-socket-tcp' | 'qemu-server' | 'vfkit' | 'netns';
export const ATTACH_KINDS: readonly ['qemu-stream', 'qemu-dgram', 'qemu-socket-tcp', 'qemu-server', 'vfkit', 'netns'] =
  ['qemu-stream', 'qemu-dgram', 'qemu-socket-tcp', 'qemu-server', 'vfkit', 'netns'];

export interface NicView {
  /** `GUEST/INDEX`. */
  readonly key: string;
  readonly network: string;
  readonly mac: string | null;
  /** The MAC on the wire when another guest of the network already carries `mac`. */
  readonly aliasMac: string | null;
  /** The IPv4 address kept for this NIC; null: one of the pool. */
  readonly ip: string | null;
  /** The wanted state of the link. */
  readonly connected: boolean;
  /** `waiting`: nobody is at the other end yet; `stopped`: the network does not run. */
  readonly state: NicState;
  readonly link: 'stream' | 'dgram' | 'tap' | 'none';
  /** How it was attached last; null: never, or by the network's common socket. */
  readonly attachment: AttachKind | null;
  readonly address4: readonly string[];
  readonly address6: readonly string[];
  readonly hostname: string | null;
  readonly sinceMs: number | null;
  readonly counters: NicCounters | null;
  /** Conversations that are open. */
  readonly flows: number | null;
}

export const nicViewSchema: z.ZodType<NicView> = z.object({
  key: z.string(),
  network: z.string(),
  mac: z.string().nullable(),
  aliasMac: z.string().nullable(),
  ip: z.string().nullable(),
  connected: z.boolean(),
  state: z.enum(['connected', 'disconnected', 'waiting', 'stopped']),
  link: z.enum(['stream', 'dgram', 'tap', 'none']),
  attachment: z.enum(ATTACH_KINDS).nullable(),
  address4: z.array(z.string()),
  address6: z.array(z.string()),
  hostname: z.string().nullable(),
  sinceMs: z.number().nullable(),
  counters: nicCountersSchema.nullable(),
  flows: z.int().nullable(),
});

export interface GuestView {
  readonly name: string;
  /** False: it came by a common socket and was never registered; its name is its DHCP host name or its MAC. */
  readonly registered: boolean;
  /** Names that DNS knows it by. */
  readonly names: readonly string[];
  readonly nics: readonly NicView[];
}

export const guestViewSchema: z.ZodType<GuestView> = z.object({
  name: z.string(),
  registered: z.boolean(),
  names: z.array(z.string()),
  nics: z.array(nicViewSchema),
});

/**
 * `unresponsive`: its process runs and does not answer; `incompatible`: its process is of another version of vmlan.  Both
 * are left alone, with their guests, until the network is stopped.
 */
export type NetworkState = 'running' | 'stopped' | 'failed' | 'unresponsive' | 'incompatible';

export interface NetworkView {
  readonly name: string;
  readonly mode: string;
  /** What moves the frames, and why this one. */
  readonly driver: string;
  readonly driverReason: string;
  readonly state: NetworkState;
  /** Why it failed, or why it could not be started. */
  readonly problem: Problem | null;
  readonly autostart: boolean;
  readonly subnet: string | null;
  readonly gateway: string | null;
  readonly dns: string | null;
  readonly poolStart: string | null;
  readonly poolEnd: string | null;
  /** The host's own address on the segment, when it has one. */
  readonly hostAddress: string | null;
  readonly subnet6: string | null;
  readonly gateway6: string | null;
  readonly domain: string;
  readonly mtu: number;
  readonly interface: string | null;
  readonly hostAccess: 'all' | 'none' | readonly number[];
  /** Sockets that any number of guests attach to; null while it does not run. */
  readonly sockets: {
    readonly qemu: string;
    readonly dgram: string;
    readonly listen: readonly string[];
  } | null;
  readonly pid: number | null;
  readonly startedMs: number | null;
  /** How often the network process was started again after it died. */
  readonly restarts: number;
  readonly guests: number;
  readonly leases: number;
  readonly flows: { readonly tcp: number; readonly udp: number; readonly icmp: number } | null;
  /** What the datapath counts, by name; what never happened is left out. docs/limits.md says what some of them mean. */
  readonly counters: Readonly<Record<string, number>> | null;
  readonly ipv6Reachable: boolean | null;
  /** true, or why guests cannot ping beyond the gateway. */
  readonly ping: true | string | null;
  /** Operational trouble of the running network, e.g. leases that cannot be stored. */
  readonly warnings: readonly string[];
}

export const networkViewSchema: z.ZodType<NetworkView> = z.object({
  name: z.string(),
  mode: z.string(),
  driver: z.string(),
  driverReason: z.string(),
  state: z.enum(['running', 'stopped', 'failed', 'unresponsive', 'incompatible']),
  problem: problemSchema.nullable(),
  autostart: z.boolean(),
  subnet: z.string().nullable(),
  gateway: z.string().nullable(),
  dns: z.string().nullable(),
  poolStart: z.string().nullable(),
  poolEnd: z.string().nullable(),
  hostAddress: z.string().nullable(),
  subnet6: z.string().nullable(),
  gateway6: z.string().nullable(),
  domain: z.string(),
  mtu: z.int(),
  interface: z.string().nullable(),
  hostAccess: z.union([z.literal('all'), z.literal('none'), z.array(z.int())]),
  sockets: z.object({ qemu: z.string(), dgram: z.string(), listen: z.array(z.string()) }).nullable(),
  pid: z.int().nullable(),
  startedMs: z.number().nullable(),
  restarts: z.int(),
  guests: z.int(),
  leases: z.int(),
  flows: z.object({ tcp: z.int(), udp: z.int(), icmp: z.int() }).nullable(),
  counters: z.record(z.string(), z.number()).nullable(),
  ipv6Reachable: z.boolean().nullable(),
  ping: z.union([z.literal(true), z.string()]).nullable(),
  warnings: z.array(z.string()),
});

export interface LeaseView {
  readonly network: string;
  readonly address: string;
  readonly family: 4 | 6;
  readonly guest: string | null;
  readonly nic: string | null;
  readonly mac: string | null;
  readonly hostname: string | null;
  /** null: it does not run out. */
  readonly expiresMs: number | null;
  readonly state: 'active' | 'expired' | 'declined' | 'reserved';
}

export const leaseViewSchema: z.ZodType<LeaseView> = z.object({
  network: z.string(),
  address: z.string(),
  family: z.union([z.literal(4), z.literal(6)]),
  guest: z.string().nullable(),
  nic: z.string().nullable(),
  mac: z.string().nullable(),
  hostname: z.string().nullable(),
  expiresMs: z.number().nullable(),
  state: z.enum(['active', 'expired', 'declined', 'reserved']),
});

export interface ForwardView {
  readonly id: string;
  readonly network: string;
  readonly protocol: 'tcp' | 'udp';
  readonly direction: 'host' | 'reverse';
  /** As in ForwardInput, written in full. */
  readonly host: string;
  readonly guest: string;
  /** `config`: from networks.yaml; `api`: added live and kept. */
  readonly origin: 'config' | 'api';
  readonly state: 'listening' | 'waiting-for-guest' | 'stopped' | 'failed';
  readonly problem: Problem | null;
  /** All that came since it listens, not those that are open; with UDP, clients. */
  readonly connections: number;
}

export const forwardViewSchema: z.ZodType<ForwardView> = z.object({
  id: z.string(),
  network: z.string(),
  protocol: z.enum(['tcp', 'udp']),
  direction: z.enum(['host', 'reverse']),
  host: z.string(),
  guest: z.string(),
  origin: z.enum(['config', 'api']),
  state: z.enum(['listening', 'waiting-for-guest', 'stopped', 'failed']),
  problem: problemSchema.nullable(),
  connections: z.int(),
});

export interface RecordView {
  readonly id: string;
  readonly network: string;
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly ttl: number | null;
  readonly origin: 'config' | 'api' | 'guest';
}

export const recordViewSchema: z.ZodType<RecordView> = z.object({
  id: z.string(),
  network: z.string(),
  name: z.string(),
  type: z.string(),
  value: z.string(),
  ttl: z.int().nullable(),
  origin: z.enum(['config', 'api', 'guest']),
});

/** What to give the VMM, and which addresses the guest will have. */
export interface AttachResult {
  readonly guest: string;
  readonly nic: string;
  readonly network: string;
  readonly kind: AttachKind;
  readonly mac: string;
  readonly mtu: number;
  /** Where the VMM connects (`qemu-stream`), listens (`qemu-server`), sends to (`qemu-dgram`, `vfkit`); null for `netns`. */
  readonly socket: { readonly unix: string } | { readonly host: string; readonly port: number } | null;
  /** The path that the VMM binds itself (`qemu-dgram`, `vfkit`). */
  readonly localSocket: string | null;
  /** The interface inside the namespace. */
  readonly interface: string | null;
  readonly address4: string | null;
  readonly prefix4: number | null;
  readonly gateway4: string | null;
  readonly dns: string | null;
  readonly gateway6: string | null;
  readonly prefix6: string | null;
  readonly searchDomains: readonly string[];
}

export const attachResultSchema: z.ZodType<AttachResult> = z.object({
  guest: z.string(),
  nic: z.string(),
  network: z.string(),
  kind: z.enum(ATTACH_KINDS),
  mac: z.string(),
  mtu: z.int(),
  socket: z.union([z.object({ unix: z.string() }), z.object({ host: z.string(), port: z.int() })]).nullable(),
  localSocket: z.string().nullable(),
  interface: z.string().nullable(),
  address4: z.string().nullable(),
  prefix4: z.int().nullable(),
  gateway4: z.string().nullable(),
  dns: z.string().nullable(),
  gateway6: z.string().nullable(),
  prefix6: z.string().nullable(),
  searchDomains: z.array(z.string()),
});

/** One thing that is broken. */
export interface HealthProblem {
  readonly network: string;
  /** The forward or link that is missing; null: the network itself is concerned. */
  readonly part: string | null;
  /** The row of the code table. */
  readonly code: string;
  readonly detail: string;
  /** The next step. */
  readonly hint?: string | undefined;
}

export const healthProblemSchema: z.ZodType<HealthProblem> = z.object({
  network: z.string(),
  part: z.string().nullable(),
  code: z.string(),
  detail: z.string(),
  hint: z.string().optional(),
});

export interface HealthView {
  /** `broken` is answered with status 503. */
  readonly status: 'ok' | 'broken';
  readonly version: string;
  readonly pid: number;
  /** Empty when all that should run does. */
  readonly problems: readonly HealthProblem[];
}

export const healthViewSchema: z.ZodType<HealthView> = z.object({
  status: z.enum(['ok', 'broken']),
  version: z.string(),
  pid: z.int(),
  problems: z.array(healthProblemSchema),
});

/** What requests over TCP carry as `Authorization: Bearer TOKEN`. */
export interface TokenView {
  readonly token: string;
  /** Where the daemon keeps it. */
  readonly file: string;
  /** Where the API is served over TCP; null: it is not. */
  readonly address: string | null;
}

export const tokenViewSchema: z.ZodType<TokenView> = z.object({
  token: z.string(),
  file: z.string(),
  address: z.string().nullable(),
});

export interface StatusView {
  readonly version: string;
  readonly pid: number;
  readonly startedMs: number;
  readonly privileged: boolean;
  readonly paths: {
    /** null: no file, the default networks apply. */
    readonly config: string | null;
    readonly state: string;
    readonly runtime: string;
    readonly socket: string;
  };
  /** Where the API is served over TCP, e.g. `http://127.0.0.1:7117`; null: it is not. */
  readonly address: string | null;
  /** Where a guest goes that names no network. */
  readonly defaultNetwork: string | null;
  readonly networks: readonly NetworkView[];
  readonly guests: readonly GuestView[];
  /** What is broken, as `/healthz` tells it. */
  readonly problems: readonly HealthProblem[];
  readonly warnings: readonly string[];
}

export const statusViewSchema: z.ZodType<StatusView> = z.object({
  version: z.string(),
  pid: z.int(),
  startedMs: z.number(),
  privileged: z.boolean(),
  paths: z.object({ config: z.string().nullable(), state: z.string(), runtime: z.string(), socket: z.string() }),
  address: z.string().nullable(),
  defaultNetwork: z.string().nullable(),
  networks: z.array(networkViewSchema),
  guests: z.array(guestViewSchema),
  problems: z.array(healthProblemSchema),
  warnings: z.array(z.string()),
});

export const EVENT_TYPES: readonly [
  'network-started',
  'network-stopped',
  'network-failed',
  'network-changed',
  'network-created',
  'network-deleted',
  'config-reloaded',
  'guest-registered',
  'guest-removed',
  'guest-renamed',
  'guest-up',
  'guest-down',
  'guest-changed',
  'forward-added',
  'forward-removed',
  'record-added',
  'record-removed',
  'shape-set',
  'shape-removed',
  'warning',
  'events-missed',
] = [
  'network-started',
  'network-stopped',
  'network-failed',
  'network-changed',
  'network-created',
  'network-deleted',
  'config-reloaded',
  'guest-registered',
  'guest-removed',
  'guest-renamed',
  'guest-up',
  'guest-down',
  'guest-changed',
  'forward-added',
  'forward-removed',
  'record-added',
  'record-removed',
  'shape-set',
  'shape-removed',
  'warning',
  'events-missed',
];
export type EventType = (typeof EVENT_TYPES)[number];

/** One `data:` line of the event stream; the SSE `event:` is `type`, the SSE `id:` is `id`. */
export interface EventView {
  /** Grows, also over the start of another daemon. */
  readonly id: number;
  readonly timeMs: number;
  /** `events-missed`: what came between the id that the reader names and this one is not known any more. */
  readonly type: EventType;
  readonly network: string | null;
  readonly guest: string | null;
  readonly message: string;
}

export const eventViewSchema: z.ZodType<EventView> = z.object({
  id: z.int(),
  timeMs: z.number(),
  type: z.enum(EVENT_TYPES),
  network: z.string().nullable(),
  guest: z.string().nullable(),
  message: z.string(),
});
