/**
 * The bindings of one address family: which client of which NIC holds which slot of a pool. Zone: flow.
 * A slot is a number: the host part of an address, the same for both families so that .10 and ::10 are one guest.
 * Time is epoch milliseconds and may jump. Every operation is O(1) but for the few bindings of one NIC.
 *
 * Theory. A binding is *protected* while its holder may still use the address; only others are handed on. Protected are:
 *   - an offer, for HOLD_MS;
 *   - a declined address, for QUARANTINE_MS;
 *   - what an attached NIC holds. Its expiry alone does not free it at once, for the host's clock may have jumped while
 *     the guest slept: the lease's length must also pass on a clock that counts no step of more than MAX_STEP_MS;
 *   - what a restored NIC holds, for RECONNECT_MS: guests outlive this process and come back to it.
 * Fresh slots go first, in order; then those longest idle (released, expired), then of guests longest gone, then of NICs
 * that never came back, then of attached NICs that let their lease run out, and last the asking NIC's own oldest.
 * The memory of who held a slot stays until the slot is needed: the same NIC gets the same address.
 */

import type {
  Binding,
  ClientIdentity,
  LeaseState,
  PoolConfig,
  PoolContext,
  SiblingPool,
  StoredBinding,
  Wish,
} from './lease-binding.ts';

/** How long an offer keeps an address from others; firmware may take a minute to answer. */
export const HOLD_MS = 60_000;
/** How long a declined address is kept out (RFC 2131 §3.1 step 5 leaves it open). */
export const QUARANTINE_MS = 600_000;
/** How long NICs of restored leases may take to reconnect. */
export const RECONNECT_MS = 30_000;
/** A longer step between two looks at the clock is taken for a jump. */
export const MAX_STEP_MS = 60_000;
/** Bindings of one family; beyond, old ones are recycled as in a full pool. */
export const MAX_BINDINGS = 65_536;
/** A renewal within this part of the lease changes nothing and needs no new commit. */
export const QUIET_PART = 0.01;

const key = (nic: string, client: string): string => `${nic}\n${client}`;
const ownerOf = (client: string): string => client.split('/', 1)[0] ?? client;

export class LeasePool implements SiblingPool {
  readonly config: PoolConfig;
  /** Bindings of one NIC; at the limit its own oldest makes room. */
  readonly maxPerNic: number;
  /** Declined addresses kept out at a time; at the limit the oldest comes back. 0: nothing is kept out. */
  readonly maxDeclined: number;
  readonly #context: PoolContext;
  readonly #bySlot = new Map<number, Binding>();
  readonly #byClient = new Map<string, Binding>();
  readonly #byNic = new Map<string, Binding[]>(); // each list: longest unused first
  // Sets keep insertion order: the first is the oldest.
  readonly #expiry = new Set<Binding>();
  readonly #held = new Set<Binding>();
  readonly #declined = new Set<Binding>();
  readonly #idle = new Set<Binding>();
  readonly #gone = new Set<Binding>();
  readonly #unseen = new Set<Binding>();
  readonly #parked = new Set<Binding>();
  readonly #returned = new Set<number>(); // slots below the cursor that are free again
  #cursor: number;
  #restoredMs = Number.NEGATIVE_INFINITY;
  #lastMs = 0;
  #observedMs = 0;

  constructor(config: PoolConfig, context: PoolContext) {
    this.config = config;
    this.#context = context;
    this.#cursor = config.first;
    const size = Math.max(0, config.last - config.first + 1);
    this.maxPerNic = Math.max(8, Math.min(256, size >> 2));
    this.maxDeclined = config.distinct ? Math.min(64, size >> 2) : 0;
  }

  get size(): number {
    return this.#bySlot.size;
  }

  /** The latest time that the pool was told. */
  get lastMs(): number {
    return this.#lastMs;
  }

  /** In order of slots. */
  bindings(): Binding[] {
    return [...this.#bySlot.values()].sort((a, b) => a.slot - b.slot);
  }

  at(slot: number): Binding | null {
    return this.#bySlot.get(slot) ?? null;
  }

  /** The bindings of a NIC, the last used one last. */
  ofNic(nic: string): readonly Binding[] {
    return this.#byNic.get(nic) ?? [];
  }

  slotOf(nic: string): number {
    return this.ofNic(nic).at(-1)?.slot ?? -1;
  }

  nicAt(slot: number): string | null {
    return this.#bySlot.get(slot)?.nic ?? null;
  }

  /** Whether `slot` may go to a client whose reserved slot is `reserved` (-1 for none). */
  usable(slot: number, reserved: number): boolean {
    const { first, last, excluded, reserved: reservations } = this.config;
    if (slot < 0 || excluded.has(slot)) return false;
    return slot === reserved || (slot >= first && slot <= last && !reservations.has(slot));
  }

  /** Whether nothing is known about a slot. */
  isFree(slot: number): boolean {
    return !this.#bySlot.has(slot);
  }

  /** Whether somebody else may be given the slot. */
  mayTake(slot: number): boolean {
    const binding = this.#bySlot.get(slot);
    return !this.config.excluded.has(slot) && (binding === undefined || !this.#isProtected(binding));
  }

  /**
   * The binding of this client: by its own key; else one of the same NIC and MAC under another client identifier (an
   * initramfs and the system after it differ in that); else one of the same NIC that no client of this boot uses.
   */
  find(id: ClientIdentity): Binding | null {
    const exact = this.#byClient.get(key(id.nic, id.client));
    if (exact !== undefined) return exact;
    const owner = ownerOf(id.client);
    const bindings = this.ofNic(id.nic).toReversed();
    const sameMac = bindings.find((binding) => binding.mac === id.mac && ownerOf(binding.client) !== owner);
    return sameMac ?? bindings.find((binding) => this.#isStale(binding)) ?? null;
  }

  /** The binding that this client shall have, its own or a new one in state `offered`; null when the pool is used up. */
  choose(id: ClientIdentity, wish: Wish, nowMs: number): Binding | null {
    this.advance(nowMs);
    const own = this.find(id);
    if (wish.reserved >= 0 && own?.slot !== wish.reserved && this.mayTake(wish.reserved)) {
      if (own !== null) this.#forget(own);
      return this.#claim(wish.reserved, id);
    }
    if (own !== null && this.usable(own.slot, wish.reserved)) {
      own.attachment = this.#context.attachment(id.nic);
      return this.#rekey(own, id);
    }
    if (own !== null) this.#forget(own);
    const slot = this.#pick(id, wish);
    return slot < 0 ? null : this.#claim(slot, id);
  }

  /** A new binding of exactly this slot, for a client that has none; null when its NIC or the pool may have no more. */
  claim(slot: number, id: ClientIdentity): Binding | null {
    const full = this.#bySlot.size >= MAX_BINDINGS || this.ofNic(id.nic).length >= this.maxPerNic;
    return full || !this.mayTake(slot) ? null : this.#claim(slot, id);
  }

  /** Keeps an address for a client that was offered it. A lease that runs needs no offer. */
  hold(binding: Binding, nowMs: number): void {
    if (binding.state === 'bound') return;
    binding.heldUntilMs = nowMs + HOLD_MS;
    this.#place(binding);
  }

  /** Takes an offer back: the client chose another server, or time is over. */
  unhold(binding: Binding): void {
    if (binding.heldUntilMs === 0) return;
    binding.heldUntilMs = 0;
    if (binding.state === 'offered') this.#forget(binding);
    else this.#place(binding);
  }

  /**
   * Binds or extends. Returns false when nothing changed that must be stored: the same client within QUIET_PART of its
   * lease keeps the end it has.
   *
   * A new end alone is stored too, but not waited for. Who reads the old one from the disk keeps the address for its NIC
   * all the same: what an attached NIC holds is protected for a whole lease from then on, whatever the stored end.
   */
  bind(binding: Binding, id: ClientIdentity, durationMs: number, nowMs: number): boolean {
    const renewed = binding.state === 'bound';
    const extended = renewed && binding.client === id.client && binding.goneMs === null && !binding.backUnsaved;
    this.#rekey(binding, id);
    const same = renewed && binding.guest === id.guest && binding.hostname === id.hostname;
    const quiet = nowMs >= binding.startMs && nowMs - binding.startMs < durationMs * QUIET_PART;
    const steady = same && quiet && binding.mac === id.mac && binding.clientId === id.clientId;
    binding.attachment = this.#context.attachment(id.nic);
    this.#touch(binding);
    if (steady && binding.expiresMs - binding.startMs === durationMs && !binding.backUnsaved) return false;
    const { guest, mac, clientId, hostname } = id;
    Object.assign(binding, { guest, mac, clientId, hostname, state: 'bound', startMs: nowMs, goneMs: null });
    Object.assign(binding, { expiresMs: nowMs + durationMs, heldUntilMs: 0, unseen: false, backUnsaved: false });
    binding.observedEndMs = this.#observedMs + durationMs;
    this.#expiry.delete(binding);
    this.#expiry.add(binding);
    this.#place(binding);
    this.#context.changed(renewed ? 'renewed' : 'bound', binding, true);
    if (!extended) binding.promised = binding.generation;
    return true;
  }

  /** Gives an address back, remembering who had it. */
  release(binding: Binding, nowMs: number): void {
    if (binding.state === 'offered') return this.unhold(binding);
    if (binding.state === 'released') return undefined;
    binding.heldUntilMs = 0;
    binding.expiresMs = Math.max(nowMs, binding.startMs);
    this.#enter(binding, 'released');
    this.#context.changed('released', binding, true);
    return undefined;
  }

  /** Keeps an address out because its client found it in use (RFC 2131 §4.3.3). */
  decline(binding: Binding, nowMs: number): void {
    if (this.maxDeclined === 0) return this.release(binding, nowMs);
    const [oldest] = this.#declined;
    if (oldest !== undefined && this.#declined.size >= this.maxDeclined) this.#forget(oldest);
    this.#unlink(binding);
    binding.heldUntilMs = 0;
    binding.startMs = nowMs;
    binding.expiresMs = nowMs + QUARANTINE_MS;
    this.#enter(binding, 'declined');
    this.#context.changed('declined', binding, true);
    return undefined;
  }

  /** The NIC was attached, or came back: its guest may go on with the addresses it had. */
  nicHere(nic: string): void {
    for (const binding of this.ofNic(nic)) {
      const wasGone = binding.goneMs !== null;
      // Restored from the disk of a process that was killed: the guest goes on with it, and may not say a word.
      const isRestored = binding.unseen && binding.state === 'bound';
      binding.goneMs = null;
      binding.unseen = false;
      binding.backUnsaved ||= wasGone;
      this.#place(binding);
      if (wasGone || isRestored) this.#context.changed('back', binding, wasGone);
    }
  }

  nicGone(nic: string, nowMs: number): void {
    for (const binding of [...this.ofNic(nic)]) {
      this.unhold(binding);
      if (binding.state !== 'bound' && binding.state !== 'expired') continue;
      const wasHere = binding.goneMs === null;
      binding.goneMs ??= nowMs;
      binding.unseen = false;
      this.#place(binding);
      if (wasHere) this.#context.changed('gone', binding, true);
    }
  }

  /** A slot has become a reserved one, or is one no longer. */
  onReservation(slot: number): void {
    const binding = this.#bySlot.get(slot);
    if (binding !== undefined) this.#place(binding);
    else if (slot < this.#cursor && this.usable(slot, -1)) this.#returned.add(slot);
  }

  /** Lets time pass: leases expire, offers lapse, declined addresses come back. */
  advance(nowMs: number): void {
    const stepMs = nowMs - this.#lastMs;
    if (stepMs > 0 && stepMs <= MAX_STEP_MS) this.#observedMs += stepMs;
    this.#lastMs = nowMs;
    for (const binding of this.#expiry) {
      if (binding.expiresMs > nowMs) break;
      this.#enter(binding, 'expired');
      this.#context.changed('expired', binding, false);
    }
    // An end that lies too far ahead means that the clock was set back.
    for (const binding of this.#held) {
      if (isAhead(binding.heldUntilMs, nowMs, HOLD_MS)) break;
      this.unhold(binding);
    }
    for (const binding of this.#declined) {
      if (isAhead(binding.expiresMs, nowMs, QUARANTINE_MS)) break;
      this.#forget(binding);
    }
  }

  /** Takes a stored binding over. False when its slot or client is taken or the slot is out of reach. */
  load(stored: StoredBinding, nowMs: number): boolean {
    const { slot, nic, client, state } = stored;
    const reachable = this.usable(slot, this.config.reserved.has(slot) ? slot : -1);
    const declined = state === 'declined';
    if (!reachable || this.#bySlot.has(slot) || this.#bySlot.size >= MAX_BINDINGS) return false;
    if (declined ? this.#declined.size >= this.maxDeclined : this.#byClient.has(key(nic, client))) return false;
    if (!declined && this.ofNic(nic).length >= this.maxPerNic) return false;
    const lengthMs = stored.expiresMs - stored.startMs;
    const binding: Binding = {
      ...stored,
      startMs: Math.min(stored.startMs, nowMs), // the clock was set back since
      expiresMs: Math.min(stored.expiresMs, nowMs + lengthMs),
      heldUntilMs: 0,
      observedEndMs: this.#observedMs + lengthMs,
      unseen: stored.goneMs === null && state !== 'released',
      backUnsaved: false,
      generation: 0,
      promised: 0,
      attachment: 0,
      queue: null,
    };
    this.#restoredMs = nowMs;
    this.#bySlot.set(slot, binding);
    if (!declined) this.#link(binding);
    if (state === 'bound') this.#expiry.add(binding);
    this.#place(binding);
    return true;
  }

  /** Not in use by a client of the NIC's present boot, so another client of the same NIC may take it over. */
  #isStale(binding: Binding): boolean {
    const attachment = this.#context.attachment(binding.nic);
    const running = binding.state === 'bound' || binding.heldUntilMs !== 0;
    return !running || attachment === 0 || binding.attachment !== attachment;
  }

  #isProtected(binding: Binding): boolean {
    if (binding.heldUntilMs !== 0 || binding.state === 'declined') return true;
    if (binding.state === 'released') return false;
    if (this.#context.attachment(binding.nic) !== 0) {
      return binding.state === 'bound' || this.#observedMs < binding.observedEndMs;
    }
    return binding.unseen && this.#mayReconnect();
  }

  #mayReconnect(): boolean {
    return isAhead(this.#restoredMs + RECONNECT_MS, this.#lastMs, RECONNECT_MS);
  }

  /** A slot for a client that has none, or -1. */
  #pick(id: ClientIdentity, wish: Wish): number {
    const own = this.ofNic(id.nic);
    if (own.length >= this.maxPerNic) return this.#evict(this.#oldestOwn(id));
    const { requested, reserved } = wish;
    const room = this.#bySlot.size < MAX_BINDINGS;
    if (room && this.usable(requested, reserved) && this.isFree(requested)) return requested;
    const sibling = this.#context.sibling();
    const hint = sibling?.slotOf(id.nic) ?? -1;
    if (this.usable(hint, -1) && this.mayTake(hint)) return hint;
    const fresh = this.#fresh(id.nic, sibling);
    return fresh >= 0 ? fresh : this.#recycle(id);
  }

  /** The next slot that nobody ever had; those that the other family gave to another NIC come last. */
  #fresh(nic: string, sibling: SiblingPool | null): number {
    if (this.#bySlot.size >= MAX_BINDINGS) return -1;
    while (this.#cursor <= this.config.last) {
      const slot = this.#cursor++;
      if (!this.usable(slot, -1) || this.#bySlot.has(slot)) continue;
      const other = sibling?.nicAt(slot) ?? nic;
      if (other === nic) return slot;
      this.#returned.add(slot);
    }
    for (const slot of this.#returned) {
      this.#returned.delete(slot);
      if (this.isFree(slot) && this.usable(slot, -1)) return slot;
    }
    return -1;
  }

  /** The NIC's longest unused binding, but not another association of the client that asks. */
  #oldestOwn(id: ClientIdentity): Binding | undefined {
    const owner = ownerOf(id.client);
    return this.ofNic(id.nic).find((binding) => ownerOf(binding.client) !== owner && this.usable(binding.slot, -1));
  }

  #recycle(id: ClientIdentity): number {
    const [idle] = this.#idle;
    const [gone] = this.#gone;
    const [unseen] = this.#mayReconnect() ? [] : this.#unseen;
    const [parked] = this.#parked;
    const lapsed = parked !== undefined && !this.#isProtected(parked) ? parked : undefined;
    return this.#evict(idle ?? gone ?? unseen ?? lapsed ?? this.#oldestOwn(id));
  }

  #evict(binding: Binding | undefined): number {
    if (binding === undefined) return -1;
    this.#forget(binding);
    return binding.slot;
  }

  #claim(slot: number, id: ClientIdentity): Binding {
    const previous = this.#bySlot.get(slot);
    if (previous !== undefined) this.#forget(previous);
    const binding: Binding = {
      ...{ slot, nic: id.nic, client: id.client, guest: id.guest, mac: id.mac, clientId: id.clientId },
      ...{ hostname: id.hostname, state: 'offered', startMs: this.#lastMs, expiresMs: this.#lastMs + HOLD_MS },
      ...{
        goneMs: null,
        heldUntilMs: this.#lastMs + HOLD_MS,
        observedEndMs: 0,
        unseen: false,
        backUnsaved: false,
        generation: 0,
        promised: 0,
        queue: null,
      },
      attachment: this.#context.attachment(id.nic),
    };
    this.#bySlot.set(slot, binding);
    this.#link(binding);
    this.#place(binding);
    return binding;
  }

  #rekey(binding: Binding, id: ClientIdentity): Binding {
    if (binding.client === id.client) return binding;
    this.#byClient.delete(key(binding.nic, binding.client));
    binding.client = id.client;
    this.#byClient.set(key(binding.nic, binding.client), binding);
    return binding;
  }

  #forget(binding: Binding): void {
    this.#bySlot.delete(binding.slot);
    this.#unlink(binding);
    this.#expiry.delete(binding);
    binding.queue?.delete(binding);
    binding.queue = null;
    if (binding.slot < this.#cursor && this.usable(binding.slot, -1)) this.#returned.add(binding.slot);
    if (binding.state !== 'offered') this.#context.changed('forgotten', binding, true);
  }

  #link(binding: Binding): void {
    this.#byClient.set(key(binding.nic, binding.client), binding);
    const list = this.#byNic.get(binding.nic);
    if (list === undefined) this.#byNic.set(binding.nic, [binding]);
    else list.push(binding);
  }

  #unlink(binding: Binding): void {
    const name = key(binding.nic, binding.client);
    if (this.#byClient.get(name) === binding) this.#byClient.delete(name);
    const rest = this.ofNic(binding.nic).filter((other) => other !== binding);
    if (rest.length === 0) this.#byNic.delete(binding.nic);
    else this.#byNic.set(binding.nic, rest);
  }

  /** Moves a binding behind the others of its NIC: it is the one in use. */
  #touch(binding: Binding): void {
    const list = this.#byNic.get(binding.nic);
    if (list === undefined || list.at(-1) === binding) return;
    list.push(...list.splice(list.indexOf(binding), 1));
  }

  #enter(binding: Binding, state: LeaseState): void {
    binding.state = state;
    this.#expiry.delete(binding);
    this.#place(binding);
  }

  #place(binding: Binding): void {
    binding.queue?.delete(binding);
    binding.queue = this.#queueFor(binding);
    binding.queue?.add(binding);
  }

  /** The queue that a binding waits in, or null for one that nobody may take: in use, or reserved for its holder. */
  #queueFor(binding: Binding): Set<Binding> | null {
    if (binding.heldUntilMs !== 0) return this.#held;
    if (binding.state === 'declined') return this.#declined;
    if (this.config.reserved.has(binding.slot)) return null;
    if (binding.state === 'released') return this.#idle;
    if (this.#context.attachment(binding.nic) !== 0) return binding.state === 'bound' ? null : this.#parked;
    if (binding.unseen) return this.#unseen;
    return binding.state === 'bound' ? this.#gone : this.#idle;
  }
}

/** Whether `untilMs` is still to come, by no more than the `spanMs` it was set ahead. */
function isAhead(untilMs: number, nowMs: number, spanMs: number): boolean {
  return untilMs > nowMs && untilMs - nowMs <= spanMs;
}
