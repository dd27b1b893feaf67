/**
 * One segment with everything that lives on it: switch, gateway, services, names, policy.
 *
 * Zone: control.  A network has one of these, but in mode `user` one per guest; what is shared between them (TCP, UDP,
 * leases, buffers) is passed in.
 */
import type { Counters } from '../core/counters.ts';
import { OutboundPolicy } from '../nat/policy.ts';
import type { Dhcp6Server } from '../services/dhcpv6.ts';
import type { DhcpServer } from '../services/dhcp.ts';
import { DnsService } from '../services/dns.ts';
import { RouterAdvertiser } from '../services/router-advert.ts';
import { Zone } from '../services/zone.ts';
import type { GatewayConfig } from '../stack/gateway-addresses.ts';
import { type Forwarding, Gateway } from '../stack/gateway.ts';
import type { IpOutput } from '../stack/ip-output.ts';
import type { Reassembler } from '../stack/reassembly.ts';
import { Guard } from '../switching/guard.ts';
import { HostGate } from '../switching/host-gate.ts';
import { Segment } from '../switching/segment.ts';
import type { Sys } from '../sys/sys.ts';
import * as address from '../wire/address.ts';
import { cidr, ipv4, ipv6, mac } from './config.ts';
import type { DnsRecord, EngineConfig } from './control-messages.ts';
import type { LeaseJournal } from './lease-journal.ts';
import { type ClientNaming, SegmentServices } from './segment-services.ts';

const SETS_SHARED = 2048; // 8 192 stations
const SETS_ALONE = 16;

/** What all segments of a network share. */
export interface SharedParts {
  readonly sys: Sys;
  readonly counters: Counters;
  readonly output: IpOutput;
  readonly reassembler: Reassembler;
  readonly forwarding: Forwarding;
  readonly dhcp: DhcpServer | null;
  readonly dhcp6: Dhcp6Server | null;
  readonly journal: LeaseJournal;
  readonly naming: ClientNaming;
  readonly random: () => number;
  /** Arena offset where a frame is copied before something in it is rewritten, with headroom before it. */
  readonly copy: number;
  readonly isHostAddress: (w0: number, w1: number, w2: number, w3: number) => boolean;
  /** Sends a question of the segment's DNS service upstream. */
  readonly askUpstream: (host: SegmentHost, id: number, query: Uint8Array) => void;
}

export interface SegmentHost {
  /** Waits to be polled (Segments). */
  isTouched: boolean;
  readonly id: number;
  readonly segment: Segment;
  readonly policy: OutboundPolicy;
  readonly gateway: Gateway | null;
  readonly services: SegmentServices | null;
  readonly advertiser: RouterAdvertiser | null;
  readonly zone: Zone | null;
  readonly dns: DnsService | null;
}

/** Makes segment `id`. `alone`: it will have a single guest. */
export function createSegment(config: EngineConfig, shared: SharedParts, id: number, alone: boolean): SegmentHost {
  const gatewayConfig = gatewayConfigOf(config);
  const segment = newSegment(config, gatewayConfig, shared, id, alone);
  const policy = new OutboundPolicy(
    {
      gateway4: gatewayConfig.address4,
      dns4: gatewayConfig.dns4,
      gateway6: gatewayConfig.address6,
      gatewayLinkLocal: gatewayConfig.linkLocal,
      outward: config.outward,
      hostAccess: typeof config.hostAccess === 'string' ? config.hostAccess : new Set(config.hostAccess),
      closed: config.closed.map(cidr),
    },
    shared.isHostAddress,
  );
  // An isolated segment without addresses of its own has nobody at the gateway's place.
  if (config.ipv4 === null && config.ipv6 === null) {
    const none = { gateway: null, services: null, advertiser: null, zone: null, dns: null };
    return { isTouched: false, id, segment, policy, ...none };
  }
  return withGateway(config, shared, gatewayConfig, segment, policy, id);
}

function withGateway(
  config: EngineConfig,
  shared: SharedParts,
  gatewayConfig: GatewayConfig,
  segment: Segment,
  policy: OutboundPolicy,
  id: number,
): SegmentHost {
  const zone = gatewayConfig.addressesOnly ? null : newZone(config);
  const advertiser = newAdvertiser(config, gatewayConfig, shared);
  const dns: DnsService | null =
    zone === null
      ? null
      : new DnsService(zone, {
          upstream: config.dns.upstream,
          askUpstream: (questionId, query) => shared.askUpstream(host, questionId, query),
        });
  const services = new SegmentServices({
    dhcp: shared.dhcp,
    dhcp6: shared.dhcp6,
    advertiser,
    dns,
    journal: shared.journal,
    naming: shared.naming,
    epochMs: () => shared.sys.epochMs(),
  });
  const { output, reassembler, forwarding, counters } = shared;
  const gateway = new Gateway(segment, gatewayConfig, output, reassembler, services, forwarding, counters);
  services.gateway = gateway;
  segment.gateway = gateway;
  const parts = { gateway, services, advertiser, zone, dns };
  const host: SegmentHost = { isTouched: false, id, segment, policy, ...parts };
  return host;
}

function gatewayConfigOf(config: EngineConfig): GatewayConfig {
  const own = mac(config.gatewayMac);
  const subnet = config.ipv4 === null ? null : address.parseCidr4(config.ipv4.subnet)!;
  const address4 = config.ipv4 === null ? 0 : ipv4(config.ipv4.gateway);
  const dns4 = config.ipv4 === null ? 0 : ipv4(config.ipv4.dns);
  return {
    address4,
    network4: subnet?.network ?? 0,
    mask4: subnet?.mask ?? 0,
    dns4: dns4 === address4 ? 0 : dns4,
    address6: config.ipv6 === null ? null : ipv6(config.ipv6.gateway),
    linkLocal: address.linkLocalOfMac(own.hi, own.lo),
    addressesOnly: config.mode === 'isolated',
  };
}

function newSegment(
  config: EngineConfig,
  gateway: GatewayConfig,
  shared: SharedParts,
  id: number,
  alone: boolean,
): Segment {
  const own = mac(config.gatewayMac);
  const sets = alone ? SETS_ALONE : SETS_SHARED;
  const guard = config.guards
    ? new Guard(
        {
          network4: gateway.network4,
          mask4: gateway.mask4,
          gateway4: gateway.address4,
          prefix6: prefixOf(gateway),
          gateway6: gateway.address6,
          gatewayLinkLocal: gateway.linkLocal,
        },
        sets,
        shared.random(),
      )
    : null;
  const options = {
    id,
    gatewayMacHi: own.hi,
    gatewayMacLo: own.lo,
    isolateGuests: config.isolation.guests,
    guard,
    hostGate: newHostGate(config, gateway, shared),
    macTableSets: sets,
    seed: shared.random(),
  };
  return new Segment(shared.sys.arena, shared.copy, options, shared.counters);
}

/** Also where no TAP of the host is likely: it may come at any time. */
function newHostGate(config: EngineConfig, gateway: GatewayConfig, shared: SharedParts): HostGate {
  const { hostAccess } = config;
  return new HostGate({
    network4: gateway.network4,
    mask4: gateway.mask4,
    prefix6: prefixOf(gateway),
    access: hostAccess === 'all' ? 'all' : new Set(hostAccess === 'none' ? [] : hostAccess),
    seed: shared.random(),
  });
}

const prefixOf = ({ address6 }: GatewayConfig): [number, number] | null =>
  address6 === null ? null : [address6[0]!, address6[1]!];

function newZone(config: EngineConfig): Zone {
  const subnet = config.ipv4 === null ? null : address.parseCidr4(config.ipv4.subnet)!;
  const prefix = config.ipv6 === null ? null : address.parseCidr6(config.ipv6.prefix)!;
  const zone = new Zone({
    domain: config.dns.domain,
    subnet4: subnet === null ? undefined : { network: subnet.network, prefix: subnet.prefix },
    prefix6: prefix === null ? undefined : { words: prefix.network, prefix: prefix.prefix },
    gateway4: config.ipv4 === null ? undefined : ipv4(config.ipv4.gateway),
    gateway6: config.ipv6 === null ? undefined : ipv6(config.ipv6.gateway),
  });
  return zone;
}

export function setRecords(zone: Zone, records: readonly DnsRecord[]): void {
  zone.setRecords(
    records.map(({ name, type, value, ttl }) =>
      ttl === undefined ? { name, type, value } : { name, type, value, ttl },
    ),
  );
}

function newAdvertiser(config: EngineConfig, gateway: GatewayConfig, shared: SharedParts): RouterAdvertiser | null {
  if (config.ipv6 === null || gateway.address6 === null || gateway.addressesOnly) return null;
  const own = mac(config.gatewayMac);
  return new RouterAdvertiser(
    {
      prefix: address.parseCidr6(config.ipv6.prefix)!.network,
      mtu: config.mtu,
      dns: [gateway.address6],
      searchDomains: config.dns.searchDomains,
      managed: true,
      other: true,
      gateway: gateway.linkLocal,
      mac: own,
    },
    () => (shared.random() >>> 0) / 2 ** 32,
    shared.counters,
  );
}
