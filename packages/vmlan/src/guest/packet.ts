/**
 * IP packets of a guest: what came out of a frame, and frames made of what shall go out.
 *
 * Zone: control.  A received packet lies in the frame that it came in.
 */
import { pseudo4, pseudo6 } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ip4, ip6 } from './ip.ts';
import type { Ip } from './ip.ts';

const TTL = 64;

export interface Packet {
  readonly view: DataView;
  readonly src: Ip;
  readonly dst: Ip;
  readonly protocol: number;
  /** Where the IP header starts. */
  readonly ip: number;
  /** Where the upper layer starts, and how long it is. */
  readonly offset: number;
  readonly length: number;
  /** Sum of the pseudo header, with length zero. */
  readonly pseudo: number;
  /** Of a fragment; null for a whole packet. */
  readonly fragment: { readonly id: number; readonly offset: number; readonly more: boolean } | null;
}

export const payloadOf = ({ view, offset, length }: Packet, skip = 0): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + offset + skip, length - skip);

/** The packet in an Ethernet frame; null for what is none, or a bad one. */
export function parsePacket(frame: Uint8Array): Packet | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (!ethernet.check(frame.length)) return null;
  const type = ethernet.etherType(view, 0);
  const at = ethernet.HEADER_LEN;
  if (type === ethernet.TYPE_IPV4) return parseIpv4(view, at, frame.length - at);
  return type === ethernet.TYPE_IPV6 ? parseIpv6(view, at, frame.length - at) : null;
}

function parseIpv4(view: DataView, at: number, available: number): Packet | null {
  if (ipv4.check(view, at, available) !== 0 || ipv4.checkOptions(view, at) !== 0) return null;
  const protocol = ipv4.protocol(view, at);
  return {
    ...{ view, protocol, ip: at, src: ip4(ipv4.src(view, at)), dst: ip4(ipv4.dst(view, at)) },
    ...{ offset: ipv4.payload(view, at), length: ipv4.payloadLen(view, at), pseudo: ipv4.pseudo(view, at, protocol) },
    fragment: ipv4.isFragment(view, at)
      ? { id: ipv4.id(view, at), offset: ipv4.fragmentOffset(view, at), more: ipv4.moreFragments(view, at) }
      : null,
  };
}

function parseIpv6(view: DataView, at: number, available: number): Packet | null {
  if (ipv6.check(view, at, available) !== 0 || ipv6.upper(view, at) !== 0) return null;
  const { protocol, offset, length, isFragment, fragment } = ipv6.$upper;
  return {
    ...{ view, protocol, ip: at, offset, length, pseudo: ipv6.pseudo(view, at, protocol) },
    src: ip6(ipv6.src0(view, at), ipv6.src1(view, at), ipv6.src2(view, at), ipv6.src3(view, at)),
    dst: ip6(ipv6.dst0(view, at), ipv6.dst1(view, at), ipv6.dst2(view, at), ipv6.dst3(view, at)),
    fragment: isFragment
      ? {
          id: ipv6.fragmentId(view, fragment),
          offset: ipv6.fragmentOffset(view, fragment),
          more: ipv6.moreFragments(view, fragment),
        }
      : null,
  };
}

export const headerBytes = (family: 4 | 6): number => (family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN);

export const pseudoOf = (src: Ip, dst: Ip, protocol: number): number =>
  src.family === 4
    ? pseudo4(src.v4, dst.v4, protocol, 0)
    : pseudo6(
        ...([...src.words] as [number, number, number, number]),
        ...([...dst.words] as [number, number, number, number]),
        protocol,
        0,
      );

export interface Outgoing {
  readonly src: Ip;
  readonly dst: Ip;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly id: number;
  /** Default 64. */
  readonly hops?: number;
}

/** Frames, with the addresses of Ethernet still zero: one, or as many fragments as the MTU asks for. */
export function framesOf(packet: Outgoing, mtuBytes: number): Uint8Array[] {
  const { payload, dst } = packet;
  const room = mtuBytes - headerBytes(dst.family);
  if (payload.length <= room) return [whole(packet)];
  const step = (dst.family === 4 ? room : room - ipv6.FRAGMENT_HEADER_LEN) & ~7;
  const frames: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += step) {
    const part = { ...packet, payload: payload.subarray(at, at + step) };
    frames.push(fragment(part, at, at + step < payload.length));
  }
  return frames;
}

function whole({ src, dst, protocol, payload, id, hops = TTL }: Outgoing): Uint8Array {
  const { frame, view, at } = newFrame(dst.family, payload.length);
  if (dst.family === 4) {
    ipv4.emit(
      view,
      at,
      ipv4.MIN_HEADER_LEN + payload.length,
      id & 0xffff,
      ipv4.FLAG_DF,
      hops,
      protocol,
      src.v4,
      dst.v4,
    );
  } else emit6(view, at, payload.length, protocol, hops, src, dst);
  frame.set(payload, at + headerBytes(dst.family));
  return frame;
}

function fragment(
  { src, dst, protocol, payload, id, hops = TTL }: Outgoing,
  offset: number,
  more: boolean,
): Uint8Array {
  if (dst.family === 4) {
    const { frame, view, at } = newFrame(4, payload.length);
    const word = (more ? ipv4.FLAG_MF : 0) | (offset >>> 3);
    ipv4.emit(view, at, ipv4.MIN_HEADER_LEN + payload.length, id & 0xffff, word, hops, protocol, src.v4, dst.v4);
    frame.set(payload, at + ipv4.MIN_HEADER_LEN);
    return frame;
  }
  const length = ipv6.FRAGMENT_HEADER_LEN + payload.length;
  const { frame, view, at } = newFrame(6, length);
  emit6(view, at, length, ipv6.NEXT_FRAGMENT, hops, src, dst);
  ipv6.emitFragment(view, at + ipv6.HEADER_LEN, protocol, offset, more, id >>> 0);
  frame.set(payload, at + ipv6.HEADER_LEN + ipv6.FRAGMENT_HEADER_LEN);
  return frame;
}

function newFrame(family: 4 | 6, length: number): { frame: Uint8Array; view: DataView; at: number } {
  const at = ethernet.HEADER_LEN;
  const frame = new Uint8Array(at + headerBytes(family) + length);
  const view = new DataView(frame.buffer);
  ethernet.setType(view, 0, family === 4 ? ethernet.TYPE_IPV4 : ethernet.TYPE_IPV6);
  return { frame, view, at };
}

function emit6(view: DataView, at: number, length: number, next: number, hops: number, src: Ip, dst: Ip): void {
  const [s0, s1, s2, s3] = src.words as unknown as [number, number, number, number];
  const [d0, d1, d2, d3] = dst.words as unknown as [number, number, number, number];
  ipv6.emit(view, at, length, next, hops, s0, s1, s2, s3, d0, d1, d2, d3);
}
