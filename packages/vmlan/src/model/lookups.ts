/**
 * A question to the DNS of a network, and its answer as a guest would get it.
 *
 * Zone: control.
 */
import * as z from 'zod';

/** What a domain name takes as text, escapes included (RFC 1035 §2.3.4, §5.1). */
const MAX_NAME_CHARS = 1024;

export interface LookupQuery {
  /** A name; an IP address stands for its name in the reverse zone. */
  readonly name: string;
  /** `AAAA`, or TYPE123. Omitted: A, and PTR for an address. */
  readonly type?: string | undefined;
}

export const lookupQuerySchema: z.ZodType<LookupQuery, LookupQuery> = z.strictObject({
  name: z.string().min(1).max(MAX_NAME_CHARS),
  type: z
    .string()
    .regex(/^[A-Za-z]+\d{0,5}$/, 'not a type of records such as AAAA or TYPE123')
    .max(16)
    .optional(),
});

export interface LookupAnswer {
  readonly name: string;
  readonly type: string;
  /** Seconds. */
  readonly ttl: number;
  /** As in a zone file. */
  readonly value: string;
}

export interface Lookup {
  /** NOERROR without answers: the name exists, and has no such record. */
  readonly status: string;
  /** The network knows the name itself; else the resolver of the host was asked. */
  readonly authoritative: boolean;
  readonly answers: readonly LookupAnswer[];
}

export interface LookupView extends Lookup {
  readonly network: string;
  /** The name and the type that were asked for. */
  readonly name: string;
  readonly type: string;
}

export const lookupViewSchema: z.ZodType<LookupView> = z.object({
  network: z.string(),
  name: z.string(),
  type: z.string(),
  status: z.string(),
  authoritative: z.boolean(),
  answers: z.array(z.object({ name: z.string(), type: z.string(), ttl: z.int(), value: z.string() })),
});
