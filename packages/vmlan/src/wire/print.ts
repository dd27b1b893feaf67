/**
 * One line of text for a frame, in tcpdump's manner, for debugging and tests. Zone: control.
 * Prints whatever bytes it gets and never throws: what a codec refuses is shown with its verdict in brackets.
 */
import { formatIpv4, formatIpv6, formatMac } from './address.ts';
import * as arp from './arp.ts';
import * as ethernet from './ethernet.ts';
import * as icmpv4 from './icmpv4.ts';
import * as icmpv6 from './icmpv6.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import * as ndp from './ndp.ts';
import * as tcp from './tcp.ts';
import * as udp from './udp.ts';
import { OK, VERDICT_NAMES, type Verdict } from './verdict.ts';

/** Where an upper-layer message lies, and the texts and sums of the packet around it. */
interface Context {
  readonly ip: number;
  readonly at: number;
  readonly len: number;
  readonly protocol: number;
  readonly src: string;
  readonly dst: string;
  readonly pseudo: number;
  readonly isIpv6: boolean;
}

/** The frame of `len` bytes at `o`. */
export function printFrame(v: DataView, o: number, len: number): string {
  if (!ethernet.check(len)) return `[${VERDICT_NAMES[1]}] frame of ${len} bytes`;
  const type = ethernet.etherType(v, o);
  const macs = `${macAt(v, o + 6)} > ${macAt(v, o)}`;
  return `${macs} ${printPayload(v, o + ethernet.HEADER_LEN, len - ethernet.HEADER_LEN, type)}`;
}

function printPayload(v: DataView, o: number, avail: number, type: number): string {
  if (type === ethernet.TYPE_ARP) return printArp(v, o, avail);
  if (type === ethernet.TYPE_IPV4) return printIpv4(v, o, avail);
  if (type === ethernet.TYPE_IPV6) return printIpv6(v, o, avail);
  if (type === ethernet.TYPE_VLAN && avail >= ethernet.VLAN_TAG_LEN) {
    const inner = v.getUint16(o + 2);
    // A tag within a tag is shown as a type only, so that the depth stays bounded.
    const rest =
      inner === ethernet.TYPE_VLAN
        ? 'QinQ'
        : printPayload(v, o + ethernet.VLAN_TAG_LEN, avail - ethernet.VLAN_TAG_LEN, inner);
    return `vlan ${v.getUint16(o) & 0x0fff} ${rest}`;
  }
  return `type 0x${type.toString(16).padStart(4, '0')} length ${avail}`;
}

function printArp(v: DataView, o: number, avail: number): string {
  if (!arp.check(v, o, avail)) return 'ARP [malformed]';
  const sender = formatIpv4(arp.senderIp(v, o));
  const target = formatIpv4(arp.targetIp(v, o));
  if (arp.op(v, o) === arp.OP_REQUEST) return `ARP who-has ${target} tell ${sender}`;
  if (arp.op(v, o) === arp.OP_REPLY) return `ARP ${sender} is-at ${formatMac(arp.senderHi(v, o), arp.senderLo(v, o))}`;
  return `ARP op ${arp.op(v, o)}`;
}

function printIpv4(v: DataView, o: number, avail: number): string {
  const verdict = ipv4.check(v, o, avail);
  if (verdict !== OK) return `IPv4${bad(verdict)}`;
  const [src, dst] = [formatIpv4(ipv4.src(v, o)), formatIpv4(ipv4.dst(v, o))];
  const protocol = ipv4.protocol(v, o);
  if (ipv4.isFragment(v, o)) {
    const more = ipv4.moreFragments(v, o) ? '+' : '';
    return `IPv4 ${src} > ${dst} frag ${ipv4.id(v, o)}:${ipv4.payloadLen(v, o)}@${ipv4.fragmentOffset(v, o)}${more}`;
  }
  const pseudo = ipv4.pseudo(v, o, protocol);
  const len = ipv4.payloadLen(v, o);
  const context = { ip: o, at: ipv4.payload(v, o), len, protocol, src, dst, pseudo, isIpv6: false };
  return `IPv4${bad(ipv4.checkOptions(v, o))} ${printUpper(v, context)}`;
}

function printIpv6(v: DataView, o: number, avail: number): string {
  const verdict = ipv6.check(v, o, avail);
  if (verdict !== OK) return `IPv6${bad(verdict)}`;
  const [src, dst] = [ipv6At(v, o + 8), ipv6At(v, o + 24)];
  const walked = ipv6.upper(v, o);
  if (walked !== OK) return `IPv6${bad(walked)} ${src} > ${dst}`;
  const { protocol, offset, length, fragment, isFragment } = ipv6.$upper;
  if (isFragment) {
    const more = ipv6.moreFragments(v, fragment) ? '+' : '';
    const id = ipv6.fragmentId(v, fragment);
    return `IPv6 ${src} > ${dst} frag ${id}:${length}@${ipv6.fragmentOffset(v, fragment)}${more}`;
  }
  const pseudo = ipv6.pseudo(v, o, protocol);
  return `IPv6 ${printUpper(v, { ip: o, at: offset, len: length, protocol, src, dst, pseudo, isIpv6: true })}`;
}

function printUpper(v: DataView, context: Context): string {
  const { protocol, src, dst, len, isIpv6 } = context;
  if (protocol === ipv4.PROTO_TCP) return printTcp(v, context);
  if (protocol === ipv4.PROTO_UDP) return printUdp(v, context);
  if (protocol === ipv4.PROTO_ICMP && !isIpv6) return printIcmpv4(v, context);
  if (protocol === ipv4.PROTO_ICMPV6 && isIpv6) return printIcmpv6(v, context);
  return `${src} > ${dst} proto ${protocol} length ${len}`;
}

function printTcp(v: DataView, { at, len, src, dst, pseudo }: Context): string {
  const bounds = tcp.check(v, at, len, tcp.UNVERIFIED);
  if (bounds !== OK) return `${src} > ${dst} tcp${bad(bounds)}`;
  const payload = len - tcp.dataOffset(v, at);
  const start = tcp.seq(v, at) >>> 0;
  const range = payload > 0 ? `${start}:${(start + payload) >>> 0}` : `${start}`;
  const ack = (tcp.flags(v, at) & tcp.ACK) === 0 ? '' : ` ack ${tcp.ack(v, at) >>> 0}`;
  return (
    `${src}.${tcp.srcPort(v, at)} > ${dst}.${tcp.dstPort(v, at)} tcp${bad(tcp.check(v, at, len, pseudo))} ` +
    `[${printFlags(tcp.flags(v, at))}] seq ${range}${ack} win ${tcp.window(v, at)}${printTcpOptions(v, at)} length ${payload}`
  );
}

function printFlags(flags: number): string {
  const letters = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W'];
  return letters.filter((_, bit) => (flags & (1 << bit)) !== 0).join('') || 'none';
}

function printTcpOptions(v: DataView, o: number): string {
  const whole = tcp.parseOptions(v, o);
  const { mss, windowScale, sackPermitted, hasTimestamps, timestampValue, timestampEcho, sackCount, sack } =
    tcp.$options;
  const parts = [
    mss === -1 ? '' : `mss ${mss}`,
    windowScale === -1 ? '' : `wscale ${windowScale}`,
    sackPermitted ? 'sackOK' : '',
    hasTimestamps ? `TS val ${timestampValue >>> 0} ecr ${timestampEcho >>> 0}` : '',
    ...Array.from({ length: sackCount }, (_, i) => `sack {${sack[2 * i]! >>> 0}:${sack[2 * i + 1]! >>> 0}}`),
    whole ? '' : 'malformed',
  ].filter((part) => part !== '');
  return parts.length > 0 ? ` options [${parts.join(', ')}]` : '';
}

function printUdp(v: DataView, { at, len, src, dst, pseudo, isIpv6 }: Context): string {
  const bounds = udp.check(v, at, len, udp.UNVERIFIED, !isIpv6);
  if (bounds !== OK) return `${src} > ${dst} udp${bad(bounds)}`;
  const verdict = udp.check(v, at, len, pseudo, !isIpv6);
  return `${src}.${udp.srcPort(v, at)} > ${dst}.${udp.dstPort(v, at)} udp${bad(verdict)} length ${udp.payloadLen(v, at)}`;
}

function printIcmpv4(v: DataView, { at, len, src, dst }: Context): string {
  if (len < icmpv4.HEADER_LEN) return `${src} > ${dst} icmp [too-short]`;
  const head = `${src} > ${dst} icmp${bad(icmpv4.check(v, at, len))}`;
  const type = icmpv4.type(v, at);
  const echo = `id ${icmpv4.echoId(v, at)} seq ${icmpv4.echoSequence(v, at)} length ${len}`;
  if (type === icmpv4.TYPE_ECHO_REQUEST) return `${head} echo request ${echo}`;
  if (type === icmpv4.TYPE_ECHO_REPLY) return `${head} echo reply ${echo}`;
  return `${head} type ${type} code ${icmpv4.code(v, at)} rest ${icmpv4.rest(v, at)} length ${len}`;
}

function printIcmpv6(v: DataView, { ip, at, len, src, dst, pseudo }: Context): string {
  if (len < icmpv6.HEADER_LEN) return `${src} > ${dst} icmp6 [too-short]`;
  const head = `${src} > ${dst} icmp6${bad(icmpv6.check(v, at, len, pseudo))}`;
  const type = icmpv6.type(v, at);
  const echo = `id ${icmpv6.echoId(v, at)} seq ${icmpv6.echoSequence(v, at)} length ${len}`;
  if (type === icmpv6.TYPE_ECHO_REQUEST) return `${head} echo request ${echo}`;
  if (type === icmpv6.TYPE_ECHO_REPLY) return `${head} echo reply ${echo}`;
  if (ndp.fixedLen(type) !== 0) return `${head} ${printNdp(v, ip, at, len, type)}`;
  return `${head} type ${type} code ${icmpv6.code(v, at)} rest ${icmpv6.rest(v, at)} length ${len}`;
}

const NDP_NAMES: readonly string[] = ['router solicit', 'router advert', 'who-has', 'is-at', 'redirect'];

function printNdp(v: DataView, ip: number, at: number, len: number, type: number): string {
  const name = NDP_NAMES[type - icmpv6.TYPE_ROUTER_SOLICIT]!;
  const verdict = ndp.check(v, ip, at, len);
  if (verdict !== OK) return `${name}${bad(verdict)}`;
  const target = type >= icmpv6.TYPE_NEIGHBOR_SOLICIT ? ` ${ipv6At(v, at + 8)}` : '';
  const option = type === icmpv6.TYPE_NEIGHBOR_ADVERT ? ndp.OPTION_TARGET_LINK_LAYER : ndp.OPTION_SOURCE_LINK_LAYER;
  const p = ndp.findLinkLayer(v, at, len, option);
  return `${name}${target}${p === -1 ? '' : ` mac ${macAt(v, p + 2)}`} length ${len}`;
}

const bad = (verdict: Verdict): string => (verdict === OK ? '' : ` [${VERDICT_NAMES[verdict]}]`);
const macAt = (v: DataView, o: number): string => formatMac(v.getUint16(o), v.getUint32(o + 2));
const ipv6At = (v: DataView, o: number): string =>
  formatIpv6([v.getUint32(o), v.getUint32(o + 4), v.getUint32(o + 8), v.getUint32(o + 12)]);
