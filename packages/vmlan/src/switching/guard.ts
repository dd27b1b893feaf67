/**
 * Port security: what a guest may say about itself, checked where its frames enter the segment.
 *
 * Zone: packet.  A guest may use addresses that are its own or nobody's (address-table.ts); it may not be a DHCP
 * server or an IPv6 router (RFC 7610 DHCPv6-Shield, RFC 6105 RA-Guard).  The verdict is OK or the counter that says
 * why the frame is dropped.  Frames of a VLAN and unknown EtherTypes pass: they carry no address of this segment.
 */
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { $upper } from '../wire/ipv6.ts';
import * as udp from '../wire/udp.ts';
import { counter } from '../core/counters.ts';
import { AddressTable } from './address-table.ts';
import type { Port } from './port.ts';

export const PASS = -1;
export const SPOOFED_IPV4: number = counter('drop_spoofed_ipv4_source');
export const SPOOFED_IPV6: number = counter('drop_spoofed_ipv6_source');
export const SPOOFED_ARP: number = counter('drop_spoofed_arp_sender');
export const SPOOFED_ND: number = counter('drop_spoofed_nd_target');
export const ROGUE_DHCP: number = counter('drop_rogue_dhcp_server');
export const ROGUE_ROUTER: number = counter('drop_rogue_router_advertisement');
export const BAD_HEADERS: number = counter('drop_ipv6_hidden_headers');
export const FRAGMENTED_ND: number = counter('drop_fragmented_nd');
export const NESTED_TAGS: number = counter('drop_nested_priority_tags');

const MAPPED = 0xffff; // third word of ::ffff:a.b.c.d
const LIMITED_BROADCAST = 0xffff_ffff;
const DHCP_SERVER_PORT = 67;
const DHCPV6_SERVER_PORT = 547;
const LINK_LOCAL = 0xfe80_0000; // /10
const TYPE_SERVICE_VLAN = 0x88a8; // 802.1ad
const VLAN_ID = 0x0fff;
const MAX_PRIORITY_TAGS = 2;

export interface GuardAddresses {
  /** IPv4 network and mask of the segment as uint32; mask 0 when the segment has no addresses of its own. */
  readonly network4: number;
  readonly mask4: number;
  readonly gateway4: number;
  /** First two words of the /64, or null. */
  readonly prefix6: readonly [number, number] | null;
  readonly gateway6: Uint32Array | null;
  readonly gatewayLinkLocal: Uint32Array;
}

export class Guard {
  readonly addresses: AddressTable;
  readonly #segment: GuardAddresses;

  constructor(segment: GuardAddresses, sets: number, seed: number) {
    this.#segment = segment;
    this.addresses = new AddressTable(sets, seed);
  }

  /** PASS, or the counter of the reason to drop. `len` is at least an Ethernet header. */
  check(v: DataView, off: number, len: number, port: Port, nowMs: number): number {
    let l3 = off + ethernet.HEADER_LEN;
    let avail = len - ethernet.HEADER_LEN;
    let type = ethernet.etherType(v, off);
    // A tag with VLAN 0 is of no VLAN (802.1Q §6.9): receivers look behind it, and so must we.
    for (let tags = 0; isPriorityTag(v, type, l3, avail); tags++) {
      if (tags === MAX_PRIORITY_TAGS) return NESTED_TAGS;
      type = v.getUint16(l3 + 2);
      l3 += ethernet.VLAN_TAG_LEN;
      avail -= ethernet.VLAN_TAG_LEN;
    }
    switch (type) {
      case ethernet.TYPE_IPV4:
        return avail < ipv4.MIN_HEADER_LEN ? PASS : this.#checkIpv4(v, l3, avail, port, nowMs);
      case ethernet.TYPE_ARP:
        return arp.check(v, l3, avail) ? this.#checkArp(v, l3, port, nowMs) : PASS;
      case ethernet.TYPE_IPV6:
        return ipv6.check(v, l3, avail) === 0 ? this.#checkIpv6(v, l3, port, nowMs) : PASS;
      default:
        return PASS;
    }
  }

  #checkIpv4(v: DataView, ip: number, avail: number, port: Port, nowMs: number): number {
    const src = ipv4.src(v, ip);
    const header = ipv4.headerLen(v, ip);
    const isUdp = ipv4.protocol(v, ip) === ipv4.PROTO_UDP && avail >= header + udp.HEADER_LEN;
    const o = isUdp && ipv4.fragmentOffset(v, ip) === 0 ? ip + header : -1;
    if (o >= 0 && udp.srcPort(v, o) === DHCP_SERVER_PORT) return ROGUE_DHCP;
    if (src === 0 || this.#mayUse4(src, port, nowMs)) return PASS;
    // RFC 2131 §4.3.2: a guest from elsewhere asks with the address it has there, and shall hear that it is wrong here.
    const asksForLease = o >= 0 && ipv4.dst(v, ip) === LIMITED_BROADCAST && udp.dstPort(v, o) === DHCP_SERVER_PORT;
    return asksForLease ? PASS : SPOOFED_IPV4;
  }

  #checkArp(v: DataView, o: number, port: Port, nowMs: number): number {
    const sender = arp.senderIp(v, o);
    // Sender 0 is a probe (RFC 5227 §2.1.1): it claims nothing.
    return sender === 0 || this.#mayUse4(sender, port, nowMs) ? PASS : SPOOFED_ARP;
  }

  #checkIpv6(v: DataView, ip: number, port: Port, nowMs: number): number {
    const w0 = ipv6.src0(v, ip);
    const w1 = ipv6.src1(v, ip);
    const w2 = ipv6.src2(v, ip);
    const w3 = ipv6.src3(v, ip);
    const unspecified = (w0 | w1 | w2 | w3) === 0; // duplicate address detection, first router solicitation
    if (!unspecified && !this.#mayUse6(w0, w1, w2, w3, port, nowMs)) return SPOOFED_IPV6;
    // Headers that we refuse but a peer may accept could hide what is looked for below (RFC 7113 §3).
    if (ipv6.upper(v, ip) !== 0) return BAD_HEADERS;
    if ($upper.isFragment) return this.#checkFragment6(v);
    if ($upper.protocol === ipv4.PROTO_UDP && $upper.length >= udp.HEADER_LEN) {
      return udp.srcPort(v, $upper.offset) === DHCPV6_SERVER_PORT ? ROGUE_DHCP : PASS;
    }
    if ($upper.protocol !== ipv4.PROTO_ICMPV6 || $upper.length < icmpv6.HEADER_LEN) return PASS;
    return this.#checkNd(v, $upper.offset, $upper.length, port, nowMs);
  }

  /** The first fragment says what all of them are; without it nobody puts the others together. */
  #checkFragment6(v: DataView): number {
    const { protocol, offset, fragment } = $upper;
    if (ipv6.fragmentOffset(v, fragment) !== 0) return PASS;
    if (protocol === ipv4.PROTO_UDP) return udp.srcPort(v, offset) === DHCPV6_SERVER_PORT ? ROGUE_DHCP : PASS;
    if (protocol === ipv4.PROTO_ICMPV6) return isNd(icmpv6.type(v, offset)) ? FRAGMENTED_ND : PASS; // RFC 6980
    // RFC 7112: a first fragment has all headers in it.
    return isExtension(protocol) ? BAD_HEADERS : PASS;
  }

  #checkNd(v: DataView, o: number, len: number, port: Port, nowMs: number): number {
    const type = icmpv6.type(v, o);
    if (type === icmpv6.TYPE_ROUTER_ADVERT || type === icmpv6.TYPE_REDIRECT) return ROGUE_ROUTER;
    if (type !== icmpv6.TYPE_NEIGHBOR_ADVERT || len < 24) return PASS;
    const target = o + 8;
    const mine = this.#mayUse6(
      v.getUint32(target),
      v.getUint32(target + 4),
      v.getUint32(target + 8),
      v.getUint32(target + 12),
      port,
      nowMs,
    );
    return mine ? PASS : SPOOFED_ND;
  }

  #mayUse4(ip: number, port: Port, nowMs: number): boolean {
    const { network4, mask4, gateway4 } = this.#segment;
    if (mask4 !== 0 && ((ip & mask4) >>> 0 !== network4 || ip === gateway4)) return false;
    return this.addresses.mayUse(port, 0, 0, MAPPED, ip, nowMs);
  }

  #mayUse6(w0: number, w1: number, w2: number, w3: number, port: Port, nowMs: number): boolean {
    const { prefix6, gateway6, gatewayLinkLocal } = this.#segment;
    const linkLocal = (w0 & 0xffc0_0000) >>> 0 === LINK_LOCAL;
    if (!linkLocal && prefix6 !== null && (w0 !== prefix6[0] || w1 !== prefix6[1])) return false;
    if (gateway6 !== null && same(gateway6, w0, w1, w2, w3)) return false;
    if (same(gatewayLinkLocal, w0, w1, w2, w3)) return false;
    return this.addresses.mayUse(port, w0, w1, w2, w3, nowMs);
  }
}

const isNd = (type: number): boolean => type >= icmpv6.TYPE_ROUTER_SOLICIT && type <= icmpv6.TYPE_REDIRECT;

const isExtension = (next: number): boolean =>
  next === ipv6.NEXT_HOP_BY_HOP ||
  next === ipv6.NEXT_ROUTING ||
  next === ipv6.NEXT_FRAGMENT ||
  next === ipv6.NEXT_DESTINATION;

const isPriorityTag = (v: DataView, type: number, tag: number, avail: number): boolean =>
  (type === ethernet.TYPE_VLAN || type === TYPE_SERVICE_VLAN) &&
  avail >= ethernet.VLAN_TAG_LEN &&
  (v.getUint16(tag) & VLAN_ID) === 0;

const same = (a: Uint32Array, w0: number, w1: number, w2: number, w3: number): boolean =>
  a[3] === w3 && a[2] === w2 && a[1] === w1 && a[0] === w0;
