/**
 * The IP layer of a guest with one card: its addresses, its way out, what comes in and goes out (RFC 1122, RFC 4861).
 *
 * Zone: control.  It forwards nothing, and answers for nobody else.
 */
import { linkLocalOfMac } from '../wire/address.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { PROTO_ICMPV6 } from '../wire/ipv4.ts';
import * as ndp from '../wire/ndp.ts';
import type { Clock } from './clock.ts';
import { GuestError } from './errors.ts';
import { ALL_NODES, ANY4, ANY6, BROADCAST, ip4, ip6, isLinkLocal, isMulticast, isOnLink } from './ip.ts';
import { solicitedNode, subnetBroadcast } from './ip.ts';
import type { Ip, Placed } from './ip.ts';
import { Neighbors } from './neighbors.ts';
import type { Mac } from './neighbors.ts';
import { framesOf, headerBytes, parsePacket, pseudoOf } from './packet.ts';
import type { Packet } from './packet.ts';
import { Reassembly } from './reassembly.ts';

const NO_MAC: Mac = { hi: 0, lo: 0 };
/** Beyond these a host keeps no more of what routers offer. */
const MAX_PREFIXES = 16;

export interface IpIo {
  readonly clock: Clock;
  readonly random: () => number;
  readonly mac: Mac;
  readonly transmit: (frame: Uint8Array) => void;
}

/** Takes the packets of one protocol. */
export type Upper = (packet: Packet) => void;

/** What the upper layers send. */
export interface Datagram {
  readonly src?: Ip;
  readonly dst: Ip;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly hops?: number;
  /** Writes the checksum; `pseudo` is the pseudo header's sum, with length zero. */
  readonly seal: (view: DataView, pseudo: number) => void;
  /** Nobody answers for the next hop. */
  readonly failed?: () => void;
}

export class IpLayer {
  readonly clock: Clock;
  readonly random: () => number;
  readonly mac: Mac;
  mtuBytes: number = ethernet.DEFAULT_MTU;
  /** null: none yet. */
  address4: Placed | null = null;
  router4: Ip | null = null;
  router6: Ip | null = null;
  readonly linkLocal: Ip;
  /** Prefixes of the link, and our own addresses in them. */
  readonly addresses6: Map<string, Placed> = new Map();
  readonly onLink6: Map<string, Placed> = new Map();
  /** Called for each packet to a router's or neighbour's discovery that this layer does not answer itself. */
  onRouterAdvert: ((packet: Packet) => void) | null = null;
  readonly #io: IpIo;
  readonly #neighbors: Neighbors;
  readonly #reassembly: Reassembly;
  readonly #uppers = new Map<number, Upper>();
  #id: number;
  #isClosed = false;

  constructor(io: IpIo) {
    this.#io = io;
    this.clock = io.clock;
    this.random = io.random;
    this.mac = io.mac;
    this.#id = io.random();
    const [w0, w1, w2, w3] = linkLocalOfMac(io.mac.hi, io.mac.lo) as unknown as [number, number, number, number];
    this.linkLocal = ip6(w0, w1, w2, w3);
    this.#neighbors = new Neighbors(io.clock, { ask: (ip) => this.#ask(ip), send: (frame) => io.transmit(frame) });
    this.#reassembly = new Reassembly(io.clock);
  }

  handle(protocol: number, upper: Upper): void {
    this.#uppers.set(protocol, upper);
  }

  /** Whoever sends from now on hears that the guest is gone. */
  close(): void {
    this.#isClosed = true;
    this.#neighbors.close();
    this.#reassembly.close();
  }

  addPrefix(key: string, place: Placed): void {
    if (this.addresses6.size < MAX_PREFIXES) this.addresses6.set(key, place);
  }

  addOnLink(key: string, place: Placed): void {
    if (this.onLink6.size < MAX_PREFIXES) this.onLink6.set(key, place);
  }

  // ---- out

  /** Our address for a destination. Throws ENETUNREACH, and ENETDOWN once closed. */
  sourceFor(dst: Ip): Ip {
    if (this.#isClosed) throw new GuestError('ENETDOWN', 'the guest is gone');
    if (dst.family === 4) {
      if (this.address4 === null) throw unreachable(dst);
      return this.address4.ip;
    }
    if (isLinkLocal(dst) || (isMulticast(dst) && dst.words[0] === 0xff02_0000)) return this.linkLocal;
    const own = [...this.addresses6.values()];
    const near = own.find((place) => isOnLink(place, dst)) ?? own[0];
    if (near === undefined) throw unreachable(dst);
    return near.ip;
  }

  /** The most that one packet's payload has, bytes. */
  roomFor(dst: Ip): number {
    return this.mtuBytes - headerBytes(dst.family);
  }

  /** Throws ENETUNREACH when no route leads there. */
  send({ dst, protocol, payload, hops, seal, failed, src = this.sourceFor(dst) }: Datagram): void {
    const next = this.#nextHop(dst);
    seal(new DataView(payload.buffer, payload.byteOffset, payload.length), pseudoOf(src, dst, protocol));
    this.#id = (this.#id + 1) | 0;
    const packet = { src, dst, protocol, payload, id: this.#id, ...(hops === undefined ? {} : { hops }) };
    for (const frame of framesOf(packet, this.mtuBytes)) this.#transmit(frame, next, failed);
  }

  #transmit(frame: Uint8Array, next: Ip, failed: (() => void) | undefined): void {
    const view = new DataView(frame.buffer);
    ethernet.setSrc(view, 0, this.mac.hi, this.mac.lo);
    if (this.#isBroadcast(next)) {
      ethernet.setDst(view, 0, 0xffff, 0xffff_ffff);
      this.#io.transmit(frame);
    } else {
      this.#neighbors.send(frame, next, failed ?? (() => undefined));
    }
  }

  #nextHop(dst: Ip): Ip {
    if (isMulticast(dst) || isLinkLocal(dst) || this.#isBroadcast(dst)) return dst;
    const near =
      dst.family === 4
        ? this.address4 !== null && isOnLink(this.address4, dst)
        : [...this.onLink6.values()].some((place) => isOnLink(place, dst));
    const next = near ? dst : dst.family === 4 ? this.router4 : this.router6;
    if (next === null) throw unreachable(dst);
    return next;
  }

  #isBroadcast(ip: Ip): boolean {
    if (ip.family === 6) return false;
    return ip.v4 === BROADCAST.v4 || (this.address4 !== null && ip.v4 === subnetBroadcast(this.address4));
  }

  // ---- in

  onFrame(frame: Uint8Array): void {
    if (!ethernet.check(frame.length) || !this.#isForUs(frame)) return;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (ethernet.etherType(view, 0) === ethernet.TYPE_ARP) return this.#onArp(view);
    const packet = parsePacket(frame);
    if (packet === null || !this.#accepts(packet.dst)) return;
    if (packet.protocol === PROTO_ICMPV6 && packet.fragment === null && this.#onDiscovery(packet)) return;
    const whole = this.#reassembly.add(packet);
    if (whole !== null) this.#uppers.get(whole.protocol)?.(whole);
  }

  #isForUs(frame: Uint8Array): boolean {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (ethernet.isMulticast(view, 0)) return true;
    return ethernet.dstHi(view, 0) === this.mac.hi && ethernet.dstLo(view, 0) === this.mac.lo;
  }

  /** Before it has an address, a host takes every unicast: DHCP may answer to the one that it will have. */
  #accepts(dst: Ip): boolean {
    if (isMulticast(dst) || this.#isBroadcast(dst)) return true;
    if (dst.family === 4) return this.address4 === null || dst.v4 === this.address4.ip.v4;
    return this.isOwn6(dst);
  }

  isOwn(ip: Ip): boolean {
    return ip.family === 4 ? this.address4?.ip.text === ip.text : this.isOwn6(ip);
  }

  isOwn6(ip: Ip): boolean {
    return ip.text === this.linkLocal.text || [...this.addresses6.values()].some((place) => place.ip.text === ip.text);
  }

  // ---- neighbours

  /** Tells the link whose address ours is (RFC 5227 §2.3, RFC 4861 §7.2.6). */
  announce(): void {
    const { address4 } = this;
    if (address4 !== null) this.#sendArp(arp.OP_REQUEST, { hi: 0xffff, lo: 0xffff_ffff }, NO_MAC, address4.ip);
    for (const { ip } of this.addresses6.values()) this.#advertise(ip, ALL_NODES, ndp.NA_OVERRIDE);
  }

  #ask(ip: Ip): void {
    if (ip.family === 4) return this.#sendArp(arp.OP_REQUEST, { hi: 0xffff, lo: 0xffff_ffff }, NO_MAC, ip);
    const [w0, w1, w2, w3] = ip.words as unknown as [number, number, number, number];
    const payload = new Uint8Array(32);
    ndp.emitNeighborSolicit(new DataView(payload.buffer), 0, w0, w1, w2, w3, this.mac.hi, this.mac.lo);
    // RFC 4861 §7.2.2: from the address that is to be answered next.
    const near = [...this.addresses6.values()].find((place) => isOnLink(place, ip));
    this.#sendDiscovery(payload, solicitedNode(ip), near?.ip);
  }

  #sendArp(op: number, to: Mac, target: Mac, targetIp: Ip): void {
    const frame = new Uint8Array(ethernet.HEADER_LEN + arp.LEN);
    const view = new DataView(frame.buffer);
    const own = (this.address4?.ip ?? ANY4).v4;
    ethernet.emit(view, 0, to.hi, to.lo, this.mac.hi, this.mac.lo, ethernet.TYPE_ARP);
    const { hi, lo } = this.mac;
    arp.emit(view, ethernet.HEADER_LEN, op, hi, lo, own, target.hi, target.lo, targetIp.v4);
    this.#io.transmit(frame);
  }

  #onArp(view: DataView): void {
    const at = ethernet.HEADER_LEN;
    if (!arp.check(view, at, view.byteLength - at)) return;
    const sender = { hi: arp.senderHi(view, at), lo: arp.senderLo(view, at) };
    const senderIp = ip4(arp.senderIp(view, at));
    const isForUs = this.address4 !== null && arp.targetIp(view, at) === this.address4.ip.v4;
    this.#neighbors.learn(senderIp, sender, isForUs && senderIp.v4 !== 0); // RFC 826: and RFC 5227 for address 0
    if (isForUs && arp.op(view, at) === arp.OP_REQUEST) this.#sendArp(arp.OP_REPLY, sender, sender, senderIp);
  }

  /** Whether it was neighbour or router discovery. */
  #onDiscovery(packet: Packet): boolean {
    const { view, ip, offset, length, pseudo, src } = packet;
    if (length < icmpv6.HEADER_LEN || ndp.fixedLen(icmpv6.type(view, offset)) === 0) return false;
    if (icmpv6.check(view, offset, length, pseudo) !== 0 || ndp.check(view, ip, offset, length) !== 0) return true;
    const type = icmpv6.type(view, offset);
    const target = (): Ip =>
      ip6(ndp.target0(view, offset), ndp.target1(view, offset), ndp.target2(view, offset), ndp.target3(view, offset));
    if (type === icmpv6.TYPE_NEIGHBOR_SOLICIT) this.#onSolicit(packet, target());
    else if (type === icmpv6.TYPE_NEIGHBOR_ADVERT) {
      const option = ndp.findLinkLayer(view, offset, length, ndp.OPTION_TARGET_LINK_LAYER);
      if (option >= 0) this.#learn6(view, option, target());
    } else if (type === icmpv6.TYPE_ROUTER_ADVERT) {
      const option = ndp.findLinkLayer(view, offset, length, ndp.OPTION_SOURCE_LINK_LAYER);
      if (option >= 0) this.#learn6(view, option, src);
      this.onRouterAdvert?.(packet);
    }
    return true;
  }

  #onSolicit({ view, offset, length, src }: Packet, target: Ip): void {
    const option = ndp.findLinkLayer(view, offset, length, ndp.OPTION_SOURCE_LINK_LAYER);
    if (option >= 0) this.#learn6(view, option, src, this.isOwn6(target));
    if (!this.isOwn6(target)) return;
    // RFC 4861 §7.2.4: whoever has no address yet is answered to all.
    const isDetection = src.text === ANY6.text;
    this.#advertise(target, isDetection ? ALL_NODES : src, ndp.NA_OVERRIDE | (isDetection ? 0 : ndp.NA_SOLICITED));
  }

  #advertise(own: Ip, dst: Ip, flags: number): void {
    const [w0, w1, w2, w3] = own.words as unknown as [number, number, number, number];
    const payload = new Uint8Array(32);
    ndp.emitNeighborAdvert(new DataView(payload.buffer), 0, flags, w0, w1, w2, w3, this.mac.hi, this.mac.lo);
    this.#sendDiscovery(payload, dst, own);
  }

  #learn6(view: DataView, option: number, ip: Ip, asksForUs = false): void {
    this.#neighbors.learn(ip, { hi: ndp.linkLayerHi(view, option), lo: ndp.linkLayerLo(view, option) }, asksForUs);
  }

  #sendDiscovery(payload: Uint8Array, dst: Ip, src: Ip = this.linkLocal): void {
    this.send({
      ...{ src, dst, payload, protocol: PROTO_ICMPV6, hops: ndp.HOP_LIMIT },
      seal: (view, pseudo) => icmpv6.setChecksum(view, 0, payload.length, pseudo),
    });
  }

  /** Asks for routers and prefixes (RFC 4861 §6.3.7). */
  solicitRouters(dst: Ip): void {
    const payload = new Uint8Array(ndp.ROUTER_SOLICIT_LEN + 8);
    const view = new DataView(payload.buffer);
    icmpv6.emit(view, 0, icmpv6.TYPE_ROUTER_SOLICIT, 0, 0);
    ndp.putLinkLayer(view, ndp.ROUTER_SOLICIT_LEN, ndp.OPTION_SOURCE_LINK_LAYER, this.mac.hi, this.mac.lo);
    this.#sendDiscovery(payload, dst);
  }
}

const unreachable = (dst: Ip): GuestError => new GuestError('ENETUNREACH', `no route leads to ${dst.text}`);
