/**
 * One transfer between a guest and a host over a bad link: the whole engine over the kernel in memory, a guest with its
 * own TCP, everything in virtual time and named by a seed.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { TcpBench } from '../../src/engine/tcp-bench.fixture.ts';
import type { TcpOptions } from '../../src/engine/tcp-guest.fixture.ts';
import type { EngineConfig } from '../../src/engine/control-messages.ts';
import type { LineShape } from '../../src/links/line-shape.ts';
import { pattern, sink, source } from '../../src/sys/fake/services.ts';
import { PacedStation } from './paced-station.ts';

export type Direction = 'to guest' | 'from guest';

export interface Plan {
  readonly seed: number;
  readonly direction: Direction;
  readonly bytes: number;
  /** Both ways. */
  readonly faults: LineShape;
  readonly family?: 4 | 6;
  readonly tcp?: TcpOptions;
  readonly config?: Partial<EngineConfig>;
  readonly peekOffset?: boolean;
  /** The guest's cable. */
  readonly bytesPerMs?: number;
}

export interface Outcome {
  readonly ms: number;
  /** By the side that sent the data. */
  readonly resent: number;
  readonly timeouts: number;
  readonly counters: Readonly<Record<string, number>>;
}

const GIGABIT = 125_000; // bytes in a millisecond
const PATIENCE_MS = 1_800_000;
const HOSTS = { 4: '198.51.100.7', 6: '2001:db8::7' } as const;
const PORT = 80;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export function simulate(plan: Plan): Outcome {
  const { seed, direction, bytes, faults, family = 4, tcp = {}, config = {}, peekOffset = true } = plan;
  const lab = new TcpBench({ config, peekOffset });
  const host = lab.bench.kernel.host(HOSTS[family]);
  const listener = host.listenTcp(PORT, direction === 'to guest' ? source(bytes) : sink());
  const station = lab.add(new PacedStation(lab.bench.guest('web'), plan.bytesPerMs ?? GIGABIT));
  station.guest.suffers({ ...faults, seed: 2 * seed }, { ...faults, seed: 2 * seed + 1 });
  const connection = lab.connect(HOSTS[family], PORT, tcp);
  if (direction === 'from guest') connection.write(pattern(bytes));
  connection.end();
  const hasArrived = (): boolean =>
    direction === 'to guest' ? connection.ended : listener.connections[0]?.ended === true;
  const ms = lab.run(hasArrived, PATIENCE_MS);
  const heard = direction === 'to guest' ? connection.sha256() : listener.connections[0]!.sha256();
  assert.equal(heard, sha256(pattern(bytes)), 'every byte, once, in order');
  assertNothingLeft(lab);
  const { counters } = lab.bench.engine;
  return {
    ms,
    resent: direction === 'to guest' ? counters.get('tcp_segments_retransmitted') : connection.resent,
    timeouts: connection.timeouts,
    counters: counters.snapshot(),
  };
}

/** Once the cable is whole and both sides have had their time, neither flows nor descriptors remain. */
export function assertNothingLeft(lab: TcpBench): void {
  for (const { guest } of lab.stations) if (guest.port !== null) guest.suffers(null, null);
  lab.run(() => lab.stations.every(({ tcp }) => tcp.connections.every(({ state }) => state === 'closed')));
  lab.passes(15_000); // TIME-WAIT
  assert.equal(lab.bench.engine.tcp.size, 0);
  assert.deepEqual(lab.bench.openFds(), []);
}

/** Megabits in a second of virtual time. */
export const megabits = (bytes: number, ms: number): number => (bytes * 8) / 1000 / Math.max(ms, 1);
