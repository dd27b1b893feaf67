/**
 * Frames of a hostile guest: noise, damaged captures, and packets that are right enough to get deep.
 *
 * Zone: control.  `next` writes a frame into a buffer of its own and returns its length.  The generator listens to what
 * the gateway says (`observe`), so that it can answer SYN-ACKs and keep conversations going while it corrupts them.
 */
import * as arp from '../../src/wire/arp.ts';
import { finish, pseudo4, pseudo6, sum } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { ALL_FRAMES } from '../../src/wire/frames.fixture.ts';
import * as icmpv4 from '../../src/wire/icmpv4.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as udp from '../../src/wire/udp.ts';
import type { SeededRandom } from './random.ts';

const MAX_LEN = 66_000;
const MAX_TALKS = 64;
const CAPTURES = Object.values(ALL_FRAMES);
const ETH = ethernet.HEADER_LEN;

export interface World {
  readonly gatewayMac: readonly [number, number];
  readonly guestMac: readonly [number, number];
  readonly guest4: number;
  readonly gateway4: number;
  readonly guest6: Uint32Array;
  readonly gateway6: Uint32Array;
  /** Outside addresses where something listens. */
  readonly hosts4: readonly number[];
  readonly ports: readonly number[];
}

interface Talk {
  guestPort: number;
  remotePort: number;
  remote: number;
  seq: number;
  ack: number;
}

export class FrameGenerator {
  readonly bytes: Uint8Array = new Uint8Array(MAX_LEN);
  readonly #v = new DataView(this.bytes.buffer);
  readonly #random: SeededRandom;
  readonly #world: World;
  readonly #talks: Talk[] = [];

  constructor(random: SeededRandom, world: World) {
    this.#random = random;
    this.#world = world;
  }

  /** A frame that went to this guest. */
  observe(frame: Uint8Array): void {
    if (frame.length < ETH) return;
    const v = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    if (ethernet.srcLo(v, 0) !== this.#world.gatewayMac[1]) return; // another hostile guest
    if (frame.length < ETH + 40 || ethernet.etherType(v, 0) !== ethernet.TYPE_IPV4) return;
    if (ipv4.protocol(v, ETH) !== ipv4.PROTO_TCP) return;
    const o = ETH + ipv4.headerLen(v, ETH);
    if (o + tcp.MIN_HEADER_LEN > frame.length) return; // damaged on its way
    const syn = (tcp.flags(v, o) & tcp.SYN) !== 0 ? 1 : 0;
    const len = ipv4.totalLen(v, ETH) - (o - ETH) - tcp.dataOffset(v, o);
    const talk = {
      guestPort: tcp.dstPort(v, o),
      remotePort: tcp.srcPort(v, o),
      remote: ipv4.src(v, ETH),
      seq: tcp.ack(v, o),
      ack: (tcp.seq(v, o) + syn + len) | 0,
    };
    const known = this.#talks.findIndex((t) => t.guestPort === talk.guestPort && t.remotePort === talk.remotePort);
    if (known >= 0) this.#talks[known] = talk;
    else if (this.#talks.length < MAX_TALKS) this.#talks.push(talk);
    else this.#talks[this.#random.below(MAX_TALKS)] = talk;
  }

  next(): number {
    const kind = this.#random.below(100);
    let len: number;
    if (kind < 4) len = this.#noise();
    else if (kind < 20) len = this.#damagedCapture();
    else if (kind < 50) len = this.#tcp();
    else if (kind < 66) len = this.#udp();
    else if (kind < 74) len = this.#fragment4();
    else if (kind < 80) len = this.#arp();
    else if (kind < 88) len = this.#ipv6();
    else if (kind < 94) len = this.#icmp();
    else len = this.#rawIp();
    return this.#random.chance(15) ? this.#damage(len) : len;
  }

  #noise(): number {
    const r = this.#random;
    const len = r.chance(10) ? r.below(MAX_LEN) : r.below(200);
    r.fill(this.bytes, 0, Math.min(len, 512));
    return len;
  }

  #damagedCapture(): number {
    const frame = this.#random.pick(CAPTURES);
    this.bytes.set(frame);
    if (this.#random.chance(60)) this.#macs(this.#random.chance(70));
    return this.#damage(frame.length);
  }

  /** Flips bytes, cuts, or lengthens. */
  #damage(len: number): number {
    const r = this.#random;
    if (len === 0) return 0;
    for (let n = r.below(4); n > 0; n--) this.bytes[r.below(len)] = r.next();
    if (r.chance(20)) return r.below(len + 1);
    if (r.chance(5)) return Math.min(len + r.below(3000), MAX_LEN);
    return len;
  }

  #macs(toGateway: boolean): void {
    const { gatewayMac, guestMac } = this.#world;
    const r = this.#random;
    if (toGateway) ethernet.setDst(this.#v, 0, gatewayMac[0], gatewayMac[1]);
    else ethernet.setDst(this.#v, 0, r.chance(50) ? 0xffff : 0x3333, r.chance(50) ? 0xffffffff : r.next() >>> 0);
    if (r.chance(96)) ethernet.setSrc(this.#v, 0, guestMac[0], guestMac[1]);
    else ethernet.setSrc(this.#v, 0, r.below(0x10000), r.next() >>> 0);
  }

  #ip4(proto: number, payloadLen: number, flagsAndOffset = 0): number {
    const r = this.#random;
    const w = this.#world;
    this.#macs(true);
    ethernet.setType(this.#v, 0, ethernet.TYPE_IPV4);
    const src = r.chance(97) ? w.guest4 : r.next() >>> 0;
    const dst = r.chance(45) ? w.gateway4 : r.chance(80) ? r.pick(w.hosts4) : r.next() >>> 0;
    const ttl = r.chance(95) ? 64 : r.below(4);
    ipv4.emit(this.#v, ETH, 20 + payloadLen, r.below(64), flagsAndOffset, ttl, proto, src, dst);
    return ETH + 20;
  }

  #tcp(): number {
    const r = this.#random;
    const talk = this.#talks.length > 0 && r.chance(80) ? r.pick(this.#talks) : null;
    const flags = r.chance(70)
      ? r.pick([tcp.ACK, tcp.ACK | tcp.PSH, tcp.SYN, tcp.FIN | tcp.ACK, tcp.RST])
      : r.below(256);
    const dataLen = r.chance(50) ? 0 : r.chance(95) ? r.below(1460) : r.below(60_000);
    const optionLen = r.chance(40) ? r.below(11) * 4 : 0;
    const o = this.#ip4(ipv4.PROTO_TCP, 20 + optionLen + dataLen);
    if (talk !== null) ipv4.setDst(this.#v, ETH, talk.remote);
    ipv4.setChecksum(this.#v, ETH);
    const wobble = (): number => (r.chance(70) ? 0 : r.chance(50) ? r.below(3000) - 1500 : r.next());
    const seq = talk === null ? r.next() : talk.seq + wobble();
    const ack = talk === null ? r.next() : talk.ack + wobble();
    const guestPort = talk?.guestPort ?? 1024 + r.below(200);
    const remotePort = talk?.remotePort ?? (r.chance(80) ? r.pick(this.#world.ports) : r.below(65536));
    tcp.emit(this.#v, o, guestPort, remotePort, seq | 0, ack | 0, 20 + optionLen, flags, r.below(65536));
    if (r.chance(50)) r.fill(this.bytes, o + 20, o + 20 + optionLen);
    else this.bytes.fill(1, o + 20, o + 20 + optionLen);
    if (talk !== null && (seq | 0) === talk.seq && (flags & tcp.SYN) === 0) talk.seq = (talk.seq + dataLen) | 0;
    const src = ipv4.src(this.#v, ETH);
    tcp.setChecksum(this.#v, o, 20 + optionLen + dataLen, pseudo4(src, ipv4.dst(this.#v, ETH), ipv4.PROTO_TCP, 0));
    return o + 20 + optionLen + dataLen;
  }

  #udp(): number {
    const r = this.#random;
    const dataLen = r.chance(90) ? r.below(600) : r.below(20_000);
    const o = this.#ip4(ipv4.PROTO_UDP, 8 + dataLen);
    const port = r.chance(40) ? r.pick([53, 67, 68, 547]) : r.pick(this.#world.ports);
    if (port === 67 && r.chance(60)) ethernet.setDst(this.#v, 0, 0xffff, 0xffffffff);
    udp.emit(this.#v, o, r.chance(80) ? 1024 + r.below(300) : r.below(65536), port, 8 + dataLen);
    if (port === 53) this.#dnsQuery(o + 8, dataLen);
    else r.fill(this.bytes, o + 8, o + 8 + Math.min(dataLen, 300));
    udp.setChecksum(this.#v, o, pseudo4(ipv4.src(this.#v, ETH), ipv4.dst(this.#v, ETH), ipv4.PROTO_UDP, 0));
    return o + 8 + dataLen;
  }

  #dnsQuery(at: number, len: number): void {
    const r = this.#random;
    r.fill(this.bytes, at, at + Math.min(len, 64));
    if (len < 30 || r.chance(20)) return;
    this.#v.setUint16(at + 2, 0x0100);
    this.#v.setUint16(at + 4, 1);
    this.#v.setUint32(at + 6, 0);
    this.#v.setUint16(at + 10, 0);
    this.bytes.set([3, 119, 101, 98, 0, 0, r.below(70), 0, 1], at + 12);
  }

  #fragment4(): number {
    const r = this.#random;
    const dataLen = r.below(180) * 8 + (r.chance(20) ? r.below(8) : 0);
    const at = r.chance(60) ? r.below(20) * 185 : r.below(8192);
    const o = this.#ip4(r.pick([1, 6, 17]), dataLen, (r.chance(70) ? ipv4.FLAG_MF : 0) | at);
    return o + dataLen;
  }

  #arp(): number {
    const r = this.#random;
    const w = this.#world;
    this.#macs(r.chance(30));
    ethernet.setType(this.#v, 0, ethernet.TYPE_ARP);
    const sender = r.chance(60) ? w.guest4 : (w.guest4 & 0xffffff00) + r.below(256);
    const target = r.chance(50) ? w.gateway4 : r.next();
    const [hi, lo] = w.guestMac;
    arp.emit(this.#v, ETH, 1 + r.below(3), hi, lo, sender >>> 0, r.below(65536), r.next() >>> 0, target >>> 0);
    return ETH + arp.LEN + r.below(20);
  }

  #ipv6(): number {
    const r = this.#random;
    const w = this.#world;
    this.#macs(r.chance(60));
    ethernet.setType(this.#v, 0, ethernet.TYPE_IPV6);
    const next = r.pick([58, 58, 58, 17, 6, 44, 0, 43, 60, r.below(256)]);
    const len = r.chance(90) ? 8 + r.below(120) : r.below(3000);
    const ip = ETH;
    const [g0, g1, g2, g3] = w.guest6;
    const [d0, d1, d2, d3] = r.chance(40) ? Uint32Array.of(0xff020000, 0, r.below(2), r.next()) : w.gateway6;
    ipv6.emit(this.#v, ip, len, next, r.chance(80) ? 255 : r.below(256), g0!, g1!, g2!, g3!, d0!, d1!, d2!, d3!);
    const o = ip + ipv6.HEADER_LEN;
    r.fill(this.bytes, o, o + Math.min(len, 200));
    if (next === 58) {
      this.bytes[o] = r.pick([128, 133, 134, 135, 136, 137, 143, 1, 2, 3, r.below(256)]);
      this.bytes[o + 1] = r.chance(80) ? 0 : r.below(5);
      for (let i = 0; i < 4 && r.chance(60); i++) this.#v.setUint32(o + 8 + 4 * i, w.gateway6[i]!);
      this.#v.setUint16(o + 2, 0);
      const pseudo = pseudo6(g0!, g1!, g2!, g3!, d0!, d1!, d2!, d3!, 58, len);
      this.#v.setUint16(o + 2, finish(sum(this.#v, o, len, pseudo)));
    }
    return o + len;
  }

  #icmp(): number {
    const r = this.#random;
    const len = r.chance(90) ? 8 + r.below(100) : 8 + r.below(4000);
    const o = this.#ip4(ipv4.PROTO_ICMP, len);
    icmpv4.emit(this.#v, o, r.chance(70) ? 8 : r.below(256), r.below(3), r.next() >>> 0);
    if (r.chance(90)) icmpv4.setChecksum(this.#v, o, len);
    return o + len;
  }

  #rawIp(): number {
    const r = this.#random;
    const len = r.below(400);
    const o = this.#ip4(r.below(256), len);
    if (r.chance(30)) this.bytes[ETH] = 0x40 | r.below(16);
    return o + len;
  }
}
