/**
 * What cutting a frame into smaller ones shares, whatever the transport: where its header lies, and the IP header of a part.
 *
 * Zone: packet.
 */
import { pseudo4, pseudo6 } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { $upper } from '../wire/ipv6.ts';

/** Space for plain frames: `reserve` returns an arena offset or -1, `commit` sends what was written there. */
export interface FrameSink {
  reserve(len: number): number;
  commit(len: number): void;
}

/** Offset from the frame's start of the header of `protocol`; 0 when there is none to cut by. */
export function transportStart(v: DataView, off: number, len: number, protocol: number): number {
  const l3 = off + ethernet.HEADER_LEN;
  const avail = len - ethernet.HEADER_LEN;
  const type = ethernet.etherType(v, off);
  if (type === ethernet.TYPE_IPV4) {
    if (ipv4.check(v, l3, avail) !== 0 || ipv4.isFragment(v, l3) || ipv4.protocol(v, l3) !== protocol) return 0;
    return ethernet.HEADER_LEN + ipv4.headerLen(v, l3);
  }
  if (type !== ethernet.TYPE_IPV6 || ipv6.check(v, l3, avail) !== 0 || ipv6.upper(v, l3) !== 0) return 0;
  return $upper.isFragment || $upper.protocol !== protocol ? 0 : $upper.offset - off;
}

/** Length, identification and header checksum of a cut frame; returns its pseudo header sum with length zero. */
export function patchIp(
  v: DataView,
  frame: number,
  start: number,
  l4Len: number,
  index: number,
  proto: number,
): number {
  const ip = frame + ethernet.HEADER_LEN;
  const headerLen = start - ethernet.HEADER_LEN;
  if (ethernet.etherType(v, frame) === ethernet.TYPE_IPV4) {
    ipv4.setTotalLen(v, ip, headerLen + l4Len);
    ipv4.setId(v, ip, (ipv4.id(v, ip) + index) & 0xffff);
    ipv4.setChecksum(v, ip);
    return pseudo4(ipv4.src(v, ip), ipv4.dst(v, ip), proto, 0);
  }
  ipv6.setPayloadLen(v, ip, headerLen - ipv6.HEADER_LEN + l4Len);
  return pseudo6(
    ipv6.src0(v, ip),
    ipv6.src1(v, ip),
    ipv6.src2(v, ip),
    ipv6.src3(v, ip),
    ipv6.dst0(v, ip),
    ipv6.dst1(v, ip),
    ipv6.dst2(v, ip),
    ipv6.dst3(v, ip),
    proto,
    0,
  );
}
