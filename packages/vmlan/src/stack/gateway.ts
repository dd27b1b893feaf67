/**
 * The gateway of one segment: vmlan's own host, as guests see it.  IP input starts here.
 *
 * Zone: packet.  A frame is checked layer by layer, each bad one counted with its reason and dropped; what is good
 * becomes the Packet record and goes to one of: ARP, ND, echo, a local UDP service, or the `Forwarding` that carries it to
 * the host's sockets.  The gateway answers for its own addresses only.
 *
 *   ARP ── neighbor table             IPv4/IPv6 ── fragments ── ICMP ── echo / forwarding
 *                                                            ├─ UDP ── local service / forwarding
 *                                                            └─ TCP ── forwarding
 */
import { type Counters, counter } from '../core/counters.ts';
import { VALID, fold, sum } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { $upper } from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { BAD_OFFLOAD, VERDICT_NAMES } from '../wire/verdict.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { Icmp, type Unreachable } from './icmp.ts';
import { type IpOutput, pseudoToGuest } from './ip-output.ts';
import { GatewayAddresses, type GatewayConfig } from './gateway-addresses.ts';
import { NeighborDiscovery } from './neighbor-discovery.ts';
import type { NeighborTable } from './neighbor.ts';
import { Packet } from './packet.ts';
import { type GuestPort, MAPPED, type Path, type SegmentOutput } from './path.ts';
import type { Reassembler } from './reassembly.ts';

const NAMES = VERDICT_NAMES.map((name) => name.replaceAll('-', '_'));
const DROP_IPV4 = NAMES.map((name) => counter(`drop_ipv4_${name}`));
const DROP_IPV6 = NAMES.map((name) => counter(`drop_ipv6_${name}`));
const DROP_TCP = NAMES.map((name) => counter(`drop_tcp_${name}`));
const DROP_UDP = NAMES.map((name) => counter(`drop_udp_${name}`));
const DROP_ICMP = NAMES.map((name) => counter(`drop_icmp_${name}`));
const DROP_ETHERTYPE = counter('drop_ethertype');
const DROP_SOURCE = counter('drop_source_not_on_segment');
const DROP_MARTIAN = counter('drop_martian_destination');
const DROP_GROUP = counter('drop_group_not_ours');
const DROP_SERVICES_OFF = counter('drop_gateway_service_off');

/** Datagrams of a run, at most: Linux makes no longer ones (UDP_MAX_SEGMENTS). */
const MAX_RUN = 128;
const LIMITED_BROADCAST = 0xffff_ffff;

/** UDP services of the gateway: DHCP, DHCPv6, DNS. */
export interface LocalServices {
  /** True when the datagram was for a service; `data`/`len` is its payload. */
  onDatagram(packet: Packet, srcPort: number, dstPort: number, data: number, len: number, nowMs: number): boolean;
  onRouterSolicit(packet: Packet, nowMs: number): void;
}

/** Where packets go that are not for the gateway's own services. */
export interface Forwarding {
  onTcp(packet: Packet, nowMs: number): void;
  onUdp(packet: Packet, nowMs: number): void;
  /** An echo request to somebody else. */
  onEcho(packet: Packet, nowMs: number): void;
  /** A guest tells the gateway that what it was sent was in vain. */
  onUnreachable?(packet: Packet, nowMs: number): void;
}

export class Gateway {
  readonly segment: SegmentOutput;
  readonly config: GatewayConfig;
  readonly output: IpOutput;
  readonly icmp: Icmp;
  readonly neighbors: NeighborTable;
  readonly #addresses: GatewayAddresses;
  readonly #discovery: NeighborDiscovery;
  readonly #reassembler: Reassembler;
  readonly #services: LocalServices;
  readonly #forwarding: Forwarding;
  readonly #counters: Counters;
  readonly #packet = new Packet();

  constructor(
    segment: SegmentOutput,
    config: GatewayConfig,
    output: IpOutput,
    reassembler: Reassembler,
    services: LocalServices,
    forwarding: Forwarding,
    counters: Counters,
  ) {
    this.segment = segment;
    this.config = config;
    this.output = output;
    this.icmp = new Icmp(output, counters);
    this.#addresses = new GatewayAddresses(config);
    this.#discovery = new NeighborDiscovery(segment, this.#addresses, output, counters);
    this.neighbors = this.#discovery.table;
    this.#reassembler = reassembler;
    this.#services = services;
    this.#forwarding = forwarding;
    this.#counters = counters;
  }

  /** A frame for the gateway's MAC or for a group; at least an Ethernet header. */
  onFrame(port: GuestPort, off: number, len: number, nowMs: number): void {
    const l3 = off + ethernet.HEADER_LEN;
    const avail = len - ethernet.HEADER_LEN;
    const v = this.output.view;
    const hdr = off - vnetHdr.LEN;
    const p = this.#packet;
    p.segment = this.segment;
    p.port = port;
    p.frame = off;
    p.macHi = ethernet.srcHi(v, off);
    p.macLo = ethernet.srcLo(v, off);
    p.group = ethernet.isMulticast(v, off);
    p.trusted = (vnetHdr.flags(v, hdr) & (vnetHdr.NEEDS_CSUM | vnetHdr.DATA_VALID)) !== 0;
    p.runSize = vnetHdr.gsoType(v, hdr) === vnetHdr.GSO_UDP_L4 ? vnetHdr.gsoSize(v, hdr) : 0;
    switch (ethernet.etherType(v, off)) {
      case ethernet.TYPE_IPV4:
        return this.#onIpv4(p, l3, avail, nowMs);
      case ethernet.TYPE_IPV6:
        return this.#onIpv6(p, l3, avail, nowMs);
      case ethernet.TYPE_ARP:
        return this.#discovery.onArp(p, l3, avail, nowMs);
      default:
        return this.#counters.count(DROP_ETHERTYPE);
    }
  }

  /** Tells the guest why its packet did not get through, in the gateway's name. */
  reject(packet: Packet, why: Unreachable, nowMs: number): void {
    const { address4, address6, linkLocal } = this.config;
    if (packet.family === 4) {
      this.icmp.sendError(packet, why, 0, 0, MAPPED, address4, nowMs);
    } else {
      const from = address6 ?? linkLocal;
      this.icmp.sendError(packet, why, from[0]!, from[1]!, from[2]!, from[3]!, nowMs);
    }
  }

  poll(nowMs: number): void {
    this.neighbors.poll(nowMs);
  }

  pollAt(): number {
    return this.neighbors.pollAt();
  }

  // ---- IPv4

  #onIpv4(p: Packet, ip: number, avail: number, nowMs: number): void {
    const v = this.output.view;
    const verdict = ipv4.check(v, ip, avail);
    if (verdict !== 0) return this.#counters.count(DROP_IPV4[verdict]!);
    if (ipv4.headerLen(v, ip) > ipv4.MIN_HEADER_LEN) {
      const options = ipv4.checkOptions(v, ip);
      if (options !== 0) return this.#counters.count(DROP_IPV4[options]!);
    }
    const src = ipv4.src(v, ip);
    const dst = ipv4.dst(v, ip);
    p.family = 4;
    p.setGuest(0, 0, MAPPED, src);
    p.setRemote(0, 0, MAPPED, dst);
    p.ip = ip;
    p.ipLen = ipv4.totalLen(v, ip);
    p.protocol = ipv4.protocol(v, ip);
    p.hopLimit = ipv4.ttl(v, ip);
    p.l4 = ipv4.payload(v, ip);
    p.l4Len = ipv4.payloadLen(v, ip);
    // DHCP of a guest that has no address yet, or one of the network it comes from.
    const mayBeDhcp = p.protocol === ipv4.PROTO_UDP && (src === 0 || dst === LIMITED_BROADCAST);
    if (!mayBeDhcp && !this.#addresses.isNeighbor4(src)) return this.#counters.count(DROP_SOURCE);
    if (ipv4.isFragment(v, ip)) {
      const at = ipv4.fragmentOffset(v, ip);
      const more = ipv4.moreFragments(v, ip);
      return this.#onFragment(p, ipv4.id(v, ip), p.protocol, p.l4, p.l4Len, at, more, nowMs);
    }
    this.#onIp(p, nowMs);
  }

  // ---- IPv6

  #onIpv6(p: Packet, ip: number, avail: number, nowMs: number): void {
    const v = this.output.view;
    let verdict = ipv6.check(v, ip, avail);
    if (verdict === 0) verdict = ipv6.upper(v, ip);
    if (verdict !== 0) return this.#counters.count(DROP_IPV6[verdict]!);
    p.family = 6;
    p.setGuest(ipv6.src0(v, ip), ipv6.src1(v, ip), ipv6.src2(v, ip), ipv6.src3(v, ip));
    p.setRemote(ipv6.dst0(v, ip), ipv6.dst1(v, ip), ipv6.dst2(v, ip), ipv6.dst3(v, ip));
    p.ip = ip;
    p.ipLen = ipv6.HEADER_LEN + ipv6.payloadLen(v, ip);
    p.protocol = $upper.protocol;
    p.hopLimit = ipv6.hopLimit(v, ip);
    p.l4 = $upper.offset;
    p.l4Len = $upper.length;
    if (!this.#addresses.sourceFits6(p, p.protocol === ipv4.PROTO_ICMPV6)) return this.#counters.count(DROP_SOURCE);
    if ($upper.isFragment) {
      const o = $upper.fragment;
      const at = ipv6.fragmentOffset(v, o);
      const more = ipv6.moreFragments(v, o);
      return this.#onFragment(p, v.getUint32(o + 4), $upper.protocol, p.l4, p.l4Len, at, more, nowMs);
    }
    this.#onIp(p, nowMs);
  }

  // ---- both

  #onFragment(
    p: Packet,
    id: number,
    protocol: number,
    data: number,
    len: number,
    at: number,
    more: boolean,
    nowMs: number,
  ): void {
    const frame = this.#reassembler.add(p, id, protocol, data, len, at, more, nowMs);
    if (frame >= 0) this.onFrame(p.port!, frame, this.#reassembler.frameLen, nowMs);
  }

  #onIp(p: Packet, nowMs: number): void {
    const toGateway = this.#addresses.owns(p.remote0, p.remote1, p.remote2, p.remote3);
    const group = this.#addresses.isGroup(p);
    if (group && !this.#addresses.isOurGroup(p)) return this.#counters.count(DROP_GROUP);
    p.group ||= group;
    if (!toGateway && !group) {
      // An IP packet in a broadcast frame is not to be forwarded (RFC 1122 §3.3.6).
      if (p.group || this.#addresses.isMartian(p)) return this.#counters.count(DROP_MARTIAN);
      if (this.config.addressesOnly) return this.#counters.count(DROP_SERVICES_OFF);
      if (p.hopLimit <= 1) return this.reject(p, 'hop-limit', nowMs);
    }
    switch (p.protocol) {
      case ipv4.PROTO_TCP:
        return this.#onTcp(p, nowMs);
      case ipv4.PROTO_UDP:
        return this.#onUdp(p, nowMs);
      case ipv4.PROTO_ICMP:
        if (p.family === 4) return this.#onIcmpv4(p, toGateway, nowMs);
        break;
      case ipv4.PROTO_ICMPV6:
        if (p.family === 6) return this.#onIcmpv6(p, toGateway, nowMs);
        break;
    }
    if (!this.config.addressesOnly) this.#onUnknownProtocol(p, nowMs);
  }

  #onUnknownProtocol(p: Packet, nowMs: number): void {
    if (p.family === 4) return this.reject(p, 'protocol', nowMs);
    if (p.protocol === ipv6.NEXT_NONE) return; // RFC 8200 §4.7: whatever follows is ignored
    const from = this.config.address6 ?? this.config.linkLocal;
    // RFC 4443 §3.4: the error points at the byte that names the protocol; `$upper` still speaks of this packet.
    this.icmp.sendError(p, 'protocol', from[0]!, from[1]!, from[2]!, from[3]!, nowMs, $upper.nextHeaderAt - p.ip);
  }

  #onTcp(p: Packet, nowMs: number): void {
    const pseudo = p.trusted ? tcp.UNVERIFIED : this.#pseudo(p);
    const verdict = tcp.check(this.output.view, p.l4, p.l4Len, pseudo);
    if (verdict !== 0) return this.#counters.count(DROP_TCP[verdict]!);
    if (p.group || this.config.addressesOnly) return this.#counters.count(DROP_SERVICES_OFF);
    this.#forwarding.onTcp(p, nowMs);
  }

  #onUdp(p: Packet, nowMs: number): void {
    const v = this.output.view;
    const pseudo = p.trusted ? udp.UNVERIFIED : this.#pseudo(p);
    const verdict = udp.check(v, p.l4, p.l4Len, pseudo, p.family === 4);
    if (verdict !== 0) return this.#counters.count(DROP_UDP[verdict]!);
    const len = udp.payloadLen(v, p.l4);
    if (p.runSize >= len) p.runSize = 0;
    else if (p.runSize * MAX_RUN < len && p.runSize > 0) return this.#counters.count(DROP_UDP[BAD_OFFLOAD]!);
    const toGateway = p.group || this.#addresses.owns(p.remote0, p.remote1, p.remote2, p.remote3);
    if (toGateway && this.#isForService(p, len, nowMs)) return;
    const nobody = p.family === 4 && p.guest3 === 0;
    if (p.group || this.config.addressesOnly || nobody) return this.#counters.count(DROP_SERVICES_OFF);
    this.#forwarding.onUdp(p, nowMs);
  }

  /** Shows the datagrams of the packet to the services; true when they were for one. */
  #isForService(p: Packet, len: number, nowMs: number): boolean {
    const v = this.output.view;
    const srcPort = udp.srcPort(v, p.l4);
    const dstPort = udp.dstPort(v, p.l4);
    const data = p.l4 + udp.HEADER_LEN;
    const step = p.runSize > 0 ? p.runSize : len;
    let at = 0;
    do {
      const part = Math.min(step, len - at);
      if (!this.#services.onDatagram(p, srcPort, dstPort, data + at, part, nowMs)) return false;
      at += part;
    } while (at < len);
    return true;
  }

  /** Pseudo header sum of a packet from the guest, length zero: the sum is the same in both directions. */
  #pseudo(p: Packet): number {
    return pseudoToGuest(p, p.protocol, 0);
  }

  #onIcmpv4(p: Packet, toGateway: boolean, nowMs: number): void {
    const v = this.output.view;
    const verdict = p.l4Len < icmpv4.HEADER_LEN ? 1 : icmpv4.check(v, p.l4, p.l4Len);
    if (verdict !== 0) return this.#counters.count(DROP_ICMP[verdict]!);
    const type = icmpv4.type(v, p.l4);
    if (type === icmpv4.TYPE_UNREACHABLE && toGateway) return this.#forwarding.onUnreachable?.(p, nowMs);
    if (type !== icmpv4.TYPE_ECHO_REQUEST) return;
    // RFC 1122 §3.2.2.6 lets a host ignore an echo to a broadcast address.
    if (p.group || this.config.addressesOnly) return this.#counters.count(DROP_SERVICES_OFF);
    if (toGateway) this.icmp.replyEcho(p);
    else this.#forwarding.onEcho(p, nowMs);
  }

  #onIcmpv6(p: Packet, toGateway: boolean, nowMs: number): void {
    const v = this.output.view;
    if (p.l4Len < icmpv6.HEADER_LEN || fold(sum(v, p.l4, p.l4Len, this.#pseudo(p) + p.l4Len)) !== VALID) {
      return this.#counters.count(DROP_ICMP[5]!);
    }
    switch (icmpv6.type(v, p.l4)) {
      case icmpv6.TYPE_ECHO_REQUEST:
        if (this.config.addressesOnly) return this.#counters.count(DROP_SERVICES_OFF);
        if (toGateway) return this.icmp.replyEcho(p);
        if (!p.group) this.#forwarding.onEcho(p, nowMs);
        return;
      case icmpv6.TYPE_UNREACHABLE:
        if (toGateway) this.#forwarding.onUnreachable?.(p, nowMs);
        return;
      case icmpv6.TYPE_NEIGHBOR_SOLICIT:
        return this.#discovery.onSolicit(p, nowMs);
      case icmpv6.TYPE_NEIGHBOR_ADVERT:
        return this.#discovery.onAdvert(p, nowMs);
      case icmpv6.TYPE_ROUTER_SOLICIT:
        if (this.#discovery.isValid(p)) this.#services.onRouterSolicit(p, nowMs);
        return;
    }
  }

  /** An ICMPv6 message of the gateway (router advertisement) that someone else composed, checksum zero. */
  sendIcmpv6(path: Path, message: Uint8Array): void {
    const o = this.output.l4(6);
    this.output.u8.set(message, o);
    this.#discovery.send(path, o, message.length);
  }

  /** A UDP datagram of a local service: the payload is copied. */
  sendDatagram(path: Path, srcPort: number, dstPort: number, payload: Uint8Array): void {
    this.output.u8.set(payload, this.output.l4(path.family) + udp.HEADER_LEN);
    this.output.sendUdp(path, srcPort, dstPort, payload.length);
  }
}
