/**
 * Who is promised which slot of a lease pool: a NIC, a guest by name, or a MAC address. Zone: flow.
 * `slots` is the live set that the pool looks at (lease-binding.ts, PoolConfig). Bounded by who registers NICs.
 */
import type { ClientIdentity } from './lease-binding.ts';

export class Reservations {
  readonly slots: Set<number> = new Set();
  readonly #slotByOwner = new Map<string, number>();

  /** `owner` is `nic KEY`, `guest NAME` or `mac MAC`; a slot below 0 ends the promise. Returns the slots that changed. */
  set(owner: string, slot: number): readonly number[] {
    const before = this.#slotByOwner.get(owner) ?? -1;
    if (before === slot) return [];
    if (slot < 0) this.#slotByOwner.delete(owner);
    else this.#slotByOwner.set(owner, slot);
    // A configuration may promise one address to a guest by its name and by its MAC.
    if (![...this.#slotByOwner.values()].includes(before)) this.slots.delete(before);
    if (slot >= 0) this.slots.add(slot);
    return [before, slot].filter((changed) => changed >= 0);
  }

  /** All promises to guests and MAC addresses anew; those to NICs stay. Returns the slots that changed. */
  replaceConfigured(wanted: ReadonlyMap<string, number>): readonly number[] {
    const gone = [...this.#slotByOwner.keys()].filter((owner) => !owner.startsWith('nic ') && !wanted.has(owner));
    return [
      ...gone.flatMap((owner) => this.set(owner, -1)),
      ...[...wanted].flatMap(([owner, slot]) => this.set(owner, slot)),
    ];
  }

  /** The slot that is kept for a client, or -1. */
  slotOf({ nic, guest, mac }: Pick<ClientIdentity, 'nic' | 'guest' | 'mac'>): number {
    const owners = this.#slotByOwner;
    return owners.get(`nic ${nic}`) ?? owners.get(`guest ${guest ?? ''}`) ?? owners.get(`mac ${mac}`) ?? -1;
  }
}
