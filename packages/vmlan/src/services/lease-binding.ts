/**
 * The words of the lease store: bindings, who asks for them, and what a pool needs to know. Zone: flow.
 * Times are epoch milliseconds unless they say `observed` (lease-pool.ts explains that clock).
 */
export type LeaseState = 'offered' | 'bound' | 'released' | 'expired' | 'declined';

/** Lease time of leases without end (RFC 2131 §3.3, RFC 8415 §7.7). */
export const INFINITE_SECONDS = 0xffff_ffff;

/** What happened to a binding. `forgotten`: its slot went to somebody else or left the pool. */
export type LeaseEvent = 'bound' | 'renewed' | 'released' | 'expired' | 'declined' | 'gone' | 'back' | 'forgotten';

/** Who asks. `client` names one client of the NIC; what stands before a `/` is its owner (DUID), behind it the IAID. */
export interface ClientIdentity {
  readonly nic: string;
  readonly client: string;
  readonly guest: string | null;
  readonly mac: string;
  readonly clientId: string | null;
  readonly hostname: string | null;
}

export interface Binding {
  readonly slot: number;
  nic: string;
  client: string;
  guest: string | null;
  mac: string;
  clientId: string | null;
  hostname: string | null;
  state: LeaseState;
  startMs: number;
  expiresMs: number;
  /** Since when the NIC is gone, or null. */
  goneMs: number | null;
  /** End of an offer, 0 for none. An offer may lie over the memory of an earlier lease. */
  heldUntilMs: number;
  /** The lease's end on the clock that cannot jump. */
  observedEndMs: number;
  /** Restored, and its NIC not heard of since. */
  unseen: boolean;
  /** The stored record says that the NIC is gone, and it is not: the next bind is no quiet one. */
  backUnsaved: boolean;
  /** The store's generation that knows its present state; 0 when that was restored or nothing is stored of it. */
  generation: number;
  /** The generation that has to be stored before the binding is confirmed: the one that bound it to its client. */
  promised: number;
  /** The NIC's attachment in which the client was last heard; see `PoolContext`. */
  attachment: number;
  queue: Set<Binding> | null;
}

/** What of a binding outlives the process. */
export type StoredBinding = Omit<
  Binding,
  'heldUntilMs' | 'observedEndMs' | 'unseen' | 'backUnsaved' | 'generation' | 'promised' | 'attachment' | 'queue'
>;

export interface PoolConfig {
  readonly first: number;
  readonly last: number;
  /** Never handed out: network, broadcast, gateway, user exclusions. */
  readonly excluded: ReadonlySet<number>;
  /** Handed out only to those they are reserved for; may change, see LeasePool.onReservation. */
  readonly reserved: ReadonlySet<number>;
  /** Slots are host numbers; false when every slot stands for one and the same address. */
  readonly distinct: boolean;
  readonly format: (slot: number) => string;
  /** The slot of an address, or -1. */
  readonly parse: (address: string) => number;
}

/** What a pool tells the other family's pool, so that a guest has the same slot in both. */
export interface SiblingPool {
  /** The slot that the NIC used last, or -1. */
  slotOf(nic: string): number;
  /** The NIC that a slot belongs to, or null. */
  nicAt(slot: number): string | null;
}

/** What the pool asks about NICs, and whom it tells of changes. `durable`: a stored snapshot is out of date. */
export interface PoolContext {
  /** The number of the NIC's present attachment, or 0 while it is not attached. */
  readonly attachment: (nic: string) => number;
  readonly changed: (event: LeaseEvent, binding: Binding, durable: boolean) => void;
  /** The other family's pool, if it has one with the same slots. */
  readonly sibling: () => SiblingPool | null;
}

/** Slots that the client would like, -1 for none. */
export interface Wish {
  readonly reserved: number;
  readonly requested: number;
}
