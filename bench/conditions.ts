/**
 * What a run was made on: without it no figure means anything.
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../packages/vmlan/test/support/process.ts';
import { congestionControl } from './bed.ts';
import { installed, PACKAGES } from './commands.ts';
import type { BenchOptions } from './options.ts';
import type { Conditions } from './results.ts';

const LOOK_MS = 1000;
const IDLE = [3, 4]; // fields of the line `cpu` in /proc/stat: idle, iowait
const CHECKOUT = new URL('..', import.meta.url).pathname;

function jiffies(): { busy: number; all: number } {
  const fields = (/^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '').split(' ').map(Number);
  const all = fields.reduce((sum, value) => sum + value, 0);
  return { busy: all - IDLE.reduce((sum, index) => sum + (fields[index] ?? 0), 0), all };
}

/** Share of all cores that is in use while we do nothing. */
export async function foreignLoad(): Promise<number> {
  const before = jiffies();
  await delay(LOOK_MS);
  const after = jiffies();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

async function text(...argv: readonly string[]): Promise<string> {
  const { code, stdout } = await run(argv, { cwd: CHECKOUT });
  return code === 0 ? stdout.trim() : 'unknown';
}

async function versions(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [command, name] of Object.entries(PACKAGES)) {
    if (installed(command)) found[name] = await text('dpkg-query', '--show', '--showformat=${Version}', name);
  }
  return found;
}

export async function observeConditions({ rounds, seconds, servers }: BenchOptions): Promise<Conditions> {
  return {
    started: new Date().toISOString(),
    commit: await text('git', 'describe', '--always', '--dirty'),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: totalmem() / 2 ** 30,
    kernel: release(),
    node: process.version,
    congestionControl: await congestionControl(),
    ...{ rounds, seconds, servers },
    foreignLoad: await foreignLoad(),
    versions: await versions(),
  };
}
