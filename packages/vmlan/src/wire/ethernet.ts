/**
 * Ethernet II frames (IEEE 802.3 clause 3, without the FCS). Zone: packet. `o` is the offset of the destination address.
 * A MAC address is two numbers: `hi`, its first two bytes, and `lo`, its last four. Lengths are bytes.
 */
export const HEADER_LEN = 14;
export const VLAN_TAG_LEN = 4;
export const MIN_FRAME_LEN = 60; // shorter ones are padded on a real wire; virtual links carry them as they are
export const MIN_MTU = 1280; // RFC 8200 §5
export const DEFAULT_MTU = 1500;
export const MAX_MTU = 65535; // an IPv4 packet is never longer
export const MAX_FRAME_LEN: number = HEADER_LEN + VLAN_TAG_LEN + MAX_MTU;

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_VLAN = 0x8100;
export const TYPE_IPV6 = 0x86dd;
export const MIN_TYPE = 0x0600; // below it, the field is an 802.3 length

const DST = 0;
const SRC = 6;
const TYPE = 12;

export const dstHi = (v: DataView, o: number): number => v.getUint16(o + DST);
export const dstLo = (v: DataView, o: number): number => v.getUint32(o + DST + 2);
export const srcHi = (v: DataView, o: number): number => v.getUint16(o + SRC);
export const srcLo = (v: DataView, o: number): number => v.getUint32(o + SRC + 2);
export const etherType = (v: DataView, o: number): number => v.getUint16(o + TYPE);

/** True if a frame of `len` bytes has a whole header. */
export const check = (len: number): boolean => len >= HEADER_LEN;

/** Group bit of the destination: multicast or broadcast. */
export const isMulticast = (v: DataView, o: number): boolean => (v.getUint8(o + DST) & 1) !== 0;
/** Group bit of the source, which no honest frame has. */
export const isSrcMulticast = (v: DataView, o: number): boolean => (v.getUint8(o + SRC) & 1) !== 0;
export const isBroadcast = (v: DataView, o: number): boolean => dstHi(v, o) === 0xffff && dstLo(v, o) === 0xffffffff;

export function setDst(v: DataView, o: number, hi: number, lo: number): void {
  v.setUint16(o + DST, hi);
  v.setUint32(o + DST + 2, lo);
}

export function setSrc(v: DataView, o: number, hi: number, lo: number): void {
  v.setUint16(o + SRC, hi);
  v.setUint32(o + SRC + 2, lo);
}

export function setType(v: DataView, o: number, type: number): void {
  v.setUint16(o + TYPE, type);
}

export function emit(
  v: DataView,
  o: number,
  dstHi: number,
  dstLo: number,
  srcHi: number,
  srcLo: number,
  type: number,
): void {
  setDst(v, o, dstHi, dstLo);
  setSrc(v, o, srcHi, srcLo);
  setType(v, o, type);
}
