/**
 * Frames that load programs send, made once and patched: Ethernet, IPv4, and UDP or TCP in front of a payload.
 *
 * Zone: control. Offsets hold for frames made here: no VLAN tag, no IP options.
 */
import type { MacAddress } from '../../packages/vmlan/src/wire/address.ts';
import * as arp from '../../packages/vmlan/src/wire/arp.ts';
import { pseudo4 } from '../../packages/vmlan/src/wire/checksum.ts';
import * as ethernet from '../../packages/vmlan/src/wire/ethernet.ts';
import * as ipv4 from '../../packages/vmlan/src/wire/ipv4.ts';
import * as udp from '../../packages/vmlan/src/wire/udp.ts';

export const IP: number = ethernet.HEADER_LEN;
export const L4: number = IP + ipv4.MIN_HEADER_LEN;
export const BROADCAST: MacAddress = { hi: 0xffff, lo: 0xffff_ffff };
const TTL = 64;

export interface Ends {
  readonly srcMac: MacAddress;
  readonly dstMac: MacAddress;
  /** IPv4 addresses, uint32. */
  readonly src: number;
  readonly dst: number;
}

const viewOf = (frame: Uint8Array): DataView => new DataView(frame.buffer, frame.byteOffset, frame.byteLength);

/** An IPv4 frame with room for `l4Len` bytes behind the IP header. */
export function ipFrame({ srcMac, dstMac, src, dst }: Ends, protocol: number, l4Len: number): Uint8Array {
  const frame = new Uint8Array(L4 + l4Len);
  const v = viewOf(frame);
  ethernet.emit(v, 0, dstMac.hi, dstMac.lo, srcMac.hi, srcMac.lo, ethernet.TYPE_IPV4);
  ipv4.emit(v, IP, ipv4.MIN_HEADER_LEN + l4Len, 0, ipv4.FLAG_DF, TTL, protocol, src, dst);
  return frame;
}

export function udpFrame(ends: Ends, srcPort: number, dstPort: number, payload: Uint8Array): Uint8Array {
  const len = udp.HEADER_LEN + payload.length;
  const frame = ipFrame(ends, ipv4.PROTO_UDP, len);
  const v = viewOf(frame);
  udp.emit(v, L4, srcPort, dstPort, len);
  frame.set(payload, L4 + udp.HEADER_LEN);
  udp.setChecksum(v, L4, pseudo4(ends.src, ends.dst, ipv4.PROTO_UDP, 0));
  return frame;
}

/** Payload offset of an IPv4 UDP frame to this port, or -1. */
export function udpPayloadOf(frame: Uint8Array, dstPort: number): number {
  const v = viewOf(frame);
  if (frame.length < L4 + udp.HEADER_LEN || ethernet.etherType(v, 0) !== ethernet.TYPE_IPV4) return -1;
  if (ipv4.protocol(v, IP) !== ipv4.PROTO_UDP) return -1;
  const l4 = IP + ipv4.headerLen(v, IP);
  return frame.length >= l4 + udp.HEADER_LEN && udp.dstPort(v, l4) === dstPort ? l4 + udp.HEADER_LEN : -1;
}

/** A request to everybody, or with `to` a reply to one. */
export function arpFrame(from: MacAddress, sender: number, target: number, to: MacAddress | null = null): Uint8Array {
  const frame = new Uint8Array(ethernet.HEADER_LEN + arp.LEN);
  const v = viewOf(frame);
  const dst = to ?? BROADCAST;
  ethernet.emit(v, 0, dst.hi, dst.lo, from.hi, from.lo, ethernet.TYPE_ARP);
  const op = to === null ? arp.OP_REQUEST : arp.OP_REPLY;
  arp.emit(v, IP, op, from.hi, from.lo, sender, to?.hi ?? 0, to?.lo ?? 0, target);
  return frame;
}
