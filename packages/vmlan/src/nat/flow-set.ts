/**
 * The flows of one protocol: found by their endpoints, counted against their guest, ended by silence.
 *
 * Zone: packet to find, flow for the rest.  Records are pooled by their place in the table and live for ever; `id` below
 * zero says that one is free.  A flow is looked at when its silence may be over, not at every datagram.
 */
import type { Counters } from '../core/counters.ts';
import { FlowTraffic, NO_TRAFFIC } from '../core/flow-traffic.ts';
import { FlowTable, KEY_WORDS } from '../core/flow-table.ts';
import { TimerWheel } from '../core/timer-wheel.ts';
import { type GuestPort, Path, fillKey } from '../stack/path.ts';

/** A flow with a socket of the host, or with an owner that has one. */
export class NatFlow extends Path {
  id = -1;
  fd = -1;
  token = -1;
  /** The guest's port or echo identifier. */
  guestPort = 0;
  remotePort = 0;
  /** Hop limit that the socket was given; 0: the host's own. */
  hops = 0;
  openedMs = 0;
  lastMs = 0;
  /** By `id`. */
  traffic: FlowTraffic = NO_TRAFFIC;
  /** Silence that ends it. */
  lifeMs = 0;
  /** Port id whose limit this flow counts against. */
  countedPort = -1;
}

export interface FlowSetOptions<F extends NatFlow> {
  readonly flows: number;
  readonly flowsPerPort: number;
  /** The shortest life of a flow. */
  readonly checkMs: number;
  /** Counters of what is refused when all flows, or those of the guest, are taken. */
  readonly dropFull: number;
  readonly dropPort: number;
  create(): F;
  /** Its silence was long enough; the owner ends it. */
  onExpired(flow: F): void;
}

export class FlowSet<F extends NatFlow> {
  readonly #options: FlowSetOptions<F>;
  readonly #counters: Counters;
  readonly #table: FlowTable;
  readonly #wheel: TimerWheel;
  readonly #traffic: FlowTraffic;
  readonly #flows: F[] = [];
  readonly #key = new Int32Array(KEY_WORDS);
  readonly #portUse = new Map<number, number>();
  #now = 0;
  readonly #fire = (id: number): void => this.#onTimer(this.#flows[id]!);

  constructor(options: FlowSetOptions<F>, counters: Counters, seed: number, nowMs: number) {
    this.#options = options;
    this.#counters = counters;
    this.#table = new FlowTable(options.flows, seed);
    this.#wheel = new TimerWheel(options.flows, nowMs);
    this.#traffic = new FlowTraffic(options.flows);
  }

  get size(): number {
    return this.#table.size;
  }

  /** Every record that was ever used; `id` below zero: it is free. */
  get flows(): readonly F[] {
    return this.#flows;
  }

  /** Those that count against the share of a port. */
  flowsOf(portId: number): number {
    return this.#portUse.get(portId) ?? 0;
  }

  find(path: Path, guestPort: number, remotePort: number): F | null {
    fillKey(this.#key, path, guestPort, remotePort);
    const id = this.#table.find(this.#key);
    return id < 0 ? null : this.#flows[id]!;
  }

  /** Whether the guest's share and the table take one more flow; counted when not. */
  hasRoom(path: Path): boolean {
    if ((this.#portUse.get(path.port?.id ?? -1) ?? 0) >= this.#options.flowsPerPort) {
      this.#counters.count(this.#options.dropPort);
      return false;
    }
    if (this.#table.size < this.#options.flows) return true;
    this.#counters.count(this.#options.dropFull);
    return false;
  }

  /** A flow that was not there, when there is room. */
  insert(path: Path, guestPort: number, remotePort: number, lifeMs: number, nowMs: number): F {
    fillKey(this.#key, path, guestPort, remotePort);
    const id = this.#table.insert(this.#key);
    const flow = (this.#flows[id] ??= this.#options.create());
    flow.copyFrom(path);
    flow.id = id;
    flow.fd = -1;
    flow.token = -1;
    flow.guestPort = guestPort;
    flow.remotePort = remotePort;
    flow.hops = 0;
    flow.openedMs = nowMs;
    flow.lastMs = nowMs;
    flow.lifeMs = lifeMs;
    flow.traffic = this.#traffic;
    this.#traffic.clear(id);
    this.#count(flow, path.port?.id ?? -1);
    this.#wheel.schedule(id, nowMs + this.#options.checkMs);
    return flow;
  }

  /** Its record may be the next flow's. */
  delete(flow: F): void {
    this.#wheel.cancel(flow.id);
    this.#uncount(flow);
    this.#table.delete(flow.id);
    flow.id = -1;
    flow.fd = -1;
  }

  /** Hands the flows of a port, or all, to `end`, which may delete them. */
  forEach(port: GuestPort | null, end: (flow: F) => void): void {
    for (const flow of this.#flows) if (flow.id >= 0 && (port === null || flow.port === port)) end(flow);
  }

  /** A guest came back on another port: its flows follow. */
  movePort(from: GuestPort, to: GuestPort): void {
    this.forEach(from, (flow) => {
      flow.port = to;
      this.#uncount(flow);
      this.#count(flow, to.id);
    });
  }

  poll(nowMs: number): void {
    this.#now = nowMs;
    this.#wheel.poll(nowMs, this.#fire);
  }

  pollAt(): number {
    return this.#wheel.pollAt();
  }

  #onTimer(flow: F): void {
    if (flow.id < 0) return;
    const dueMs = flow.lastMs + flow.lifeMs;
    if (this.#now < dueMs) this.#wheel.schedule(flow.id, dueMs);
    else this.#options.onExpired(flow);
  }

  #count(flow: F, portId: number): void {
    flow.countedPort = portId;
    this.#portUse.set(portId, (this.#portUse.get(portId) ?? 0) + 1);
  }

  #uncount(flow: F): void {
    const used = (this.#portUse.get(flow.countedPort) ?? 1) - 1;
    if (used > 0) this.#portUse.set(flow.countedPort, used);
    else this.#portUse.delete(flow.countedPort);
  }
}
