/**
 * TCP segments as frames, for a guest that speaks TCP by itself.
 *
 * Zone: control.  What is damaged on the way is no segment: `readSegment` gives null.
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6, parseMac } from '../wire/address.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { $upper } from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';

/** Where a conversation is: addresses, and MACs on the segment. */
export interface TcpPath {
  readonly mac: string;
  readonly gatewayMac: string;
  readonly local: string;
  readonly remote: string;
  readonly localPort: number;
  readonly remotePort: number;
}

/** Sequence numbers as on the wire, int32. */
export interface TcpSegment {
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  /** Unscaled. */
  readonly window: number;
  readonly data: Uint8Array;
  readonly mss?: number | undefined;
  /** Absent: not offered. */
  readonly windowScale?: number | undefined;
  readonly sackPermitted?: boolean | undefined;
  readonly sack?: readonly (readonly [number, number])[] | undefined;
}

export interface HeardSegment extends TcpSegment {
  readonly remote: string;
  readonly localPort: number;
  readonly remotePort: number;
}

const OPTIONS_ROOM = 40;
const scratch = new DataView(new ArrayBuffer(OPTIONS_ROOM));

function writeOptions({ mss, windowScale, sackPermitted, sack }: TcpSegment): number {
  let end = 0;
  if (mss !== undefined) end = tcp.emitMss(scratch, end, mss);
  if (windowScale !== undefined) end = tcp.emitWindowScale(scratch, end, windowScale);
  if (sackPermitted === true) end = tcp.emitSackPermitted(scratch, end);
  if (sack !== undefined && sack.length > 0) {
    end = tcp.emitSackBlocks(scratch, end, Int32Array.from(sack.flat()), sack.length);
  }
  return end;
}

export function writeSegment(path: TcpPath, segment: TcpSegment): Uint8Array {
  const options = writeOptions(segment);
  const isV4 = !path.local.includes(':');
  const l4 = ethernet.HEADER_LEN + (isV4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN);
  const header = tcp.MIN_HEADER_LEN + options;
  const l4Len = header + segment.data.length;
  const frame = new Uint8Array(l4 + l4Len);
  const v = new DataView(frame.buffer);
  const [to, from] = [parseMac(path.gatewayMac)!, parseMac(path.mac)!];
  ethernet.emit(v, 0, to.hi, to.lo, from.hi, from.lo, isV4 ? ethernet.TYPE_IPV4 : ethernet.TYPE_IPV6);
  const pseudo = isV4 ? writeIpv4(v, path, l4Len) : writeIpv6(v, path, l4Len);
  const { seq, ack, flags, window } = segment;
  tcp.emit(v, l4, path.localPort, path.remotePort, seq, ack, header, flags, window);
  frame.set(new Uint8Array(scratch.buffer, 0, options), l4 + tcp.MIN_HEADER_LEN);
  frame.set(segment.data, l4 + header);
  tcp.setChecksum(v, l4, l4Len, pseudo);
  return frame;
}

function writeIpv4(v: DataView, { local, remote }: TcpPath, len: number): number {
  const ip = ethernet.HEADER_LEN;
  const [src, dst] = [parseIpv4(local)!, parseIpv4(remote)!];
  ipv4.emit(v, ip, ipv4.MIN_HEADER_LEN + len, 0, ipv4.FLAG_DF, 64, ipv4.PROTO_TCP, src, dst);
  return ipv4.pseudo(v, ip, ipv4.PROTO_TCP);
}

function writeIpv6(v: DataView, { local, remote }: TcpPath, len: number): number {
  const ip = ethernet.HEADER_LEN;
  const [s0, s1, s2, s3] = parseIpv6(local)!;
  const [d0, d1, d2, d3] = parseIpv6(remote)!;
  ipv6.emit(v, ip, len, ipv4.PROTO_TCP, 64, s0!, s1!, s2!, s3!, d0!, d1!, d2!, d3!);
  return ipv6.pseudo(v, ip, ipv4.PROTO_TCP);
}

/** The segment in a frame; null when it carries none, or its checksums are wrong. */
export function readSegment(frame: Uint8Array): HeardSegment | null {
  const v = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const ip = ethernet.HEADER_LEN;
  const avail = frame.length - ip;
  let [l4, len, pseudo, remote] = [0, 0, 0, ''];
  if (avail < 0) return null;
  if (ethernet.etherType(v, 0) === ethernet.TYPE_IPV4) {
    if (ipv4.check(v, ip, avail) !== 0 || ipv4.protocol(v, ip) !== ipv4.PROTO_TCP) return null;
    [l4, len, pseudo] = [ipv4.payload(v, ip), ipv4.payloadLen(v, ip), ipv4.pseudo(v, ip, ipv4.PROTO_TCP)];
    remote = formatIpv4(ipv4.src(v, ip));
  } else if (ethernet.etherType(v, 0) === ethernet.TYPE_IPV6) {
    if (ipv6.check(v, ip, avail) !== 0 || ipv6.upper(v, ip) !== 0 || $upper.protocol !== ipv4.PROTO_TCP) return null;
    [l4, len, pseudo] = [$upper.offset, $upper.length, ipv6.pseudo(v, ip, ipv4.PROTO_TCP)];
    remote = formatIpv6([ipv6.src0(v, ip), ipv6.src1(v, ip), ipv6.src2(v, ip), ipv6.src3(v, ip)]);
  } else {
    return null;
  }
  if (tcp.check(v, l4, len, pseudo) !== 0 || !tcp.parseOptions(v, l4)) return null;
  const { mss, windowScale, sackPermitted, sack, sackCount } = tcp.$options;
  return {
    remote,
    localPort: tcp.dstPort(v, l4),
    remotePort: tcp.srcPort(v, l4),
    flags: tcp.flags(v, l4),
    seq: tcp.seq(v, l4),
    ack: tcp.ack(v, l4),
    window: tcp.window(v, l4),
    data: frame.slice(l4 + tcp.dataOffset(v, l4), l4 + len),
    mss: mss > 0 ? mss : undefined,
    windowScale: windowScale >= 0 ? windowScale : undefined,
    sackPermitted,
    sack: Array.from({ length: sackCount }, (_, i) => [sack[2 * i]!, sack[2 * i + 1]!] as const),
  };
}
