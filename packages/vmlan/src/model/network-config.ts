/**
 * Networks as resources: what the API is asked to change in networks.yaml, and what it answers.
 *
 * Zone: control.  Every change has `dryRun`, which answers what would happen and changes nothing.
 */
import * as z from 'zod';
import { guestNameSchema, macSchema, networkNameSchema } from './names.ts';
import { knownKeys, networkObjectSchema } from './schema.ts';
import type { NetworkInput } from './schema.ts';

export interface NetworkCreate {
  readonly name: string;
  /** As under `networks: NAME:` in networks.yaml. */
  readonly config: NetworkInput;
}

export const networkCreateSchema: z.ZodType<NetworkCreate, NetworkCreate> = z.strictObject({
  name: networkNameSchema,
  config: networkObjectSchema,
});

/**
 * A merge patch (RFC 7396) of what stands in networks.yaml: maps are merged, lists and values replaced, null takes a
 * key out, so that its default holds again.
 */
export type NetworkPatch = Readonly<Record<string, unknown>>;

export const networkPatchSchema: z.ZodType<NetworkPatch, NetworkPatch> = z
  .record(z.string(), z.unknown())
  .superRefine((patch, context) => {
    const known = knownKeys(['networks', '']);
    const unknown = Object.keys(patch).find((key) => !known.includes(key));
    if (unknown !== undefined) context.addIssue(`unknown key "${unknown}"; keys are ${known.join(', ')}`);
  });

/** All of a network anew: its document, or the lines of YAML with comments. */
export interface NetworkReplacement {
  readonly config?: NetworkInput | undefined;
  readonly yaml?: string | undefined;
}

export const networkReplacementSchema: z.ZodType<NetworkReplacement, NetworkReplacement> = z
  .strictObject({ config: networkObjectSchema.optional(), yaml: z.string().max(65_536).optional() })
  .refine(({ config, yaml }) => (config === undefined) !== (yaml === undefined), 'either `config` or `yaml`');

type Flag = 'true' | 'false' | undefined;
const flagSchema: z.ZodOptional<z.ZodEnum<{ true: 'true'; false: 'false' }>> = z.enum(['true', 'false']).optional();

export interface DryRunQuery {
  /** `true`: answers what would happen, and changes nothing. */
  readonly dryRun?: Flag;
}

export const dryRunQuerySchema: z.ZodType<DryRunQuery, DryRunQuery> = z.strictObject({ dryRun: flagSchema });

export interface ChangeQuery extends DryRunQuery {
  /** `true`: a running network is started again where the change needs it; its guests lose their link for a moment. */
  readonly restart?: Flag;
}

export const changeQuerySchema: z.ZodType<ChangeQuery, ChangeQuery> = z.strictObject({
  dryRun: flagSchema,
  restart: flagSchema,
});

export interface DeleteQuery extends DryRunQuery {
  /** `true`: also while guests are registered on it; their NICs there are removed. */
  readonly force?: Flag;
}

export const deleteQuerySchema: z.ZodType<DeleteQuery, DeleteQuery> = z.strictObject({
  dryRun: flagSchema,
  force: flagSchema,
});

/** What a change of a network did, or would do. */
export interface NetworkChange {
  readonly name: string;
  readonly dryRun: boolean;
  /** networks.yaml. */
  readonly file: string;
  /** What changes in the file, as a unified diff; empty: nothing. */
  readonly diff: string;
  /** What happens to running networks, a line each. */
  readonly steps: readonly string[];
  /** Running networks that keep older settings until they are started again. */
  readonly restartNeeded: readonly string[];
  /** What a person should know although the change succeeds. */
  readonly warnings: readonly string[];
}

export const networkChangeSchema: z.ZodType<NetworkChange> = z.object({
  name: z.string(),
  dryRun: z.boolean(),
  file: z.string(),
  diff: z.string(),
  steps: z.array(z.string()),
  restartNeeded: z.array(z.string()),
  warnings: z.array(z.string()),
});

/** What is configured about a network. */
export interface NetworkConfigView {
  readonly name: string;
  /** `file`: it stands in networks.yaml; `default`: vmlan brings it. */
  readonly origin: 'file' | 'default';
  /** Where it stands, `FILE:LINE`; null for a network that vmlan brings. */
  readonly place: string | null;
  readonly config: NetworkInput;
  /** The same as lines of YAML, with the comments of the file. */
  readonly yaml: string;
}

export const networkConfigViewSchema: z.ZodType<NetworkConfigView> = z.object({
  name: z.string(),
  origin: z.enum(['file', 'default']),
  place: z.string().nullable(),
  config: networkObjectSchema,
  yaml: z.string(),
});

/** An address that is kept for a guest, by its name or its MAC address. */
export interface ReservationBody {
  readonly guest?: string | undefined;
  readonly mac?: string | undefined;
  readonly ip: string;
}

export const reservationBodySchema: z.ZodType<ReservationBody, ReservationBody> = z
  .strictObject({
    guest: guestNameSchema.optional(),
    mac: macSchema.optional(),
    ip: z.ipv4('an IPv4 address looks like 192.168.105.10'),
  })
  .refine(({ guest, mac }) => guest !== undefined || mac !== undefined, 'a reservation names a guest or a mac');

export interface ReservationView {
  readonly network: string;
  readonly ip: string;
  readonly guest: string | null;
  readonly mac: string | null;
  /** `config`: it stands in networks.yaml; `guest`: it belongs to a registered guest (`ip` of its NIC). */
  readonly origin: 'config' | 'guest';
}

export const reservationViewSchema: z.ZodType<ReservationView> = z.object({
  network: z.string(),
  ip: z.string(),
  guest: z.string().nullable(),
  mac: z.string().nullable(),
  origin: z.enum(['config', 'guest']),
});

export interface ReservationParams {
  readonly name: string;
  readonly ip: string;
}

export const reservationParamsSchema: z.ZodType<ReservationParams, ReservationParams> = z.strictObject({
  name: z.string().max(128),
  ip: z.string().max(64),
});

/** One value that holds, and where it comes from. */
export interface ConfigEntry {
  /** `networks.lab.mtu`, `paths.state`. */
  readonly key: string;
  readonly value: string | number | boolean | null;
  /** `picked`: chosen by the daemon, and remembered. */
  readonly origin: 'flag' | 'environment' | 'file' | 'default' | 'picked';
  /** `FILE:LINE`, or the name of the variable or flag. */
  readonly place: string | null;
}

export interface ConfigView {
  /** networks.yaml, whether or not it exists. */
  readonly file: string;
  readonly exists: boolean;
  readonly entries: readonly ConfigEntry[];
}

export const configViewSchema: z.ZodType<ConfigView> = z.object({
  file: z.string(),
  exists: z.boolean(),
  entries: z.array(
    z.object({
      key: z.string(),
      value: z.union([z.string(), z.number(), z.boolean()]).nullable(),
      origin: z.enum(['flag', 'environment', 'file', 'default', 'picked']),
      place: z.string().nullable(),
    }),
  ),
});

/** What loading networks.yaml again has changed. */
export interface ReloadView {
  readonly file: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  readonly steps: readonly string[];
  readonly restartNeeded: readonly string[];
  readonly warnings: readonly string[];
}

export const reloadViewSchema: z.ZodType<ReloadView> = z.object({
  file: z.string(),
  added: z.array(z.string()),
  removed: z.array(z.string()),
  changed: z.array(z.string()),
  steps: z.array(z.string()),
  restartNeeded: z.array(z.string()),
  warnings: z.array(z.string()),
});
