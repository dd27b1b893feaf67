/**
 * IP towards guests: headers, fragmentation, and the scratch frame that everything the gateway says is built in.
 *
 * Zone: packet.  A sender writes its transport header and payload at `l4(path)` (room for 64 KiB) and calls `send`.
 *
 *   frame - 12        frame        + 14          + 34 (IPv4) / + 54 (IPv6)
 *   virtio_net_hdr    Ethernet     IP            transport …
 *
 * Datagrams longer than the MTU are fragmented (RFC 791 §3.2, RFC 8200 §4.5); TCP never is, it cuts by MSS or leaves
 * cutting to the link.
 */
import type { Arena } from '../core/arena.ts';
import { type Counters, counter } from '../core/counters.ts';
import { pseudo4, pseudo6 } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as udp from '../wire/udp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import type { Path } from './path.ts';

const HEADROOM = 64; // virtio_net_hdr and alignment
const HOP_LIMIT = 64;
const MAX_L4_LEN = 65535;
const SENT = counter('gateway_packets_to_guest');
const FRAGMENTED = counter('gateway_fragments_to_guest');
const DROP_TOO_LONG = counter('drop_datagram_over_64k');

/** Sum of the pseudo header of what goes from remote to guest. */
export function pseudoToGuest(path: Path, protocol: number, len: number): number {
  if (path.family === 4) return pseudo4(path.remote3 >>> 0, path.guest3 >>> 0, protocol, len);
  return pseudo6(
    path.remote0 >>> 0,
    path.remote1 >>> 0,
    path.remote2 >>> 0,
    path.remote3 >>> 0,
    path.guest0 >>> 0,
    path.guest1 >>> 0,
    path.guest2 >>> 0,
    path.guest3 >>> 0,
    protocol,
    len,
  );
}

export interface IpOutputOptions {
  readonly mtu: number;
  readonly macHi: number;
  readonly macLo: number;
}

export class IpOutput {
  readonly view: DataView;
  readonly u8: Uint8Array;
  /** Ethernet header of the scratch frame. */
  readonly frame: number;
  readonly mtu: number;
  readonly macHi: number;
  readonly macLo: number;
  readonly #fragment: number;
  readonly #counters: Counters;
  #id = 0;

  constructor(arena: Arena, options: IpOutputOptions, counters: Counters) {
    this.view = arena.view;
    this.u8 = arena.u8;
    const room = HEADROOM + ethernet.HEADER_LEN + ipv6.HEADER_LEN + 60 + MAX_L4_LEN + 64;
    this.frame = arena.alloc(room, 64) + HEADROOM;
    this.#fragment = arena.alloc(room, 64) + HEADROOM;
    this.mtu = options.mtu;
    this.macHi = options.macHi;
    this.macLo = options.macLo;
    this.#counters = counters;
  }

  /** Where the transport header belongs for this family. */
  l4(family: number): number {
    return this.frame + ethernet.HEADER_LEN + (family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN);
  }

  /** Sends the `len` bytes at `l4` as one packet, in fragments if it must be. Checksums are the caller's. */
  send(path: Path, protocol: number, hopLimit: number, len: number): void {
    const header = path.family === 4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN;
    if (header + len <= this.mtu) {
      vnetHdr.clear(this.view, this.frame - vnetHdr.LEN);
      this.emitHeaders(path, protocol, hopLimit, len);
      this.transmit(path, this.frame, ethernet.HEADER_LEN + header + len);
    } else if (len > MAX_L4_LEN - header) {
      this.#counters.count(DROP_TOO_LONG);
    } else if (path.family === 4) {
      this.#sendFragments4(path, protocol, hopLimit, len);
    } else {
      this.#sendFragments6(path, protocol, hopLimit, len);
    }
  }

  /**
   * The `len` payload bytes behind the UDP header at `l4`: one datagram, or a run of datagrams of `runSize` bytes with a
   * last one that may be shorter. Checksums, and cutting the run, are left to the link.
   */
  sendUdp(path: Path, srcPort: number, dstPort: number, len: number, runSize: number = 0): void {
    const v = this.view;
    const o = this.l4(path.family);
    const isRun = runSize > 0 && len > runSize;
    const l4Len = udp.HEADER_LEN + len;
    const start = o - this.frame;
    const pseudo = pseudoToGuest(path, ipv4.PROTO_UDP, 0);
    if (start - ethernet.HEADER_LEN + udp.HEADER_LEN + (isRun ? runSize : len) > this.mtu) {
      if (isRun) return this.#sendApart(path, srcPort, dstPort, len, runSize);
      udp.emit(v, o, srcPort, dstPort, l4Len);
      udp.setChecksum(v, o, pseudo);
      return this.send(path, ipv4.PROTO_UDP, HOP_LIMIT, l4Len);
    }
    udp.emit(v, o, srcPort, dstPort, l4Len);
    udp.setPartialChecksum(v, o, pseudo);
    const hdr = this.frame - vnetHdr.LEN;
    const type = isRun ? vnetHdr.GSO_UDP_L4 : vnetHdr.GSO_NONE;
    const headers = isRun ? start + udp.HEADER_LEN : 0;
    vnetHdr.emit(v, hdr, vnetHdr.NEEDS_CSUM, type, headers, isRun ? runSize : 0, start, udp.CHECKSUM_OFFSET);
    this.emitHeaders(path, ipv4.PROTO_UDP, HOP_LIMIT, l4Len);
    this.transmit(path, this.frame, start + l4Len);
  }

  /** The datagrams of a run one after the other: they must be fragmented. */
  #sendApart(path: Path, srcPort: number, dstPort: number, len: number, size: number): void {
    const data = this.l4(path.family) + udp.HEADER_LEN;
    for (let at = 0; at < len; at += size) {
      const part = Math.min(size, len - at);
      if (at > 0) this.u8.copyWithin(data, data + at, data + at + part);
      this.sendUdp(path, srcPort, dstPort, part);
    }
  }

  /** Ethernet and IP header of a frame, the scratch frame unless told, for `len` transport bytes. */
  emitHeaders(path: Path, protocol: number, hopLimit: number, len: number, frame: number = this.frame): void {
    const v = this.view;
    const ip = frame + ethernet.HEADER_LEN;
    if (path.family === 4) {
      ethernet.emit(v, frame, path.macHi, path.macLo, this.macHi, this.macLo, ethernet.TYPE_IPV4);
      const total = ipv4.MIN_HEADER_LEN + len;
      ipv4.emit(v, ip, total, 0, ipv4.FLAG_DF, hopLimit, protocol, path.remote3 >>> 0, path.guest3 >>> 0);
    } else {
      ethernet.emit(v, frame, path.macHi, path.macLo, this.macHi, this.macLo, ethernet.TYPE_IPV6);
      this.#emitIpv6(ip, path, protocol, hopLimit, len);
    }
  }

  /** `count` packets went to a guest in frames that were built in place. */
  countRun(count: number): void {
    this.#counters.add(SENT, count);
  }

  /** Hands a finished frame to the segment: to the path's port, or to all when it has none. */
  transmit(path: Path, off: number, len: number): void {
    this.#counters.count(SENT);
    if (path.port === null) path.segment!.flood(off, len);
    else path.segment!.sendTo(path.port, off, len);
  }

  #emitIpv6(ip: number, path: Path, next: number, hopLimit: number, len: number): void {
    ipv6.emit(
      this.view,
      ip,
      len,
      next,
      hopLimit,
      path.remote0 >>> 0,
      path.remote1 >>> 0,
      path.remote2 >>> 0,
      path.remote3 >>> 0,
      path.guest0 >>> 0,
      path.guest1 >>> 0,
      path.guest2 >>> 0,
      path.guest3 >>> 0,
    );
  }

  #sendFragments4(path: Path, protocol: number, hopLimit: number, len: number): void {
    const v = this.view;
    const l4 = this.l4(4);
    const ip = this.#fragment + ethernet.HEADER_LEN;
    const most = (this.mtu - ipv4.MIN_HEADER_LEN) & ~7; // RFC 791: fragments are multiples of 8 bytes
    this.#id = (this.#id + 1) & 0xffff;
    for (let done = 0; done < len; done += most) {
      const part = Math.min(most, len - done);
      const more = done + part < len ? ipv4.FLAG_MF : 0;
      const total = ipv4.MIN_HEADER_LEN + part;
      ethernet.emit(v, this.#fragment, path.macHi, path.macLo, this.macHi, this.macLo, ethernet.TYPE_IPV4);
      const src = path.remote3 >>> 0;
      ipv4.emit(v, ip, total, this.#id, more | (done >>> 3), hopLimit, protocol, src, path.guest3 >>> 0);
      this.u8.copyWithin(ip + ipv4.MIN_HEADER_LEN, l4 + done, l4 + done + part);
      this.#sendFragment(path, ethernet.HEADER_LEN + total);
    }
  }

  #sendFragments6(path: Path, protocol: number, hopLimit: number, len: number): void {
    const v = this.view;
    const l4 = this.l4(6);
    const ip = this.#fragment + ethernet.HEADER_LEN;
    const extension = ip + ipv6.HEADER_LEN;
    const headers = ipv6.HEADER_LEN + ipv6.FRAGMENT_HEADER_LEN;
    const most = (this.mtu - headers) & ~7;
    this.#id = (this.#id + 1) & 0xffff;
    for (let done = 0; done < len; done += most) {
      const part = Math.min(most, len - done);
      const more = done + part < len ? 1 : 0;
      ethernet.emit(v, this.#fragment, path.macHi, path.macLo, this.macHi, this.macLo, ethernet.TYPE_IPV6);
      this.#emitIpv6(ip, path, ipv6.NEXT_FRAGMENT, hopLimit, ipv6.FRAGMENT_HEADER_LEN + part);
      v.setUint16(extension, protocol << 8);
      v.setUint16(extension + 2, done | more); // RFC 8200 §4.5: 13 bits of offset in 8-byte units, 2 reserved, M
      v.setUint32(extension + 4, this.#id);
      this.u8.copyWithin(extension + ipv6.FRAGMENT_HEADER_LEN, l4 + done, l4 + done + part);
      this.#sendFragment(path, ethernet.HEADER_LEN + headers + part);
    }
  }

  #sendFragment(path: Path, len: number): void {
    vnetHdr.clear(this.view, this.#fragment - vnetHdr.LEN);
    this.#counters.count(FRAGMENTED);
    this.transmit(path, this.#fragment, len);
  }
}
