/**
 * Whole frames for tests, built from the outside in:
 *
 *   ipv4Frame({ src: '192.0.2.1', dst: '192.0.2.2' }, udpOf(53, 4000, bytes))
 *
 * Zone: control.  Checksums are right unless a test breaks them afterwards.
 */
import { parseIpv4, parseIpv6, parseMac } from './address.ts';
import * as arp from './arp.ts';
import * as ethernet from './ethernet.ts';
import { view } from './frames.fixture.ts';
import * as icmpv4 from './icmpv4.ts';
import * as icmpv6 from './icmpv6.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import * as ndp from './ndp.ts';
import * as tcp from './tcp.ts';
import * as udp from './udp.ts';

export const GUEST_MAC = '52:54:00:00:00:0a';
export const GATEWAY_MAC = '02:76:6d:00:00:01';
export const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';

/** What an IP packet carries; `pseudo` is the sum of the pseudo header with length zero. */
export interface Upper {
  readonly protocol: number;
  build(pseudo: number): Uint8Array;
}

export const raw = (protocol: number, bytes: Uint8Array): Upper => ({ protocol, build: () => bytes });

export function udpOf(srcPort: number, dstPort: number, payload: Uint8Array = new Uint8Array(0)): Upper {
  return {
    protocol: ipv4.PROTO_UDP,
    build: (pseudo) => {
      const bytes = withHeader(udp.HEADER_LEN, payload);
      udp.emit(view(bytes), 0, srcPort, dstPort, bytes.length);
      udp.setChecksum(view(bytes), 0, pseudo);
      return bytes;
    },
  };
}

export interface TcpFields {
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags: number;
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array;
}

export function tcpOf(fields: TcpFields, payload: Uint8Array = new Uint8Array(0)): Upper {
  const { srcPort = 40_000, dstPort = 80, seq = 0, ack = 0, flags, options = new Uint8Array(0) } = fields;
  return {
    protocol: ipv4.PROTO_TCP,
    build: (pseudo) => {
      const header = tcp.MIN_HEADER_LEN + options.length;
      const bytes = withHeader(header, payload);
      tcp.emit(view(bytes), 0, srcPort, dstPort, seq, ack, header, flags, 1024);
      bytes.set(options, tcp.MIN_HEADER_LEN);
      tcp.setChecksum(view(bytes), 0, bytes.length, pseudo);
      return bytes;
    },
  };
}

export function icmpOf(type: number, code: number, rest: number, data: Uint8Array = new Uint8Array(0)): Upper {
  return {
    protocol: ipv4.PROTO_ICMP,
    build: () => {
      const bytes = withHeader(icmpv4.HEADER_LEN, data);
      icmpv4.emit(view(bytes), 0, type, code, rest);
      icmpv4.setChecksum(view(bytes), 0, bytes.length);
      return bytes;
    },
  };
}

export function icmp6Of(type: number, code: number, rest: number, data: Uint8Array = new Uint8Array(0)): Upper {
  return {
    protocol: ipv4.PROTO_ICMPV6,
    build: (pseudo) => {
      const bytes = withHeader(icmpv6.HEADER_LEN, data);
      icmpv6.emit(view(bytes), 0, type, code, rest);
      icmpv6.setChecksum(view(bytes), 0, bytes.length, pseudo);
      return bytes;
    },
  };
}

/** Neighbor solicitation, or advertisement with `flags`; `mac` null leaves the link-layer option out. */
export function neighborOf(kind: 'solicit' | 'advert', target: string, mac: string | null, flags = 0): Upper {
  const solicit = kind === 'solicit';
  const type = solicit ? icmpv6.TYPE_NEIGHBOR_SOLICIT : icmpv6.TYPE_NEIGHBOR_ADVERT;
  const data = new Uint8Array(mac === null ? 16 : 24);
  parseIpv6(target)!.forEach((word, i) => view(data).setUint32(4 * i, word));
  if (mac !== null) {
    const { hi, lo } = parseMac(mac)!;
    ndp.putLinkLayer(view(data), 16, solicit ? ndp.OPTION_SOURCE_LINK_LAYER : ndp.OPTION_TARGET_LINK_LAYER, hi, lo);
  }
  return icmp6Of(type, 0, (flags << 24) >>> 0, data);
}

export interface Ipv4Fields {
  readonly from?: string;
  readonly to?: string;
  readonly src: string;
  readonly dst: string;
  readonly ttl?: number;
  readonly id?: number;
  /** The word on the wire: FLAG_… | offset / 8. */
  readonly fragment?: number;
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array;
}

export function ipv4Frame(fields: Ipv4Fields, upper: Upper): Uint8Array {
  const { from = GUEST_MAC, to = GATEWAY_MAC, ttl = 64, id = 0, fragment = 0, options = new Uint8Array(0) } = fields;
  const src = parseIpv4(fields.src)!;
  const dst = parseIpv4(fields.dst)!;
  const header = ipv4.MIN_HEADER_LEN + options.length;
  const packet = withHeader(header, new Uint8Array(0));
  ipv4.emit(view(packet), 0, 0, id, fragment, ttl, upper.protocol, src, dst);
  const payload = upper.build(ipv4.pseudo(view(packet), 0, upper.protocol));
  const whole = new Uint8Array([...packet, ...payload]);
  whole[0] = 0x40 | (header >>> 2);
  whole.set(options, ipv4.MIN_HEADER_LEN);
  ipv4.setTotalLen(view(whole), 0, whole.length);
  ipv4.setChecksum(view(whole), 0);
  return etherFrame(from, to, ethernet.TYPE_IPV4, whole);
}

export interface Ipv6Fields {
  readonly from?: string;
  readonly to?: string;
  readonly src: string;
  readonly dst: string;
  readonly hopLimit?: number;
  /** Extension headers, whole and linked among themselves; the last one names the upper protocol. */
  readonly extensions?: { readonly first: number; readonly bytes: Uint8Array };
}

export function ipv6Frame(fields: Ipv6Fields, upper: Upper): Uint8Array {
  const { from = GUEST_MAC, to = GATEWAY_MAC, hopLimit = 64, extensions } = fields;
  const [s0, s1, s2, s3] = parseIpv6(fields.src)!;
  const [d0, d1, d2, d3] = parseIpv6(fields.dst)!;
  const header = new Uint8Array(ipv6.HEADER_LEN);
  const next = extensions?.first ?? upper.protocol;
  ipv6.emit(view(header), 0, 0, next, hopLimit, s0!, s1!, s2!, s3!, d0!, d1!, d2!, d3!);
  const payload = upper.build(ipv6.pseudo(view(header), 0, upper.protocol));
  const rest = new Uint8Array([...(extensions?.bytes ?? []), ...payload]);
  ipv6.setPayloadLen(view(header), 0, rest.length);
  return etherFrame(from, to, ethernet.TYPE_IPV6, new Uint8Array([...header, ...rest]));
}

/** A fragment header of a packet that carries `protocol`, as an extension for `ipv6Frame`. */
export function fragmentHeader(protocol: number, offset: number, more: boolean, id = 7): Uint8Array {
  const bytes = new Uint8Array(ipv6.FRAGMENT_HEADER_LEN);
  ipv6.emitFragment(view(bytes), 0, protocol, offset, more, id);
  return bytes;
}

export interface ArpFields {
  readonly from?: string;
  readonly to?: string;
  readonly op?: number;
  readonly senderMac?: string;
  readonly sender: string;
  readonly targetMac?: string;
  readonly target: string;
}

export function arpFrame(fields: ArpFields): Uint8Array {
  const { from = GUEST_MAC, to = BROADCAST_MAC, op = arp.OP_REQUEST, targetMac = '00:00:00:00:00:00' } = fields;
  const sender = parseMac(fields.senderMac ?? from)!;
  const target = parseMac(targetMac)!;
  const bytes = new Uint8Array(arp.LEN);
  const [senderIp, targetIp] = [parseIpv4(fields.sender)!, parseIpv4(fields.target)!];
  arp.emit(view(bytes), 0, op, sender.hi, sender.lo, senderIp, target.hi, target.lo, targetIp);
  return etherFrame(from, to, ethernet.TYPE_ARP, bytes);
}

export function etherFrame(from: string, to: string, type: number, payload: Uint8Array): Uint8Array {
  const bytes = withHeader(ethernet.HEADER_LEN, payload);
  const [src, dst] = [parseMac(from)!, parseMac(to)!];
  ethernet.emit(view(bytes), 0, dst.hi, dst.lo, src.hi, src.lo, type);
  return bytes;
}

/** The frame behind a VLAN tag. */
export function tagged(frame: Uint8Array, tag: number, type: number = ethernet.TYPE_VLAN): Uint8Array {
  const bytes = new Uint8Array(frame.length + ethernet.VLAN_TAG_LEN);
  bytes.set(frame.subarray(0, 12));
  view(bytes).setUint16(12, type);
  view(bytes).setUint16(14, tag);
  bytes.set(frame.subarray(12), 16);
  return bytes;
}

function withHeader(headerLen: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerLen + payload.length);
  bytes.set(payload, headerLen);
  return bytes;
}
