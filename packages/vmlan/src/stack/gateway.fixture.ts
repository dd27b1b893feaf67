/**
 * A gateway with its segment replaced by a list: tests hand it a guest's frames and read, as lines, what it sends.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../wire/address.ts';
import { GATEWAY_MAC } from '../wire/packets.fixture.ts';
import { printFrame } from '../wire/print.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { Gateway, type Forwarding, type LocalServices } from './gateway.ts';
import type { GatewayConfig } from './gateway-addresses.ts';
import { IpOutput } from './ip-output.ts';
import type { Packet } from './packet.ts';
import type { GuestPort, SegmentOutput } from './path.ts';
import { Reassembler } from './reassembly.ts';

export const CONFIG: GatewayConfig = {
  address4: parseIpv4('192.168.105.1')!,
  network4: parseIpv4('192.168.105.0')!,
  mask4: 0xffff_ff00,
  dns4: 0,
  address6: parseIpv6('fd00:1::1')!,
  linkLocal: parseIpv6('fe80::1')!,
  addressesOnly: false,
};

export class GatewayBench implements SegmentOutput, Forwarding, LocalServices {
  readonly id = 1;
  readonly counters: Counters = new Counters();
  readonly gateway: Gateway;
  readonly port: GuestPort = { id: 1, nicKey: 'web/0', guest: 'web', room: () => 1 << 20 };
  /** Frames as lines, `flood: ` before those to everybody. */
  readonly sent: string[] = [];
  readonly frames: Uint8Array[] = [];
  /** What was handed on, as lines. */
  readonly passed: string[] = [];
  /** Ports of the UDP services that are there. */
  readonly services: Set<number> = new Set();
  readonly output: IpOutput;
  readonly arena: Arena;
  nowMs = 1000;
  readonly #rx: number;

  constructor(config: Partial<GatewayConfig> = {}, mtu = 1500) {
    const arena = new Arena(new ArrayBuffer(4 << 20));
    this.arena = arena;
    const mac = { macHi: Number.parseInt(GATEWAY_MAC.slice(0, 5).replace(':', ''), 16), macLo: 0x6d00_0001 };
    this.output = new IpOutput(arena, { mtu, ...mac }, this.counters);
    const reassembler = new Reassembler(arena, this.counters);
    this.gateway = new Gateway(this, { ...CONFIG, ...config }, this.output, reassembler, this, this, this.counters);
    this.#rx = arena.alloc(1 << 17) + 64;
  }

  /** A frame of the guest; `trusted` as from a link that vouches for checksums. */
  hears(frame: Uint8Array, trusted = false): void {
    this.arena.u8.set(frame, this.#rx);
    vnetHdr.clear(this.arena.view, this.#rx - vnetHdr.LEN);
    if (trusted) vnetHdr.setFlags(this.arena.view, this.#rx - vnetHdr.LEN, vnetHdr.DATA_VALID);
    this.gateway.onFrame(this.port, this.#rx, frame.length, this.nowMs);
  }

  /** The lines sent since the last call, without the MAC addresses. */
  says(): string[] {
    this.frames.length = 0;
    return this.sent.splice(0).map((line) => line.replace(/^(flood: )?\S+ > \S+ /, '$1'));
  }

  hasPassed(): string[] {
    return this.passed.splice(0);
  }

  /** That exactly these counters stand above zero, of those that count drops. */
  dropped(...names: string[]): void {
    const found = Object.keys(this.counters.snapshot()).filter((name) => name.startsWith('drop_'));
    assert.deepEqual(found.sort(), names.sort());
  }

  // ---- SegmentOutput

  sendTo(port: GuestPort, off: number, len: number): void {
    assert.equal(port, this.port);
    this.#keep('', off, len);
  }

  flood(off: number, len: number): void {
    this.#keep('flood: ', off, len);
  }

  #keep(prefix: string, off: number, len: number): void {
    assert.equal(vnetHdr.check(this.arena.view, off - vnetHdr.LEN, len), 0);
    this.frames.push(this.arena.u8.slice(off, off + len));
    this.sent.push(prefix + printFrame(this.arena.view, off, len));
  }

  // ---- Forwarding, LocalServices

  onTcp(packet: Packet): void {
    this.passed.push(`tcp ${addressesOf(packet)} ${packet.l4Len}`);
  }

  onUdp(packet: Packet): void {
    this.passed.push(`udp ${addressesOf(packet)} ${packet.l4Len}`);
  }

  onEcho(packet: Packet): void {
    this.passed.push(`echo ${addressesOf(packet)} ${packet.l4Len}`);
  }

  onDatagram(packet: Packet, srcPort: number, dstPort: number, _data: number, len: number): boolean {
    if (!this.services.has(dstPort)) return false;
    this.passed.push(`service ${srcPort} > ${dstPort} ${addressesOf(packet)} ${len}`);
    return true;
  }

  onRouterSolicit(packet: Packet): void {
    this.passed.push(`router solicit ${addressesOf(packet)}`);
  }
}

function addressesOf(p: Packet): string {
  if (p.family === 4) return `${formatIpv4(p.guest3)} > ${formatIpv4(p.remote3)}`;
  const guest = Uint32Array.of(p.guest0, p.guest1, p.guest2, p.guest3);
  const remote = Uint32Array.of(p.remote0, p.remote1, p.remote2, p.remote3);
  return `${formatIpv6(guest)} > ${formatIpv6(remote)}`;
}

/** One frame in, and what comes of it. */
export interface Row {
  readonly name: string;
  readonly frame: Uint8Array;
  readonly says?: string[];
  readonly passes?: string[];
  readonly drops?: string[];
}

/** A test for each row, with services on the ports 53, 67 and 547. */
export function rows(table: readonly Row[], config: Partial<GatewayConfig> = {}): void {
  for (const { name, frame, says = [], passes = [], drops = [] } of table) {
    test(name, () => {
      const bench = new GatewayBench(config);
      bench.services.add(53).add(67).add(547);
      bench.hears(frame);
      assert.deepEqual(bench.says(), says);
      assert.deepEqual(bench.hasPassed(), passes);
      bench.dropped(...drops);
    });
  }
}
