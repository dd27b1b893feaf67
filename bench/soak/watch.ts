/**
 * The engine under a soak, looked at from outside: /proc, its own snapshot, and probes that notice a stall.
 *
 * Zone: control.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Process } from '../../packages/vmlan/test/support/process.ts';
import { serve, type Peers } from '../../packages/vmlan/test/support/peers.ts';
import { SERVER } from '../bed.ts';
import { NODE } from '../load/load-client.ts';
import { cpuSeconds, residentBytes } from '../measure/process-usage.ts';
import type { EngineProcess } from '../peers/engine-process.ts';
import type { SoakTally } from './loads.ts';
import type { SoakSample } from './verdict.ts';
import type { SoakGuest, SoakWorld } from './world.ts';

const PROBE = join(import.meta.dirname, 'probe.ts');
/** What is measured is the engine's delay, not how long a probe waits for a core. */
const FIRST = ['nice', '-n', '-15'];

export const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Probes at guests that carry nothing else, with an echo server of their own. */
export class Probes {
  readonly #echo: Peers;
  readonly #probes: Process[] = [];
  #longestMs = 0;
  #lost = 0;

  private constructor(echo: Peers) {
    this.#echo = echo;
  }

  static async start(world: SoakWorld, guests: readonly SoakGuest[]): Promise<Probes> {
    const probes = new Probes(await serve(world.lab.host, [{ kind: 'tcp-echo', port: 0, host: SERVER }]));
    await world.lab.host.run(['renice', '-n', '-15', '-p', String(probes.#echo.process.pid)]);
    for (const guest of guests) await probes.#add(guest);
    return probes;
  }

  /** The longest wait since this was last asked, milliseconds. */
  takeLongestMs(): number {
    const longest = this.#longestMs;
    this.#longestMs = 0;
    return longest;
  }

  /** Connections of probes that broke. */
  get lost(): number {
    return this.#lost;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#probes.map((probe) => probe.stop('SIGKILL')));
    await this.#echo[Symbol.asyncDispose]();
  }

  async #add({ namespace }: SoakGuest): Promise<void> {
    const probe = namespace.start([...FIRST, ...NODE, PROBE, SERVER, String(this.#echo.port)]);
    await probe.waitFor(/^probing$/m);
    probe.onLine((line) => {
      if (line === 'lost') this.#lost++;
      else if (/^\d+$/.test(line)) this.#longestMs = Math.max(this.#longestMs, Number(line));
    });
    this.#probes.push(probe);
  }
}

/** One sample after the other, with what moved since the last one. */
export class Watch {
  readonly #engine: EngineProcess;
  readonly #startedMs = performance.now();
  #bytes = 0;
  #cpuSeconds: number;
  #atMs = performance.now();

  constructor(engine: EngineProcess) {
    this.#engine = engine;
    this.#cpuSeconds = cpuSeconds([engine.pid]);
  }

  async sample(probes: Probes, tally: SoakTally): Promise<SoakSample> {
    const { counters, flows, memory } = await this.#engine.snapshot();
    const bytes = (counters['tcp_bytes_from_guest'] ?? 0) + (counters['tcp_bytes_to_guest'] ?? 0);
    const now = performance.now();
    const gbitPerSecond = ((bytes - this.#bytes) * 8) / 1e6 / (now - this.#atMs);
    const used = cpuSeconds([this.#engine.pid]);
    const cpuPercent = ((used - this.#cpuSeconds) * 100_000) / (now - this.#atMs);
    this.#cpuSeconds = used;
    this.#bytes = bytes;
    this.#atMs = now;
    return {
      seconds: Math.round((now - this.#startedMs) / 1000),
      rssBytes: residentBytes(this.#engine.pid),
      heapBytes: memory.heap,
      arenaBytes: memory.arena,
      queueBytes: memory.receiveQueues,
      descriptors: descriptors(this.#engine.pid),
      tcpFlows: flows.tcp,
      udpFlows: flows.udp,
      stallMs: probes.takeLongestMs(),
      gbitPerSecond,
      cpuPercent,
      transfers: tally.transfers,
      wrong: tally.wrong.length,
    };
  }
}

export function line(sample: SoakSample, { leases, killed }: SoakTally): string {
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  return [
    `${String(sample.seconds).padStart(5)} s`,
    `RSS ${mb(sample.rssBytes)}`,
    `heap ${mb(sample.heapBytes)}`,
    `arena ${mb(sample.arenaBytes)}, queues ${mb(sample.queueBytes)}`,
    `fds ${sample.descriptors}`,
    `flows ${sample.tcpFlows} TCP ${sample.udpFlows} UDP`,
    `stall ${sample.stallMs} ms`,
    `${sample.gbitPerSecond.toFixed(2)} Gbit/s, CPU ${sample.cpuPercent.toFixed(0)} %`,
    `compared ${sample.transfers}, wrong ${sample.wrong}`,
    `leases ${leases}`,
    `killed ${killed}`,
  ].join('  ');
}
