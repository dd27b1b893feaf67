/**
 * struct virtio_net_hdr_v1 (virtio 1.2 §5.1.6), the offload header before a frame on TAP and vhost-user links.
 * Zone: packet. Little endian, 12 bytes; `o` is the offset of this header, csumStart counts from the frame behind it.
 *
 *   0 flags u8 | 1 gsoType u8 | 2 hdrLen u16 | 4 gsoSize u16 | 6 csumStart u16 | 8 csumOffset u16 | 10 numBuffers u16
 */
import * as ethernet from './ethernet.ts';
import { BAD_OFFLOAD, OK, type Verdict } from './verdict.ts';

export const LEN = 12; // bytes

export const NEEDS_CSUM = 1; // the field at csumStart + csumOffset holds the pseudo header's sum only
export const DATA_VALID = 2; // the checksum was verified, or need not be

export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_UDP = 3; // IP fragmentation of UDP, obsolete
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5; // UDP segmentation (USO)
export const GSO_ECN = 0x80; // flag beside a TCP type

const FLAGS = 0;
const GSO_TYPE = 1;
const HDR_LEN = 2;
const GSO_SIZE = 4;
const CSUM_START = 6;
const CSUM_OFFSET = 8;
const NUM_BUFFERS = 10;

export const flags = (v: DataView, o: number): number => v.getUint8(o + FLAGS);
export const gsoType = (v: DataView, o: number): number => v.getUint8(o + GSO_TYPE);
export const hdrLen = (v: DataView, o: number): number => v.getUint16(o + HDR_LEN, true);
export const gsoSize = (v: DataView, o: number): number => v.getUint16(o + GSO_SIZE, true);
export const csumStart = (v: DataView, o: number): number => v.getUint16(o + CSUM_START, true);
export const csumOffset = (v: DataView, o: number): number => v.getUint16(o + CSUM_OFFSET, true);
export const numBuffers = (v: DataView, o: number): number => v.getUint16(o + NUM_BUFFERS, true);

export const setFlags = (v: DataView, o: number, flags: number): void => v.setUint8(o + FLAGS, flags);
export const setGsoType = (v: DataView, o: number, type: number): void => v.setUint8(o + GSO_TYPE, type);
export const setHdrLen = (v: DataView, o: number, bytes: number): void => v.setUint16(o + HDR_LEN, bytes, true);
export const setGsoSize = (v: DataView, o: number, bytes: number): void => v.setUint16(o + GSO_SIZE, bytes, true);
export const setCsumStart = (v: DataView, o: number, at: number): void => v.setUint16(o + CSUM_START, at, true);
export const setCsumOffset = (v: DataView, o: number, at: number): void => v.setUint16(o + CSUM_OFFSET, at, true);
export const setNumBuffers = (v: DataView, o: number, n: number): void => v.setUint16(o + NUM_BUFFERS, n, true);

/** A header that asks for nothing. */
export function clear(v: DataView, o: number): void {
  v.setUint32(o, 0);
  v.setUint32(o + 4, 0);
  v.setUint32(o + 8, 0);
}

/** Writes all fields; numBuffers, which only a device sets, is zero. */
export function emit(
  v: DataView,
  o: number,
  flags: number,
  gsoType: number,
  hdrLen: number,
  gsoSize: number,
  csumStart: number,
  csumOffset: number,
): void {
  setFlags(v, o, flags);
  setGsoType(v, o, gsoType);
  setHdrLen(v, o, hdrLen);
  setGsoSize(v, o, gsoSize);
  setCsumStart(v, o, csumStart);
  setCsumOffset(v, o, csumOffset);
  setNumBuffers(v, o, 0);
}

/** Do a hostile guest's values stay within the frame of `frameLen` bytes behind the header? Unknown flags are ignored. */
export function check(v: DataView, o: number, frameLen: number): Verdict {
  const needsCsum = (flags(v, o) & NEEDS_CSUM) !== 0;
  if (needsCsum) {
    if (csumStart(v, o) < ethernet.HEADER_LEN) return BAD_OFFLOAD;
    if (csumStart(v, o) + csumOffset(v, o) + 2 > frameLen) return BAD_OFFLOAD;
  }
  const type = gsoType(v, o);
  if (type === GSO_NONE) return OK;
  if (!isKnownGso(type)) return BAD_OFFLOAD;
  // virtio 1.2 §5.1.6.2.1: segmentation needs the checksum offload and a segment size; hdrLen is a hint, so only bounded.
  if (!needsCsum || gsoSize(v, o) === 0 || hdrLen(v, o) > frameLen) return BAD_OFFLOAD;
  return OK;
}

function isKnownGso(type: number): boolean {
  const base = type & ~GSO_ECN;
  if (base === GSO_TCPV4 || base === GSO_TCPV6) return true;
  return type === GSO_UDP || type === GSO_UDP_L4;
}
