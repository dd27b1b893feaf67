/**
 * A whole network in one thread over the kernel in memory, with hostile guests on it.
 *
 * Zone: control.  Time is virtual.  After every batch the invariants hold: bounded tables, no descriptor beyond flows and
 * listeners, no arena growth after the pools are full.
 */
import assert from 'node:assert/strict';
import { CONFIG as NETWORK } from '../../src/engine/config.fixture.ts';
import type { EngineConfig, FromEngine, LineShape } from '../../src/engine/control-messages.ts';
import { NetworkEngine } from '../../src/engine/network-engine.ts';
import { LoopbackLink } from '../../src/links/loopback.ts';
import type { Port } from '../../src/switching/port.ts';
import { FakeSys } from '../../src/sys/fake/fake-sys.ts';
import { FakeKernel } from '../../src/sys/fake/kernel.ts';
import { echo, resetsAfter, sink, source, udpEcho } from '../../src/sys/fake/services.ts';
import * as vnetHdr from '../../src/wire/vnet-hdr.ts';
import { FrameGenerator, type World } from './generator.ts';
import { SeededRandom } from './random.ts';

const ARENA_BYTES = 384 * 1024 * 1024;
const GUESTS = 3;
const BATCH = 64;
const HOST = 0x0a010203;
/** Descriptors that are not flows: epoll, and both ends of DNS connections. */
const FIXED_FDS = 1100;

export const CONFIG: EngineConfig = {
  ...NETWORK,
  network: 'fuzz',
  gatewayMac: '02:76:6c:00:00:01',
  ipv4: { ...NETWORK.ipv4!, poolStart: '192.168.104.2', poolEnd: '192.168.104.254' },
};

interface Guest {
  readonly port: Port;
  readonly generator: FrameGenerator;
}

export class FuzzHarness {
  readonly engine: NetworkEngine;
  readonly kernel: FakeKernel = new FakeKernel({ maxFds: 60_000 });
  readonly sys: FakeSys;
  readonly #random: SeededRandom;
  readonly #guests: Guest[] = [];
  /** Where hostile frames lie, with room for a virtio_net_hdr of the guest's making before them. */
  readonly #frame: number;
  readonly #inbox: FromEngine[] = [];
  frames = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.sys = new FakeSys(this.kernel, ARENA_BYTES);
    const host = this.kernel.host('10.1.2.3');
    host.listenTcp(7, echo());
    host.listenTcp(9, sink());
    host.listenTcp(19, source(100_000));
    host.listenTcp(25, resetsAfter(500));
    host.listenUdp(7, udpEcho());
    this.engine = new NetworkEngine(
      this.sys,
      CONFIG,
      (message) => this.#inbox.push(message),
      () => this.#random.next(),
    );
    this.#frame = this.sys.arena.alloc(70_000, 64) + 64;
    for (let i = 0; i < GUESTS; i++) this.#addGuest(i);
  }

  /** Runs `count` frames. */
  run(count: number): void {
    for (let done = 0; done < count; done += BATCH) {
      if (this.#random.chance(5)) this.#reshape();
      for (let i = 0; i < BATCH; i++) this.#inject(this.#random.pick(this.#guests));
      this.#turn();
      this.frames += BATCH;
    }
  }

  /** What must hold at any time. */
  check(): void {
    const { engine, kernel } = this;
    const flows = engine.tcp.size + engine.udp.size + engine.echo.size;
    assert.ok(engine.tcp.size <= 65_536 && engine.udp.size <= 16_384 && engine.echo.size <= 1_024);
    assert.ok(kernel.openCount <= flows + FIXED_FDS, `${kernel.openCount} descriptors for ${flows} flows`);
    assert.ok(this.sys.arena.used < ARENA_BYTES);
    for (const { port } of this.#guests) {
      assert.ok(
        port.learned <= 64 && port.claimed <= 64,
        `port ${port.id}: ${port.learned} MACs, ${port.claimed} addresses`,
      );
    }
  }

  /** Ports that something still shapes. */
  get shaped(): number {
    return this.#guests.filter(({ port }) => port.shaper !== null).length;
  }

  /** Lets time pass until every flow has timed out: nothing may be left behind. */
  drain(ms: number): void {
    const until = this.kernel.now + ms;
    while (this.kernel.now < until) this.#turn(1000);
  }

  #addGuest(index: number): void {
    const mac: [number, number] = [0x5254, 0x10 + index];
    const world: World = {
      gatewayMac: [0x0276, 0x6c000001],
      guestMac: mac,
      guest4: 0xc0a86802 + index,
      gateway4: 0xc0a86801,
      guest6: Uint32Array.of(0xfd000001, 0x00020003, 0, 2 + index),
      gateway6: Uint32Array.of(0xfd000001, 0x00020003, 0, 1),
      hosts4: [HOST, 0x0a010204, 0x0a010205, 0xa9fea9fe, 0x7f000001],
      ports: [7, 9, 19, 25, 53, 80],
    };
    const generator = new FrameGenerator(this.#random, world);
    const { engine } = this;
    let port: Port | null = null;
    void new LoopbackLink(
      this.sys.arena,
      {
        onFrame: () => {},
        restMs: () => 0,
        onUp: (link) => (port = engine.addPort(link, null, false)),
        onDown: () => {},
      },
      (frame) => generator.observe(frame),
    );
    this.#guests.push({ port: port!, generator });
  }

  /** Somebody shapes a guest or two, while they speak. */
  #reshape(): void {
    const random = this.#random;
    const nic = random.pick(this.#guests).port.nicKey;
    const peer = random.pick([null, 'gateway', random.pick(this.#guests).port.nicKey]);
    const id = `${nic} ${peer}`;
    if (nic === '' || peer === nic) return;
    if (random.chance(40)) this.engine.handle({ type: 'remove-shape', id: 1, shapeId: id });
    else {
      const shape = { id, nic, peer, fromGuest: this.#shape(), toGuest: this.#shape() };
      this.engine.handle({ type: 'set-shape', id: 1, shape });
    }
  }

  #shape(): LineShape | null {
    const random = this.#random;
    if (random.chance(30)) return null;
    return {
      delayMs: random.pick([0, 0, 3, 40]),
      jitterMs: random.pick([0, 20]),
      lossPercent: random.pick([0, 0, 5]),
      duplicatePercent: random.pick([0, 10]),
      reorderPercent: random.pick([0, 10]),
      corruptPercent: random.pick([0, 10]),
      rateBps: random.pick([undefined, 1e6, 100e6]),
      partition: random.chance(15),
    };
  }

  /** Whole again. */
  heal(): void {
    const keys = this.#guests.map(({ port }) => port.nicKey);
    for (const nic of keys) {
      for (const peer of [null, 'gateway', ...keys])
        this.engine.handle({ type: 'remove-shape', id: 1, shapeId: `${nic} ${peer}` });
    }
  }

  /** Most frames come plain, some with offload headers that only a hostile virtio device would make. */
  #inject({ port, generator }: Guest): void {
    const { arena } = this.sys;
    const len = generator.next();
    arena.u8.set(generator.bytes.subarray(0, len), this.#frame);
    const hdr = this.#frame - vnetHdr.LEN;
    vnetHdr.clear(arena.view, hdr);
    if (this.#random.chance(10)) {
      for (let i = 0; i < vnetHdr.LEN; i++) arena.u8[hdr + i] = this.#random.below(256);
      if (this.#random.chance(50)) arena.u8[hdr] = vnetHdr.NEEDS_CSUM;
      if (this.#random.chance(50)) arena.u8[hdr + 1] = this.#random.below(6);
    }
    this.engine.onFrame(port, this.#frame, len, this.engine.loop.now);
  }

  #turn(maxWaitMs = 0): void {
    if (maxWaitMs === 0) this.kernel.advance(this.#random.chance(2) ? 50 : 1);
    this.engine.turn(maxWaitMs);
    for (const message of this.#inbox.splice(0)) {
      if (message.type === 'leases') this.engine.handle({ type: 'leases-durable', generation: message.generation });
      if (message.type === 'dns-query')
        this.engine.handle({ type: 'dns-reply', queryId: message.queryId, reply: null });
    }
  }
}
