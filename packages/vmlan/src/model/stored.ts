/**
 * What forwards and DNS records look like on disk.
 *
 * Zone: control.
 */
import * as z from 'zod';
import { recordTypeSchema } from './requests.ts';
import type { RecordType } from './requests.ts';

export interface StoredForward {
  readonly id: string;
  readonly network: string;
  readonly protocol: 'tcp' | 'udp';
  readonly direction: 'host' | 'reverse';
  readonly host: string;
  readonly guest: string;
}

export interface StoredRecord {
  readonly id: string;
  readonly network: string;
  readonly name: string;
  readonly type: RecordType;
  readonly value: string;
  readonly ttl: number | null;
}

export const storedForwardSchema: z.ZodType<StoredForward> = z.object({
  id: z.string(),
  network: z.string(),
  protocol: z.enum(['tcp', 'udp']),
  direction: z.enum(['host', 'reverse']),
  host: z.string(),
  guest: z.string(),
});

export const storedRecordSchema: z.ZodType<StoredRecord> = z.object({
  id: z.string(),
  network: z.string(),
  name: z.string(),
  type: recordTypeSchema,
  value: z.string(),
  ttl: z.int().nullable(),
});

export const storedPicksSchema: z.ZodType<Readonly<Record<string, string>>> = z.record(z.string(), z.string());
