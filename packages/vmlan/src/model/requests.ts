/**
 * What the API is asked: bodies, path parameters and queries.  Unknown keys are refused.
 *
 * Zone: control.  Defaults that need to know the host or the networks are filled by the daemon; the others stand here.
 */
import * as z from 'zod';
import { guestNameSchema, hostNameSchema, interfaceNameSchema, macSchema, networkNameSchema } from './names.ts';
import { ATTACH_KINDS } from './views.ts';
import type { AttachKind } from './views.ts';

const ipv4Schema = z.ipv4('an IPv4 address looks like 192.168.105.10');

export interface GuestInput {
  readonly name: string;
  /** Omitted: the default network (`defaultNetwork` of the status). */
  readonly network?: string | undefined;
  /** Omitted: derived from the machine, the network and the name, always the same. */
  readonly mac?: string | undefined;
  /** Keeps this IPv4 address for the guest. */
  readonly ip?: string | undefined;
  /** Default true. */
  readonly connected?: boolean | undefined;
}

export const guestInputSchema: z.ZodType<GuestInput, GuestInput> = z.strictObject({
  name: guestNameSchema,
  network: networkNameSchema.optional(),
  mac: macSchema.optional(),
  ip: ipv4Schema.optional(),
  connected: z.boolean().optional(),
});

export interface GuestPatch {
  /** What it is called from now on; its addresses, forwards and shapes stay its own, and its link is not touched. */
  readonly name?: string | undefined;
  /** Which of the guest's NICs; omitted: the only one, or the first. */
  readonly network?: string | undefined;
  readonly mac?: string | undefined;
  /** null lets the reserved address go. */
  readonly ip?: string | null | undefined;
  readonly connected?: boolean | undefined;
}

export const guestPatchSchema: z.ZodType<GuestPatch, GuestPatch> = z.strictObject({
  name: guestNameSchema.optional(),
  network: networkNameSchema.optional(),
  mac: macSchema.optional(),
  ip: ipv4Schema.nullable().optional(),
  connected: z.boolean().optional(),
});

/** A network namespace, by a process that is in it or by path (`/run/netns/NAME`). */
export interface NetnsInput {
  readonly pid?: number | undefined;
  readonly path?: string | undefined;
  /** Default `eth0`. */
  readonly interface?: string | undefined;
  /** Also set address, route and resolver in the namespace; default true. */
  readonly configure?: boolean | undefined;
}

export const netnsInputSchema: z.ZodType<NetnsInput, NetnsInput> = z
  .strictObject({
    pid: z.int().positive().optional(),
    path: z.string().startsWith('/', 'the path of a namespace is absolute').max(4096).optional(),
    interface: interfaceNameSchema.optional(),
    configure: z.boolean().optional(),
  })
  .refine((netns) => (netns.pid === undefined) !== (netns.path === undefined), 'a namespace has a pid or a path');

export interface AttachInput {
  /** Omitted: the guest's own network, or the default one for a new guest. */
  readonly network?: string | undefined;
  /** Default `qemu-stream`. */
  readonly kind?: AttachKind | undefined;
  /** For a guest that is registered by this call. */
  readonly mac?: string | undefined;
  readonly ip?: string | undefined;
  readonly netns?: NetnsInput | undefined;
  /** `qemu-server`: the absolute path or HOST:PORT where the VMM listens. */
  readonly server?: string | undefined;
}

/** A guest that is not registered yet is registered by attaching it. */
export const attachInputSchema: z.ZodType<AttachInput, AttachInput> = z
  .strictObject({
    network: networkNameSchema.optional(),
    kind: z.enum(ATTACH_KINDS).optional(),
    mac: macSchema.optional(),
    ip: ipv4Schema.optional(),
    netns: netnsInputSchema.optional(),
    server: z.string().max(4096).optional(),
  })
  .refine((input) => (input.kind === 'netns') === (input.netns !== undefined), {
    path: ['netns'],
    message: '`netns` belongs to kind netns',
  })
  .refine((input) => (input.kind === 'qemu-server') === (input.server !== undefined), {
    path: ['server'],
    message: '`server` belongs to kind qemu-server',
  });

export interface DetachInput {
  /** Omitted: every NIC of the guest. */
  readonly network?: string | undefined;
}

export const detachInputSchema: z.ZodType<DetachInput, DetachInput> = z.strictObject({
  network: networkNameSchema.optional(),
});

/**
 * `host` and `guest` are endpoints as people write them:
 * - host side: `8080`, `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:8000-8010`, `*:8080`, `auto` (a free one), `/run/app.sock`
 * - guest side: `web:80`, `192.168.104.5:80`, `[fd00::5]:80`, `web:9000-9010`; for `reverse` a port of the gateway: `5000`
 */
export interface ForwardInput {
  /** Omitted: the network of the guest, or the default one. */
  readonly network?: string | undefined;
  /** Default tcp. */
  readonly protocol?: 'tcp' | 'udp' | undefined;
  /** Default host: from the host to the guest. */
  readonly direction?: 'host' | 'reverse' | undefined;
  readonly host: string;
  readonly guest: string;
}

const endpointSchema = z.string().min(1).max(512);

export const forwardInputSchema: z.ZodType<ForwardInput, ForwardInput> = z.strictObject({
  network: networkNameSchema.optional(),
  protocol: z.enum(['tcp', 'udp']).optional(),
  direction: z.enum(['host', 'reverse']).optional(),
  host: endpointSchema,
  guest: endpointSchema,
});

export type RecordType =
  'A' | 'AAAA' | 'CNAME' | 'TXT' | 'NS' | 'MX' | 'SRV' | 'PTR' | 'CAA' | 'HTTPS' | 'SVCB' | 'NAPTR' | `TYPE${number}`;
const RECORD_TYPE = /^(?:A|AAAA|CNAME|TXT|NS|MX|SRV|PTR|CAA|HTTPS|SVCB|NAPTR|TYPE\d{1,5})$/;
const KNOWN_TYPES = 'A, AAAA, CNAME, TXT, NS, MX, SRV, PTR, CAA, HTTPS, SVCB or NAPTR';

/** Any other type is written as TYPE123, with its octets in hex (RFC 3597 §5). */
export const recordTypeSchema: z.ZodType<RecordType, RecordType> = z
  .string()
  .regex(RECORD_TYPE, `not ${KNOWN_TYPES}, and not a number such as TYPE123`) as unknown as z.ZodType<
  RecordType,
  RecordType
>;
/** RFC 2181 §8: a TTL is 31 bits. */
const MAX_TTL_SECONDS = 0x7fffffff;

export interface RecordInput {
  /** Omitted: the default network. */
  readonly network?: string | undefined;
  readonly name: string;
  readonly type: RecordType;
  /** In zone file notation, e.g. `10 mail.lab.internal` for MX. */
  readonly value: string;
  readonly ttl?: number | undefined;
}

export const recordInputSchema: z.ZodType<RecordInput, RecordInput> = z.strictObject({
  network: networkNameSchema.optional(),
  name: hostNameSchema,
  type: recordTypeSchema,
  value: z.string().min(1).max(4096),
  ttl: z.int().min(0).max(MAX_TTL_SECONDS).optional(),
});

export interface ShutdownInput {
  /** Default true: the networks stop too; false: the next daemon takes them over. */
  readonly networks?: boolean | undefined;
}

export const shutdownInputSchema: z.ZodType<ShutdownInput, ShutdownInput> = z.strictObject({
  networks: z.boolean().optional(),
});

export interface NamedParams {
  readonly name: string;
}

/** Looked up, not validated: an unknown name is `not-found` whatever it looks like. */
export const namedParamsSchema: z.ZodType<NamedParams, NamedParams> = z.strictObject({ name: z.string().max(128) });

export interface IdParams {
  readonly id: string;
}

export const idParamsSchema: z.ZodType<IdParams, IdParams> = z.strictObject({ id: z.string().max(128) });

export interface NetworkQuery {
  readonly network?: string | undefined;
}

export const networkQuerySchema: z.ZodType<NetworkQuery, NetworkQuery> = z.strictObject({
  network: z.string().max(128).optional(),
});

/** What of the events is wanted; everything that happens from now on without it. */
export interface EventsQuery {
  readonly network?: string | undefined;
  readonly guest?: string | undefined;
  /** First the events behind this id that are still known; `0`: all of them. */
  readonly after?: string | undefined;
  /** `false`: ends with what is known now. */
  readonly follow?: 'true' | 'false' | undefined;
}

export const eventsQuerySchema: z.ZodType<EventsQuery, EventsQuery> = z.strictObject({
  network: z.string().max(128).optional(),
  guest: z.string().max(128).optional(),
  after: z
    .string()
    .regex(/^\d{1,15}$/, 'not the id of an event')
    .optional(),
  follow: z.enum(['true', 'false']).optional(),
});

export type Nothing = Readonly<Record<string, never>>;
export const nothingSchema: z.ZodType<Nothing, Nothing> = z.strictObject({});
