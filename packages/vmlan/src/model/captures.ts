/**
 * Captures as the API is asked for them, and the lines it answers with.
 *
 * Zone: control.  A query is text throughout; what is left out has the default that stands beside it.
 */
import * as z from 'zod';

export type CaptureFormat = 'pcapng' | 'lines';

/** Longest frame that a link takes, and more. */
export const MAX_SNAP_LEN = 262_144;

export interface CaptureQuery {
  /** All cards of this network; or which of the guest's networks is meant. */
  readonly network?: string | undefined;
  /** The cards of this guest alone. */
  readonly guest?: string | undefined;
  /** In the words of pcap-filter(7): docs/capture.md. */
  readonly filter?: string | undefined;
  /** Bytes kept of each frame; 262144. */
  readonly snaplen?: string | undefined;
  /** Ends after so many frames. */
  readonly count?: string | undefined;
  /** Ends after so many milliseconds. */
  readonly durationMs?: string | undefined;
  /** `true`: only frames that vmlan drops. */
  readonly drops?: 'true' | 'false' | undefined;
  /** `pcapng` (the default), or `lines`: one CapturedLine as JSON a line. */
  readonly format?: CaptureFormat | undefined;
}

const digits = z.string().regex(/^[1-9]\d{0,9}$/, 'must be a whole number above 0');

export const captureQuerySchema: z.ZodType<CaptureQuery, CaptureQuery> = z
  .strictObject({
    network: z.string().max(128).optional(),
    guest: z.string().max(128).optional(),
    filter: z.string().max(1024).optional(),
    snaplen: digits.optional(),
    count: digits.optional(),
    durationMs: digits.optional(),
    drops: z.enum(['true', 'false']).optional(),
    format: z.enum(['pcapng', 'lines']).optional(),
  })
  .refine(({ network, guest }) => network !== undefined || guest !== undefined, 'name a guest or a network');

/** One frame. */
export interface CapturedLine {
  readonly timeMs: number;
  readonly network: string;
  readonly guest: string;
  readonly nic: string;
  /** As the network's switch sees it: `inbound` is what the guest sends. */
  readonly direction: 'inbound' | 'outbound';
  /** Bytes, of an offloaded frame before it is cut. */
  readonly length: number;
  /** Frames of this card that are missing before this one. */
  readonly lost: number;
  readonly summary: string;
  /** The counter of the reason why vmlan dropped it. */
  readonly dropped: string | null;
}

export const capturedLineSchema: z.ZodType<CapturedLine> = z.object({
  timeMs: z.number(),
  network: z.string(),
  guest: z.string(),
  nic: z.string(),
  direction: z.enum(['inbound', 'outbound']),
  length: z.int(),
  lost: z.int(),
  summary: z.string(),
  dropped: z.string().nullable(),
});
