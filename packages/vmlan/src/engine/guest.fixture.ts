/**
 * A guest made of frames on a loopback link: what it says is written by hand, what it hears are lines of text.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import type { LineShape } from '../links/line-shape.ts';
import { LoopbackLink } from '../links/loopback.ts';
import type { Port } from '../switching/port.ts';
import { parseIpv4 } from '../wire/address.ts';
import * as dhcp from '../wire/dhcpv4.ts';
import { TYPE } from '../wire/dns.ts';
import { makeQuery, showReply } from '../wire/dns.fixture.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import {
  BROADCAST_MAC,
  GATEWAY_MAC,
  type Upper,
  arpFrame,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  neighborOf,
  udpOf,
} from '../wire/packets.fixture.ts';
import { printFrame } from '../wire/print.ts';
import * as udp from '../wire/udp.ts';
import type { EngineBench } from './bench.fixture.ts';

const ALL_NODES = { mac: '33:33:00:00:00:01', address: 'ff02::1' };
const ALL_ROUTERS = { mac: '33:33:00:00:00:02', address: 'ff02::2' };
const ND_HOPS = 255;
const DNS_CLIENT_PORT = 5300;

export interface GuestOptions {
  readonly mac?: string;
  readonly address4?: string;
  readonly address6?: string;
}

export interface LeaseOptions {
  readonly hostname?: string;
  readonly mac?: string;
}

const bytes = (payload: string | Uint8Array): Uint8Array =>
  typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
export const viewOf = (frame: Uint8Array): DataView => new DataView(frame.buffer, frame.byteOffset, frame.byteLength);

/** A frame as a line, without its MAC addresses and its family. */
export function lineOf(frame: Uint8Array): string {
  return printFrame(viewOf(frame), 0, frame.length)
    .replace(/^\S+ > \S+ /, '')
    .replace(/^IPv[46] /, '');
}

/** Offset of the transport header. */
export function l4Of(frame: Uint8Array): number {
  const isV4 = ethernet.etherType(viewOf(frame), 0) === ethernet.TYPE_IPV4;
  return ethernet.HEADER_LEN + (isV4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN);
}

export class BenchGuest {
  readonly nic: string | null;
  readonly mac: string;
  address4: string;
  readonly address6: string;
  readonly gateway4: string;
  readonly gateway6: string;
  /** Frames that nobody has looked at. */
  frames: Uint8Array[] = [];
  port: Port | null = null;
  link: LoopbackLink | null = null;
  /** Takes frames instead of `frames`. */
  onFrame: ((frame: Uint8Array) => void) | null = null;
  readonly #bench: EngineBench;
  #xid = 1;

  constructor(bench: EngineBench, number: number, nic: string | null, options: GuestOptions) {
    const { config } = bench;
    const last = (1 + number).toString(16);
    this.#bench = bench;
    this.nic = nic;
    this.mac = options.mac ?? `52:54:00:00:00:${last.padStart(2, '0')}`;
    const net = config.ipv4?.subnet.replace(/\d+\/\d+$/, '') ?? '';
    this.address4 = options.address4 ?? config.ipv4?.fixedGuest ?? `${net}${1 + number}`;
    this.address6 = options.address6 ?? `fd00:1:2:3::${last}`;
    this.gateway4 = config.ipv4?.gateway ?? '';
    this.gateway6 = config.ipv6?.gateway ?? '';
  }

  // ---- the cable

  plug(): void {
    const { engine, sys } = this.#bench;
    assert.equal(this.port, null, 'plugged in already');
    this.link = new LoopbackLink(
      sys.arena,
      {
        onFrame: (off, len, nowMs) => {
          if (this.port !== null) engine.onFrame(this.port, off, len, nowMs);
        },
        restMs: () => 0,
        onUp: (link) => (this.port = engine.addPort(link, this.nic, false)),
        onDown: () => {},
      },
      (frame) => (this.onFrame === null ? void this.frames.push(frame.slice()) : this.onFrame(frame.slice())),
    );
    this.#bench.turn();
  }

  /** Shapes what passes the cable, also one that is plugged in later. */
  suffers(fromGuest: LineShape | null, toGuest: LineShape | null): void {
    const id = `cable of ${this.port!.nicKey}`;
    if (fromGuest === null && toGuest === null) return void this.#bench.request({ type: 'remove-shape', shapeId: id });
    const shape = { id, nic: this.port!.nicKey, peer: null, fromGuest, toGuest };
    return void this.#bench.request({ type: 'set-shape', shape });
  }

  unplug(): void {
    const { port } = this;
    this.port = null;
    if (port !== null) this.#bench.engine.removePort(port);
    this.#bench.turn();
  }

  // ---- speaking

  /** Sends frames, and lets the engine have a turn. */
  says(...frames: Uint8Array[]): void {
    for (const frame of frames) this.link!.inject(frame, this.#bench.sys.monotonicMs());
    this.#bench.turn();
  }

  /** Lets everybody know its addresses (RFC 5227 §3, RFC 4861 §7.2.6), and forgets what came back. */
  announces(): void {
    if (this.gateway4 !== '') this.says(arpFrame({ from: this.mac, sender: this.address4, target: this.address4 }));
    if (this.gateway6 !== '') this.says(this.neighborAdvert(this.address6));
    this.frames = [];
  }

  neighborAdvert(address: string): Uint8Array {
    const upper = neighborOf('advert', address, this.mac, 0x20);
    const ends = { from: this.mac, to: ALL_NODES.mac, src: address, dst: ALL_NODES.address };
    return ipv6Frame({ ...ends, hopLimit: ND_HOPS }, upper);
  }

  routerSolicit(): Uint8Array {
    const ends = { from: this.mac, to: ALL_ROUTERS.mac, src: this.address6, dst: ALL_ROUTERS.address };
    return ipv6Frame({ ...ends, hopLimit: ND_HOPS }, icmp6Of(icmpv6.TYPE_ROUTER_SOLICIT, 0, 0));
  }

  arp(target: string): Uint8Array {
    return arpFrame({ from: this.mac, sender: this.address4, target });
  }

  /** An IP packet to an address beyond the gateway, or of it. */
  packet(dst: string, upper: Upper, hops = 64): Uint8Array {
    if (dst.includes(':')) return ipv6Frame({ from: this.mac, src: this.address6, dst, hopLimit: hops }, upper);
    return ipv4Frame({ from: this.mac, src: this.address4, dst, ttl: hops }, upper);
  }

  udp(dst: string, dstPort: number, payload: string | Uint8Array, srcPort = 4000, hops = 64): Uint8Array {
    return this.packet(dst, udpOf(srcPort, dstPort, bytes(payload)), hops);
  }

  echo(dst: string, sequence = 1, hops = 64): Uint8Array {
    const rest = (77 << 16) | sequence;
    const upper = dst.includes(':')
      ? icmp6Of(icmpv6.TYPE_ECHO_REQUEST, 0, rest, bytes('ping'))
      : icmpOf(icmpv4.TYPE_ECHO_REQUEST, 0, rest, bytes('ping'));
    return this.packet(dst, upper, hops);
  }

  // ---- hearing

  /** Lines of what came since the last call, without router advertisements. */
  hears(): string[] {
    return this.frames
      .splice(0)
      .map(lineOf)
      .filter((line) => !line.includes('router advert'));
  }

  /** Payloads of the datagrams to a port that came since the last call. */
  payloads(port = 4000): Uint8Array[] {
    return this.frames.splice(0).flatMap((frame) => {
      const at = l4Of(frame);
      const isUdp = lineOf(frame).includes(' udp ') && udp.dstPort(viewOf(frame), at) === port;
      return isUdp ? [frame.slice(at + udp.HEADER_LEN)] : [];
    });
  }

  texts(port = 4000): string[] {
    return this.payloads(port).map((payload) => new TextDecoder().decode(payload));
  }

  /** Router lifetimes of the advertisements that came since the last call, seconds. */
  routerLifetimes(): number[] {
    return this.frames
      .splice(0)
      .filter((frame) => lineOf(frame).includes('router advert'))
      .map((frame) => viewOf(frame).getUint16(l4Of(frame) + 6));
  }

  // ---- DNS

  /** What the gateway says about a name, `NOERROR | aa ra | …`; empty when it says nothing yet. */
  resolves(name: string, type: number = TYPE.A): string {
    this.payloads(DNS_CLIENT_PORT);
    this.says(this.udp(this.gateway4, 53, makeQuery(name, type), DNS_CLIENT_PORT));
    const [reply] = this.payloads(DNS_CLIENT_PORT);
    return reply === undefined ? '' : showReply(reply);
  }

  /** The addresses of a name, in order. */
  addressesOf(name: string, type: number = TYPE.A): string[] {
    const found = this.resolves(name, type).split(' | ');
    return found.flatMap((line) => / A{1,4} \d+ (\S+)$/.exec(line)?.[1] ?? []);
  }

  // ---- DHCP

  dhcpFrame(type: number, options: readonly dhcp.Dhcp4Option[] = [], mac: string = this.mac): Uint8Array {
    const chaddr = new Uint8Array(16);
    chaddr.set(mac.split(':').map((byte) => Number.parseInt(byte, 16)));
    const message = dhcp.emitDhcp4(
      {
        ...{ op: dhcp.BOOT_REQUEST, htype: dhcp.HTYPE_ETHERNET, hlen: 6, hops: 0, xid: this.#xid++, secs: 0 },
        ...{ flags: dhcp.FLAG_BROADCAST, ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0, chaddr },
        ...{ sname: '', file: '', options: [dhcp.u8Option(dhcp.OPT_MESSAGE_TYPE, type), ...options] },
      },
      dhcp.MIN_MESSAGE_BYTES + 276,
    );
    const upper = udpOf(dhcp.CLIENT_PORT, dhcp.SERVER_PORT, message);
    return ipv4Frame({ from: mac, to: BROADCAST_MAC, src: '0.0.0.0', dst: '255.255.255.255' }, upper);
  }

  /** DHCP messages that came since the last call. */
  dhcpReplies(): dhcp.Dhcp4Message[] {
    return this.payloads(dhcp.CLIENT_PORT).map((payload) => dhcp.parseDhcp4(viewOf(payload), 0, payload.length)!);
  }

  /** The frames of a whole exchange up to the REQUEST; null when there was no offer. */
  asksForLease({ hostname, mac = this.mac }: LeaseOptions = {}): void {
    const name = hostname === undefined ? [] : [dhcp.textOption(dhcp.OPT_HOSTNAME, hostname)];
    this.says(this.dhcpFrame(dhcp.DISCOVER, name, mac));
    const offer = this.dhcpReplies().at(-1);
    assert.equal(offer === undefined ? 0 : dhcp.optionU8(offer, dhcp.OPT_MESSAGE_TYPE), dhcp.OFFER);
    const wanted = dhcp.u32Option(dhcp.OPT_REQUESTED_IP, offer!.yiaddr);
    const server = dhcp.u32Option(dhcp.OPT_SERVER_ID, parseIpv4(this.gateway4)!);
    this.says(this.dhcpFrame(dhcp.REQUEST, [wanted, server, ...name], mac));
  }

  /** The address that an ACK gives, or null. */
  obtainsLease(options: LeaseOptions = {}): string | null {
    this.asksForLease(options);
    this.#bench.turn();
    const ack = this.dhcpReplies().find((reply) => dhcp.optionU8(reply, dhcp.OPT_MESSAGE_TYPE) === dhcp.ACK);
    if (ack === undefined) return null;
    const { yiaddr: ip } = ack;
    this.address4 = `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
    return this.address4;
  }

  /** The MAC that frames to the gateway carry. */
  static readonly gatewayMac: string = GATEWAY_MAC;
}
