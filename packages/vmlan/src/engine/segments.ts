/**
 * The segments of a network: one that all guests share, or in mode `user` one for each.
 *
 * Zone: flow.  A guest's own segment lives as long as its port and its flows' grace, so that a guest that comes back in
 * time finds its conversations where they were.  What the control plane set for the network (records, reverse forwards,
 * the IPv6 route) holds for segments that come later, too.
 */
import type { ReverseTarget, OutboundPolicy } from '../nat/policy.ts';
import type { Gateway } from '../stack/gateway.ts';
import type { DnsRecord, EngineConfig } from './control-messages.ts';
import { type SegmentHost, type SharedParts, createSegment, setRecords } from './segment-host.ts';

export class Segments {
  readonly #config: EngineConfig;
  readonly #parts: SharedParts;
  readonly #onCreated: (host: SegmentHost) => void;
  readonly #hosts = new Map<number, SegmentHost>();
  /** Mode `user`: the segment of a NIC that is there, or was a moment ago. */
  readonly #byNic = new Map<string, SegmentHost>();
  readonly #shared: SegmentHost | null;
  #nextId = 1;
  #records: readonly DnsRecord[];
  #reverse: readonly ReverseTarget[] = [];
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

  setReverse(targets: readonly ReverseTarget[]): void {
    this.#reverse = targets;
    for (const host of this.#hosts.values()) host.policy.setReverse(targets);
  }

  /** Whether the host reaches IPv6: the default route that guests hear of. */
  setRoute6(reachable: boolean, nowMs: number): void {
    this.#hasRoute6 = reachable && this.#config.outward;
    for (const host of this.#hosts.values()) host.advertiser?.setDefaultRoute(this.#hasRoute6, nowMs);
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
    let at = Infinity;
    for (const { gateway, advertiser, dns } of this.#hosts.values()) {
      if (gateway !== null) at = Math.min(at, gateway.pollAt());
      if (advertiser !== null) at = Math.min(at, advertiser.pollAt(nowMs));
      if (dns !== null) at = Math.min(at, dns.pollAt());
    }
    return at;
  }

  poll(nowMs: number): void {
    for (const { gateway, services, dns } of this.#hosts.values()) {
      gateway?.poll(nowMs);
      services?.advertise(nowMs);
      dns?.poll(nowMs);
    }
  }

  #create(nowMs: number, alone: boolean): SegmentHost {
    const host = createSegment(this.#config, this.#parts, this.#nextId++, alone);
    this.#hosts.set(host.id, host);
    if (host.zone !== null) setRecords(host.zone, this.#records);
    host.policy.setReverse(this.#reverse);
    host.advertiser?.setDefaultRoute(this.#hasRoute6, nowMs);
    host.advertiser?.start(nowMs);
    this.#onCreated(host);
    return host;
  }
}
