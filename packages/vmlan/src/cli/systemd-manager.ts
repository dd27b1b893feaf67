/**
 * Where unit files lie, what systemd says of ours, and telling it to look again.
 *
 * Zone: control.  systemd.unit(5) names the directories.  Without a running systemd nothing is run, and the commands are
 * printed for whoever has one.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { VmlanError } from '../client/errors.ts';
import type { Environment } from '../model/paths.ts';
import { UNIT_NAME } from './systemd-unit.ts';
import type { UnitScope } from './systemd-unit.ts';

const TIMEOUT_MS = 120_000;
const PACKAGED: Readonly<Record<UnitScope, readonly string[]>> = {
  system: ['/usr/lib/systemd/system', '/lib/systemd/system'],
  user: ['/usr/lib/systemd/user', '/lib/systemd/user'],
};

/** Where `vmlan service install` writes. */
export function unitPath(scope: UnitScope, env: Environment): string {
  if (scope === 'system') return join('/etc/systemd/system', UNIT_NAME);
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] ?? '/', '.config'), 'systemd/user', UNIT_NAME);
}

/** The unit that a package brought; null without one. */
export function packagedUnit(scope: UnitScope): string | null {
  return PACKAGED[scope].map((directory) => join(directory, UNIT_NAME)).find((path) => existsSync(path)) ?? null;
}

/** A manager of this scope runs, as sd_booted(3) has it. */
export function managerRuns(scope: UnitScope, env: Environment): boolean {
  if (scope === 'system') return existsSync('/run/systemd/system');
  return existsSync(join(env['XDG_RUNTIME_DIR'] ?? '/nowhere', 'systemd'));
}

export const systemctl = (scope: UnitScope, ...args: readonly string[]): string[] => [
  'systemctl',
  ...(scope === 'user' ? ['--user'] : []),
  ...args,
];

/** Runs one command of systemctl; throws what it says. */
export function run([program = '', ...args]: readonly string[]): void {
  try {
    execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS });
  } catch (cause) {
    const said = String((cause as { stderr?: Buffer }).stderr ?? (cause as Error).message).trim();
    throw new VmlanError('unavailable', `${[program, ...args].join(' ')}: ${said}`, {
      hint: 'journalctl -u vmlan tells more; --user for your own',
      cause,
    });
  }
}

/** The one word that systemctl answers, whatever its exit status: `enabled`, `inactive` …; null without systemd. */
export function ask(scope: UnitScope, question: 'is-enabled' | 'is-active', env: Environment): string | null {
  if (!managerRuns(scope, env)) return null;
  const [program = '', ...args] = systemctl(scope, question, UNIT_NAME);
  try {
    return execFileSync(program, args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: TIMEOUT_MS })
      .toString()
      .trim();
  } catch (error) {
    return (error as { stdout?: Buffer }).stdout?.toString().trim() || null;
  }
}
