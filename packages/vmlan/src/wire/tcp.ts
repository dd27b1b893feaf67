/**
 * TCP headers (RFC 9293 §3.1). Zone: packet. `o` is the offset of the TCP header; accessors assume `check` returned OK.
 * Sequence numbers are int32, so that `((a - b) | 0) < 0` means before. Options: tcp-options.ts.
 * `pseudo` is the pseudo header's sum with length zero (`ipv4.pseudo(v, ip, PROTO_TCP)`): the length is added here.
 */
import { finish, fold, sum, VALID } from './checksum.ts';
import { BAD_CHECKSUM, BAD_HEADER_LENGTH, OK, TOO_SHORT, type Verdict } from './verdict.ts';

export {
  $options,
  emitMss,
  emitNop,
  emitSackBlocks,
  emitSackPermitted,
  emitTimestamps,
  emitWindowScale,
  MAX_SACK_BLOCKS,
  MAX_WINDOW_SCALE,
  parseOptions,
  type TcpOptions,
} from './tcp-options.ts';

export const MIN_HEADER_LEN = 20; // bytes
export const MAX_HEADER_LEN = 60;
export const CHECKSUM_OFFSET = 16; // for checksum offload
export const SEQ_OFFSET = 4; // for segmentation
export const FLAGS_OFFSET = 13;

/** For `check`: what the link has verified, or left to us to fill in, is not verified again. */
export const UNVERIFIED = -1;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;

const SRC_PORT = 0;
const DST_PORT = 2;
const SEQ: number = SEQ_OFFSET;
const ACK_NUMBER = 8;
const DATA_OFFSET = 12; // high 4 bits, units of 4 bytes
const FLAGS: number = FLAGS_OFFSET;
const WINDOW = 14;
const CHECKSUM: number = CHECKSUM_OFFSET;
const URGENT = 18;

export const srcPort = (v: DataView, o: number): number => v.getUint16(o + SRC_PORT);
export const dstPort = (v: DataView, o: number): number => v.getUint16(o + DST_PORT);
export const seq = (v: DataView, o: number): number => v.getInt32(o + SEQ);
export const ack = (v: DataView, o: number): number => v.getInt32(o + ACK_NUMBER);
/** Header and options, bytes. */
export const dataOffset = (v: DataView, o: number): number => (v.getUint8(o + DATA_OFFSET) >>> 4) << 2;
export const flags = (v: DataView, o: number): number => v.getUint8(o + FLAGS);
/** Unscaled. */
export const window = (v: DataView, o: number): number => v.getUint16(o + WINDOW);
export const checksum = (v: DataView, o: number): number => v.getUint16(o + CHECKSUM);
export const urgent = (v: DataView, o: number): number => v.getUint16(o + URGENT);

/** `len` is the whole segment, which IP delimits. `pseudo` may be UNVERIFIED. */
export function check(v: DataView, o: number, len: number, pseudo: number): Verdict {
  if (len < MIN_HEADER_LEN) return TOO_SHORT;
  const header = dataOffset(v, o);
  if (header < MIN_HEADER_LEN || header > len) return BAD_HEADER_LENGTH;
  if (pseudo === UNVERIFIED) return OK;
  return fold(sum(v, o, len, pseudo + len)) === VALID ? OK : BAD_CHECKSUM;
}

/** Writes the 20 fixed bytes with checksum and urgent pointer zero; `headerLen` includes the options, a multiple of 4. */
export function emit(
  v: DataView,
  o: number,
  srcPort: number,
  dstPort: number,
  seq: number,
  ack: number,
  headerLen: number,
  flags: number,
  window: number,
): void {
  v.setUint16(o + SRC_PORT, srcPort);
  v.setUint16(o + DST_PORT, dstPort);
  v.setInt32(o + SEQ, seq);
  v.setInt32(o + ACK_NUMBER, ack);
  v.setUint8(o + DATA_OFFSET, headerLen << 2);
  v.setUint8(o + FLAGS, flags);
  v.setUint16(o + WINDOW, window);
  v.setUint32(o + CHECKSUM, 0);
}

/** Computes the checksum over the segment of `len` bytes. */
export function setChecksum(v: DataView, o: number, len: number, pseudo: number): void {
  v.setUint16(o + CHECKSUM, 0);
  v.setUint16(o + CHECKSUM, finish(sum(v, o, len, pseudo + len)));
}

/** For checksum offload: the field holds the pseudo header's sum, not complemented. */
export function setPartialChecksum(v: DataView, o: number, len: number, pseudo: number): void {
  v.setUint16(o + CHECKSUM, fold(pseudo + len));
}
