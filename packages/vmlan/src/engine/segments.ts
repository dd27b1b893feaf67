/**
 * The segments of a network: one that all guests share, or in mode `user` one for each.
 *
 * Zone: flow.  A guest's own segment lives as long as its port and its flows' grace, so that a guest that comes back in
 * time finds its conversations where they were.  What the control plane set for the network (records, reverse forwards,
 * the IPv6 route) holds for segments that come later, too.
 */
import { VmlanError } from '../core/errors.ts';
import type { Cidr, OutboundPolicy, ReverseTarget } from '../nat/policy.ts';
import type { Gateway } from '../stack/gateway.ts';
import type { DnsRecord, EngineConfig } from './control-messages.ts';
import { type SegmentHost, type SharedParts, createSegment, setRecords } from './segment-host.ts';

/** Whose share of questions the control plane's own are. */
const CONTROL_CLIENT = 'control';

export class Segments {
  readonly #config: EngineConfig;
  readonly #parts: SharedParts;
  readonly #onCreated: (host: SegmentHost) => void;
  readonly #hosts = new Map<number, SegmentHost>();
  /** Mode `user`: the segment of a NIC that is there, or was a moment ago. */
  readonly #byNic = new Map<string, SegmentHost>();
  readonly #shared: SegmentHost | null;
  /** Those with something due that was not due before. */
  #touched: SegmentHost[] = [];
  #polling: SegmentHost[] = [];
  /** Nothing is due earlier on a segment that is not touched. */
  #nextMs = Infinity;
  #nextId = 1;
  #records: readonly DnsRecord[];
  #reverse: readonly ReverseTarget[] = [];
  /** null: what the configuration closes. */
  #closed: readonly Cidr[] | null = null;
  #hasRoute6 = false;

  constructor(config: EngineConfig, parts: SharedParts, nowMs: number, onCreated: (host: SegmentHost) => void) {
    this.#config = config;
    this.#parts = parts;
    this.#onCreated = onCreated;
    this.#records = config.dns.records;
    this.#shared = config.mode === 'user' ? null : this.#create(nowMs, false);
  }

  /** The one segment of the network; null in mode `user`. */
  get shared(): SegmentHost | null {
    return this.#shared;
  }

  all(): IterableIterator<SegmentHost> {
    return this.#hosts.values();
  }

  get(id: number): SegmentHost | null {
    return this.#hosts.get(id) ?? null;
  }

  gatewayOf(id: number): Gateway | null {
    return this.#hosts.get(id)?.gateway ?? null;
  }

  /** The policy of a segment that has ports or flows. */
  policyOf(id: number): OutboundPolicy {
    return this.#hosts.get(id)!.policy;
  }

  /** The segment for a NIC that comes: the shared one, its own of a moment ago, or a new one. */
  hostFor(nic: string | null, nowMs: number): SegmentHost {
    if (this.#shared !== null) return this.#shared;
    const before = nic === null ? undefined : this.#byNic.get(nic);
    if (before !== undefined) return before;
    const host = this.#create(nowMs, true);
    if (nic !== null) this.#byNic.set(nic, host);
    return host;
  }

  /** The last flows of a guest's own segment have ended: without a port it goes. */
  release(host: SegmentHost): void {
    if (host === this.#shared || host.segment.ports.length > 0) return;
    this.#hosts.delete(host.id);
    for (const [nic, own] of this.#byNic) if (own === host) this.#byNic.delete(nic);
  }

  setRecords(records: readonly DnsRecord[]): void {
    for (const host of this.#hosts.values()) if (host.zone !== null) setRecords(host.zone, records);
    this.#records = records;
  }

  setClosed(closed: readonly Cidr[]): void {
    this.#closed = closed;
    for (const host of this.#hosts.values()) host.policy.setClosed(closed);
  }

  setReverse(targets: readonly ReverseTarget[]): void {
    this.#reverse = targets;
    for (const host of this.#hosts.values()) host.policy.setReverse(targets);
  }

  /** Whether the host reaches IPv6: the default route that guests hear of. */
  setRoute6(reachable: boolean, nowMs: number): void {
    this.#hasRoute6 = reachable && this.#config.outward;
    for (const host of this.#hosts.values()) host.advertiser?.setDefaultRoute(this.#hasRoute6, nowMs);
  }

  /** Answers as guests are answered; in mode `user`, where each has a service of its own, as the first of them is. */
  lookUp(query: Uint8Array, nowMs: number, answer: (reply: Uint8Array | null) => void): void {
    for (const host of this.#hosts.values()) {
      if (host.dns === null) continue;
      this.#touch(host);
      if (!host.dns.onQuery(query, 'tcp', CONTROL_CLIENT, nowMs, (reply) => answer(reply.slice()))) answer(null);
      return;
    }
    throw new VmlanError(
      'unavailable',
      'nobody answers names here: no guest is attached, or the network has no addresses',
    );
  }

  flushDns(): void {
    for (const host of this.#hosts.values()) host.dns?.flushCache();
  }

  /** Says goodbye as a router. */
  stop(): void {
    for (const { advertiser, services } of this.#hosts.values()) {
      advertiser?.stop((port, message) => services!.emitAdvert(port, message));
    }
  }

  pollAt(nowMs: number): number {
    return this.#touched.length > 0 ? nowMs : this.#nextMs;
  }

  /** Looks at those that were touched; at all of them when the time has come that one of them waits for. */
  poll(nowMs: number): void {
    if (nowMs >= this.#nextMs) {
      this.#nextMs = Infinity;
      for (const host of this.#hosts.values()) this.#touch(host);
    }
    if (this.#touched.length === 0) return;
    const due = this.#touched;
    this.#touched = this.#polling;
    for (const host of due) this.#pollOne(host, nowMs);
    due.length = 0;
    this.#polling = due;
  }

  #touch(host: SegmentHost): void {
    if (host.isTouched) return;
    host.isTouched = true;
    this.#touched.push(host);
  }

  #pollOne(host: SegmentHost, nowMs: number): void {
    const { gateway, services, advertiser, dns } = host;
    host.isTouched = false;
    gateway?.poll(nowMs);
    services?.advertise(nowMs);
    dns?.poll(nowMs);
    const gatewayAt = gateway?.pollAt() ?? Infinity;
    const advertiserAt = advertiser?.pollAt(nowMs) ?? Infinity;
    this.#nextMs = Math.min(this.#nextMs, gatewayAt, advertiserAt, dns?.pollAt() ?? Infinity);
  }

  #create(nowMs: number, alone: boolean): SegmentHost {
    const host = createSegment(this.#config, this.#parts, this.#nextId++, alone);
    this.#hosts.set(host.id, host);
    this.#watch(host);
    if (host.zone !== null) setRecords(host.zone, this.#records);
    host.policy.setReverse(this.#reverse);
    if (this.#closed !== null) host.policy.setClosed(this.#closed);
    host.advertiser?.setDefaultRoute(this.#hasRoute6, nowMs);
    host.advertiser?.start(nowMs);
    this.#onCreated(host);
    return host;
  }

  #watch(host: SegmentHost): void {
    const onDue = (): void => this.#touch(host);
    if (host.gateway !== null) host.gateway.neighbors.onDue = onDue;
    if (host.advertiser !== null) host.advertiser.onDue = onDue;
    if (host.dns !== null) host.dns.onDue = onDue;
  }
}
