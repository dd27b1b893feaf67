/**
 * What a daemon that runs was started with, so that the next one is started alike.
 *
 * Zone: control.  Read from /proc, as far as it is ours to see (man 5 proc: environ, cmdline).
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { StatusView } from '../model/api.ts';
import type { DaemonOptions } from './start-daemon.ts';

export interface RunningStart {
  /** Our own variables. */
  readonly env: NodeJS.ProcessEnv;
  readonly options: DaemonOptions;
}

export function startOf({ pid, paths }: Pick<StatusView, 'pid' | 'paths'>): RunningStart {
  try {
    const entries = wordsOf(pid, 'environ').filter((entry) => entry.startsWith('VMLAN_'));
    const env = Object.fromEntries(entries.map((entry) => entry.split(/=(.*)/s).slice(0, 2))) as NodeJS.ProcessEnv;
    return { env, options: optionsIn(wordsOf(pid, 'cmdline')) };
  } catch {
    return { env: paths.config === null ? {} : { VMLAN_CONFIG: paths.config }, options: {} };
  }
}

const wordsOf = (pid: number, file: 'environ' | 'cmdline'): string[] =>
  readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');

/** Of the command line of a daemon: what `vmlan up` may be told, among options of Node.js and of the daemon alone. */
export function optionsIn(argv: readonly string[]): DaemonOptions {
  const options = {
    config: { type: 'string' },
    listen: { type: 'string' },
    'socket-group': { type: 'string' },
  } as const;
  const { values } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true });
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const found = { config: text(values.config), listen: text(values.listen), socketGroup: text(values['socket-group']) };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}
