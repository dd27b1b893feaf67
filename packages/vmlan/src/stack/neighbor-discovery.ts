/**
 * ARP and Neighbor Discovery of the gateway (RFC 826, RFC 4861 §7.2, RFC 4862 §5.4): answers for its own addresses,
 * questions for those of guests, and what both teach the neighbor table.
 *
 * Zone: packet.  Packets were checked up to IP and, for ND, the ICMPv6 checksum.
 */
import { type Counters, counter } from '../core/counters.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ndp from '../wire/ndp.ts';
import { VERDICT_NAMES } from '../wire/verdict.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import type { GatewayAddresses } from './gateway-addresses.ts';
import { type IpOutput, pseudoToGuest } from './ip-output.ts';
import { NeighborTable } from './neighbor.ts';
import type { Packet } from './packet.ts';
import { MAPPED, Path, type SegmentOutput } from './path.ts';

const DROP_ND = VERDICT_NAMES.map((name) => counter(`drop_nd_${name.replaceAll('-', '_')}`));
const DROP_ARP = counter('drop_arp_malformed');
const IPV6_MULTICAST_MAC = 0x3333; // first two bytes (RFC 2464 §7)
const ALL_NODES = 0xff02_0000;

export class NeighborDiscovery {
  readonly table: NeighborTable;
  readonly #segment: SegmentOutput;
  readonly #addresses: GatewayAddresses;
  readonly #output: IpOutput;
  readonly #counters: Counters;
  readonly #path = new Path();

  constructor(segment: SegmentOutput, addresses: GatewayAddresses, output: IpOutput, counters: Counters) {
    this.#segment = segment;
    this.#addresses = addresses;
    this.#output = output;
    this.#counters = counters;
    this.table = new NeighborTable((words) => this.#solicit(words), counters);
  }

  onArp(p: Packet, o: number, avail: number, nowMs: number): void {
    const v = this.#output.view;
    if (!arp.check(v, o, avail)) return this.#counters.count(DROP_ARP);
    const sender = arp.senderIp(v, o);
    if (sender !== 0 && this.#addresses.isNeighbor4(sender)) {
      this.table.learn(0, 0, MAPPED, sender, p.port!, arp.senderHi(v, o), arp.senderLo(v, o), nowMs);
    }
    const target = arp.targetIp(v, o);
    if (arp.op(v, o) !== arp.OP_REQUEST || !this.#addresses.owns(0, 0, MAPPED, target)) return;
    const { frame, macHi, macLo } = this.#output;
    const toHi = arp.senderHi(v, o);
    const toLo = arp.senderLo(v, o);
    vnetHdr.clear(v, frame - vnetHdr.LEN);
    ethernet.emit(v, frame, p.macHi, p.macLo, macHi, macLo, ethernet.TYPE_ARP);
    arp.emit(v, frame + ethernet.HEADER_LEN, arp.OP_REPLY, macHi, macLo, target, toHi, toLo, sender);
    this.#output.transmit(p, frame, ethernet.HEADER_LEN + arp.LEN);
  }

  /** RFC 4861 §6.1, §7.1: whether an ND message is one to act on; what is not is counted. */
  isValid(p: Packet): boolean {
    const verdict = ndp.check(this.#output.view, p.ip, p.l4, p.l4Len);
    if (verdict === 0) return true;
    this.#counters.count(DROP_ND[verdict]!);
    return false;
  }

  onSolicit(p: Packet, nowMs: number): void {
    const v = this.#output.view;
    if (!this.isValid(p)) return;
    const t0 = ndp.target0(v, p.l4);
    const t1 = ndp.target1(v, p.l4);
    const t2 = ndp.target2(v, p.l4);
    const t3 = ndp.target3(v, p.l4);
    const probing = (p.guest0 | p.guest1 | p.guest2 | p.guest3) === 0; // duplicate address detection
    const ours = this.#addresses.owns(t0, t1, t2, t3);
    if (!probing) this.#learnSource(p, nowMs);
    // Who probes for an address is about to use it (RFC 4862 §5.4): known a second before its first packet. Probing for
    // an address that somebody has takes it from nobody.
    else if (!ours && this.table.lookup(t0, t1, t2, t3) === null) {
      this.table.learn(t0, t1, t2, t3, p.port!, p.macHi, p.macLo, nowMs);
    }
    if (ours) this.#advertise(p, probing, t0, t1, t2, t3);
  }

  onAdvert(p: Packet, nowMs: number): void {
    const v = this.#output.view;
    if (!this.isValid(p)) return;
    const option = ndp.findLinkLayer(v, p.l4, p.l4Len, ndp.OPTION_TARGET_LINK_LAYER);
    const macHi = option < 0 ? p.macHi : ndp.linkLayerHi(v, option);
    const macLo = option < 0 ? p.macLo : ndp.linkLayerLo(v, option);
    const t0 = ndp.target0(v, p.l4);
    const t1 = ndp.target1(v, p.l4);
    const t2 = ndp.target2(v, p.l4);
    const t3 = ndp.target3(v, p.l4);
    if (!this.#addresses.owns(t0, t1, t2, t3)) this.table.learn(t0, t1, t2, t3, p.port!, macHi, macLo, nowMs);
  }

  /** An ICMPv6 message of `len` bytes at `o`, hop limit 255, checksum not yet computed. */
  send(path: Path, o: number, len: number): void {
    icmpv6.setChecksum(this.#output.view, o, len, pseudoToGuest(path, ipv4.PROTO_ICMPV6, 0));
    this.#output.send(path, ipv4.PROTO_ICMPV6, ndp.HOP_LIMIT, len);
  }

  #learnSource(p: Packet, nowMs: number): void {
    const v = this.#output.view;
    const option = ndp.findLinkLayer(v, p.l4, p.l4Len, ndp.OPTION_SOURCE_LINK_LAYER);
    if (option < 0) return;
    const macHi = ndp.linkLayerHi(v, option);
    this.table.learn(p.guest0, p.guest1, p.guest2, p.guest3, p.port!, macHi, ndp.linkLayerLo(v, option), nowMs);
  }

  #advertise(p: Packet, probing: boolean, t0: number, t1: number, t2: number, t3: number): void {
    const path = this.#path;
    path.copyFrom(p);
    path.setRemote(t0, t1, t2, t3);
    let flags = ndp.NA_ROUTER | ndp.NA_OVERRIDE | ndp.NA_SOLICITED;
    if (probing) {
      // RFC 4862 §5.4.4: somebody else wants our address; everybody hears that it is taken.
      path.setGuest(ALL_NODES, 0, 0, 1);
      path.macHi = IPV6_MULTICAST_MAC;
      path.macLo = 1;
      path.port = null;
      flags = ndp.NA_ROUTER | ndp.NA_OVERRIDE;
    }
    const { view, macHi, macLo } = this.#output;
    const o = this.#output.l4(6);
    this.send(path, o, ndp.emitNeighborAdvert(view, o, flags, t0, t1, t2, t3, macHi, macLo));
  }

  /** Asks the segment who has an address. */
  #solicit(words: Int32Array): void {
    const path = this.#path;
    path.segment = this.#segment;
    path.port = null;
    if (words[2] === MAPPED && (words[0]! | words[1]!) === 0) this.#solicit4(path, words[3]! >>> 0);
    else this.#solicit6(path, words);
  }

  #solicit4(path: Path, ip: number): void {
    const { view: v, frame, macHi, macLo } = this.#output;
    vnetHdr.clear(v, frame - vnetHdr.LEN);
    ethernet.emit(v, frame, 0xffff, 0xffff_ffff, macHi, macLo, ethernet.TYPE_ARP);
    const own = this.#addresses.config.address4;
    arp.emit(v, frame + ethernet.HEADER_LEN, arp.OP_REQUEST, macHi, macLo, own, 0, 0, ip);
    this.#output.transmit(path, frame, ethernet.HEADER_LEN + arp.LEN);
  }

  /** RFC 4861 §7.2.2: to the solicited-node group of the target. */
  #solicit6(path: Path, words: Int32Array): void {
    const { view: v, macHi, macLo } = this.#output;
    const { linkLocal } = this.#addresses.config;
    const group = (0xff00_0000 | (words[3]! & 0xff_ffff)) >>> 0;
    path.family = 6;
    path.macHi = IPV6_MULTICAST_MAC;
    path.macLo = group;
    path.setGuest(ALL_NODES, 0, 1, group);
    path.setRemote(linkLocal[0]!, linkLocal[1]!, linkLocal[2]!, linkLocal[3]!);
    const o = this.#output.l4(6);
    const t0 = words[0]! >>> 0;
    const t1 = words[1]! >>> 0;
    const t2 = words[2]! >>> 0;
    this.send(path, o, ndp.emitNeighborSolicit(v, o, t0, t1, t2, words[3]! >>> 0, macHi, macLo));
  }
}
