/**
 * ARP for IPv4 over Ethernet (RFC 826). Zone: packet. `o` is the offset of the ARP header.
 *
 *   0 htype | 2 ptype | 4 hlen | 5 plen | 6 op | 8 sender MAC | 14 sender IP | 18 target MAC | 24 target IP
 */
export const LEN = 28; // bytes
export const OP_REQUEST = 1;
export const OP_REPLY = 2;

const HTYPE_PTYPE = 0;
const HLEN_PLEN = 4;
const OP = 6;
const SENDER_MAC = 8;
const SENDER_IP = 14;
const TARGET_MAC = 18;
const TARGET_IP = 24;

const ETHERNET_IPV4 = 0x0001_0800; // hardware type 1, protocol type 0x0800
const LENGTHS = 0x0604; // 6-byte MAC, 4-byte IP

export const op = (v: DataView, o: number): number => v.getUint16(o + OP);
export const senderHi = (v: DataView, o: number): number => v.getUint16(o + SENDER_MAC);
export const senderLo = (v: DataView, o: number): number => v.getUint32(o + SENDER_MAC + 2);
export const senderIp = (v: DataView, o: number): number => v.getUint32(o + SENDER_IP);
export const targetHi = (v: DataView, o: number): number => v.getUint16(o + TARGET_MAC);
export const targetLo = (v: DataView, o: number): number => v.getUint32(o + TARGET_MAC + 2);
export const targetIp = (v: DataView, o: number): number => v.getUint32(o + TARGET_IP);

/** True for a whole ARP packet of Ethernet and IPv4; any operation. */
export function check(v: DataView, o: number, avail: number): boolean {
  return avail >= LEN && v.getUint32(o + HTYPE_PTYPE) === ETHERNET_IPV4 && v.getUint16(o + HLEN_PLEN) === LENGTHS;
}

export function setSender(v: DataView, o: number, hi: number, lo: number): void {
  v.setUint16(o + SENDER_MAC, hi);
  v.setUint32(o + SENDER_MAC + 2, lo);
}

export function setTarget(v: DataView, o: number, hi: number, lo: number): void {
  v.setUint16(o + TARGET_MAC, hi);
  v.setUint32(o + TARGET_MAC + 2, lo);
}

export function emit(
  v: DataView,
  o: number,
  op: number,
  senderHi: number,
  senderLo: number,
  senderIp: number,
  targetHi: number,
  targetLo: number,
  targetIp: number,
): void {
  v.setUint32(o + HTYPE_PTYPE, ETHERNET_IPV4);
  v.setUint16(o + HLEN_PLEN, LENGTHS);
  v.setUint16(o + OP, op);
  setSender(v, o, senderHi, senderLo);
  v.setUint32(o + SENDER_IP, senderIp);
  setTarget(v, o, targetHi, targetLo);
  v.setUint32(o + TARGET_IP, targetIp);
}
