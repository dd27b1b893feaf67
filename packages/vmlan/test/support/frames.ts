/**
 * Frames that a test writes by hand, one function per kind. Addresses are text, as in the test that sends them.
 *
 * Zone: control.
 */
import * as arp from '../../src/wire/arp.ts';
import { parseIpv4, parseIpv6, parseMac, type MacAddress } from '../../src/wire/address.ts';
import { pseudo4, pseudo6, finish, sum } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as ndp from '../../src/wire/ndp.ts';
import * as ndpOptions from '../../src/wire/ndp-options.ts';
import * as udp from '../../src/wire/udp.ts';

export const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';
const ALL_NODES_MAC = '33:33:00:00:00:01';
const ALL_NODES = 'ff02::1';
const HOP_LIMIT = 64;
const ND_HOP_LIMIT = 255; // RFC 4861 §6.1.2

export interface Ends {
  readonly srcMac: string;
  readonly dstMac: string;
  readonly src: string;
  readonly dst: string;
}

export const mac = (text: string): MacAddress => parseMac(text)!;
export const ip4 = (text: string): number => parseIpv4(text)!;
const ip6 = (text: string): Uint32Array => parseIpv6(text)!;

export const viewOf = (frame: Uint8Array): DataView => new DataView(frame.buffer, frame.byteOffset, frame.byteLength);

function ethernetFrame(srcMac: string, dstMac: string, type: number, payloadLen: number): Uint8Array {
  const frame = new Uint8Array(ethernet.HEADER_LEN + payloadLen);
  const [to, from] = [mac(dstMac), mac(srcMac)];
  ethernet.emit(viewOf(frame), 0, to.hi, to.lo, from.hi, from.lo, type);
  return frame;
}

export interface ArpOptions {
  readonly op: 'request' | 'reply';
  readonly srcMac: string;
  readonly dstMac?: string;
  readonly senderMac?: string;
  readonly sender: string;
  readonly target: string;
}

export function arpFrame({ op, srcMac, dstMac = BROADCAST_MAC, senderMac, sender, target }: ArpOptions): Uint8Array {
  const frame = ethernetFrame(srcMac, dstMac, ethernet.TYPE_ARP, arp.LEN);
  const [says, to] = [mac(senderMac ?? srcMac), mac(op === 'request' ? '00:00:00:00:00:00' : dstMac)];
  const code = op === 'request' ? arp.OP_REQUEST : arp.OP_REPLY;
  arp.emit(viewOf(frame), ethernet.HEADER_LEN, code, says.hi, says.lo, ip4(sender), to.hi, to.lo, ip4(target));
  return frame;
}

function ipv4Frame({ srcMac, dstMac, src, dst }: Ends, protocol: number, l4Len: number): Uint8Array {
  const total = ipv4.MIN_HEADER_LEN + l4Len;
  const frame = ethernetFrame(srcMac, dstMac, ethernet.TYPE_IPV4, total);
  ipv4.emit(viewOf(frame), ethernet.HEADER_LEN, total, 1, 0, HOP_LIMIT, protocol, ip4(src), ip4(dst));
  return frame;
}

const L4_OF_IPV4 = ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN;
const L4_OF_IPV6 = ethernet.HEADER_LEN + ipv6.HEADER_LEN;

/** ICMP echo request. */
export function echoFrame(ends: Ends, id = 1): Uint8Array {
  const frame = ipv4Frame(ends, ipv4.PROTO_ICMP, 16);
  const v = viewOf(frame);
  v.setUint8(L4_OF_IPV4, 8);
  v.setUint16(L4_OF_IPV4 + 4, id);
  v.setUint16(L4_OF_IPV4 + 2, finish(sum(v, L4_OF_IPV4, 16)));
  return frame;
}

export interface Ports {
  readonly srcPort: number;
  readonly dstPort: number;
}

export function udpFrame(ends: Ends & Ports, payload: Uint8Array): Uint8Array {
  const len = udp.HEADER_LEN + payload.length;
  const frame = ipv4Frame(ends, ipv4.PROTO_UDP, len);
  const v = viewOf(frame);
  udp.emit(v, L4_OF_IPV4, ends.srcPort, ends.dstPort, len);
  frame.set(payload, L4_OF_IPV4 + udp.HEADER_LEN);
  udp.setChecksum(v, L4_OF_IPV4, pseudo4(ip4(ends.src), ip4(ends.dst), ipv4.PROTO_UDP, 0));
  return frame;
}

function ipv6Frame({ srcMac, dstMac, src, dst }: Ends, protocol: number, l4Len: number, hopLimit: number): Uint8Array {
  const frame = ethernetFrame(srcMac, dstMac, ethernet.TYPE_IPV6, ipv6.HEADER_LEN + l4Len);
  const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = ip6(src);
  const [d0 = 0, d1 = 0, d2 = 0, d3 = 0] = ip6(dst);
  ipv6.emit(viewOf(frame), ethernet.HEADER_LEN, l4Len, protocol, hopLimit, s0, s1, s2, s3, d0, d1, d2, d3);
  return frame;
}

function pseudoOf({ src, dst }: Ends, protocol: number): number {
  const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = ip6(src);
  const [d0 = 0, d1 = 0, d2 = 0, d3 = 0] = ip6(dst);
  return pseudo6(s0, s1, s2, s3, d0, d1, d2, d3, protocol, 0);
}

export function udp6Frame(ends: Ends & Ports, payload: Uint8Array): Uint8Array {
  const len = udp.HEADER_LEN + payload.length;
  const frame = ipv6Frame(ends, ipv4.PROTO_UDP, len, HOP_LIMIT);
  const v = viewOf(frame);
  udp.emit(v, L4_OF_IPV6, ends.srcPort, ends.dstPort, len);
  frame.set(payload, L4_OF_IPV6 + udp.HEADER_LEN);
  udp.setChecksum(v, L4_OF_IPV6, pseudoOf(ends, ipv4.PROTO_UDP));
  return frame;
}

/** An unsolicited neighbor advertisement to all nodes: `target` is at `srcMac`. */
export function neighborAdvertFrame(srcMac: string, src: string, target: string): Uint8Array {
  const ends = { srcMac, dstMac: ALL_NODES_MAC, src, dst: ALL_NODES };
  const frame = ipv6Frame(ends, ipv4.PROTO_ICMPV6, 32, ND_HOP_LIMIT);
  const v = viewOf(frame);
  const [t0 = 0, t1 = 0, t2 = 0, t3 = 0] = ip6(target);
  const own = mac(srcMac);
  ndp.emitNeighborAdvert(v, L4_OF_IPV6, 0x20, t0, t1, t2, t3, own.hi, own.lo);
  icmpv6.setChecksum(v, L4_OF_IPV6, 32, pseudoOf(ends, ipv4.PROTO_ICMPV6));
  return frame;
}

/** A router advertisement to all nodes, with a prefix for stateless addresses. */
export function routerAdvertFrame(srcMac: string, src: string, prefix: string): Uint8Array {
  const ends = { srcMac, dstMac: ALL_NODES_MAC, src, dst: ALL_NODES };
  const len = 16 + 32;
  const frame = ipv6Frame(ends, ipv4.PROTO_ICMPV6, len, ND_HOP_LIMIT);
  const v = viewOf(frame);
  const at = ndp.emitRouterAdvert(v, L4_OF_IPV6, HOP_LIMIT, 0, 1800, 0, 0);
  const [p0 = 0, p1 = 0] = ip6(prefix);
  const flags = ndpOptions.PREFIX_ON_LINK | ndpOptions.PREFIX_AUTONOMOUS;
  ndpOptions.putPrefix(v, at, 64, flags, 86_400, 14_400, p0, p1, 0, 0);
  icmpv6.setChecksum(v, L4_OF_IPV6, len, pseudoOf(ends, ipv4.PROTO_ICMPV6));
  return frame;
}

/** Payload offset of an IPv4 UDP frame to this port, or -1. */
export function udpPayloadOf(frame: Uint8Array, dstPort: number): number {
  const v = viewOf(frame);
  const ip = ethernet.HEADER_LEN;
  if (frame.length < L4_OF_IPV4 + udp.HEADER_LEN || ethernet.etherType(v, 0) !== ethernet.TYPE_IPV4) return -1;
  if (ipv4.protocol(v, ip) !== ipv4.PROTO_UDP) return -1;
  const l4 = ip + ipv4.headerLen(v, ip);
  return udp.dstPort(v, l4) === dstPort ? l4 + udp.HEADER_LEN : -1;
}
