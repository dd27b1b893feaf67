/**
 * All leases of one network, IPv4 and DHCPv6, with their stored form. Zone: flow; `snapshot` and `list` are control.
 * Times are epoch milliseconds. The rules of who gets what are in lease-pool.ts; here are families, NICs coming and
 * going, and persistence.
 *
 * Contract of durability: each change that a stored snapshot must know raises `generation`. Before a reply is sent, a
 * snapshot whose generation is at least the reply's is stored. That is the generation which bound the addresses it
 * confirms to their client, even when this message changed nothing: the client may ask again while the first answer still
 * waits for the disk. A lease that is only extended waits for no disk (docs/decisions/0015).
 */
import { LeasePool, MAX_BINDINGS } from './lease-pool.ts';
import type { Binding, LeaseEvent, LeaseState, PoolConfig, StoredBinding } from './lease-binding.ts';

export type Family = 4 | 6;

export interface LeaseRecord {
  readonly family: Family;
  readonly address: string;
  /** Stable name of the NIC: `web/0`, or `mac:52:54:…` for one that nobody registered. */
  readonly nic: string;
  /** The client on that NIC: client identifier or hardware address; DUID and IAID with DHCPv6. */
  readonly client: string;
  readonly guest: string | null;
  readonly mac: string;
  /** Option 61 or the DUID, hex. */
  readonly clientId: string | null;
  readonly hostname: string | null;
  readonly state: LeaseState;
  readonly startMs: number;
  readonly expiresMs: number;
  /** Since when the NIC is detached; null while it is attached. */
  readonly goneMs: number | null;
}

/** What a stored snapshot does not know yet. */
export interface LeaseChanges {
  /** The changes are all there is: whatever was stored before is out of date. */
  readonly isWhole: boolean;
  /** By place in the store; null where nothing is left to be stored. */
  readonly changes: readonly (readonly [place: string, lease: LeaseRecord | null])[];
}

export type LeaseListener = (event: LeaseEvent, lease: LeaseRecord) => void;

export interface RestoreResult {
  readonly restored: number;
  readonly skipped: number;
}

/** NICs that are attached at a time; beyond, the one that is so longest counts as gone. */
export const MAX_NICS = 65_536;
const MAX_RECORDS = 2 * MAX_BINDINGS;
const MAX_NAME_CHARS = 253;
const MAX_CLIENT_CHARS = 1024;
const STATES: readonly unknown[] = ['bound', 'released', 'expired', 'declined'];

export class LeaseStore {
  readonly #pools = new Map<Family, LeasePool>();
  readonly #attachments = new Map<string, number>();
  readonly #listener: LeaseListener | null;
  /** Stored leases of a family that has no pool (yet): kept, and written again as they were. */
  #waiting: LeaseRecord[] = [];
  /** When the waiting records were current. */
  #clockMs = 0;
  #lastAttachment = 0;
  /** Places whose durable state has changed since `takeChanges`; null when all may have. */
  #changed: Set<string> | null = null;
  #generation = 0;

  /** `listener` hears of every change but offers, during the call that makes it. */
  constructor(listener: LeaseListener | null = null) {
    this.#listener = listener;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Opens the pool of a family; again with another configuration, what still fits it stays. */
  open(family: Family, config: PoolConfig): LeasePool {
    const before = this.#pools.get(family);
    if (before !== undefined) {
      this.#waiting.push(...this.#records(family).filter((record) => record.state !== 'offered'));
      this.#clockMs = Math.max(this.#clockMs, before.lastMs);
    }
    const pool = new LeasePool(config, {
      attachment: (nic) => this.#attachments.get(nic) ?? 0,
      changed: (event, binding, durable) => this.#onChange(family, event, binding, durable),
      sibling: () => (config.distinct ? this.#distinctPool(family === 4 ? 6 : 4) : null),
    });
    this.#pools.set(family, pool);
    this.#changed = null;
    this.#loadWaiting();
    return pool;
  }

  /** The leases to be stored. Offers are not: nobody was promised anything. */
  snapshot(): LeaseRecord[] {
    const records = [...this.#records(4), ...this.#records(6)];
    return [...records.filter((record) => record.state !== 'offered'), ...this.#waiting];
  }

  /** What has to be stored since the last call; with the first, everything. Costs as much as has changed. */
  takeChanges(): LeaseChanges {
    const changed = this.#changed;
    this.#changed = new Set();
    if (changed === null) {
      const places = this.#places().filter(([, record]) => record.state !== 'offered');
      return {
        isWhole: true,
        changes: [...places, ...this.#waiting.map((lease, i) => [`waiting ${i}`, lease] as const)],
      };
    }
    return { isWhole: false, changes: Array.from(changed, (place) => [place, this.#at(place)] as const) };
  }

  /**
   * Takes over what an earlier run stored, best after the servers opened their pools. Records that make no sense are left out and
   * counted, never an error.
   */
  restore(records: readonly unknown[], nowMs: number): RestoreResult {
    const sound = records.slice(0, MAX_RECORDS).flatMap((value) => checkRecord(value) ?? []);
    this.#clockMs = nowMs;
    this.#changed = null;
    this.#waiting.push(...sound);
    const refused = this.#loadWaiting();
    const restored = sound.length - refused;
    return { restored, skipped: records.length - restored };
  }

  /** Everything, offers too, in order of family and address. */
  list(nowMs: number): LeaseRecord[] {
    this.advance(nowMs);
    return [...this.#records(4), ...this.#records(6)];
  }

  /** The address that a NIC was given last and may use now, or null. */
  addressOf(nic: string, family: Family): string | null {
    const pool = this.#pools.get(family);
    const binding = pool?.ofNic(nic).findLast(({ state, goneMs }) => state === 'bound' && goneMs === null);
    return pool === undefined || binding === undefined ? null : pool.config.format(binding.slot);
  }

  /** Who has an address now: what a PTR record or a flow table wants to know. */
  holder(family: Family, address: string): LeaseRecord | null {
    const pool = this.#pools.get(family);
    const binding = pool?.at(pool.config.parse(address)) ?? null;
    if (pool === undefined || binding?.state !== 'bound') return null;
    return toRecord(family, pool, binding);
  }

  /** Ends the leases of a NIC by order of the operator; they stay remembered. Returns how many. */
  release(nic: string, nowMs: number): number {
    let count = 0;
    for (const pool of this.#pools.values()) {
      for (const binding of [...pool.ofNic(nic)]) {
        if (binding.state === 'bound') count++;
        pool.release(binding, nowMs);
      }
    }
    return count;
  }

  /** A NIC was attached, for the first time or again. Without this call its first DHCP message says so. */
  onNicHere(nic: string, nowMs: number): void {
    if (this.#attachments.has(nic)) return;
    const [oldest] = this.#attachments.keys();
    if (oldest !== undefined && this.#attachments.size >= MAX_NICS) this.onNicGone(oldest, nowMs);
    this.#attachments.set(nic, ++this.#lastAttachment);
    for (const pool of this.#pools.values()) pool.nicHere(nic);
  }

  /** A NIC was detached: its leases may be recycled when nothing older can, and are remembered until then. */
  onNicGone(nic: string, nowMs: number): void {
    this.#attachments.delete(nic);
    for (const pool of this.#pools.values()) pool.nicGone(nic, nowMs);
  }

  /** Lets time pass. To be called at least once a minute while the network runs. */
  advance(nowMs: number): void {
    for (const pool of this.#pools.values()) pool.advance(nowMs);
  }

  #distinctPool(family: Family): LeasePool | null {
    const pool = this.#pools.get(family);
    return pool?.config.distinct === true ? pool : null;
  }

  #onChange(family: Family, event: LeaseEvent, binding: Binding, durable: boolean): void {
    if (durable) {
      binding.generation = ++this.#generation;
      this.#changed?.add(placeOf(family, binding.slot));
    }
    const pool = this.#pools.get(family);
    if (this.#listener !== null && pool !== undefined) this.#listener(event, toRecord(family, pool, binding));
  }

  #records(family: Family): LeaseRecord[] {
    const pool = this.#pools.get(family);
    return pool === undefined ? [] : pool.bindings().map((binding) => toRecord(family, pool, binding));
  }

  #places(): [string, LeaseRecord][] {
    return [...this.#pools].flatMap(([family, pool]) =>
      pool.bindings().map((binding): [string, LeaseRecord] => {
        return [placeOf(family, binding.slot), toRecord(family, pool, binding)];
      }),
    );
  }

  #at(place: string): LeaseRecord | null {
    const [family, slot] = place.split(' ').map(Number) as [Family, number];
    const pool = this.#pools.get(family);
    const binding = pool?.at(slot) ?? null;
    return pool === undefined || binding === null || binding.state === 'offered'
      ? null
      : toRecord(family, pool, binding);
  }

  /** Moves waiting records into the pools that are open; returns how many found no place. */
  #loadWaiting(): number {
    const ready = this.#waiting.filter((record) => this.#pools.has(record.family));
    this.#waiting = this.#waiting.filter((record) => !this.#pools.has(record.family)).slice(0, MAX_RECORDS);
    // Leases that run come before memories, and the newest before older ones that claim the same.
    const byClaim = ready.toSorted((a, b) => rank(a) - rank(b) || b.startMs - a.startMs);
    const placed: { pool: LeasePool; stored: StoredBinding }[] = [];
    const taken = new Set<string>();
    for (const record of byClaim) {
      const pool = this.#pools.get(record.family);
      const slot = pool === undefined ? -1 : slotFor(pool, record, placed.length);
      const claims = [`${record.family} slot ${slot}`, `${record.family} client ${record.nic}\n${record.client}`];
      if (pool === undefined || slot < 0 || claims.some((claim) => taken.has(claim))) continue;
      for (const claim of record.state === 'declined' ? claims.slice(0, 1) : claims) taken.add(claim);
      const { family: _family, address: _address, ...rest } = record;
      placed.push({ pool, stored: { ...rest, slot } });
    }
    // Each queue of a pool is oldest first.
    placed.sort((a, b) => a.stored.expiresMs - b.stored.expiresMs || a.stored.slot - b.stored.slot);
    const loaded = placed.filter(({ pool, stored }) => pool.load(stored, this.#clockMs));
    return ready.length - loaded.length;
  }
}

const placeOf = (family: Family, slot: number): string => `${family} ${slot}`;

const rank = (record: LeaseRecord): number => (record.state === 'bound' ? 0 : 1);

/** The slot of a record's address; where all slots are one address, the `index`-th. */
function slotFor(pool: LeasePool, record: LeaseRecord, index: number): number {
  const slot = pool.config.parse(record.address);
  return pool.config.distinct || slot < 0 ? slot : pool.config.first + index;
}

export function toRecord(family: Family, pool: LeasePool, binding: Binding): LeaseRecord {
  const { nic, client, guest, mac, clientId, hostname, state, startMs, expiresMs, goneMs } = binding;
  const address = pool.config.format(binding.slot);
  return { family, address, nic, client, guest, mac, clientId, hostname, state, startMs, expiresMs, goneMs };
}

const isText = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= max;
const isTextOrNull = (value: unknown, max: number): value is string | null => value === null || isText(value, max);
const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** The record, field by field, or null. Nothing of a damaged file is trusted. */
function checkRecord(value: unknown): LeaseRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const r = value as Partial<Record<keyof LeaseRecord, unknown>>;
  const { family, address, nic, client, guest, mac, clientId, hostname, state, startMs, expiresMs, goneMs } = r;
  if ((family !== 4 && family !== 6) || !STATES.includes(state)) return null;
  if (!isText(address, 64) || !isText(nic, MAX_NAME_CHARS) || !isText(client, MAX_CLIENT_CHARS)) return null;
  if (!isText(mac, 17) || !isTextOrNull(guest, MAX_NAME_CHARS) || !isTextOrNull(hostname, 63)) return null;
  if (!isTextOrNull(clientId, MAX_CLIENT_CHARS) || !isTime(startMs) || !isTime(expiresMs)) return null;
  if (expiresMs < startMs || !(goneMs === null || isTime(goneMs))) return null;
  const known = state as LeaseState;
  return { family, address, nic, client, guest, mac, clientId, hostname, state: known, startMs, expiresMs, goneMs };
}
