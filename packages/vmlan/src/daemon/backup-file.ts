/**
 * A backup as bytes: sealed with a checksum when it is taken, and judged by it before anything else is believed.
 *
 * Zone: control.  SHA-256 is taken of the compact JSON of all but the checksum, so the file may be laid out in any way.
 */
import { createHash } from 'node:crypto';
import { VmlanError } from '../core/errors.ts';
import { BACKUP_FORMAT, BACKUP_VERSION, backupSchema } from '../model/backup.ts';
import type { Backup, BackupContent } from '../model/backup.ts';
import { MAX_GUESTS, MAX_LIVE_FORWARDS, MAX_LIVE_RECORDS, MAX_SHAPES } from './store.ts';

/** Larger than any backup that can be taken; a larger file is none. */
export const MAX_BACKUP_BYTES = 268_435_456; // 256 MiB

export function sealBackup(content: BackupContent, vmlan: string, takenMs: number): Backup {
  const head = { format: BACKUP_FORMAT, formatVersion: BACKUP_VERSION, vmlan, takenMs } as const;
  return { ...head, checksum: checksumOf({ ...head, content }), content };
}

/** Throws one VmlanError that says what is wrong with the file. */
export function parseBackup(name: string, bytes: Uint8Array): Backup {
  const document = jsonOf(name, bytes);
  if (document['format'] !== BACKUP_FORMAT) throw noBackup(name);
  const { formatVersion, checksum } = document;
  if (checksum !== checksumOf(document as unknown as Omit<Backup, 'checksum'>)) {
    throw damaged(name, 'its checksum is wrong');
  }
  if (typeof formatVersion === 'number' && formatVersion > BACKUP_VERSION) {
    throw new VmlanError(
      'unsupported',
      `${name} was taken by a newer vmlan (${String(document['vmlan'])}): its format has version ${formatVersion}, and this vmlan knows ${BACKUP_VERSION}`,
      { hint: 'restore it with that vmlan, or a later one' },
    );
  }
  const result = backupSchema.safeParse(document);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw damaged(name, `${issue.path.map(String).join('.')}: ${issue.message}`);
  }
  checkContent(name, result.data.content);
  return result.data;
}

function jsonOf(name: string, bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length > MAX_BACKUP_BYTES) throw noBackup(name);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const document: unknown = JSON.parse(text);
    if (typeof document === 'object' && document !== null) return document as Record<string, unknown>;
  } catch {
    throw damaged(name, bytes.length === 0 ? 'it is empty' : 'it is not JSON, or its end is missing');
  }
  throw noBackup(name);
}

const checksumOf = ({ format, formatVersion, vmlan, takenMs, content }: Omit<Backup, 'checksum'>): string =>
  createHash('sha256')
    .update(JSON.stringify([format, formatVersion, vmlan, takenMs, content]))
    .digest('hex');

/** What no schema sees: things that there are twice, and more of them than there may be. */
function checkContent(name: string, { guests, forwards, records, shapes, leases }: BackupContent): void {
  const kinds: readonly [what: string, keys: readonly string[], limit: number][] = [
    ['guest', guests.map((guest) => guest.name), MAX_GUESTS],
    ['forward', forwards.map(({ id }) => id), MAX_LIVE_FORWARDS],
    ['record', records.map(({ id }) => id), MAX_LIVE_RECORDS],
    ['shape', shapes.map(({ id }) => id), MAX_SHAPES],
    ['list of leases of network', leases.map(({ network }) => network), Infinity],
  ];
  for (const [what, keys, limit] of kinds) {
    if (keys.length > limit) throw damaged(name, `it has ${keys.length} ${what}s, and there are at most ${limit}`);
    const known = new Set<string>();
    for (const key of keys) {
      if (known.has(key)) throw damaged(name, `${what} "${key}" is in it twice`);
      known.add(key);
    }
  }
}

const damaged = (name: string, reason: string): VmlanError =>
  new VmlanError('invalid', `${name} is damaged: ${reason}`, { hint: 'nothing was changed; take another backup' });

const noBackup = (name: string): VmlanError =>
  new VmlanError('invalid', `${name} is no backup of vmlan`, { hint: '`vmlan backup FILE` makes one' });
