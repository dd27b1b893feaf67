/**
 * Leases as a test reads them.
 *
 * Zone: control.
 */
import type { LeaseChanges } from '../engine/control-messages.ts';

type LeaseRecord = NonNullable<LeaseChanges['changes'][number][1]>;

/** An address that DHCP has given away. */
export interface Lease {
  readonly family: 4 | 6;
  readonly address: string;
  /** null: nobody that was added to the network. */
  readonly guest: string | null;
  readonly mac: string;
  /** What the guest calls itself. */
  readonly hostname: string | null;
  readonly state: 'active' | 'released' | 'expired' | 'declined';
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

/** Nothing for an offer, which nobody was promised. */
export function leaseOf(record: LeaseRecord, nowMs: number): readonly Lease[] {
  const { family, address, guest, mac, hostname, expiresMs, state } = record;
  if (state === 'offered') return [];
  const now = state !== 'bound' ? state : expiresMs <= nowMs ? 'expired' : 'active';
  return [{ family, address, guest, mac, hostname, state: now, expiresMs }];
}
