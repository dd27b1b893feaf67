/**
 * Faults: how often they come, that they come the same way again, what waits and for how long, and superframes.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena } from '../core/arena.ts';
import { Counters } from '../core/counters.ts';
import type { Source } from '../core/poller.ts';
import { FakeKernel } from '../sys/fake/kernel.ts';
import { pseudo4, VALID, fold, sum } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as vnetHdr from '../wire/vnet-hdr.ts';
import { FaultInjector } from './fault-injector.ts';
import { FaultBuffers, FaultLine, type Faults, MAX_WAITING } from './fault-line.ts';
import { MAX_FRAME_LEN } from './link.ts';

const ARENA_BYTES = 80 << 20;
const FRAME_LEN = 60;

interface Arrival {
  readonly number: number;
  readonly atMs: number;
  readonly bytes: Uint8Array;
}

/** A line with numbered frames going in and what comes out. */
class Bench {
  readonly arena = new Arena(new ArrayBuffer(ARENA_BYTES));
  readonly counters = new Counters();
  readonly buffers = new FaultBuffers(this.arena);
  readonly arrivals: Arrival[] = [];
  readonly line: FaultLine;
  readonly #frame = this.arena.alloc(64 + MAX_FRAME_LEN) + 64;
  nowMs = 1000;
  room = Infinity;

  constructor(faults: Faults) {
    const deliver = (off: number, len: number, nowMs: number): void => {
      assert.equal(vnetHdr.flags(this.arena.view, off - vnetHdr.LEN), 0);
      const bytes = this.arena.u8.slice(off, off + len);
      this.arrivals.push({ number: this.arena.view.getUint32(off + 14), atMs: nowMs, bytes });
      this.room -= len;
    };
    this.line = new FaultLine(this.buffers, this.buffers.toGuest, this.counters, deliver, () => this.room);
    this.line.set(faults, this.nowMs);
  }

  send(number: number): void {
    const { view, u8 } = this.arena;
    vnetHdr.clear(view, this.#frame - vnetHdr.LEN);
    u8.fill(0, this.#frame, this.#frame + FRAME_LEN);
    view.setUint32(this.#frame + 14, number);
    this.line.pass(this.#frame, FRAME_LEN, this.nowMs);
  }

  sendAll(count: number): void {
    for (let i = 0; i < count; i++) this.send(i);
  }

  /** Lets time pass to where the next frame is due. */
  wait(): void {
    this.nowMs = this.line.nextAt;
    this.line.poll(this.nowMs);
  }

  drain(): void {
    while (this.line.nextAt !== Infinity) this.wait();
  }

  numbers(): number[] {
    return this.arrivals.map(({ number }) => number);
  }

  /** A TCP superframe of `payload` bytes that the guest's kernel left for us to cut and sum. */
  sendSuperframe(payload: number, mss: number): void {
    const { view: v, u8 } = this.arena;
    const ip = this.#frame + ethernet.HEADER_LEN;
    const l4 = ip + ipv4.MIN_HEADER_LEN;
    const l4Len = tcp.MIN_HEADER_LEN + payload;
    ethernet.emit(v, this.#frame, 0x5254, 2, 0x5254, 1, ethernet.TYPE_IPV4);
    ipv4.emit(v, ip, ipv4.MIN_HEADER_LEN + l4Len, 0, ipv4.FLAG_DF, 64, ipv4.PROTO_TCP, 0x0a000001, 0x0a000002);
    for (let i = 0; i < payload; i++) u8[l4 + tcp.MIN_HEADER_LEN + i] = i;
    tcp.emit(v, l4, 1, 2, 1000, 0, tcp.MIN_HEADER_LEN, tcp.ACK | tcp.PSH, 100);
    tcp.setPartialChecksum(v, l4, l4Len, pseudo4(0x0a000001, 0x0a000002, ipv4.PROTO_TCP, 0));
    const start = l4 - this.#frame;
    const hdr = this.#frame - vnetHdr.LEN;
    vnetHdr.emit(v, hdr, vnetHdr.NEEDS_CSUM, vnetHdr.GSO_TCPV4, start + 20, mss, start, tcp.CHECKSUM_OFFSET);
    this.line.pass(this.#frame, start + l4Len, this.nowMs);
  }
}

/** Whether an IPv4 TCP frame's checksum is right. */
function sumsUp(frame: Uint8Array): boolean {
  const arena = new Arena(new ArrayBuffer(MAX_FRAME_LEN + 256));
  const at = arena.alloc(frame.length) + 64;
  arena.u8.set(frame, at);
  const l4 = at + ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN;
  const len = frame.length - ethernet.HEADER_LEN - ipv4.MIN_HEADER_LEN;
  return fold(sum(arena.view, l4, len, pseudo4(0x0a000001, 0x0a000002, ipv4.PROTO_TCP, len))) === VALID;
}

const inOrder = (numbers: readonly number[]): boolean => numbers.every((n, i) => i === 0 || numbers[i - 1]! <= n);

describe('a line', () => {
  test('without faults hands on the very frame', () => {
    const bench = new Bench({});
    bench.line.set(null, bench.nowMs);
    bench.sendAll(10);
    assert.deepEqual(bench.numbers(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(bench.line.active, false);
  });

  for (const { fault, counter, least, most } of [
    { fault: { loss: 0.1 }, counter: 'fault_frames_lost', least: 850, most: 950 },
    { fault: { duplicate: 0.1 }, counter: 'fault_frames_duplicated', least: 1050, most: 1150 },
    { fault: { loss: 1 }, counter: 'fault_frames_lost', least: 0, most: 0 },
    { fault: { duplicate: 1 }, counter: 'fault_frames_duplicated', least: 2000, most: 2000 },
  ] satisfies { fault: Faults; counter: string; least: number; most: number }[]) {
    test(`${JSON.stringify(fault)} of 1000 frames leaves ${least} to ${most}`, () => {
      const bench = new Bench(fault);
      bench.sendAll(1000);
      const { length } = bench.arrivals;
      assert.ok(length >= least && length <= most, `${length} arrived`);
      assert.equal(bench.counters.get(counter), Math.abs(1000 - length));
      assert.ok(inOrder(bench.numbers()));
    });
  }

  test('the same seed gives the same faults, another seed others', () => {
    const run = (seed: number): number[] => {
      const bench = new Bench({ loss: 0.1, duplicate: 0.1, reorder: 0.1, seed });
      bench.sendAll(200);
      bench.drain();
      return bench.numbers();
    };
    assert.deepEqual(run(7), run(7));
    assert.notDeepEqual(run(7), run(8));
  });

  test('reordering loses nothing and moves a frame by three at most', () => {
    const bench = new Bench({ reorder: 0.2 });
    bench.sendAll(1000);
    bench.drain();
    const numbers = bench.numbers();
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      Array.from({ length: 1000 }, (_, i) => i),
    );
    assert.ok(bench.counters.get('fault_frames_reordered') > 80);
    for (const [at, number] of numbers.entries()) assert.ok(Math.abs(at - number) <= 3, `${number} came as ${at}`);
    assert.ok(!inOrder(numbers));
  });

  test('a frame that nobody overtakes leaves by itself', () => {
    const bench = new Bench({ reorder: 1 });
    bench.send(1);
    assert.deepEqual(bench.numbers(), []);
    bench.wait();
    assert.deepEqual(bench.numbers(), [1]);
    assert.equal(bench.arrivals[0]!.atMs, 1005);
  });

  test('corruption turns one bit over, in one of two copies alone', () => {
    const bench = new Bench({ corrupt: 0.5, duplicate: 1 });
    bench.sendAll(100);
    const bits = bench.arrivals.map(({ bytes }, i) => {
      const expected = new Uint8Array(FRAME_LEN);
      new DataView(expected.buffer).setUint32(14, i >> 1);
      return bytes.reduce((n, byte, at) => n + ((byte ^ expected[at]!) === 0 ? 0 : 1), 0);
    });
    assert.ok(bits.every((differing) => differing <= 1));
    assert.equal(bits.filter((differing) => differing === 1).length, bench.counters.get('fault_frames_corrupted'));
    assert.ok(bench.counters.get('fault_frames_corrupted') > 60);
  });

  test('delay keeps order, and each frame arrives when it is due', () => {
    const bench = new Bench({ delayMs: 20 });
    for (let i = 0; i < 50; i++) {
      bench.nowMs = 1000 + i;
      bench.line.poll(bench.nowMs);
      bench.send(i);
    }
    bench.drain();
    assert.deepEqual(
      bench.arrivals.map(({ number, atMs }) => atMs - 1000 - number),
      Array.from({ length: 50 }, () => 20),
    );
    assert.equal(bench.buffers.waiting.inUse, 0);
  });

  test('jitter spreads arrivals between delay and delay + jitter', () => {
    const bench = new Bench({ delayMs: 10, jitterMs: 10 });
    bench.sendAll(200);
    bench.drain();
    const waits = bench.arrivals.map(({ atMs }) => atMs - 1000);
    assert.deepEqual([Math.min(...waits), Math.max(...waits)], [10, 20]);
    assert.equal(bench.arrivals.length, 200);
    assert.ok(inOrder(waits));
  });

  test('what is due waits for the room that the link has', () => {
    const bench = new Bench({ delayMs: 20 });
    bench.sendAll(4);
    bench.room = 2 * FRAME_LEN;
    bench.wait();
    assert.deepEqual(bench.numbers(), [0, 1]);
    bench.wait();
    bench.room = FRAME_LEN;
    bench.wait();
    assert.deepEqual(bench.numbers(), [0, 1, 2]);
    bench.room = FRAME_LEN;
    bench.drain();
    assert.deepEqual(
      bench.arrivals.map(({ atMs }) => atMs),
      [1020, 1020, 1022, 1023],
    );
  });

  test('copies of frames wait for room, too', () => {
    const bench = new Bench({ duplicate: 1 });
    bench.room = 3 * FRAME_LEN;
    bench.sendAll(2);
    assert.deepEqual(bench.numbers(), [0, 0, 1]);
    bench.room = FRAME_LEN;
    bench.wait();
    assert.deepEqual(bench.numbers(), [0, 0, 1, 1]);
  });

  test('no more than MAX_WAITING frames wait; the rest is counted', () => {
    const bench = new Bench({ delayMs: 1000 });
    bench.sendAll(MAX_WAITING + 10);
    assert.equal(bench.counters.get('drop_fault_queue_full'), 10);
    bench.drain();
    assert.equal(bench.arrivals.length, MAX_WAITING);
    assert.equal(bench.buffers.waiting.inUse, 0);
  });

  test('the end of faults lets everything out at once, in order', () => {
    const bench = new Bench({ delayMs: 1000 });
    bench.sendAll(5);
    bench.line.set(null, bench.nowMs);
    bench.send(5);
    assert.deepEqual(bench.numbers(), [0, 1, 2, 3, 4, 5]);
    assert.equal(bench.line.nextAt, Infinity);
  });

  test('what waits can be forgotten', () => {
    const bench = new Bench({ delayMs: 1000, reorder: 0.5 });
    bench.sendAll(20);
    bench.line.clear();
    assert.equal(bench.line.nextAt, Infinity);
    assert.equal(bench.buffers.waiting.inUse, 0);
  });

  test('a superframe is cut: a fault hits one segment, and a turned bit shows in the checksum', () => {
    const whole = new Bench({ delayMs: 1 });
    whole.sendSuperframe(10_000, 1000);
    whole.drain();
    assert.equal(whole.arrivals.length, 10);
    assert.ok(whole.arrivals.every(({ bytes }) => sumsUp(bytes)));
    const lossy = new Bench({ loss: 0.3, seed: 5 });
    lossy.sendSuperframe(10_000, 1000);
    assert.ok(lossy.arrivals.length > 0 && lossy.arrivals.length < 10);
    const corrupting = new Bench({ corrupt: 1, seed: 2 });
    for (let i = 0; i < 20; i++) corrupting.sendSuperframe(1000, 1460);
    const wrong = corrupting.arrivals.filter(({ bytes }) => !sumsUp(bytes));
    assert.ok(wrong.length > 15, `${wrong.length} of 20 show it`); // the others were hit before the segment
  });
});

describe('an injector', () => {
  function injector(): { faults: FaultInjector; wakes: number[]; sent: number[]; heard: number[]; room: number } {
    const kernel = new FakeKernel({ arenaBytes: ARENA_BYTES });
    const state = { wakes: [] as number[], sent: [] as number[], heard: [] as number[], room: 100_000 };
    const poller = {
      add: (_fd: number, _events: number, _source: Source) => 1,
      modify: () => {},
      remove: () => {},
      forget: () => {},
      flushLater: () => {},
      wakeAt: (_token: number, atMs: number) => void state.wakes.push(atMs),
    };
    const link = {
      kind: 'stream' as const,
      send: (_off: number, len: number) => state.sent.push(len) > 0,
      room: () => state.room,
    };
    const buffers = new FaultBuffers(kernel.sys.arena);
    const toPort = (_off: number, len: number): void => void state.heard.push(len);
    const faults = new FaultInjector(kernel.sys, poller, link, buffers, new Counters(), toPort);
    return Object.assign(state, { faults });
  }

  test('delays one direction and leaves the other alone', () => {
    const it = injector();
    it.faults.toGuest.set({ delayMs: 30 }, 0);
    const frame = 4096;
    assert.equal(it.faults.send(frame, 60), true);
    it.faults.onFrame(frame, 70, 0);
    assert.deepEqual([it.sent, it.heard], [[], [70]]);
    const [at] = it.wakes;
    it.faults.onReady(0, at! - 1);
    assert.deepEqual(it.sent, []);
    it.faults.onReady(0, at!);
    assert.deepEqual(it.sent, [60]);
    assert.equal(it.faults.idle, false);
    it.faults.toGuest.set(null, at!);
    assert.equal(it.faults.idle, true);
    it.faults.close();
  });

  test('tells TCP to wait while its buffers are used up', () => {
    const it = injector();
    assert.equal(it.faults.kind, 'stream');
    assert.equal(it.faults.room(), 100_000);
    it.faults.toGuest.set({ delayMs: 1000 }, 0);
    for (let i = 0; i < MAX_WAITING; i++) it.faults.send(4096, 60);
    assert.equal(it.faults.room(), 0);
    it.faults.close();
  });
});
