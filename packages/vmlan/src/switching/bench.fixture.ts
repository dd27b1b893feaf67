/**
 * A segment for tests: ports whose links keep what they are sent, frames put into the arena as a link would.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import { formatMac, parseIpv4, parseIpv6, parseMac } from '../wire/address.ts';
import { GATEWAY_MAC } from '../wire/packets.fixture.ts';
import { printFrame } from '../wire/print.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { Guard, type GuardAddresses } from './guard.ts';
import type { HostGate } from './host-gate.ts';
import { Port } from './port.ts';
import { Segment } from './segment.ts';

export const ADDRESSES: GuardAddresses = {
  network4: parseIpv4('192.168.105.0')!,
  mask4: 0xffff_ff00,
  gateway4: parseIpv4('192.168.105.1')!,
  prefix6: [0xfd00_0001, 0],
  gateway6: parseIpv6('fd00:1::1')!,
  gatewayLinkLocal: parseIpv6('fe80::1')!,
};

/** A guest's port; its link keeps the frames as lines. */
export class TestPort extends Port {
  readonly lines: string[] = [];
  readonly frames: Uint8Array[] = [];
  /** Bytes that the link still takes. */
  window: number = Infinity;
  readonly #arena: Arena;

  constructor(arena: Arena, id: number, hostSide = false) {
    super(id, hostSide);
    this.#arena = arena;
    this.link = { kind: 'loopback', send: (off, len) => this.#take(off, len), room: () => this.window };
  }

  /** The lines since the last call. */
  hears(): string[] {
    this.frames.length = 0;
    return this.lines.splice(0);
  }

  #take(off: number, len: number): boolean {
    if (len > this.window) return false;
    this.window -= len;
    this.frames.push(this.#arena.u8.slice(off, off + len));
    this.lines.push(printFrame(this.#arena.view, off, len));
    return true;
  }
}

export interface SegmentBenchOptions {
  readonly guard?: boolean;
  readonly isolateGuests?: boolean;
  readonly sets?: number;
  readonly hostGate?: HostGate | null;
}

export class SegmentBench {
  readonly arena: Arena = new Arena(new ArrayBuffer(1 << 20));
  readonly counters: Counters = new Counters();
  readonly segment: Segment;
  readonly guard: Guard | null;
  /** Lines that reached the gateway, with the port they came from. */
  readonly toGateway: string[] = [];
  readonly stations: string[] = [];
  nowMs = 0;
  readonly #rx: number = this.arena.alloc(1 << 17) + 64;
  #nextId = 1;

  constructor({ guard = false, isolateGuests = false, sets = 64, hostGate = null }: SegmentBenchOptions = {}) {
    const { hi, lo } = parseMac(GATEWAY_MAC)!;
    this.guard = guard ? new Guard(ADDRESSES, sets, 99) : null;
    const copy = this.arena.alloc(1 << 17) + 64;
    this.segment = new Segment(
      this.arena,
      copy,
      {
        ...{ id: 1, gatewayMacHi: hi, gatewayMacLo: lo, isolateGuests, guard: this.guard, hostGate },
        ...{ macTableSets: sets, seed: 5 },
      },
      this.counters,
    );
    this.segment.gateway = {
      onFrame: (port, off, len) => void this.toGateway.push(`${port.id}: ${printFrame(this.arena.view, off, len)}`),
    };
    this.segment.observer = {
      onStation: (port, hi, lo) => {
        this.stations.push(`${port.id}: ${formatMac(hi, lo)}`);
        if (port.macHi !== 0 || port.macLo !== 0) return;
        port.macHi = hi; // the first one is the NIC's own
        port.macLo = lo;
      },
    };
  }

  port(hostSide = false): TestPort {
    const port = new TestPort(this.arena, this.#nextId++, hostSide);
    this.segment.addPort(port);
    return port;
  }

  /** A frame from the guest behind `port`; `header` is its virtio_net_hdr. */
  sends(port: Port, frame: Uint8Array, header?: Uint8Array): void {
    this.arena.u8.set(frame, this.#rx);
    vnetHdr.clear(this.arena.view, this.#rx - vnetHdr.LEN);
    if (header !== undefined) this.arena.u8.set(header, this.#rx - vnetHdr.LEN);
    this.segment.onFrame(port, this.#rx, frame.length, this.nowMs);
  }

  /** A frame of the gateway, at its offset and with its length. */
  place(frame: Uint8Array): [number, number] {
    this.arena.u8.set(frame, this.#rx);
    vnetHdr.clear(this.arena.view, this.#rx - vnetHdr.LEN);
    return [this.#rx, frame.length];
  }

  gatewayHears(): string[] {
    return this.toGateway.splice(0);
  }

  /** That exactly these counters stand above zero, of those that count drops. */
  dropped(...names: string[]): void {
    const found = Object.keys(this.counters.snapshot()).filter((name) => name.startsWith('drop_'));
    assert.deepEqual(found.sort(), names.sort());
  }
}
