/**
 * Installs what is missing of the peers and tools, by the same shell functions as bin/test.
 *
 * Zone: control.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { installed, PACKAGES } from './commands.ts';

const BOOTSTRAP = join(import.meta.dirname, '../bin/lib/bootstrap.sh');

export function installMissing(): void {
  const pairs = Object.entries(PACKAGES).filter(([command]) => !installed(command));
  if (pairs.length === 0) return;
  const script = 'set -euo pipefail; source "$1"; shift; bootstrap_tools "$@"';
  const tools = pairs.map(([command, name]) => `${command}:${name}`);
  const { status } = spawnSync('bash', ['-c', script, 'bash', BOOTSTRAP, ...tools], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the packages could not be installed; the output is above');
}
