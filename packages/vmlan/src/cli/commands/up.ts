/**
 * `vmlan up`: starts the daemon, detached, and waits until it answers; or replaces the one that runs.
 *
 * Zone: control.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { VmlanError } from '../../client/errors.ts';
import type { NetworkView, StatusView } from '../../model/api.ts';
import { parseListenAddress } from '../../model/listen-address.ts';
import { resolvePaths } from '../../model/paths.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { judgeConfig } from '../judge-config.ts';
import { runProgram } from '../run-program.ts';
import { becomeDaemon, daemonStart, startDetached, statusIfRunning, stopDaemon } from '../start-daemon.ts';
import type { DaemonOptions } from '../start-daemon.ts';
import { startOf } from '../running-daemon.ts';
import { networkTable } from '../views/networks.ts';

interface UpOptions extends DaemonOptions {
  readonly foreground?: boolean;
  readonly upgrade?: boolean;
}

export const define: DefineCommand = (command, context) => {
  command
    .option('--foreground', 'become the daemon, with the log on stderr; for service managers')
    .option('--upgrade', 'replace the daemon that runs by this version; its networks run on')
    .option('--config <file>', 'use this networks.yaml (also VMLAN_CONFIG)')
    .option(
      '--listen <address>',
      'serve the API over loopback TCP, too, e.g. at 127.0.0.1:7117; asks for `vmlan token`',
    )
    .option('--socket-group <group>', 'members of this group may use the daemon, too')
    .action(async ({ foreground = false, upgrade = false, ...options }: UpOptions) => {
      checkListen(options.listen);
      // A daemon that runs already is named by the one that finds its lock.
      if (foreground) return becomeDaemon(daemonStart(context, options));
      const running = await statusIfRunning(context);
      if (running !== null && upgrade) return replace(context, running, options);
      if (running !== null) return showOther(context, running, command.parent?.version() ?? '', options);
      context.output.progress('starting the daemon …');
      await showRunning(context, await startDetached(context, daemonStart(context, options)), 'is up');
    });
  addExamples(command, [
    ['start vmlan', 'vmlan up'],
    ['with networks of your own', 'vmlan up --config networks.yaml'],
    ['for a program that speaks TCP', 'vmlan up --listen 127.0.0.1:7117'],
    ['after an update of vmlan', 'vmlan up --upgrade'],
    ['under systemd or in a container', 'vmlan up --foreground'],
  ]);
};

function checkListen(listen: string | undefined): void {
  if (listen === undefined || parseListenAddress(listen) !== null) return;
  throw new VmlanError('usage', `--listen ${listen}: the API is served at loopback addresses alone`, {
    hint: 'write 127.0.0.1:7117; from elsewhere it is reached through ssh -L',
  });
}

async function showRunning(context: Context, status: StatusView, how: string): Promise<void> {
  const networks = status.networks.filter(({ state }) => state !== 'stopped');
  const heading = `vmlan ${status.version} ${how}, pid ${status.pid}`;
  await context.output.show(status, {
    table: (coloured) => (networks.length === 0 ? `${heading}\n` : `${heading}\n\n${networkTable(networks, coloured)}`),
    ids: () => networks.map(({ name }) => name),
  });
  for (const warning of status.warnings) context.output.warn(warning);
}

async function showOther(context: Context, running: StatusView, own: string, options: UpOptions): Promise<void> {
  await showRunning(context, running, 'runs already');
  const waiting = flagsInVain(running, options);
  if (waiting.length > 0) {
    const hold = waiting.length === 1 ? 'holds' : 'hold';
    context.output.warn(`${waiting.join(' and ')} ${hold} from the next start; add --upgrade to replace the daemon`);
  }
  if (running.version === own) return;
  context.output.warn(
    `the daemon is vmlan ${running.version}, this command line ${own}: \`vmlan up --upgrade\` replaces the daemon, and no guest notices`,
  );
}

/** Flags that would change something, and reach a daemon only when it starts. */
function flagsInVain({ paths }: StatusView, { config, listen, socketGroup }: DaemonOptions): string[] {
  return [
    ...(config === undefined || resolve(config) === paths.config ? [] : ['--config']),
    ...(listen === undefined ? [] : ['--listen']),
    ...(socketGroup === undefined ? [] : ['--socket-group']),
  ];
}

/** The daemon alone: its networks, and their guests, do not notice. The new one has the old one's directories. */
async function replace(context: Context, before: StatusView, options: UpOptions): Promise<void> {
  context.output.progress('replacing the daemon …');
  const after = await restart(context, before, options);
  await showRunning(context, after, `replaced ${before.version}`);
  const ran = before.networks.filter(({ pid }) => pid !== null);
  const now = new Map(after.networks.map((network) => [network.name, network]));
  const changed = ran.filter(({ name, pid }) => now.get(name)?.pid !== pid);
  if (ran.length > 0 && changed.length === 0) {
    context.output.done(`\n${names(ran)} ran on: no guest noticed`);
  }
  for (const { name } of changed) context.output.warn(`network "${name}" was started anew`);
  for (const { problem } of after.networks) {
    if (problem?.code === 'incompatible') context.output.warn(`${problem.detail}; ${problem.hint ?? ''}`);
  }
}

const names = (networks: readonly NetworkView[]): string =>
  `${networks.length === 1 ? 'network' : 'networks'} ${networks.map(({ name }) => name).join(', ')}`;

async function restart(context: Context, before: StatusView, options: DaemonOptions): Promise<StatusView> {
  const { env: hadEnv, options: had } = startOf(before);
  const next = daemonStart(context, { ...had, ...options });
  const { state, runtime } = before.paths;
  const env = { ...hadEnv, ...next.env, VMLAN_STATE_DIR: state, VMLAN_RUNTIME_DIR: runtime };
  await refuseBadConfig(context, env, options.config ?? had.config);
  const unit = unitOf(before.pid);
  if (unit !== null) {
    // Started by ourselves it would be out of its manager's sight.
    context.exitCode = await runProgram(['systemctl', ...unit, 'restart', 'vmlan.service']);
    return context.client.call('status');
  }
  await stopDaemon(context, false);
  return startDetached(context, { ...next, env });
}

/** A daemon that would not start is no reason to end the one that runs. */
async function refuseBadConfig({ io }: Context, env: NodeJS.ProcessEnv, flag: string | undefined): Promise<void> {
  const { config, configRequired } = resolvePaths(env, { uid: io.uid, home: homedir() });
  const file = flag === undefined ? config : resolve(flag);
  if (flag === undefined && !configRequired && !existsSync(file)) return;
  const { error, problems } = await judgeConfig(env, file);
  if (error === null) return;
  const { message, hint } = problems[0] ?? { message: `${file} has a fault`, hint: 'vmlan config check names it' };
  const left = 'the daemon that runs is left as it is';
  throw new VmlanError(error.code, message, { hint: hint === null ? left : `${hint}; ${left}` });
}

/** How systemctl reaches the unit that a process belongs to; null when none of ours. */
function unitOf(pid: number): readonly string[] | null {
  try {
    const group = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
    if (!group.trimEnd().endsWith('/vmlan.service')) return null;
    return group.includes('/user@') ? ['--user'] : [];
  } catch {
    return null;
  }
}
