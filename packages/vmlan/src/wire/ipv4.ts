/**
 * IPv4 headers (RFC 791). Zone: packet. `o` is the offset of the IPv4 header; accessors assume `check` returned OK.
 * Addresses are uint32; lengths and fragment offsets are bytes.
 */
import { finish, fold, incremental16, pseudo4, sum, VALID } from './checksum.ts';
import {
  BAD_CHECKSUM,
  BAD_FRAGMENT,
  BAD_HEADER_LENGTH,
  BAD_LENGTH,
  BAD_OPTION,
  BAD_VERSION,
  OK,
  SOURCE_ROUTED,
  TOO_SHORT,
  type Verdict,
} from './verdict.ts';

export const MIN_HEADER_LEN = 20;
export const MAX_HEADER_LEN = 60;
export const MAX_TOTAL_LEN = 65535;
export const MIN_MTU = 68; // RFC 791 §3.2

// Protocol numbers, shared by IPv4 and IPv6.
export const PROTO_ICMP = 1;
export const PROTO_IGMP = 2;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;
export const PROTO_GRE = 47;
export const PROTO_ICMPV6 = 58;
export const PROTO_SCTP = 132;

// Bits of the word at offset 6, as `emit` takes them.
export const FLAG_DF = 0x4000;
export const FLAG_MF = 0x2000;
const OFFSET_MASK = 0x1fff; // units of 8 bytes

const VERSION_IHL = 0;
const TOS = 1;
const TOTAL_LEN = 2;
const ID = 4;
const FLAGS_OFFSET = 6;
const TTL = 8;
const PROTOCOL = 9;
const CHECKSUM = 10;
const SRC = 12;
const DST = 16;

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_LSRR = 0x83;
const OPTION_SSRR = 0x89;

export const headerLen = (v: DataView, o: number): number => (v.getUint8(o + VERSION_IHL) & 0x0f) << 2;
export const tos = (v: DataView, o: number): number => v.getUint8(o + TOS);
export const totalLen = (v: DataView, o: number): number => v.getUint16(o + TOTAL_LEN);
export const id = (v: DataView, o: number): number => v.getUint16(o + ID);
export const ttl = (v: DataView, o: number): number => v.getUint8(o + TTL);
export const protocol = (v: DataView, o: number): number => v.getUint8(o + PROTOCOL);
export const checksum = (v: DataView, o: number): number => v.getUint16(o + CHECKSUM);
export const src = (v: DataView, o: number): number => v.getUint32(o + SRC);
export const dst = (v: DataView, o: number): number => v.getUint32(o + DST);

/** Offset of the payload in `v`. */
export const payload = (v: DataView, o: number): number => o + headerLen(v, o);
export const payloadLen = (v: DataView, o: number): number => totalLen(v, o) - headerLen(v, o);

export const isFragment = (v: DataView, o: number): boolean =>
  (v.getUint16(o + FLAGS_OFFSET) & (FLAG_MF | OFFSET_MASK)) !== 0;
export const moreFragments = (v: DataView, o: number): boolean => (v.getUint16(o + FLAGS_OFFSET) & FLAG_MF) !== 0;
export const dontFragment = (v: DataView, o: number): boolean => (v.getUint16(o + FLAGS_OFFSET) & FLAG_DF) !== 0;
export const fragmentOffset = (v: DataView, o: number): number => (v.getUint16(o + FLAGS_OFFSET) & OFFSET_MASK) << 3;

/** Pseudo header sum of this packet for `proto`, with length zero: the upper codec adds its own length. */
export const pseudo = (v: DataView, o: number, proto: number): number => pseudo4(src(v, o), dst(v, o), proto, 0);

/** Bounds, version, header checksum and fragment arithmetic; options are left to `checkOptions`. */
export function check(v: DataView, o: number, avail: number): Verdict {
  if (avail < MIN_HEADER_LEN) return TOO_SHORT;
  if (v.getUint8(o + VERSION_IHL) >>> 4 !== 4) return BAD_VERSION;
  const header = headerLen(v, o);
  if (header < MIN_HEADER_LEN || header > avail) return BAD_HEADER_LENGTH;
  const total = totalLen(v, o);
  if (total < header || total > avail) return BAD_LENGTH;
  if (fold(sum(v, o, header)) !== VALID) return BAD_CHECKSUM;
  return isFragment(v, o) ? checkFragment(v, o) : OK;
}

/** For the packet that an ICMP error quotes: a whole header is there; it may be cut behind it, and its TTL and sums have aged. */
export function checkQuoted(v: DataView, o: number, avail: number): Verdict {
  if (avail < MIN_HEADER_LEN) return TOO_SHORT;
  if (v.getUint8(o + VERSION_IHL) >>> 4 !== 4) return BAD_VERSION;
  const header = headerLen(v, o);
  return header < MIN_HEADER_LEN || header > avail ? BAD_HEADER_LENGTH : OK;
}

function checkFragment(v: DataView, o: number): Verdict {
  const len = payloadLen(v, o);
  // RFC 791 §3.1: all fragments but the last are multiples of 8; the whole is never longer than 65535.
  if (moreFragments(v, o) && (len === 0 || (len & 7) !== 0)) return BAD_FRAGMENT;
  return fragmentOffset(v, o) + len > MAX_TOTAL_LEN - headerLen(v, o) ? BAD_FRAGMENT : OK;
}

/** Walks the options: malformed ones and source routes (RFC 7126 §4.3, §4.4: drop). At most 40 steps. */
export function checkOptions(v: DataView, o: number): Verdict {
  const end = o + headerLen(v, o);
  for (let p = o + MIN_HEADER_LEN; p < end;) {
    const type = v.getUint8(p);
    if (type === OPTION_END) return OK;
    if (type === OPTION_NOP) {
      p += 1;
      continue;
    }
    if (type === OPTION_LSRR || type === OPTION_SSRR) return SOURCE_ROUTED;
    if (p + 1 >= end) return BAD_OPTION;
    const len = v.getUint8(p + 1);
    if (len < 2 || p + len > end) return BAD_OPTION;
    p += len;
  }
  return OK;
}

/** Changes the TTL and updates the checksum. */
export function setTtl(v: DataView, o: number, ttl: number): void {
  const was = v.getUint16(o + TTL);
  v.setUint8(o + TTL, ttl);
  v.setUint16(o + CHECKSUM, incremental16(checksum(v, o), was, v.getUint16(o + TTL)));
}

/** Sets the total length and leaves the checksum stale; end with `setChecksum`. */
export const setTotalLen = (v: DataView, o: number, len: number): void => v.setUint16(o + TOTAL_LEN, len);
export const setTos = (v: DataView, o: number, tos: number): void => v.setUint8(o + TOS, tos);
export const setId = (v: DataView, o: number, id: number): void => v.setUint16(o + ID, id);
export const setSrc = (v: DataView, o: number, ip: number): void => v.setUint32(o + SRC, ip);
export const setDst = (v: DataView, o: number, ip: number): void => v.setUint32(o + DST, ip);
export const setFlagsAndOffset = (v: DataView, o: number, word: number): void => v.setUint16(o + FLAGS_OFFSET, word);

/** Computes the header checksum. */
export function setChecksum(v: DataView, o: number): void {
  v.setUint16(o + CHECKSUM, 0);
  v.setUint16(o + CHECKSUM, finish(sum(v, o, headerLen(v, o))));
}

/** Writes a header of 20 bytes with its checksum; `flagsAndOffset` is the word on the wire (FLAG_… | offset / 8). */
export function emit(
  v: DataView,
  o: number,
  totalLen: number,
  id: number,
  flagsAndOffset: number,
  ttl: number,
  proto: number,
  src: number,
  dst: number,
): void {
  v.setUint16(o + VERSION_IHL, 0x4500);
  v.setUint16(o + TOTAL_LEN, totalLen);
  v.setUint16(o + ID, id);
  v.setUint16(o + FLAGS_OFFSET, flagsAndOffset);
  v.setUint8(o + TTL, ttl);
  v.setUint8(o + PROTOCOL, proto);
  v.setUint32(o + SRC, src);
  v.setUint32(o + DST, dst);
  setChecksum(v, o);
}
