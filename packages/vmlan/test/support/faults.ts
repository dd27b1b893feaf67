/**
 * For tests in which processes die, stop and starve: which processes a vmlan has, daemons without a command line in
 * between, and guests' connections that tell whether anybody noticed.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isRunning } from '../../src/sys/process-identity.ts';
import { until, within } from './deadline.ts';
import type { Namespace } from './netns.ts';
import { clientArgv } from './peers.ts';
import type { Tally, Target } from './peer-clients.ts';
import { Process } from './process.ts';
import type { Vmlan } from './vmlan.ts';

/** A network with a forward to the guest `web`; more keys of it, and more networks, may follow. */
export const FAULTY_LAB = `
networks:
  lab:
    mode: user-v2
    subnet: 10.88.0.0/24
    subnet6: off
    autostart: true
    forwards: [{ host: 18080, guest: web:80 }]
`;

const alive = (pid: number): boolean => isRunning({ pid, startTime: '' }) && !readStat(pid).includes(') Z ');

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return ') Z ';
  }
}

export async function killed(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until(`process ${pid} to be gone`, 5000, () => !alive(pid));
}

/**
 * Every process, but for command lines, that runs for this vmlan, in order: they all have its folder in their environment.
 */
export function processesOf({ folder }: Vmlan): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => alive(pid) && environmentOf(pid).includes(`VMLAN_RUNTIME_DIR=${folder}/run\0`))
    .toSorted((a, b) => a - b);
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return ''; // it ended just now
  }
}

/** The argument vector of a daemon that runs: of the build under test. */
export const argvOf = (pid: number): string[] => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);

/** A daemon like the one of `argv`, that a test may kill at any moment. */
export const startDaemon = (vmlan: Vmlan, namespace: Namespace, argv: readonly string[]): Process =>
  Process.start(namespace.argv(argv), { env: vmlan.env });

/** Lets a daemon live for so long, or until it ends, and kills it. */
export async function killedAfter(daemon: Process, lifeMs: number): Promise<void> {
  await Promise.race([delay(lifeMs), daemon.exited]);
  // Not its group: what it started lives on, as it does when a system kills it.
  if (daemon.running) process.kill(daemon.pid, 'SIGKILL');
  await within('the daemon to be gone', 5000, daemon.exited);
}

/** Connections from a namespace to an echo server, all of them in use until `release` is called. */
export class HeldConnections implements AsyncDisposable {
  readonly #process: Process;

  private constructor(process: Process) {
    this.#process = process;
  }

  static async open(from: Namespace, target: Target & { count: number; pauseMs: number }): Promise<HeldConnections> {
    const held = from.start(clientArgv('hold', target));
    await held.waitFor(/^holding$/m);
    return new HeldConnections(held);
  }

  async release(): Promise<Tally & { exchanges: number; longestMs: number }> {
    this.#process.endInput();
    const { stdout, stderr } = await within('the connections to be released', 20_000, this.#process.exited);
    const report = stdout.trim().split('\n').at(-1) ?? '';
    assert.ok(report.startsWith('{'), stdout + stderr);
    return JSON.parse(report) as Tally & { exchanges: number; longestMs: number };
  }

  /** Nobody lost a connection, and all were really used. */
  async assertWhole(count: number): Promise<void> {
    const { ok, errors, exchanges } = await this.release();
    assert.deepEqual([ok, errors], [count, {}]);
    assert.ok(exchanges > count, `${exchanges} exchanges`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}
