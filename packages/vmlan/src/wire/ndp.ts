/**
 * Neighbor Discovery (RFC 4861): fields, validation and messages; options for router advertisements: ndp-options.ts.
 * Zone: packet. `o` is the offset of the ICMPv6 header, `len` the bytes of the whole message, `ip` the offset of the
 * IPv6 header. Accessors assume that `check` and `icmpv6.check` returned OK. Emitters leave the checksum zero; end with
 * `icmpv6.setChecksum`. Word n of an address is its n-th uint32.
 */
import * as icmpv6 from './icmpv6.ts';
import * as ipv6 from './ipv6.ts';
import {
  BAD_ADDRESS,
  BAD_CODE,
  BAD_HOP_LIMIT,
  BAD_OPTION,
  OK,
  TOO_SHORT,
  UNKNOWN_TYPE,
  type Verdict,
} from './verdict.ts';

export const HOP_LIMIT = 255; // RFC 4861 §7.1: less means that a router forwarded it
export const SOLICIT_LEN = 24; // NS and NA without options, bytes
export const ROUTER_SOLICIT_LEN = 8;
export const ROUTER_ADVERT_LEN = 16;
export const REDIRECT_LEN = 40;

// Neighbor advertisement flags, as `flags` returns them.
export const NA_ROUTER = 0x80;
export const NA_SOLICITED = 0x40;
export const NA_OVERRIDE = 0x20;

// Router advertisement flags; preference by RFC 4191 §2.2.
export const RA_MANAGED = 0x80;
export const RA_OTHER = 0x40;
export const RA_PREFERENCE_HIGH = 0x08;
export const RA_PREFERENCE_LOW = 0x18;

export const OPTION_SOURCE_LINK_LAYER = 1;
export const OPTION_TARGET_LINK_LAYER = 2;
export const OPTION_PREFIX = 3;
export const OPTION_MTU = 5;
export const OPTION_ROUTE = 24; // RFC 4191
export const OPTION_RDNSS = 25; // RFC 8106
export const OPTION_DNSSL = 31;

const FLAGS = 4;
const TARGET = 8;
const REDIRECT_DESTINATION = 24;
const RA_HOP_LIMIT = 4;
const RA_FLAGS = 5;
const RA_LIFETIME = 6;
const RA_REACHABLE = 8;
const RA_RETRANS = 12;

export const flags = (v: DataView, o: number): number => v.getUint8(o + FLAGS); // NA
export const target0 = (v: DataView, o: number): number => v.getUint32(o + TARGET); // NS, NA, redirect
export const target1 = (v: DataView, o: number): number => v.getUint32(o + TARGET + 4);
export const target2 = (v: DataView, o: number): number => v.getUint32(o + TARGET + 8);
export const target3 = (v: DataView, o: number): number => v.getUint32(o + TARGET + 12);
export const destination0 = (v: DataView, o: number): number => v.getUint32(o + REDIRECT_DESTINATION); // redirect
export const destination1 = (v: DataView, o: number): number => v.getUint32(o + REDIRECT_DESTINATION + 4);
export const destination2 = (v: DataView, o: number): number => v.getUint32(o + REDIRECT_DESTINATION + 8);
export const destination3 = (v: DataView, o: number): number => v.getUint32(o + REDIRECT_DESTINATION + 12);

export const raHopLimit = (v: DataView, o: number): number => v.getUint8(o + RA_HOP_LIMIT);
export const raFlags = (v: DataView, o: number): number => v.getUint8(o + RA_FLAGS);
export const raLifetimeS = (v: DataView, o: number): number => v.getUint16(o + RA_LIFETIME);
export const raReachableMs = (v: DataView, o: number): number => v.getUint32(o + RA_REACHABLE);
export const raRetransMs = (v: DataView, o: number): number => v.getUint32(o + RA_RETRANS);

/** Bytes before the options of a message type, 0 if the type is not Neighbor Discovery. */
export function fixedLen(type: number): number {
  if (type === icmpv6.TYPE_NEIGHBOR_SOLICIT || type === icmpv6.TYPE_NEIGHBOR_ADVERT) return SOLICIT_LEN;
  if (type === icmpv6.TYPE_ROUTER_SOLICIT) return ROUTER_SOLICIT_LEN;
  if (type === icmpv6.TYPE_ROUTER_ADVERT) return ROUTER_ADVERT_LEN;
  return type === icmpv6.TYPE_REDIRECT ? REDIRECT_LEN : 0;
}

/** Validation by RFC 4861 §6.1, §7.1 and §8.1; the ICMPv6 checksum is checked apart. */
export function check(v: DataView, ip: number, o: number, len: number): Verdict {
  if (len < icmpv6.HEADER_LEN) return TOO_SHORT;
  const type = icmpv6.type(v, o);
  const fixed = fixedLen(type);
  if (fixed === 0) return UNKNOWN_TYPE;
  if (len < fixed) return TOO_SHORT;
  if (ipv6.hopLimit(v, ip) !== HOP_LIMIT) return BAD_HOP_LIMIT;
  if (icmpv6.code(v, o) !== 0) return BAD_CODE;
  if (!checkOptions(v, o + fixed, o + len)) return BAD_OPTION;
  return checkAddresses(v, ip, o, len, type);
}

function checkAddresses(v: DataView, ip: number, o: number, len: number, type: number): Verdict {
  if (type === icmpv6.TYPE_ROUTER_ADVERT) return isLinkLocalSource(v, ip) ? OK : BAD_ADDRESS;
  if (type === icmpv6.TYPE_REDIRECT) return checkRedirect(v, ip, o);
  if (type === icmpv6.TYPE_ROUTER_SOLICIT) return isUnspecifiedSource(v, ip) ? checkNoSource(v, o, len, type) : OK;
  if (v.getUint8(o + TARGET) === 0xff) return BAD_ADDRESS;
  if (type === icmpv6.TYPE_NEIGHBOR_ADVERT) {
    const toMulticast = ipv6.dst0(v, ip) >>> 24 === 0xff;
    return toMulticast && (flags(v, o) & NA_SOLICITED) !== 0 ? BAD_ADDRESS : OK;
  }
  if (!isUnspecifiedSource(v, ip)) return OK;
  // Duplicate address detection: only to a solicited-node address, and without a source link-layer option.
  return isSolicitedNodeDestination(v, ip) ? checkNoSource(v, o, len, type) : BAD_ADDRESS;
}

function checkNoSource(v: DataView, o: number, len: number, type: number): Verdict {
  return findOption(v, o + fixedLen(type), o + len, OPTION_SOURCE_LINK_LAYER) === -1 ? OK : BAD_OPTION;
}

function checkRedirect(v: DataView, ip: number, o: number): Verdict {
  if (!isLinkLocalSource(v, ip) || v.getUint8(o + REDIRECT_DESTINATION) === 0xff) return BAD_ADDRESS;
  if (target0(v, o) >>> 22 === 0x3fa) return OK;
  return isOnLinkRedirect(v, o) ? OK : BAD_ADDRESS;
}

/** RFC 4861 §8: the target equals the destination if that is a neighbour itself. */
const isOnLinkRedirect = (v: DataView, o: number): boolean =>
  target0(v, o) === destination0(v, o) &&
  target1(v, o) === destination1(v, o) &&
  target2(v, o) === destination2(v, o) &&
  target3(v, o) === destination3(v, o);

const isLinkLocalSource = (v: DataView, ip: number): boolean => ipv6.src0(v, ip) >>> 22 === 0x3fa; // fe80::/10
const isUnspecifiedSource = (v: DataView, ip: number): boolean =>
  (ipv6.src0(v, ip) | ipv6.src1(v, ip) | ipv6.src2(v, ip) | ipv6.src3(v, ip)) === 0;
const isSolicitedNodeDestination = (v: DataView, ip: number): boolean =>
  ipv6.dst0(v, ip) === 0xff02_0000 &&
  ipv6.dst1(v, ip) === 0 &&
  ipv6.dst2(v, ip) === 1 &&
  ipv6.dst3(v, ip) >>> 24 === 0xff;

/** True if the options fill the range exactly. A length of zero is invalid (RFC 4861 §4.6), so each step advances. */
function checkOptions(v: DataView, from: number, end: number): boolean {
  let p = from;
  while (p + 8 <= end) {
    const len = optionLen(v, p);
    if (len === 0) return false;
    p += len;
  }
  return p === end;
}

/** Offset of the first option of `type` in the range, or -1; also -1 where the options are malformed. */
export function findOption(v: DataView, from: number, end: number, type: number): number {
  for (let p = from; p + 8 <= end;) {
    const len = optionLen(v, p);
    if (len === 0 || p + len > end) return -1;
    if (v.getUint8(p) === type) return p;
    p += len;
  }
  return -1;
}

/** Bytes of the option at `p`. */
export const optionLen = (v: DataView, p: number): number => v.getUint8(p + 1) << 3;

/** Offset of the source or target link-layer option (6-byte MAC) of the message at `o`, or -1. */
export function findLinkLayer(v: DataView, o: number, len: number, option: number): number {
  const p = findOption(v, o + fixedLen(icmpv6.type(v, o)), o + len, option);
  return p !== -1 && optionLen(v, p) === 8 ? p : -1;
}

export const linkLayerHi = (v: DataView, p: number): number => v.getUint16(p + 2);
export const linkLayerLo = (v: DataView, p: number): number => v.getUint32(p + 4);

/** Overwrites the MAC of a link-layer option; the checksum is then stale. */
export function setLinkLayer(v: DataView, p: number, hi: number, lo: number): void {
  v.setUint16(p + 2, hi);
  v.setUint32(p + 4, lo);
}

/** A link-layer option of 8 bytes; returns the offset behind it. */
export function putLinkLayer(v: DataView, p: number, option: number, hi: number, lo: number): number {
  v.setUint16(p, (option << 8) | 1);
  setLinkLayer(v, p, hi, lo);
  return p + 8;
}

/** Neighbor solicitation for a target, with source link-layer option; returns its length, 32. */
export function emitNeighborSolicit(
  v: DataView,
  o: number,
  t0: number,
  t1: number,
  t2: number,
  t3: number,
  macHi: number,
  macLo: number,
): number {
  icmpv6.emit(v, o, icmpv6.TYPE_NEIGHBOR_SOLICIT, 0, 0);
  setTarget(v, o, t0, t1, t2, t3);
  return putLinkLayer(v, o + SOLICIT_LEN, OPTION_SOURCE_LINK_LAYER, macHi, macLo) - o;
}

/** Neighbor advertisement with target link-layer option; returns its length, 32. */
export function emitNeighborAdvert(
  v: DataView,
  o: number,
  flags: number,
  t0: number,
  t1: number,
  t2: number,
  t3: number,
  macHi: number,
  macLo: number,
): number {
  icmpv6.emit(v, o, icmpv6.TYPE_NEIGHBOR_ADVERT, 0, (flags << 24) >>> 0);
  setTarget(v, o, t0, t1, t2, t3);
  return putLinkLayer(v, o + SOLICIT_LEN, OPTION_TARGET_LINK_LAYER, macHi, macLo) - o;
}

function setTarget(v: DataView, o: number, t0: number, t1: number, t2: number, t3: number): void {
  v.setUint32(o + TARGET, t0);
  v.setUint32(o + TARGET + 4, t1);
  v.setUint32(o + TARGET + 8, t2);
  v.setUint32(o + TARGET + 12, t3);
}

/** Router advertisement without options; returns the offset for the first one (`put…` of ndp-options.ts). */
export function emitRouterAdvert(
  v: DataView,
  o: number,
  hopLimit: number,
  flags: number,
  lifetimeS: number,
  reachableMs: number,
  retransMs: number,
): number {
  icmpv6.emit(v, o, icmpv6.TYPE_ROUTER_ADVERT, 0, 0);
  v.setUint8(o + RA_HOP_LIMIT, hopLimit);
  v.setUint8(o + RA_FLAGS, flags);
  v.setUint16(o + RA_LIFETIME, lifetimeS);
  v.setUint32(o + RA_REACHABLE, reachableMs);
  v.setUint32(o + RA_RETRANS, retransMs);
  return o + ROUTER_ADVERT_LEN;
}
