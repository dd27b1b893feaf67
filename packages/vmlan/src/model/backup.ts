/**
 * Everything that a daemon remembers, as one document: what `vmlan backup` writes and `vmlan restore` reads.
 *
 * Zone: control.  The frame around `content` is the same in all versions to come, so that a backup of a newer vmlan is
 * known for what it is.
 */
import * as z from 'zod';
import { parseCidr4 } from '../wire/address.ts';
import { storedGuestSchema } from './guest.ts';
import type { StoredGuest } from './guest.ts';
import { networkNameSchema } from './names.ts';
import { storedForwardSchema, storedRecordSchema } from './stored.ts';
import type { StoredForward, StoredRecord } from './stored.ts';
import { storedShapeSchema } from './stored-shape.ts';
import type { StoredShape } from './stored-shape.ts';

export const BACKUP_FORMAT = 'vmlan-backup';
export const BACKUP_VERSION = 1;

/** The leases of one network. */
export interface BackupLeases {
  readonly network: string;
  /** The DHCPv6 server's identifier, in hexadecimal digits. */
  readonly duid: string;
  /** As the network keeps them. */
  readonly leases: readonly unknown[];
}

export interface BackupContent {
  /** As it is, comments too; null: there is none. */
  readonly networksYaml: string | null;
  /** What MAC addresses and IPv6 prefixes are made from. */
  readonly identity: string;
  readonly guests: readonly StoredGuest[];
  readonly forwards: readonly StoredForward[];
  readonly records: readonly StoredRecord[];
  readonly shapes: readonly StoredShape[];
  /** Subnets that were picked, by network. */
  readonly subnets: Readonly<Record<string, string>>;
  readonly leases: readonly BackupLeases[];
  /** What could not be read when the backup was taken. */
  readonly warnings: readonly string[];
}

/** All that a daemon remembers. */
export interface Backup {
  readonly format: typeof BACKUP_FORMAT;
  readonly formatVersion: number;
  /** Which vmlan took it. */
  readonly vmlan: string;
  readonly takenMs: number;
  /** SHA-256 of all the rest, in hexadecimal digits. */
  readonly checksum: string;
  readonly content: BackupContent;
}

const backupLeasesSchema: z.ZodType<BackupLeases> = z.object({
  network: networkNameSchema,
  duid: z.string().regex(/^[0-9a-f]{4,260}$/),
  leases: z.array(z.unknown()),
});

const backupContentSchema: z.ZodType<BackupContent> = z.object({
  networksYaml: z.string().nullable(),
  identity: z.string().regex(/^[0-9a-f]{32}$/),
  guests: z.array(storedGuestSchema),
  forwards: z.array(storedForwardSchema),
  records: z.array(storedRecordSchema),
  shapes: z.array(storedShapeSchema),
  subnets: z.record(
    z.string(),
    z.string().refine((text) => parseCidr4(text) !== null, 'no subnet'),
  ),
  leases: z.array(backupLeasesSchema),
  warnings: z.array(z.string()),
});

export const backupSchema: z.ZodType<Backup> = z.object({
  format: z.literal(BACKUP_FORMAT),
  formatVersion: z.int().min(1),
  vmlan: z.string(),
  takenMs: z.int(),
  checksum: z.string(),
  content: backupContentSchema,
});
