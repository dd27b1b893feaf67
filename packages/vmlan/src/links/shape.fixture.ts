/**
 * A shaped line for tests: numbered frames go in, what comes out is noted with its time, which the test lets pass.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import { pseudo4 } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import type { LineShape } from './line-shape.ts';
import { MAX_FRAME_LEN } from './link.ts';
import { ShapeLine } from './shape-line.ts';
import { CELL_BYTES, MAX_CELLS, ShapeQueue } from './shape-queue.ts';

export const FRAME_LEN = 60;
const HEADROOM = 64;
const NUMBER_AT = 14;

export interface Arrival {
  readonly number: number;
  readonly atMs: number;
  readonly bytes: Uint8Array;
}

/** Memory and clock of one thread. */
export class ShapeBench {
  readonly arena: Arena = new Arena(new ArrayBuffer(MAX_CELLS * CELL_BYTES + (4 << 20)));
  readonly counters: Counters = new Counters();
  nowMs = 1000;
  readonly queue: ShapeQueue = new ShapeQueue(this.arena, this.counters, () => this.nowMs);
  readonly scratch: number = this.arena.alloc(HEADROOM + MAX_FRAME_LEN) + HEADROOM;
  /** Where a sender has its frames. */
  readonly frame: number = this.arena.alloc(HEADROOM + MAX_FRAME_LEN) + HEADROOM;

  line(shape: LineShape | null): BenchLine {
    return new BenchLine(this, shape);
  }

  /** Lets time pass to where the next frame is due. */
  wait(): void {
    this.nowMs = Math.max(this.queue.nextAt, this.nowMs);
    this.queue.poll();
  }

  passes(ms: number): void {
    const until = this.nowMs + ms;
    while (this.queue.nextAt <= until) this.wait();
    this.nowMs = until;
  }

  drain(): void {
    while (this.queue.nextAt !== Infinity) this.wait();
  }
}

export class BenchLine {
  readonly line: ShapeLine;
  readonly arrivals: Arrival[] = [];
  room: number = Infinity;
  readonly #bench: ShapeBench;

  constructor(bench: ShapeBench, shape: LineShape | null) {
    this.#bench = bench;
    const { arena, counters, queue } = bench;
    this.line = new ShapeLine({ arena, counters, queue, mtu: 1500, random: () => 1 }, bench.scratch, {
      deliver: (off, len) => this.#onFrame(off, len),
      room: () => this.room,
    });
    this.line.set(shape);
  }

  #onFrame(off: number, len: number): void {
    const { arena, nowMs } = this.#bench;
    assert.equal(vnetHdr.flags(arena.view, off - vnetHdr.LEN), 0);
    this.arrivals.push({
      number: arena.view.getUint32(off + NUMBER_AT),
      atMs: nowMs,
      bytes: arena.u8.slice(off, off + len),
    });
    this.room -= len;
  }

  send(number: number, len: number = FRAME_LEN): void {
    const { arena, frame } = this.#bench;
    vnetHdr.clear(arena.view, frame - vnetHdr.LEN);
    for (let i = 0; i < len; i++) arena.u8[frame + i] = i * 7 + number;
    arena.view.setUint32(frame + NUMBER_AT, number);
    this.line.pass(frame, len);
  }

  sendAll(count: number, len: number = FRAME_LEN): void {
    for (let i = 0; i < count; i++) this.send(i, len);
  }

  numbers(): number[] {
    return this.arrivals.map(({ number }) => number);
  }

  /** How long after `sinceMs` each came. */
  waits(sinceMs = 1000): number[] {
    return this.arrivals.map(({ atMs }) => atMs - sinceMs);
  }

  /** A TCP superframe of `payload` bytes that the guest's kernel left for us to cut and sum. */
  sendSuperframe(payload: number, mss: number): void {
    const { arena, frame } = this.#bench;
    const { view: v, u8 } = arena;
    const ip = frame + ethernet.HEADER_LEN;
    const l4 = ip + ipv4.MIN_HEADER_LEN;
    const l4Len = tcp.MIN_HEADER_LEN + payload;
    ethernet.emit(v, frame, 0x5254, 2, 0x5254, 1, ethernet.TYPE_IPV4);
    ipv4.emit(v, ip, ipv4.MIN_HEADER_LEN + l4Len, 0, ipv4.FLAG_DF, 64, ipv4.PROTO_TCP, 0x0a000001, 0x0a000002);
    for (let i = 0; i < payload; i++) u8[l4 + tcp.MIN_HEADER_LEN + i] = i;
    tcp.emit(v, l4, 1, 2, 1000, 0, tcp.MIN_HEADER_LEN, tcp.ACK | tcp.PSH, 100);
    tcp.setPartialChecksum(v, l4, l4Len, pseudo4(0x0a000001, 0x0a000002, ipv4.PROTO_TCP, 0));
    const start = l4 - frame;
    const hdr = frame - vnetHdr.LEN;
    vnetHdr.emit(v, hdr, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_TCPV4, start + 20, mss, start, tcp.CHECKSUM_OFFSET);
    this.line.pass(frame, start + l4Len);
  }
}
