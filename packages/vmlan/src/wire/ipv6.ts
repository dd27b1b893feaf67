/**
 * IPv6 headers and extension headers (RFC 8200). Zone: packet. `o` is the offset of the IPv6 header; accessors assume
 * `check` returned OK. An address is four uint32, most significant first. Lengths are bytes.
 * `upper` walks the extension headers into the module's `$upper`, which the next call overwrites.
 */
import { pseudo6 } from './checksum.ts';
import {
  BAD_FRAGMENT,
  BAD_HEADER_LENGTH,
  BAD_HEADER_ORDER,
  BAD_LENGTH,
  BAD_OPTION,
  BAD_VERSION,
  OK,
  SOURCE_ROUTED,
  TOO_MANY_HEADERS,
  TOO_SHORT,
  type Verdict,
} from './verdict.ts';

export const HEADER_LEN = 40;
export const MIN_MTU = 1280; // RFC 8200 §5
export const MAX_PAYLOAD_LEN = 65535;
export const FRAGMENT_HEADER_LEN = 8;

/** Extension headers that `upper` follows; a packet with more is refused (RFC 8504 §5.3 allows such limits). */
export const MAX_EXTENSION_HEADERS = 8;
/** Bytes of extension headers that `upper` follows. */
export const MAX_EXTENSION_BYTES = 1024;

export const NEXT_HOP_BY_HOP = 0;
export const NEXT_ROUTING = 43;
export const NEXT_FRAGMENT = 44;
export const NEXT_NONE = 59;
export const NEXT_DESTINATION = 60;

const VERSION_CLASS_FLOW = 0;
const PAYLOAD_LEN = 4;
const NEXT_HEADER = 6;
const HOP_LIMIT = 7;
const SRC = 8;
const DST = 24;

const OPTION_PAD1 = 0;
const OPTION_ACTION_MASK = 0xc0; // RFC 8200 §4.2: what to do with an option one does not know; 00 = skip it

export const trafficClass = (v: DataView, o: number): number => (v.getUint16(o + VERSION_CLASS_FLOW) >>> 4) & 0xff;
export const flowLabel = (v: DataView, o: number): number => v.getUint32(o + VERSION_CLASS_FLOW) & 0xfffff;
export const payloadLen = (v: DataView, o: number): number => v.getUint16(o + PAYLOAD_LEN);
export const nextHeader = (v: DataView, o: number): number => v.getUint8(o + NEXT_HEADER);
export const hopLimit = (v: DataView, o: number): number => v.getUint8(o + HOP_LIMIT);
export const src0 = (v: DataView, o: number): number => v.getUint32(o + SRC);
export const src1 = (v: DataView, o: number): number => v.getUint32(o + SRC + 4);
export const src2 = (v: DataView, o: number): number => v.getUint32(o + SRC + 8);
export const src3 = (v: DataView, o: number): number => v.getUint32(o + SRC + 12);
export const dst0 = (v: DataView, o: number): number => v.getUint32(o + DST);
export const dst1 = (v: DataView, o: number): number => v.getUint32(o + DST + 4);
export const dst2 = (v: DataView, o: number): number => v.getUint32(o + DST + 8);
export const dst3 = (v: DataView, o: number): number => v.getUint32(o + DST + 12);

/** Pseudo header sum of this packet for `proto`, with length zero: the upper codec adds its own length. */
export function pseudo(v: DataView, o: number, proto: number): number {
  return pseudo6(
    src0(v, o),
    src1(v, o),
    src2(v, o),
    src3(v, o),
    dst0(v, o),
    dst1(v, o),
    dst2(v, o),
    dst3(v, o),
    proto,
    0,
  );
}

/** Bounds and version of the fixed header. A jumbogram (payload length 0) is caught by `upper`. */
export function check(v: DataView, o: number, avail: number): Verdict {
  if (avail < HEADER_LEN) return TOO_SHORT;
  if (v.getUint8(o) >>> 4 !== 6) return BAD_VERSION;
  return HEADER_LEN + payloadLen(v, o) > avail ? BAD_LENGTH : OK;
}

/** For the packet that an ICMPv6 error quotes: a whole fixed header is there; it may be cut behind it. */
export function checkQuoted(v: DataView, o: number, avail: number): Verdict {
  if (avail < HEADER_LEN) return TOO_SHORT;
  return v.getUint8(o) >>> 4 === 6 ? OK : BAD_VERSION;
}

export const setPayloadLen = (v: DataView, o: number, len: number): void => v.setUint16(o + PAYLOAD_LEN, len);
export const setNextHeader = (v: DataView, o: number, next: number): void => v.setUint8(o + NEXT_HEADER, next);
export const setHopLimit = (v: DataView, o: number, hops: number): void => v.setUint8(o + HOP_LIMIT, hops);
export const setTrafficClass = (v: DataView, o: number, trafficClass: number): void =>
  v.setUint32(o + VERSION_CLASS_FLOW, ((6 << 28) | (trafficClass << 20) | flowLabel(v, o)) >>> 0);

export function setSrc(v: DataView, o: number, w0: number, w1: number, w2: number, w3: number): void {
  setWords(v, o + SRC, w0, w1, w2, w3);
}

export function setDst(v: DataView, o: number, w0: number, w1: number, w2: number, w3: number): void {
  setWords(v, o + DST, w0, w1, w2, w3);
}

function setWords(v: DataView, at: number, w0: number, w1: number, w2: number, w3: number): void {
  v.setUint32(at, w0);
  v.setUint32(at + 4, w1);
  v.setUint32(at + 8, w2);
  v.setUint32(at + 12, w3);
}

/** Writes the fixed header; traffic class and flow label are zero. */
export function emit(
  v: DataView,
  o: number,
  payloadLen: number,
  nextHeader: number,
  hopLimit: number,
  s0: number,
  s1: number,
  s2: number,
  s3: number,
  d0: number,
  d1: number,
  d2: number,
  d3: number,
): void {
  v.setUint32(o + VERSION_CLASS_FLOW, 0x6000_0000);
  v.setUint16(o + PAYLOAD_LEN, payloadLen);
  v.setUint8(o + NEXT_HEADER, nextHeader);
  v.setUint8(o + HOP_LIMIT, hopLimit);
  setSrc(v, o, s0, s1, s2, s3);
  setDst(v, o, d0, d1, d2, d3);
}

/** What `upper` found; offsets are offsets in the view. */
export interface Upper {
  /** Upper-layer protocol, or NEXT_NONE. In a fragment: what the fragment header names, which may be an extension. */
  protocol: number;
  /** Where it starts: for a fragment, the first byte behind the fragment header. */
  offset: number;
  /** Bytes from `offset` to the end of the IPv6 payload. */
  length: number;
  /** The fragment header, or -1; also set for an atomic fragment (RFC 6946), whose walk went on behind it. */
  fragment: number;
  /** True if the packet is one of several fragments, so that `offset` holds no upper-layer header to trust. */
  isFragment: boolean;
  /** Where the byte is that named `protocol`: for ICMPv6 parameter problems. */
  nextHeaderAt: number;
  /** Where the byte is that named the fragment header (value 44), or -1: reassembly writes the real protocol there. */
  fragmentNamedAt: number;
}

export const $upper: Upper = {
  protocol: NEXT_NONE,
  offset: 0,
  length: 0,
  fragment: -1,
  isFragment: false,
  nextHeaderAt: 0,
  fragmentNamedAt: -1,
};

/**
 * Follows the extension headers from the fixed header at `o` (already checked) to the upper layer; fills `$upper`.
 * `avail` is given for a quoted packet only, which may be cut short of its payload length.
 */
export function upper(v: DataView, o: number, avail: number = HEADER_LEN + MAX_PAYLOAD_LEN): Verdict {
  const start = o + HEADER_LEN;
  const end = Math.min(start + payloadLen(v, o), o + avail);
  let next = nextHeader(v, o);
  let namedAt = o + NEXT_HEADER;
  let p = start;
  $upper.fragment = -1;
  $upper.isFragment = false;
  $upper.fragmentNamedAt = -1;
  for (let n = 0; isExtension(next); n++) {
    if (n === MAX_EXTENSION_HEADERS || p - start > MAX_EXTENSION_BYTES) return TOO_MANY_HEADERS;
    if (next === NEXT_HOP_BY_HOP && n > 0) return BAD_HEADER_ORDER; // RFC 8200 §4.1
    const len = extensionLen(v, p, end, next);
    if (len === 0) return BAD_HEADER_LENGTH;
    const verdict = checkExtension(v, p, len, end, next);
    if (verdict !== OK) return verdict;
    if (next === NEXT_FRAGMENT) {
      $upper.fragment = p;
      $upper.fragmentNamedAt = namedAt;
      $upper.isFragment = fragmentOffset(v, p) !== 0 || moreFragments(v, p);
    }
    next = v.getUint8(p);
    namedAt = p;
    p += len;
    if ($upper.isFragment) break;
  }
  $upper.protocol = next;
  $upper.offset = p;
  $upper.length = end - p;
  $upper.nextHeaderAt = namedAt;
  return OK;
}

function isExtension(next: number): boolean {
  return next === NEXT_HOP_BY_HOP || next === NEXT_ROUTING || next === NEXT_FRAGMENT || next === NEXT_DESTINATION;
}

/** Length of the extension header at `p`, 0 if it does not fit before `end`. */
function extensionLen(v: DataView, p: number, end: number, next: number): number {
  if (p + 8 > end) return 0;
  const len = next === NEXT_FRAGMENT ? FRAGMENT_HEADER_LEN : (v.getUint8(p + 1) + 1) << 3;
  return p + len > end ? 0 : len;
}

function checkExtension(v: DataView, p: number, len: number, end: number, next: number): Verdict {
  if (next === NEXT_FRAGMENT) return checkFragment(v, p, end);
  if (next === NEXT_ROUTING) return checkRouting(v, p);
  return checkTlvOptions(v, p + 2, p + len);
}

/** Type 0 is refused (RFC 5095 §3), and so is any type that still names a hop: we do not forward along routes. */
function checkRouting(v: DataView, p: number): Verdict {
  return v.getUint8(p + 2) === 0 || v.getUint8(p + 3) !== 0 ? SOURCE_ROUTED : OK;
}

function checkFragment(v: DataView, p: number, end: number): Verdict {
  const len = end - p - FRAGMENT_HEADER_LEN;
  // RFC 8200 §4.5: all fragments but the last are multiples of 8; the whole is never longer than 65535.
  if (moreFragments(v, p) && (len === 0 || (len & 7) !== 0)) return BAD_FRAGMENT;
  return fragmentOffset(v, p) + len > MAX_PAYLOAD_LEN ? BAD_FRAGMENT : OK;
}

/** Options of hop-by-hop and destination headers; the bound is the header. Refuses those that must not be skipped. */
function checkTlvOptions(v: DataView, from: number, end: number): Verdict {
  for (let p = from; p < end;) {
    const type = v.getUint8(p);
    if (type === OPTION_PAD1) {
      p += 1;
      continue;
    }
    if ((type & OPTION_ACTION_MASK) !== 0 || p + 2 > end) return BAD_OPTION;
    p += 2 + v.getUint8(p + 1);
    if (p > end) return BAD_OPTION;
  }
  return OK;
}

// Fragment header (RFC 8200 §4.5); `f` is its offset: 0 next header | 1 reserved | 2 offset / 8, flags | 4 identification.
export const fragmentNextHeader = (v: DataView, f: number): number => v.getUint8(f);
export const fragmentOffset = (v: DataView, f: number): number => v.getUint16(f + 2) & 0xfff8;
export const moreFragments = (v: DataView, f: number): boolean => (v.getUint16(f + 2) & 1) !== 0;
export const fragmentId = (v: DataView, f: number): number => v.getUint32(f + 4);

export function emitFragment(
  v: DataView,
  f: number,
  nextHeader: number,
  offset: number,
  more: boolean,
  id: number,
): void {
  v.setUint8(f, nextHeader);
  v.setUint8(f + 1, 0);
  v.setUint16(f + 2, (offset & 0xfff8) | (more ? 1 : 0));
  v.setUint32(f + 4, id);
}
