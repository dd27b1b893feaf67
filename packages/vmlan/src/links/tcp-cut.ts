/**
 * Cutting a TCP segment longer than the MSS (virtio_net_hdr gso_type TCPV4, TCPV6) into the frames of each, as Linux
 * does it (Documentation/networking/segmentation-offloads.rst, tcp_gso_segment).
 *
 * Zone: packet.  The frame is borrowed and stays untouched.  Its header is a guest's word: nothing is written beyond
 * what was reserved, and a frame becomes at most MAX_SEGMENTS.  The payload is read once: it is summed while copied.
 */
import { copySum, finish, fold, sum } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { type FrameSink, patchIp, transportStart } from './cut-headers.ts';

/** The longest packet in segments of the smallest MSS that Linux takes, 48 bytes. */
const MAX_SEGMENTS = 1366;

/** Sends each segment by itself; false when one did not fit or the frame cannot be cut. */
export function sendTcpSegments(v: DataView, u8: Uint8Array, off: number, len: number, sink: FrameSink): boolean {
  const start = transportStart(v, off, len, ipv4.PROTO_TCP);
  if (start === 0 || tcp.check(v, off + start, len - start, tcp.UNVERIFIED) !== 0) return false;
  const headers = start + tcp.dataOffset(v, off + start);
  const mss = vnetHdr.gsoSize(v, off - vnetHdr.LEN);
  if (!isCuttable(len - headers, mss)) return false;
  const flags = tcp.flags(v, off + start);
  const seq = tcp.seq(v, off + start);
  const fixed = fixedSum(v, off + start, headers - start);
  for (let done = headers, index = 0; done < len; index++) {
    const part = Math.min(mss, len - done);
    const to = sink.reserve(headers + part);
    if (to < 0) return false;
    copyHeaders(v, off, headers, to);
    const l4 = to + start;
    const l4Len = headers + part - start;
    const ownSeq = (seq + done - headers) | 0;
    let own = done + part === len ? flags : flags & ~(tcp.FIN | tcp.PSH);
    if (index > 0) own &= ~tcp.CWR;
    v.setInt32(l4 + tcp.SEQ_OFFSET, ownSeq);
    v.setUint8(l4 + tcp.FLAGS_OFFSET, own);
    const pseudo = patchIp(v, to, start, l4Len, index, ipv4.PROTO_TCP);
    const own16 = own + (ownSeq >>> 16) + (ownSeq & 0xffff) + l4Len;
    const total = copySum(v, u8, off + done, part, to + headers, fixed + pseudo + own16);
    v.setUint16(l4 + tcp.CHECKSUM_OFFSET, finish(total));
    sink.commit(headers + part);
    done += part;
  }
  return true;
}

/** Sum of what is alike in all segments: the TCP header without sequence number, flags and checksum (RFC 1624 §3). */
function fixedSum(v: DataView, l4: number, len: number): number {
  const seq = tcp.seq(v, l4);
  const varying = (seq >>> 16) + (seq & 0xffff) + tcp.flags(v, l4) + tcp.checksum(v, l4);
  return sum(v, l4, len) + (~fold(varying) & 0xffff);
}

/** A call of copyWithin costs more than so few bytes. */
function copyHeaders(v: DataView, off: number, len: number, to: number): void {
  const words = len & ~3;
  for (let i = 0; i < words; i += 4) v.setInt32(to + i, v.getInt32(off + i));
  for (let i = words; i < len; i++) v.setUint8(to + i, v.getUint8(off + i));
}

const isCuttable = (bytes: number, size: number): boolean => bytes > 0 && bytes <= size * MAX_SEGMENTS;
