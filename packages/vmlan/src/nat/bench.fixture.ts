/**
 * nat between a gateway with its segment replaced by a list, and host sockets in memory: tests hand in guests' frames, read
 * what guests are sent as lines, and play the host.
 *
 *   const bench = new NatBench();
 *   bench.hears(bench.udp4({ dst: '198.51.100.7', dstPort: 53 }, 'question'));
 *   bench.sockets.receives('answer');
 *   assert.deepEqual(bench.says(), ['198.51.100.7.53 > 192.168.105.2.4000 udp length 6']);
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import { Gateway, type LocalServices } from '../stack/gateway.ts';
import type { GatewayConfig } from '../stack/gateway-addresses.ts';
import { IpOutput } from '../stack/ip-output.ts';
import type { Packet } from '../stack/packet.ts';
import type { GuestPort, SegmentOutput } from '../stack/path.ts';
import { Reassembler } from '../stack/reassembly.ts';
import { parseIpv4, parseIpv6, parseMac } from '../wire/address.ts';
import { fold, sum } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv4 from '../wire/icmpv4.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import {
  GATEWAY_MAC,
  GUEST_MAC,
  type Upper,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  udpOf,
} from '../wire/packets.fixture.ts';
import { printFrame } from '../wire/print.ts';
import * as udp from '../wire/udp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { EchoNat } from './echo-nat.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { OutboundPolicy, type PolicyConfig } from './policy.ts';
import { ScriptedSockets, bytesOf, latin1, textOf } from './scripted-sockets.fixture.ts';
import { UdpNat } from './udp-nat.ts';

export const GUEST_4 = '192.168.105.2';
export const GUEST_6 = 'fd00:1::2';
export const REMOTE_4 = '198.51.100.7';
export const REMOTE_6 = '2001:db8::7';
export const GATEWAY_4 = '192.168.105.1';
export const GATEWAY_6 = 'fd00:1::1';
const ARENA_BYTES = 8 << 20;

export const GATEWAY_CONFIG: GatewayConfig = {
  address4: parseIpv4(GATEWAY_4)!,
  network4: parseIpv4('192.168.105.0')!,
  mask4: 0xffff_ff00,
  dns4: 0,
  address6: parseIpv6(GATEWAY_6)!,
  linkLocal: parseIpv6('fe80::1')!,
  addressesOnly: false,
};

export const POLICY_CONFIG: PolicyConfig = {
  gateway4: GATEWAY_CONFIG.address4,
  dns4: 0,
  gateway6: GATEWAY_CONFIG.address6,
  gatewayLinkLocal: GATEWAY_CONFIG.linkLocal,
  outward: true,
  hostAccess: 'all',
  closed: [],
};

export interface Speech {
  readonly src?: string;
  readonly dst?: string;
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly hops?: number;
}

export interface BenchOptions {
  readonly policy?: Partial<PolicyConfig>;
  readonly pingAllowed?: boolean;
  readonly mtu?: number;
}

export class NatBench implements SegmentOutput, GatewayLookup, LocalServices {
  readonly id = 1;
  readonly arena: Arena = new Arena(new ArrayBuffer(ARENA_BYTES));
  readonly counters: Counters = new Counters();
  readonly sockets: ScriptedSockets;
  readonly output: IpOutput;
  readonly gateway: Gateway;
  readonly policy: OutboundPolicy;
  readonly udp: UdpNat;
  readonly echo: EchoNat;
  readonly port: GuestPort = newPort(1);
  /** TCP segments that came from the guest, without their frame. */
  onTcp: (packet: Packet) => void = () => {};
  /** ICMP errors of the guest about what the gateway sent. */
  onUnreachable: (packet: Packet) => void = () => {};
  /** Addresses of the host itself. */
  readonly hostAddresses: Set<string> = new Set(['192.0.2.10', '2001:db8::10']);
  /** Frames to guests with the ids of their ports. */
  frames: { readonly port: number; readonly frame: Uint8Array }[] = [];
  /** Frames to guests that were runs of datagrams. */
  runs = 0;
  /** A gateway that is not there any more: the segment went before its flows. */
  gatewayGone = false;
  /** How often it was said that echo is forbidden here. */
  forbidden = 0;
  nowMs = 1_000_000;
  readonly #rx: number;

  constructor({ policy = {}, pingAllowed = true, mtu = 1500 }: BenchOptions = {}) {
    const { arena, counters } = this;
    const { hi, lo } = parseMac(GATEWAY_MAC)!;
    this.sockets = new ScriptedSockets(arena, () => this.nowMs);
    this.output = new IpOutput(arena, { mtu, macHi: hi, macLo: lo }, counters);
    const isHostAddress = (w0: number, w1: number, w2: number, w3: number): boolean =>
      this.hostAddresses.has(textOf(w0, w1, w2, w3));
    this.policy = new OutboundPolicy({ ...POLICY_CONFIG, ...policy }, isHostAddress);
    this.udp = new UdpNat(arena, this.output, this.sockets, this, counters, 7, this.nowMs);
    const onForbidden = pingAllowed ? null : () => void this.forbidden++;
    this.echo = new EchoNat(this.output, this.sockets, this, counters, onForbidden, 7, this.nowMs);
    const forwarding = {
      onTcp: (packet: Packet) => this.onTcp(packet),
      onUnreachable: (packet: Packet) => this.onUnreachable(packet),
      onUdp: (packet: Packet, now: number) => this.udp.onUdp(packet, now),
      onEcho: (packet: Packet, now: number) => this.echo.onEcho(packet, now),
    };
    const reassembler = new Reassembler(arena, counters);
    this.gateway = new Gateway(this, GATEWAY_CONFIG, this.output, reassembler, this, forwarding, counters);
    this.#rx = arena.alloc(1 << 17) + 64;
  }

  // ---- what a test says

  hears(frame: Uint8Array, port: GuestPort = this.port): void {
    this.arena.u8.set(frame, this.#rx);
    vnetHdr.clear(this.arena.view, this.#rx - vnetHdr.LEN);
    this.gateway.onFrame(port, this.#rx, frame.length, this.nowMs);
    this.sockets.flush();
  }

  /** Several frames in one wake-up, each as a link with offload gives it: `runSize` 0 is a plain one. */
  hearsAll(frames: readonly Uint8Array[], runSize = 0): void {
    for (const frame of frames) {
      this.arena.u8.set(frame, this.#rx);
      const hdr = this.#rx - vnetHdr.LEN;
      const start = l4Of(frame);
      if (runSize === 0) vnetHdr.clear(this.arena.view, hdr);
      else vnetHdr.emit(this.arena.view, hdr, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_UDP_L4, start + 8, runSize, start, 6);
      this.gateway.onFrame(this.port, this.#rx, frame.length, this.nowMs);
    }
    this.sockets.flush();
  }

  /** A datagram of the guest. */
  udp4(speech: Speech = {}, payload: string | Uint8Array = 'hello'): Uint8Array {
    return ipv4Of(speech, udpOf(speech.srcPort ?? 4000, speech.dstPort ?? 9000, bytes(payload)));
  }

  udp6(speech: Speech = {}, payload: string | Uint8Array = 'hello'): Uint8Array {
    return ipv6Of(speech, udpOf(speech.srcPort ?? 4000, speech.dstPort ?? 9000, bytes(payload)));
  }

  /** An echo request: `srcPort` is its identifier, `dstPort` its sequence number. */
  echo4(speech: Speech = {}, payload: string | Uint8Array = 'ping'): Uint8Array {
    return ipv4Of(speech, icmpOf(icmpv4.TYPE_ECHO_REQUEST, 0, echoRest(speech), bytes(payload)));
  }

  echo6(speech: Speech = {}, payload: string | Uint8Array = 'ping'): Uint8Array {
    return ipv6Of(speech, icmp6Of(icmpv6.TYPE_ECHO_REQUEST, 0, echoRest(speech), bytes(payload)));
  }

  /** What guests were sent since the last call, as lines without MAC addresses. */
  says(): string[] {
    return this.frames.splice(0).map(({ port, frame }) => {
      const to = port === 0 ? 'flood: ' : `port ${port}: `;
      return (port === 1 ? '' : to) + lineOf(frame);
    });
  }

  /** Payloads of the datagrams that guests were sent since the last call. */
  payloads(): string[] {
    return this.frames.splice(0).map(({ frame }) => latin1(frame.subarray(l4Of(frame) + udp.HEADER_LEN)));
  }

  /** Lets time pass: timers fire when they are due. */
  passes(ms: number): void {
    const end = this.nowMs + ms;
    for (let at = this.#pollAt(); at <= end; at = this.#pollAt()) {
      this.nowMs = Math.max(at, this.nowMs);
      this.#poll();
    }
    this.nowMs = end;
    this.#poll();
  }

  /** That exactly these counters of drops stand above zero. */
  dropped(...expected: string[]): void {
    const found = Object.keys(this.counters.snapshot()).filter((name) => name.startsWith('drop_'));
    assert.deepEqual(found.sort(), expected.sort());
  }

  // ---- SegmentOutput

  sendTo(port: GuestPort, off: number, len: number): void {
    for (const frame of this.#finish(off, len)) this.frames.push({ port: port.id, frame });
  }

  flood(off: number, len: number): void {
    for (const frame of this.#finish(off, len)) this.frames.push({ port: 0, frame });
  }

  // ---- GatewayLookup, LocalServices

  gatewayOf(segmentId: number): Gateway | null {
    assert.equal(segmentId, this.id);
    return this.gatewayGone ? null : this.gateway;
  }

  policyOf(segmentId: number): OutboundPolicy {
    assert.equal(segmentId, this.id);
    return this.policy;
  }

  onDatagram(): boolean {
    return false;
  }

  onRouterSolicit(): void {}

  #poll(): void {
    this.gateway.poll(this.nowMs);
    this.udp.poll(this.nowMs);
    this.echo.poll(this.nowMs);
  }

  #pollAt(): number {
    return Math.min(this.gateway.pollAt(), this.udp.pollAt(), this.echo.pollAt());
  }

  /** The frame as a link without offload would send it: a run of datagrams as one frame each. */
  #finish(off: number, len: number): Uint8Array[] {
    const v = this.arena.view;
    const hdr = off - vnetHdr.LEN;
    assert.equal(vnetHdr.check(v, hdr, len), 0);
    const frame = this.arena.u8.slice(off, off + len);
    if ((vnetHdr.flags(v, hdr) & vnetHdr.NEEDS_CSUM) === 0) return [frame];
    const start = vnetHdr.csumStart(v, hdr);
    finishChecksum(frame, start, vnetHdr.csumOffset(v, hdr));
    if (vnetHdr.gsoType(v, hdr) === vnetHdr.GSO_NONE) return [frame];
    assert.deepEqual([vnetHdr.gsoType(v, hdr), vnetHdr.hdrLen(v, hdr)], [vnetHdr.GSO_UDP_L4, start + udp.HEADER_LEN]);
    this.runs++;
    const size = vnetHdr.gsoSize(v, hdr);
    const payload = frame.subarray(start + udp.HEADER_LEN);
    return Array.from({ length: Math.ceil(payload.length / size) }, (_, i) => {
      const part = payload.subarray(i * size, (i + 1) * size);
      const cut = Uint8Array.from([...frame.subarray(0, start + udp.HEADER_LEN), ...part]);
      const own = new DataView(cut.buffer);
      own.setUint16(start + udp.LENGTH_OFFSET, udp.HEADER_LEN + part.length);
      const ip = ethernet.HEADER_LEN;
      if (ethernet.etherType(own, 0) === ethernet.TYPE_IPV4) {
        ipv4.setTotalLen(own, ip, cut.length - ip);
        ipv4.setChecksum(own, ip);
        udp.setChecksum(own, start, ipv4.pseudo(own, ip, ipv4.PROTO_UDP));
      } else {
        ipv6.setPayloadLen(own, ip, cut.length - ip - ipv6.HEADER_LEN);
        udp.setChecksum(own, start, ipv6.pseudo(own, ip, ipv4.PROTO_UDP));
      }
      return cut;
    });
  }
}

/** Completes what is left to the link. */
function finishChecksum(frame: Uint8Array, start: number, offset: number): void {
  const own = new DataView(frame.buffer);
  const checksum = ~fold(sum(own, start, frame.length - start)) & 0xffff;
  own.setUint16(start + offset, checksum === 0 ? 0xffff : checksum);
}

export function newPort(id: number): GuestPort {
  return { id, nicKey: `guest${id}/0`, guest: `guest${id}`, room: () => 1 << 20 };
}

const bytes = (payload: string | Uint8Array): Uint8Array => (typeof payload === 'string' ? bytesOf(payload) : payload);
const echoRest = ({ srcPort = 77, dstPort = 1 }: Speech): number => ((srcPort << 16) | dstPort) >>> 0;

function ipv4Of({ src = GUEST_4, dst = REMOTE_4, hops = 64 }: Speech, upper: Upper): Uint8Array {
  return ipv4Frame({ from: GUEST_MAC, src, dst, ttl: hops }, upper);
}

function ipv6Of({ src = GUEST_6, dst = REMOTE_6, hops = 64 }: Speech, upper: Upper): Uint8Array {
  return ipv6Frame({ from: GUEST_MAC, src, dst, hopLimit: hops }, upper);
}

/** One line for a frame, without its MAC addresses and the family. */
function lineOf(frame: Uint8Array): string {
  const line = printFrame(new DataView(frame.buffer, frame.byteOffset), 0, frame.length);
  return line.replace(/^\S+ > \S+ /, '').replace(/^IPv[46] /, '');
}

function l4Of(frame: Uint8Array): number {
  const isV4 = ethernet.etherType(new DataView(frame.buffer, frame.byteOffset), 0) === ethernet.TYPE_IPV4;
  return ethernet.HEADER_LEN + (isV4 ? ipv4.MIN_HEADER_LEN : ipv6.HEADER_LEN);
}

/** The packet that an ICMP error quotes, as a line. */
export function quoteOf(frame: Uint8Array): string {
  const quote = frame.subarray(l4Of(frame) + icmpv4.HEADER_LEN);
  return lineOf(Uint8Array.from([...frame.subarray(0, ethernet.HEADER_LEN), ...quote]));
}

/** The transport bytes that an ICMP error quotes, in hex. */
export function quotedTransport(frame: Uint8Array): string {
  const l4 = l4Of(frame);
  const header = l4 - ethernet.HEADER_LEN;
  return Buffer.from(frame.subarray(l4 + icmpv4.HEADER_LEN + header)).toString('hex');
}
