/**
 * An engine with a guest that speaks TCP by itself, until something holds.
 *
 *   const { bench, tcp, run } = …
 *   const connection = lab.connect('198.51.100.7', 80);
 *   lab.run(() => connection.ended);
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { type BenchOptions, EngineBench } from './bench.fixture.ts';
import { BenchGuest } from './guest.fixture.ts';
import { type TcpConnection, TcpGuest, type TcpOptions } from './tcp-guest.fixture.ts';

const PATIENCE_MS = 600_000;

/** Frames between a guest's TCP and its link: both wait for the turn in between. */
export class TcpStation {
  readonly guest: BenchGuest;
  readonly tcp: TcpGuest;
  readonly inbox: Uint8Array[] = [];
  readonly outbox: Uint8Array[] = [];

  constructor(guest: BenchGuest) {
    this.guest = guest;
    const { mac, address4, address6 } = guest;
    const home = { mac, address4, address6, gatewayMac: BenchGuest.gatewayMac };
    this.tcp = new TcpGuest(home, (frame) => void this.outbox.push(frame));
    guest.onFrame = (frame) => void this.inbox.push(frame);
  }

  /** What came is handled, what is due is done. Returns when the next step is due: now, while there is more. */
  step(nowMs: number): number {
    this.hear(this.inbox.splice(0), nowMs);
    this.tcp.poll(nowMs);
    const frames = this.outbox.splice(0);
    this.inject(frames, nowMs);
    return frames.length > 0 || this.inbox.length > 0 ? nowMs : this.tcp.nextAt;
  }

  protected hear(frames: readonly Uint8Array[], nowMs: number): void {
    for (const frame of frames) if (!this.tcp.onFrame(frame, nowMs)) this.guest.frames.push(frame);
  }

  /** Frames of a guest without a link are lost. */
  protected inject(frames: readonly Uint8Array[], nowMs: number): void {
    if (this.guest.port !== null) for (const frame of frames) this.guest.link!.inject(frame, nowMs);
  }
}

export class TcpBench {
  readonly bench: EngineBench;
  readonly stations: TcpStation[] = [];

  constructor(options: BenchOptions = {}) {
    this.bench = new EngineBench(options);
  }

  get now(): number {
    return this.bench.kernel.now;
  }

  station(name = 'web'): TcpStation {
    return this.add(new TcpStation(this.bench.guest(name)));
  }

  add<Station extends TcpStation>(station: Station): Station {
    this.stations.push(station);
    return station;
  }

  connect(remote: string, port: number, options: TcpOptions = {}): TcpConnection {
    const station = this.stations[0] ?? this.station();
    return station.tcp.connect(remote, port, this.now, options);
  }

  /** Runs until it holds; fails when it does not within virtual time. Returns how long it took, ms. */
  run(holds: () => boolean, patienceMs: number = PATIENCE_MS): number {
    const start = this.now;
    const end = start + patienceMs;
    while (!holds() && this.now < end) this.#turn(end);
    assert.ok(holds(), `not within ${patienceMs} ms`);
    return this.now - start;
  }

  /** Lets time pass. */
  passes(ms: number): void {
    for (const end = this.now + ms; this.now < end;) this.#turn(end);
    this.#turn(this.now);
  }

  #turn(untilMs: number): void {
    const due = this.stations.map((station) => station.step(this.now));
    this.bench.turn(Math.max(Math.min(untilMs, ...due) - this.now, 0));
  }
}
