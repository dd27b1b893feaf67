/**
 * Guests and their NICs as the control plane keeps them, and the MAC addresses it gives them.
 *
 * Zone: control.
 */
import * as z from 'zod';
import { guestNameSchema, macSchema, networkNameSchema } from './names.ts';
import { macFrom } from './resolve.ts';
import { ATTACH_KINDS } from './views.ts';
import type { AttachKind } from './views.ts';

/** Names that mean the gateway or the host in DNS. */
export const RESERVED_GUEST_NAMES: readonly string[] = ['host', 'gateway', 'dns', 'localhost', 'lima', 'vmlan'];
/** QEMU's own prefix, which is what people expect of a virtual card. */
const GUEST_MAC_PREFIX = '52:54:00';
const MAX_MAC_TRIES = 64;
export const MAX_NICS_PER_GUEST = 16;

export interface StoredNetns {
  readonly pid: number | null;
  readonly path: string | null;
  readonly interface: string;
  readonly configure: boolean;
  /** Inode of the namespace when it was attached, so that another one under the same pid or path is not taken for it. */
  readonly inode: number | null;
}

export interface StoredAttachment {
  readonly kind: AttachKind;
  /** `qemu-socket-tcp`: kept, so that QEMU finds it again. */
  readonly port: number | null;
  readonly netns: StoredNetns | null;
  /** `qemu-server`: where the VMM listens. */
  readonly server?: ServerAddress | undefined;
}

/** A unix socket or a TCP port where a VMM listens. */
export type ServerAddress = { readonly unix: string } | { readonly host: string; readonly port: number };

export interface StoredNic {
  readonly index: number;
  readonly network: string;
  readonly mac: string;
  readonly ip: string | null;
  readonly connected: boolean;
  readonly attachment: StoredAttachment | null;
}

export interface StoredGuest {
  readonly name: string;
  /** What its NICs, sockets and leases hang on; the name it had at first, or like it. Absent: the name. */
  readonly id?: string | undefined;
  /** How often it has been renamed: of two files of one guest, the later one holds. */
  readonly renames?: number | undefined;
  readonly nics: readonly StoredNic[];
}

const storedNetnsSchema: z.ZodType<StoredNetns> = z.object({
  pid: z.int().nullable(),
  path: z.string().nullable(),
  interface: z.string(),
  configure: z.boolean(),
  inode: z.number().nullable(),
});

const storedAttachmentSchema: z.ZodType<StoredAttachment> = z.object({
  kind: z.enum(ATTACH_KINDS),
  port: z.int().nullable(),
  netns: storedNetnsSchema.nullable(),
  server: z.union([z.object({ unix: z.string() }), z.object({ host: z.string(), port: z.int() })]).optional(),
});

/** A file name, as names of guests are; the sign is in no name. */
const GUEST_ID = /^[a-z0-9-]+(?:\+\d+)?$/;

export const storedGuestSchema: z.ZodType<StoredGuest> = z.object({
  name: guestNameSchema,
  id: z.string().regex(GUEST_ID).optional(),
  renames: z.int().min(0).optional(),
  nics: z
    .array(
      z.object({
        index: z.int().min(0),
        network: networkNameSchema,
        mac: macSchema,
        ip: z.ipv4().nullable(),
        connected: z.boolean(),
        attachment: storedAttachmentSchema.nullable(),
      }),
    )
    .max(MAX_NICS_PER_GUEST),
});

/** `ID/INDEX`, what leases hang on. */
export const nicKey = (guestId: string, index: number): string => `${guestId}/${index}`;

export const guestId = ({ id, name }: StoredGuest): string => id ?? name;

/** The id of a new guest: its name, unless one that was renamed has it. */
export function freeGuestId(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  for (let count = 2; ; count++) if (!taken.has(`${name}+${count}`)) return `${name}+${count}`;
}

/** Always the same MAC for the same NIC on the same machine; the next one when another NIC has it. */
export function deriveMac(
  identify: (text: string) => Uint8Array,
  network: string,
  key: string,
  isTaken: (mac: string) => boolean,
): string | null {
  for (let attempt = 0; attempt < MAX_MAC_TRIES; attempt++) {
    const mac = macFrom(GUEST_MAC_PREFIX, identify(`nic/${network}/${key}/${attempt}`));
    if (!isTaken(mac)) return mac;
  }
  return null;
}
