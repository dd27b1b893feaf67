/**
 * Joins what a guest without segmentation offload sends: consecutive TCP segments of one flow that came with one read
 * become one frame with a segment size, as if the guest's card had left the cutting to us.
 *
 * Zone: packet.  The rules are those of Linux's receive offload (dev_gro_receive, tcp_gro_receive): same addresses,
 * ports, acknowledgement, window and options, sequence numbers without a gap, nothing but ACK and PSH set, segments
 * of one size but for the last.  So cutting it again gives back the segments, and nothing is ever reordered: whatever
 * does not fit ends the frame that is being joined and goes after it.  Only PSH is treated otherwise: it asks not to be
 * kept waiting, and nothing waits here beyond the read it came with, so it ends no frame and stays with the last segment.  A segment's checksum is
 * verified by the pass that copies it; a bad one goes on alone, to be dropped and counted where all are.
 *
 * A frame is held by reference until a second one fits; only then are the two copied together.  Frames lie in memory
 * that stays as it is until `flush`, with room for a virtio_net_hdr, written here, that may overlap the frame before.
 */
import { type Counters, counter } from '../core/counters.ts';
import { VALID, copySum, fold, sum } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import type { LinkInput } from './link.ts';

/** Segments that became part of a longer frame. */
export const JOINED: number = counter('link_segments_joined');

const IP = ethernet.HEADER_LEN;
const MAX_IP_LEN = 65_535;
/** Segments with less are not worth it, and would be more in a frame than cutting allows. Bytes. */
const MIN_JOINED = 64;

export class Joiner {
  readonly #v: DataView;
  readonly #u8: Uint8Array;
  /** Where frames are put together: room for the longest frame, and for a virtio_net_hdr before it. */
  readonly #room: number;
  readonly #input: LinkInput;
  readonly #counters: Counters;
  // The frame that is held; #len 0: none.
  #off = 0;
  #len = 0;
  #count = 0; // segments in it; from two on it lies at #room
  #tcp = 0; // offset of the TCP header from the frame's start
  #payload = 0; // offset of the payload
  #mss = 0;
  #nextSeq = 0;
  #nextId = 0; // of IPv4
  #isIpv4 = false;
  #pseudo = 0; // sum of its pseudo header with length zero
  #push = false;
  #stopped = false;

  constructor(view: DataView, u8: Uint8Array, room: number, input: LinkInput, counters: Counters) {
    this.#v = view;
    this.#u8 = u8;
    this.#room = room;
    this.#input = input;
    this.#counters = counters;
  }

  onFrame(off: number, len: number, nowMs: number): void {
    const start = tcpStart(this.#v, off, len);
    if (start === 0) {
      this.flush(nowMs);
      if (!this.#stopped) this.#deliver(off, len, nowMs);
      return;
    }
    const l4Len = ipLen(this.#v, off) - (start - IP);
    if (this.#len > 0 && this.#fits(off, start, l4Len) && this.#append(off, start, l4Len)) {
      if (l4Len - (this.#payload - start) < this.#mss) this.flush(nowMs);
      return;
    }
    this.flush(nowMs);
    if (!this.#stopped) this.#hold(off, len, start, l4Len);
  }

  /** Hands on what is held. */
  flush(nowMs: number): void {
    if (this.#len === 0) return;
    const off = this.#off;
    const len = this.#len;
    this.#len = 0;
    if (this.#count === 1) return this.#deliver(off, len, nowMs);
    this.#counters.add(JOINED, this.#count);
    this.#finish(len);
    this.#input.onFrame(off, len, nowMs);
  }

  /** The link is closed: nothing is held, and no frame follows. */
  stop(): void {
    this.#stopped = true;
    this.#len = 0;
  }

  #deliver(off: number, len: number, nowMs: number): void {
    vnetHdr.clear(this.#v, off - vnetHdr.LEN);
    this.#input.onFrame(off, len, nowMs);
  }

  #hold(off: number, len: number, start: number, l4Len: number): void {
    const v = this.#v;
    const l4 = off + start;
    const header = tcp.dataOffset(v, l4);
    const bytes = l4Len - header;
    this.#off = off;
    this.#len = len;
    this.#count = 1;
    this.#tcp = start;
    this.#payload = start + header;
    this.#mss = bytes;
    this.#nextSeq = (tcp.seq(v, l4) + bytes) | 0;
    this.#nextId = (ipv4.id(v, off + IP) + 1) & 0xffff;
    this.#isIpv4 = isIpv4(v, off);
    this.#pseudo = pseudo(v, off);
    this.#push = (tcp.flags(v, l4) & tcp.PSH) !== 0;
  }

  /** Whether the segment is the next one of the frame that is held. */
  #fits(off: number, start: number, l4Len: number): boolean {
    const v = this.#v;
    const held = this.#off;
    const l4 = off + start;
    const bytes = l4Len - tcp.dataOffset(v, l4);
    if (tcp.seq(v, l4) !== this.#nextSeq || start !== this.#tcp || bytes > this.#mss) return false;
    if (this.#end() - IP + bytes > MAX_IP_LEN) return false;
    return (
      v.getInt32(off) === v.getInt32(held) && // MAC addresses and EtherType
      v.getInt32(off + 4) === v.getInt32(held + 4) &&
      v.getInt32(off + 8) === v.getInt32(held + 8) &&
      v.getUint16(off + 12) === v.getUint16(held + 12) &&
      (this.#isIpv4 ? this.#sameIpv4(off, held) : sameIpv6(v, off, held)) &&
      v.getInt32(l4) === v.getInt32(held + start) && // ports
      tcp.ack(v, l4) === tcp.ack(v, held + start) &&
      tcp.dataOffset(v, l4) === this.#payload - start &&
      tcp.window(v, l4) === tcp.window(v, held + start) &&
      sameWords(v, l4 + tcp.MIN_HEADER_LEN, held + start + tcp.MIN_HEADER_LEN, (this.#payload - start - 20) >> 2)
    );
  }

  #sameIpv4(off: number, held: number): boolean {
    const v = this.#v;
    const ip = off + IP;
    const heldIp = held + IP;
    // RFC 6864 §4.1: the identification of what is never fragmented means nothing.
    const isNext = ipv4.dontFragment(v, ip) || ipv4.id(v, ip) === this.#nextId;
    return (
      isNext &&
      v.getUint16(ip) === v.getUint16(heldIp) && // version, header length, type of service
      v.getUint16(ip + 6) === v.getUint16(heldIp + 6) && // flags
      v.getUint16(ip + 8) === v.getUint16(heldIp + 8) && // time to live, protocol
      v.getInt32(ip + 12) === v.getInt32(heldIp + 12) && // addresses
      v.getInt32(ip + 16) === v.getInt32(heldIp + 16)
    );
  }

  /** Copies the payload behind what is held; false when a checksum is bad. */
  #append(off: number, start: number, l4Len: number): boolean {
    const v = this.#v;
    if (this.#count === 1 && !this.#moveHeld()) return false;
    const l4 = off + start;
    const header = this.#payload - start;
    if (!this.#copy(off, start, l4Len, this.#room + this.#len)) return false;
    this.#count++;
    this.#len += l4Len - header;
    this.#nextSeq = (this.#nextSeq + l4Len - header) | 0;
    this.#nextId = (this.#nextId + 1) & 0xffff;
    this.#push ||= (tcp.flags(v, l4) & tcp.PSH) !== 0;
    return true;
  }

  /** The first segment goes where all of them will be. */
  #moveHeld(): boolean {
    const end = this.#end();
    if (!this.#copy(this.#off, this.#tcp, end - this.#tcp, this.#room + this.#payload)) return false;
    this.#u8.copyWithin(this.#room, this.#off, this.#off + this.#payload);
    this.#off = this.#room;
    this.#len = end; // without a padding of Ethernet
    return true;
  }

  /** Copies the payload of a segment to `to`; true when its checksum is good. */
  #copy(off: number, start: number, l4Len: number, to: number): boolean {
    const v = this.#v;
    const l4 = off + start;
    const header = this.#payload - start;
    const headers = sum(v, l4, header, this.#pseudo + l4Len);
    return fold(copySum(v, this.#u8, l4 + header, l4Len - header, to, headers)) === VALID;
  }

  /** Where the held frame's payload ends, from its start. */
  #end(): number {
    return this.#count === 1 ? IP + ipLen(this.#v, this.#off) : this.#len;
  }

  /** The headers of a joined frame: lengths, flags, and what the offload header says of it. */
  #finish(len: number): void {
    const v = this.#v;
    const off = this.#room;
    const l4 = off + this.#tcp;
    if (this.#isIpv4) {
      ipv4.setTotalLen(v, off + IP, len - IP);
      ipv4.setChecksum(v, off + IP);
    } else {
      ipv6.setPayloadLen(v, off + IP, len - IP - ipv6.HEADER_LEN);
    }
    if (this.#push) v.setUint8(l4 + tcp.FLAGS_OFFSET, tcp.ACK | tcp.PSH);
    tcp.setPartialChecksum(v, l4, len - this.#tcp, this.#pseudo);
    vnetHdr.emit(
      v,
      off - vnetHdr.LEN,
      vnetHdr.NEEDS_CSUM,
      this.#isIpv4 ? vnetHdr.GSO_TCPV4 : vnetHdr.GSO_TCPV6,
      this.#payload,
      this.#mss,
      this.#tcp,
      tcp.CHECKSUM_OFFSET,
    );
  }
}

const isIpv4 = (v: DataView, off: number): boolean => ethernet.etherType(v, off) === ethernet.TYPE_IPV4;

/** Length of the IP packet. */
const ipLen = (v: DataView, off: number): number =>
  isIpv4(v, off) ? ipv4.totalLen(v, off + IP) : ipv6.HEADER_LEN + ipv6.payloadLen(v, off + IP);

const pseudo = (v: DataView, off: number): number =>
  isIpv4(v, off) ? ipv4.pseudo(v, off + IP, ipv4.PROTO_TCP) : ipv6.pseudo(v, off + IP, ipv4.PROTO_TCP);

const sameIpv6 = (v: DataView, off: number, held: number): boolean =>
  v.getInt32(off + IP) === v.getInt32(held + IP) && // version, traffic class, flow label
  v.getUint16(off + IP + 6) === v.getUint16(held + IP + 6) && // next header, hop limit
  sameWords(v, off + IP + 8, held + IP + 8, 8);

function sameWords(v: DataView, a: number, b: number, words: number): boolean {
  for (let i = 0; i < 4 * words; i += 4) if (v.getInt32(a + i) !== v.getInt32(b + i)) return false;
  return true;
}

/** Offset of the TCP header in a frame that may be joined with others, 0 in any other. */
function tcpStart(v: DataView, off: number, len: number): number {
  const start = len < IP + ipv4.MIN_HEADER_LEN + tcp.MIN_HEADER_LEN ? 0 : behindIp(v, off, len);
  if (start === 0) return 0;
  const l4 = off + start;
  const l4Len = ipLen(v, off) - (start - IP);
  if (l4Len < tcp.MIN_HEADER_LEN + MIN_JOINED || (tcp.flags(v, l4) & ~tcp.PSH) !== tcp.ACK) return 0;
  const header = tcp.dataOffset(v, l4);
  return header >= tcp.MIN_HEADER_LEN && l4Len - header >= MIN_JOINED ? start : 0;
}

/** Where the header behind a plain IP header of TCP begins: without options, extension headers or fragments. */
function behindIp(v: DataView, off: number, len: number): number {
  const ip = off + IP;
  const avail = len - IP;
  if (isIpv4(v, off)) {
    if (v.getUint8(ip) !== 0x45 || ipv4.protocol(v, ip) !== ipv4.PROTO_TCP) return 0;
    return ipv4.check(v, ip, avail) === 0 && !ipv4.isFragment(v, ip) ? IP + ipv4.MIN_HEADER_LEN : 0;
  }
  if (ethernet.etherType(v, off) !== ethernet.TYPE_IPV6 || avail < ipv6.HEADER_LEN + tcp.MIN_HEADER_LEN) return 0;
  if (ipv6.nextHeader(v, ip) !== ipv4.PROTO_TCP || ipv6.check(v, ip, avail) !== 0) return 0;
  return IP + ipv6.HEADER_LEN;
}
