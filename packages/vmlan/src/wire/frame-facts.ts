/**
 * What a frame says of itself, read once, so that a filter of many words asks fields and not bytes.
 *
 * Zone: packet.  `$frame` is overwritten by each `readFacts`.  Addresses are four int32 words, IPv4 as ::ffff:a.b.c.d;
 * those of an ARP packet are its sender and target.  Nothing is verified but bounds: a bad checksum is still a frame.
 */
import * as arp from './arp.ts';
import * as ethernet from './ethernet.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import { $upper } from './ipv6.ts';

const MAPPED = 0xffff;
const TYPE_SERVICE_VLAN = 0x88a8; // 802.1ad
const MAX_TAGS = 2;
const PORTS_LEN = 4;
export const NONE = -1;

export interface FrameFacts {
  len: number;
  fromGuest: boolean;
  /** MAC addresses: 16 bits, and an int32. */
  dstHi: number;
  dstLo: number;
  srcHi: number;
  srcLo: number;
  /** Behind VLAN tags. */
  etherType: number;
  /** Of the outer tag; NONE without. */
  vlan: number;
  /** 4, 6, or 0 for what has no IP header that can be read. */
  family: number;
  /** Whether the eight words below say something. */
  hasAddresses: boolean;
  src0: number;
  src1: number;
  src2: number;
  src3: number;
  dst0: number;
  dst1: number;
  dst2: number;
  dst3: number;
  /** IP protocol behind extension headers, or NONE. */
  protocol: number;
  /** Of TCP, UDP and SCTP, first fragments included; NONE elsewhere. */
  srcPort: number;
  dstPort: number;
}

export const $frame: FrameFacts = {
  len: 0,
  fromGuest: false,
  dstHi: 0,
  dstLo: 0,
  srcHi: 0,
  srcLo: 0,
  etherType: 0,
  vlan: NONE,
  family: 0,
  hasAddresses: false,
  src0: 0,
  src1: 0,
  src2: 0,
  src3: 0,
  dst0: 0,
  dst1: 0,
  dst2: 0,
  dst3: 0,
  protocol: NONE,
  srcPort: NONE,
  dstPort: NONE,
};

/** Fills `$frame`; false for what is shorter than an Ethernet header. */
export function readFacts(v: DataView, off: number, len: number, fromGuest: boolean): boolean {
  if (len < ethernet.HEADER_LEN) return false;
  const f = $frame;
  f.len = len;
  f.fromGuest = fromGuest;
  f.dstHi = ethernet.dstHi(v, off);
  f.dstLo = ethernet.dstLo(v, off) | 0;
  f.srcHi = ethernet.srcHi(v, off);
  f.srcLo = ethernet.srcLo(v, off) | 0;
  f.vlan = NONE;
  f.family = 0;
  f.hasAddresses = false;
  f.protocol = NONE;
  f.srcPort = NONE;
  f.dstPort = NONE;
  let type = ethernet.etherType(v, off);
  let l3 = off + ethernet.HEADER_LEN;
  let avail = len - ethernet.HEADER_LEN;
  for (let tags = 0; tags < MAX_TAGS && isTag(type) && avail >= ethernet.VLAN_TAG_LEN; tags++) {
    if (tags === 0) f.vlan = v.getUint16(l3) & 0x0fff;
    type = v.getUint16(l3 + 2);
    l3 += ethernet.VLAN_TAG_LEN;
    avail -= ethernet.VLAN_TAG_LEN;
  }
  f.etherType = type;
  if (type === ethernet.TYPE_IPV4) readIpv4(v, l3, avail);
  else if (type === ethernet.TYPE_IPV6) readIpv6(v, l3, avail);
  else if (type === ethernet.TYPE_ARP && arp.check(v, l3, avail)) {
    setSrc(0, 0, MAPPED, arp.senderIp(v, l3));
    setDst(0, 0, MAPPED, arp.targetIp(v, l3));
  }
  return true;
}

const isTag = (type: number): boolean => type === ethernet.TYPE_VLAN || type === TYPE_SERVICE_VLAN;

function readIpv4(v: DataView, ip: number, avail: number): void {
  if (avail < ipv4.MIN_HEADER_LEN || v.getUint8(ip) >>> 4 !== 4) return;
  const header = ipv4.headerLen(v, ip);
  if (header < ipv4.MIN_HEADER_LEN || header > avail) return;
  $frame.family = 4;
  setSrc(0, 0, MAPPED, ipv4.src(v, ip));
  setDst(0, 0, MAPPED, ipv4.dst(v, ip));
  $frame.protocol = ipv4.protocol(v, ip);
  if (ipv4.fragmentOffset(v, ip) === 0) readPorts(v, ip + header, avail - header);
}

function readIpv6(v: DataView, ip: number, avail: number): void {
  if (avail < ipv6.HEADER_LEN || v.getUint8(ip) >>> 4 !== 6) return;
  $frame.family = 6;
  setSrc(ipv6.src0(v, ip), ipv6.src1(v, ip), ipv6.src2(v, ip), ipv6.src3(v, ip));
  setDst(ipv6.dst0(v, ip), ipv6.dst1(v, ip), ipv6.dst2(v, ip), ipv6.dst3(v, ip));
  if (ipv6.check(v, ip, avail) !== 0 || ipv6.upper(v, ip) !== 0) return;
  $frame.protocol = $upper.protocol;
  if ($upper.isFragment && ipv6.fragmentOffset(v, $upper.fragment) !== 0) return;
  readPorts(v, $upper.offset, $upper.length);
}

function readPorts(v: DataView, o: number, avail: number): void {
  const { protocol } = $frame;
  if (protocol !== ipv4.PROTO_TCP && protocol !== ipv4.PROTO_UDP && protocol !== ipv4.PROTO_SCTP) return;
  if (avail < PORTS_LEN) return;
  $frame.srcPort = v.getUint16(o);
  $frame.dstPort = v.getUint16(o + 2);
}

function setSrc(w0: number, w1: number, w2: number, w3: number): void {
  $frame.hasAddresses = true;
  $frame.src0 = w0 | 0;
  $frame.src1 = w1 | 0;
  $frame.src2 = w2 | 0;
  $frame.src3 = w3 | 0;
}

function setDst(w0: number, w1: number, w2: number, w3: number): void {
  $frame.dst0 = w0 | 0;
  $frame.dst1 = w1 | 0;
  $frame.dst2 = w2 | 0;
  $frame.dst3 = w3 | 0;
}
