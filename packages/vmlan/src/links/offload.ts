/**
 * Checksum completion and segmentation in software, for links that carry plain frames.
 *
 * Zone: packet.  The frame at (off, len) is borrowed and stays untouched; what leaves is written into space that the
 * sink reserves, one plain frame at a time.  Semantics of virtio_net_hdr: Virtio 1.2 §5.1.6.2; TCP segmentation as
 * Linux does it (Documentation/networking/segmentation-offloads.rst).  The header of a guest's frame is a guest's word:
 * whatever it says, nothing is written beyond what was reserved, and a frame becomes at most MAX_SEGMENTS.
 */
import { fold, sum } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { type FrameSink, patchIp, transportStart } from './cut-headers.ts';
import { sendUdpSegments } from './udp-cut.ts';

export type { FrameSink };

/** The longest packet in segments of the smallest MSS that Linux takes, 48 bytes. */
const MAX_SEGMENTS = 1366;

/** Sends the frame as one or more plain frames; false when a part did not fit or cannot be cut. */
export function sendPlain(v: DataView, u8: Uint8Array, off: number, len: number, sink: FrameSink): boolean {
  const hdr = off - vnetHdr.LEN;
  const type = vnetHdr.gsoType(v, hdr) & ~vnetHdr.GSO_ECN;
  if (type === vnetHdr.GSO_NONE) return sendWhole(v, u8, off, len, sink);
  if (type === vnetHdr.GSO_TCPV4 || type === vnetHdr.GSO_TCPV6) return sendTcpSegments(v, u8, off, len, sink);
  if (type === vnetHdr.GSO_UDP_L4) return sendUdpSegments(v, u8, off, len, sink);
  return false;
}

function sendWhole(v: DataView, u8: Uint8Array, off: number, len: number, sink: FrameSink): boolean {
  const to = sink.reserve(len);
  if (to < 0) return false;
  u8.copyWithin(to, off, off + len);
  const hdr = off - vnetHdr.LEN;
  if ((vnetHdr.flags(v, hdr) & vnetHdr.NEEDS_CSUM) !== 0) {
    complete(v, to, len, vnetHdr.csumStart(v, hdr), vnetHdr.csumOffset(v, hdr));
  }
  sink.commit(len);
  return true;
}

/** The field at start + offset holds the pseudo header's sum: sums the rest and stores the checksum. */
export function complete(v: DataView, off: number, len: number, start: number, offset: number): void {
  const value = ~fold(sum(v, off + start, len - start)) & 0xffff;
  // RFC 768: a computed zero is sent as all ones. TCP's field lies elsewhere.
  v.setUint16(off + start + offset, value === 0 && offset === udp.CHECKSUM_OFFSET ? 0xffff : value);
}

function sendTcpSegments(v: DataView, u8: Uint8Array, off: number, len: number, sink: FrameSink): boolean {
  const start = transportStart(v, off, len, ipv4.PROTO_TCP);
  if (start === 0 || tcp.check(v, off + start, len - start, tcp.UNVERIFIED) !== 0) return false;
  const headers = start + tcp.dataOffset(v, off + start);
  const mss = vnetHdr.gsoSize(v, off - vnetHdr.LEN);
  if (!isCuttable(len - headers, mss)) return false;
  const flags = tcp.flags(v, off + start);
  const seq = tcp.seq(v, off + start);
  for (let done = headers, index = 0; done < len; index++) {
    const part = Math.min(mss, len - done);
    const last = done + part === len;
    const to = sink.reserve(headers + part);
    if (to < 0) return false;
    u8.copyWithin(to, off, off + headers);
    u8.copyWithin(to + headers, off + done, off + done + part);
    const l4 = to + start;
    v.setInt32(l4 + 4, (seq + done - headers) | 0);
    let own = last ? flags : flags & ~(tcp.FIN | tcp.PSH);
    if (index > 0) own &= ~tcp.CWR;
    v.setUint8(l4 + 13, own);
    const pseudo = patchIp(v, to, start, headers + part - start, index, ipv4.PROTO_TCP);
    tcp.setChecksum(v, l4, headers + part - start, pseudo);
    sink.commit(headers + part);
    done += part;
  }
  return true;
}

const isCuttable = (bytes: number, size: number): boolean => bytes > 0 && bytes <= size * MAX_SEGMENTS;
