/**
 * A small pool of IPv4 addresses over a store, and clients that ask it for leases.
 *
 * Zone: control.
 */
import type { ClientIdentity, PoolConfig, Wish } from './lease-binding.ts';
import type { LeasePool } from './lease-pool.ts';
import { LeaseStore } from './lease-store.ts';

export const HOUR_MS: number = 3_600_000;
export const DAY_MS: number = 24 * HOUR_MS;
export const START_MS: number = 1_700_000_000_000;
export const NO_WISH: Wish = { reserved: -1, requested: -1 };

/** 10.0.0.0/28 with its gateway at .1: 13 addresses. */
export const config = (more: Partial<PoolConfig> = {}): PoolConfig => ({
  first: 1,
  last: 14,
  excluded: new Set([1]),
  reserved: new Set(),
  distinct: true,
  format: (slot) => `10.0.0.${slot}`,
  parse: (address) => (/^10\.0\.0\.\d+$/.test(address) ? Number(address.split('.')[3]) : -1),
  ...more,
});

export const identity = (nic: string, more: Partial<ClientIdentity> = {}): ClientIdentity => ({
  nic,
  client: `hw:1:${nic}`,
  guest: nic.split('/')[0] ?? null,
  mac: `mac of ${nic}`.slice(0, 17),
  clientId: null,
  hostname: null,
  ...more,
});

export const setup = (more: Partial<PoolConfig> = {}): { store: LeaseStore; pool: LeasePool } => {
  const store = new LeaseStore();
  return { store, pool: store.open(4, config(more)) };
};

/** DISCOVER and REQUEST in one; the slot, or -1 when there was none. */
export function lease(
  store: LeaseStore,
  pool: LeasePool,
  id: ClientIdentity,
  nowMs: number,
  wish: Wish = NO_WISH,
): number {
  store.onNicHere(id.nic, nowMs);
  const binding = pool.choose(id, wish, nowMs);
  if (binding === null) return -1;
  pool.hold(binding, nowMs);
  pool.bind(binding, id, HOUR_MS, nowMs);
  return binding.slot;
}
