/**
 * Conversations of guests, as the API is asked for them and shows them.
 *
 * Zone: control.
 */
import * as z from 'zod';
import { FLOW_ORDERS, FLOW_PROTOCOLS } from './flow-words.ts';
import type { FlowOrder, FlowProtocol } from './flow-words.ts';

export * from './flow-words.ts';

export interface FlowsQuery {
  readonly network?: string | undefined;
  readonly guest?: string | undefined;
  readonly protocol?: FlowProtocol | undefined;
  /** Default bytes. */
  readonly sort?: FlowOrder | undefined;
  /** How many, the first ones in this order; 1000, at most 100000. */
  readonly limit?: string | undefined;
}

export const flowsQuerySchema: z.ZodType<FlowsQuery, FlowsQuery> = z.strictObject({
  network: z.string().max(128).optional(),
  guest: z.string().max(128).optional(),
  protocol: z.enum(FLOW_PROTOCOLS).optional(),
  sort: z.enum(FLOW_ORDERS).optional(),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,5}$/, 'must be a whole number above 0')
    .optional(),
});

/** One conversation of a guest with the world beyond its network, or through a forward. */
export interface FlowView {
  readonly network: string;
  readonly guest: string;
  readonly nic: string;
  readonly protocol: FlowProtocol;
  /** TCP: of the gateway's end towards the guest, in the names of RFC 9293; others: `UNREPLIED`, `ASSURED`. */
  readonly state: string;
  readonly guestAddress: string;
  /** Of ICMP: the identifier of the echo. */
  readonly guestPort: number;
  /** What the guest believes it talks to. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The socket of the host, ADDRESS:PORT; null where the flow has none of its own. */
  readonly hostAddress: string | null;
  /** The client of a forward. */
  readonly peerAddress: string | null;
  /** The forward that it goes through; null: the guest's own way out. */
  readonly forward: string | null;
  readonly ageMs: number;
  readonly idleMs: number;
  /** Payload. */
  readonly bytesFromGuest: number;
  readonly bytesToGuest: number;
  /** An offloaded frame of many segments is one. */
  readonly packetsFromGuest: number;
  readonly packetsToGuest: number;
  /** Round trip between gateway and guest, TCP alone. */
  readonly rttMs: number | null;
  /** Segments that were sent to the guest again, TCP alone. */
  readonly retransmissions: number | null;
}

export const flowViewSchema: z.ZodType<FlowView> = z.object({
  network: z.string(),
  guest: z.string(),
  nic: z.string(),
  protocol: z.enum(FLOW_PROTOCOLS),
  state: z.string(),
  guestAddress: z.string(),
  guestPort: z.int(),
  remoteAddress: z.string(),
  remotePort: z.int(),
  hostAddress: z.string().nullable(),
  peerAddress: z.string().nullable(),
  forward: z.string().nullable(),
  ageMs: z.number(),
  idleMs: z.number(),
  bytesFromGuest: z.number(),
  bytesToGuest: z.number(),
  packetsFromGuest: z.number(),
  packetsToGuest: z.number(),
  rttMs: z.number().nullable(),
  retransmissions: z.int().nullable(),
});

type Measured = Pick<
  FlowView,
  'ageMs' | 'idleMs' | 'bytesFromGuest' | 'bytesToGuest' | 'packetsFromGuest' | 'packetsToGuest'
>;

const KEYS: Readonly<Record<FlowOrder, (flow: Measured) => number>> = {
  bytes: ({ bytesFromGuest, bytesToGuest }) => bytesFromGuest + bytesToGuest,
  packets: ({ packetsFromGuest, packetsToGuest }) => packetsFromGuest + packetsToGuest,
  age: ({ ageMs }) => ageMs,
  idle: ({ idleMs }) => -idleMs,
};

/** The first `limit` in this order. */
export function firstFlows<Flow extends Measured>(flows: readonly Flow[], order: FlowOrder, limit: number): Flow[] {
  const key = KEYS[order];
  return [...flows].sort((a, b) => key(b) - key(a)).slice(0, limit);
}
