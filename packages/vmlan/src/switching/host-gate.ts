/**
 * What guests may send to the host itself where it is a neighbor on their segment, behind a TAP of its own.
 *
 * Zone: packet.  Two rules.  The host is no router for guests: whatever its forwarding says, it is sent nothing that is
 * not for this segment.  And where host access is limited, a guest opens conversations on the allowed ports alone: TCP is
 * judged by its SYN; a datagram must answer one of the host's within ANSWER_MS; ARP, neighbor discovery, ICMP errors and
 * echo replies pass, fragments and everything else do not.  Bounded: the conversations that may be answered are kept in
 * SETS × WAYS places, each known by two seeded 32-bit hashes; where a set is full, the oldest is forgotten.
 */
import { counter } from '../core/counters.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { $upper } from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';

export const GATE_PASS = -1;
export const NO_ROUTER: number = counter('drop_host_is_no_router');
export const HOST_CLOSED: number = counter('drop_host_access');

/** How long a guest may take to answer a datagram of the host. */
export const ANSWER_MS = 180_000;
const SETS = 256;
const WAYS = 4;
const TYPE_SERVICE_VLAN = 0x88a8; // 802.1ad
const LIMITED_BROADCAST = 0xffff_ffff;
const MULTICAST4 = 0xe; // /4
const MULTICAST6 = 0xff; // /8
const LINK_LOCAL6 = 0x3fa; // /10

export interface HostGateOptions {
  /** uint32; mask 0: the segment has no IPv4. */
  readonly network4: number;
  readonly mask4: number;
  /** First two words of the /64, or null. */
  readonly prefix6: readonly [number, number] | null;
  /** Ports that guests may open conversations on. */
  readonly access: 'all' | ReadonlySet<number>;
  readonly seed: number;
}

export class HostGate {
  readonly #options: HostGateOptions;
  readonly #one: Int32Array = new Int32Array(SETS * WAYS);
  readonly #two: Int32Array = new Int32Array(SETS * WAYS);
  readonly #untilMs: Float64Array = new Float64Array(SETS * WAYS);
  #hashOne = 0;
  #hashTwo = 0;

  constructor(options: HostGateOptions) {
    this.#options = options;
  }

  /** A frame of the host: its datagrams may be answered. */
  onFromHost(v: DataView, off: number, len: number, nowMs: number): void {
    if (this.#options.access === 'all') return;
    const ip = off + ethernet.HEADER_LEN;
    const o = udpOf(v, ethernet.etherType(v, off), ip, len - ethernet.HEADER_LEN);
    if (o < 0) return;
    const isV4 = ethernet.etherType(v, off) === ethernet.TYPE_IPV4;
    this.#hash(v, isV4 ? ip + 16 : ip + 24, isV4 ? 1 : 4, udp.dstPort(v, o), udp.srcPort(v, o));
    const place = this.#place();
    this.#one[place] = this.#hashOne;
    this.#two[place] = this.#hashTwo;
    this.#untilMs[place] = nowMs + ANSWER_MS;
  }

  /** GATE_PASS, or the counter of the reason to keep a guest's frame from the host. */
  check(v: DataView, off: number, len: number, nowMs: number): number {
    const ip = off + ethernet.HEADER_LEN;
    const avail = len - ethernet.HEADER_LEN;
    switch (ethernet.etherType(v, off)) {
      case ethernet.TYPE_ARP:
        return GATE_PASS;
      case ethernet.TYPE_IPV4:
        if (ipv4.check(v, ip, avail) !== 0 || !this.#isHere4(ipv4.dst(v, ip))) return NO_ROUTER;
        return this.#options.access === 'all' || this.#mayPass4(v, ip, nowMs) ? GATE_PASS : HOST_CLOSED;
      case ethernet.TYPE_IPV6:
        if (ipv6.check(v, ip, avail) !== 0 || !this.#isHere6(v, ip)) return NO_ROUTER;
        return this.#options.access === 'all' || this.#mayPass6(v, ip, nowMs) ? GATE_PASS : HOST_CLOSED;
      case ethernet.TYPE_VLAN: // the kernel looks behind priority tags, where nothing was checked
      case TYPE_SERVICE_VLAN:
        return NO_ROUTER;
      default:
        return this.#options.access === 'all' ? GATE_PASS : HOST_CLOSED;
    }
  }

  #isHere4(dst: number): boolean {
    const { network4, mask4 } = this.#options;
    if (dst >>> 28 === MULTICAST4 || dst === LIMITED_BROADCAST) return true;
    return mask4 !== 0 && (dst & mask4) >>> 0 === network4;
  }

  #isHere6(v: DataView, ip: number): boolean {
    const w0 = ipv6.dst0(v, ip);
    if (w0 >>> 24 === MULTICAST6 || w0 >>> 22 === LINK_LOCAL6) return true;
    const { prefix6 } = this.#options;
    return prefix6 !== null && w0 === prefix6[0] && ipv6.dst1(v, ip) === prefix6[1];
  }

  #mayPass4(v: DataView, ip: number, nowMs: number): boolean {
    if (ipv4.isFragment(v, ip)) return false;
    const o = ipv4.payload(v, ip);
    const len = ipv4.payloadLen(v, ip);
    switch (ipv4.protocol(v, ip)) {
      case ipv4.PROTO_TCP:
        return this.#mayPassTcp(v, o, len);
      case ipv4.PROTO_UDP:
        return len >= udp.HEADER_LEN && this.#mayPassUdp(v, ip + 12, 1, o, nowMs);
      case ipv4.PROTO_ICMP:
        return len >= icmpv4.HEADER_LEN && isAnswer4(icmpv4.type(v, o));
      default:
        return false;
    }
  }

  #mayPass6(v: DataView, ip: number, nowMs: number): boolean {
    if (ipv6.upper(v, ip) !== 0 || $upper.isFragment) return false;
    const { offset, length } = $upper;
    switch ($upper.protocol) {
      case ipv4.PROTO_TCP:
        return this.#mayPassTcp(v, offset, length);
      case ipv4.PROTO_UDP:
        return length >= udp.HEADER_LEN && this.#mayPassUdp(v, ip + 8, 4, offset, nowMs);
      case ipv4.PROTO_ICMPV6:
        return length >= icmpv6.HEADER_LEN && isAnswer6(icmpv6.type(v, offset));
      default:
        return false;
    }
  }

  /** Only a SYN opens anything; what belongs to no connection the host resets by itself. */
  #mayPassTcp(v: DataView, o: number, len: number): boolean {
    if (len < tcp.MIN_HEADER_LEN) return false;
    return (tcp.flags(v, o) & (tcp.SYN | tcp.ACK)) !== tcp.SYN || this.#isOpen(tcp.dstPort(v, o));
  }

  #mayPassUdp(v: DataView, src: number, words: number, o: number, nowMs: number): boolean {
    if (this.#isOpen(udp.dstPort(v, o))) return true;
    this.#hash(v, src, words, udp.srcPort(v, o), udp.dstPort(v, o));
    const first = (this.#hashOne & (SETS - 1)) * WAYS;
    for (let i = first; i < first + WAYS; i++) {
      if (this.#one[i] === this.#hashOne && this.#two[i] === this.#hashTwo) return nowMs < this.#untilMs[i]!;
    }
    return false;
  }

  #isOpen(port: number): boolean {
    const { access } = this.#options;
    return access === 'all' || access.has(port);
  }

  /** A conversation: the guest's address (`words` words at `address`), its port, the host's port. */
  #hash(v: DataView, address: number, words: number, guestPort: number, hostPort: number): void {
    const ports = (guestPort << 16) | hostPort;
    let one = Math.imul(ports ^ this.#options.seed, 0x9e3779b1 | 0);
    let two = Math.imul(ports + this.#options.seed, 0x85ebca6b | 0);
    for (let i = 0; i < words; i++) {
      const word = v.getInt32(address + 4 * i);
      one = Math.imul(one ^ word, 0x85ebca6b | 0);
      one ^= one >>> 13;
      two = Math.imul(two + word, 0xc2b2ae35 | 0);
      two ^= two >>> 16;
    }
    this.#hashOne = one ^ (one >>> 16);
    this.#hashTwo = two;
  }

  /** Where the conversation is or shall be kept: its own place, else the one that ends first. */
  #place(): number {
    const first = (this.#hashOne & (SETS - 1)) * WAYS;
    let place = first;
    for (let i = first; i < first + WAYS; i++) {
      if (this.#one[i] === this.#hashOne && this.#two[i] === this.#hashTwo) return i;
      if (this.#untilMs[i]! < this.#untilMs[place]!) place = i;
    }
    return place;
  }
}

/** The UDP header of a packet that is no later fragment, or -1. */
function udpOf(v: DataView, etherType: number, ip: number, avail: number): number {
  if (etherType === ethernet.TYPE_IPV4) {
    if (ipv4.check(v, ip, avail) !== 0 || ipv4.protocol(v, ip) !== ipv4.PROTO_UDP) return -1;
    if (ipv4.fragmentOffset(v, ip) !== 0 || ipv4.payloadLen(v, ip) < udp.HEADER_LEN) return -1;
    return ipv4.payload(v, ip);
  }
  if (etherType !== ethernet.TYPE_IPV6 || ipv6.check(v, ip, avail) !== 0 || ipv6.upper(v, ip) !== 0) return -1;
  if ($upper.protocol !== ipv4.PROTO_UDP || $upper.length < udp.HEADER_LEN) return -1;
  return $upper.isFragment && ipv6.fragmentOffset(v, $upper.fragment) !== 0 ? -1 : $upper.offset;
}

const isAnswer4 = (type: number): boolean =>
  type === icmpv4.TYPE_ECHO_REPLY ||
  type === icmpv4.TYPE_UNREACHABLE ||
  type === icmpv4.TYPE_TIME_EXCEEDED ||
  type === icmpv4.TYPE_PARAMETER_PROBLEM;

const isAnswer6 = (type: number): boolean =>
  icmpv6.isError(type) ||
  type === icmpv6.TYPE_ECHO_REPLY ||
  type === icmpv6.TYPE_NEIGHBOR_SOLICIT ||
  type === icmpv6.TYPE_NEIGHBOR_ADVERT;
