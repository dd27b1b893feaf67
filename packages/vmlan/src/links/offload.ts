/**
 * Checksum completion and segmentation in software, for links that carry plain frames.
 *
 * Zone: packet.  The frame at (off, len) is borrowed and stays untouched; what leaves is written into space that the
 * sink reserves, one plain frame at a time.  Semantics of virtio_net_hdr: Virtio 1.2 §5.1.6.2; segmentation is tcp-cut.ts
 * and udp-cut.ts.  The header of a guest's frame is a guest's word: whatever it says, nothing is written beyond what was
 * reserved.
 */
import { fold, sum } from '../wire/checksum.ts';
import * as udp from '../wire/udp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import type { FrameSink } from './cut-headers.ts';
import { sendTcpSegments } from './tcp-cut.ts';
import { sendUdpSegments } from './udp-cut.ts';

export type { FrameSink };

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
