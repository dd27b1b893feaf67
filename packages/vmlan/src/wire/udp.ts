/**
 * UDP (RFC 768, RFC 8200 §8.1). Zone: packet. `o` is the offset of the UDP header; accessors assume `check` returned OK.
 * `pseudo` is the pseudo header's sum with length zero (`ipv4.pseudo(v, ip, PROTO_UDP)`): the length is added here.
 */
import { finish, fold, sum, VALID } from './checksum.ts';
import { BAD_CHECKSUM, BAD_LENGTH, OK, TOO_SHORT, type Verdict } from './verdict.ts';

export const HEADER_LEN = 8; // bytes
export const CHECKSUM_OFFSET = 6; // for checksum offload
export const LENGTH_OFFSET = 4; // of header and payload

/** For `check`: what the link has verified, or left to us to fill in, is not verified again. */
export const UNVERIFIED = -1;

const SRC_PORT = 0;
const DST_PORT = 2;
const LENGTH: number = LENGTH_OFFSET;
const CHECKSUM: number = CHECKSUM_OFFSET; // 0 = none, on IPv4 only

export const srcPort = (v: DataView, o: number): number => v.getUint16(o + SRC_PORT);
export const dstPort = (v: DataView, o: number): number => v.getUint16(o + DST_PORT);
export const length = (v: DataView, o: number): number => v.getUint16(o + LENGTH);
export const checksum = (v: DataView, o: number): number => v.getUint16(o + CHECKSUM);
export const payloadLen = (v: DataView, o: number): number => length(v, o) - HEADER_LEN;

/** Bounds before sums. `zeroAllowed`: a checksum of zero means none (IPv4); on IPv6 it is an error. */
export function check(v: DataView, o: number, avail: number, pseudo: number, zeroAllowed: boolean): Verdict {
  if (avail < HEADER_LEN) return TOO_SHORT;
  const len = length(v, o);
  if (len < HEADER_LEN || len > avail) return BAD_LENGTH;
  if (pseudo === UNVERIFIED) return OK;
  if (checksum(v, o) === 0) return zeroAllowed ? OK : BAD_CHECKSUM;
  return fold(sum(v, o, len, pseudo + len)) === VALID ? OK : BAD_CHECKSUM;
}

/** Writes the header with a zero checksum; `len` is header and payload. */
export function emit(v: DataView, o: number, srcPort: number, dstPort: number, len: number): void {
  v.setUint16(o + SRC_PORT, srcPort);
  v.setUint16(o + DST_PORT, dstPort);
  v.setUint16(o + LENGTH, len);
  v.setUint16(o + CHECKSUM, 0);
}

/** Computes the checksum over the datagram; a result of zero is sent as 0xffff (RFC 768). */
export function setChecksum(v: DataView, o: number, pseudo: number): void {
  const len = length(v, o);
  v.setUint16(o + CHECKSUM, 0);
  const value = finish(sum(v, o, len, pseudo + len));
  v.setUint16(o + CHECKSUM, value === 0 ? 0xffff : value);
}

/** For checksum offload: the field holds the pseudo header's sum, not complemented. */
export function setPartialChecksum(v: DataView, o: number, pseudo: number): void {
  v.setUint16(o + CHECKSUM, fold(pseudo + length(v, o)));
}
