/**
 * Whether a guest answers at a port: what is asked, and what is found.
 *
 * Zone: control.
 */
import * as z from 'zod';

export interface ProbeInput {
  /** Which of the guest's networks; omitted: the only one, or the first that runs. */
  readonly network?: string | undefined;
  /** Default tcp. */
  readonly protocol?: 'tcp' | 'udp' | undefined;
  readonly port: number;
}

export const probeInputSchema: z.ZodType<ProbeInput, ProbeInput> = z.strictObject({
  network: z.string().max(128).optional(),
  protocol: z.enum(['tcp', 'udp']).optional(),
  port: z.int().min(1).max(65_535),
});

export interface ProbeResult {
  readonly guest: string;
  readonly network: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** Where it was tried; null: the guest has no address. */
  readonly address: string | null;
  /**
   * `open`: it answers; `closed`: the guest refuses; `silent`: nothing came back, which for UDP may mean that somebody
   * listens; `absent`: the guest is not there, or nobody has its address.
   */
  readonly state: 'open' | 'closed' | 'silent' | 'absent';
}

export const probeResultSchema: z.ZodType<ProbeResult> = z.object({
  guest: z.string(),
  network: z.string(),
  protocol: z.enum(['tcp', 'udp']),
  port: z.int(),
  address: z.string().nullable(),
  state: z.enum(['open', 'closed', 'silent', 'absent']),
});
