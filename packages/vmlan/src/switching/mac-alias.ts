/**
 * Two guests with one MAC: the second is known on the segment by an alias, and never notices.
 *
 * Zone: packet.  What the guest says of its own MAC is rewritten as its frames come in (Ethernet source, ARP sender,
 * ND link-layer options), and what others say to the alias as they go out (Ethernet destination, ARP target).  DHCP's
 * chaddr stays as it is: the server answers by port.  Limit: two guests whose IPv6 addresses are made from the same
 * MAC (EUI-64) keep colliding in duplicate address detection; DHCPv6 and stable-privacy addresses (RFC 7217) do not.
 */
import * as arp from '../wire/arp.ts';
import { incremental16, incremental32 } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { $upper } from '../wire/ipv6.ts';
import * as ndp from '../wire/ndp.ts';
import type { Port } from './port.ts';

const PREFIX_HI = 0x0276; // first byte 02: locally administered, not a group
const PREFIX_LO = 0x6c; // third byte

/** Gives `port` an alias that nobody else has: 02:76:6c and its id. */
export function giveAlias(port: Port): void {
  port.aliasHi = PREFIX_HI;
  port.aliasLo = ((PREFIX_LO << 24) | (port.id & 0xff_ffff)) >>> 0;
}

/** A MAC that is somebody's alias, or will be. */
export const isAlias = (hi: number, lo: number): boolean => hi === PREFIX_HI && lo >>> 24 === PREFIX_LO;

/** Rewrites the guest's own MAC to its alias, in place. `len` is at least an Ethernet header. */
export function rewriteFromGuest(v: DataView, off: number, len: number, port: Port): void {
  const hi = ethernet.srcHi(v, off);
  const lo = ethernet.srcLo(v, off);
  if (hi !== port.macHi || lo !== port.macLo) return;
  ethernet.setSrc(v, off, port.aliasHi, port.aliasLo);
  const l3 = off + ethernet.HEADER_LEN;
  const avail = len - ethernet.HEADER_LEN;
  const type = ethernet.etherType(v, off);
  if (type === ethernet.TYPE_ARP && arp.check(v, l3, avail)) {
    if (arp.senderHi(v, l3) === hi && arp.senderLo(v, l3) === lo) arp.setSender(v, l3, port.aliasHi, port.aliasLo);
  } else if (type === ethernet.TYPE_IPV6 && ipv6.check(v, l3, avail) === 0) {
    rewriteNdOption(v, l3, port);
  }
}

/** Rewrites the alias back, in place: `off` must be a private copy of the frame. */
export function rewriteToGuest(v: DataView, off: number, len: number, port: Port): void {
  if (ethernet.dstHi(v, off) === port.aliasHi && ethernet.dstLo(v, off) === port.aliasLo) {
    ethernet.setDst(v, off, port.macHi, port.macLo);
  }
  const l3 = off + ethernet.HEADER_LEN;
  if (ethernet.etherType(v, off) !== ethernet.TYPE_ARP || !arp.check(v, l3, len - ethernet.HEADER_LEN)) return;
  if (arp.targetHi(v, l3) === port.aliasHi && arp.targetLo(v, l3) === port.aliasLo) {
    arp.setTarget(v, l3, port.macHi, port.macLo);
  }
}

function rewriteNdOption(v: DataView, ip: number, port: Port): void {
  if (ipv6.upper(v, ip) !== 0 || $upper.isFragment || $upper.protocol !== ipv4.PROTO_ICMPV6) return;
  const o = $upper.offset;
  const len = $upper.length;
  if (len < icmpv6.HEADER_LEN) return;
  const type = icmpv6.type(v, o);
  const fixed = ndp.fixedLen(type);
  if (fixed === 0 || len < fixed) return;
  const kind = type === icmpv6.TYPE_NEIGHBOR_ADVERT ? ndp.OPTION_TARGET_LINK_LAYER : ndp.OPTION_SOURCE_LINK_LAYER;
  const p = ndp.findLinkLayer(v, o, len, kind);
  if (p < 0) return;
  const { aliasHi, aliasLo } = port;
  const once = incremental16(icmpv6.checksum(v, o), ndp.linkLayerHi(v, p), aliasHi);
  v.setUint16(o + 2, incremental32(once, ndp.linkLayerLo(v, p), aliasLo));
  ndp.setLinkLayer(v, p, aliasHi, aliasLo);
}
