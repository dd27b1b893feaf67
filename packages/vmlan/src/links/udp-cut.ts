/**
 * Cutting a run of datagrams that came as one frame (virtio_net_hdr gso_type UDP_L4) into the frames of each
 * (Virtio 1.2 §5.1.6.2; Linux __udp_gso_segment).
 *
 * Zone: packet.  The frame is borrowed and stays untouched.  Its header is a guest's word: what the IP header does not
 * hold is not sent, and a frame becomes at most MAX_DATAGRAMS.
 */
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as udp from '../wire/udp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { type FrameSink, patchIp, transportStart } from './cut-headers.ts';

/** Linux makes no longer runs (UDP_MAX_SEGMENTS). */
const MAX_DATAGRAMS = 128;

/** Sends each datagram of the run by itself; false when one did not fit or the frame cannot be cut. */
export function sendUdpSegments(v: DataView, u8: Uint8Array, off: number, len: number, sink: FrameSink): boolean {
  const start = transportStart(v, off, len, ipv4.PROTO_UDP);
  if (start === 0) return false;
  const headers = start + udp.HEADER_LEN;
  const end = packetEnd(v, off); // what a link adds behind a short packet is no datagram
  const size = vnetHdr.gsoSize(v, off - vnetHdr.LEN);
  if (end <= headers || end - headers > size * MAX_DATAGRAMS) return false;
  for (let done = headers, index = 0; done < end; index++) {
    const part = Math.min(size, end - done);
    const to = sink.reserve(headers + part);
    if (to < 0) return false;
    u8.copyWithin(to, off, off + headers);
    u8.copyWithin(to + headers, off + done, off + done + part);
    v.setUint16(to + start + udp.LENGTH_OFFSET, udp.HEADER_LEN + part);
    const pseudo = patchIp(v, to, start, udp.HEADER_LEN + part, index, ipv4.PROTO_UDP);
    udp.setChecksum(v, to + start, pseudo);
    sink.commit(headers + part);
    done += part;
  }
  return true;
}

/** Offset from the frame's start of the first byte behind the IP packet, which was checked. */
function packetEnd(v: DataView, off: number): number {
  const ip = off + ethernet.HEADER_LEN;
  const len =
    ethernet.etherType(v, off) === ethernet.TYPE_IPV4 ? ipv4.totalLen(v, ip) : ipv6.HEADER_LEN + ipv6.payloadLen(v, ip);
  return ethernet.HEADER_LEN + len;
}
