/**
 * `vmlan up`: starts the daemon, detached, and waits until it answers.
 *
 * Zone: control.  The daemon is found beside this program and gets our environment; what it writes goes to daemon.log
 * in the state directory.  A daemon that fails to start is quoted, and its exit code is ours.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describeEndpoint } from '../../client/endpoint.ts';
import { VmlanError } from '../../client/errors.ts';
import type { StatusView } from '../../model/api.ts';
import { parseListenAddress } from '../../model/listen-address.ts';
import { resolvePaths } from '../../model/paths.ts';
import type { Context, DefineCommand } from '../context.ts';
import { daemonCommand } from '../daemon-command.ts';
import { addExamples } from '../examples.ts';
import { runProgram } from '../run-program.ts';
import { networkTable } from '../views/networks.ts';

const START_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 10;
const LOG_TAIL_LINES = 20;

interface UpOptions {
  readonly foreground?: boolean;
  readonly config?: string;
  readonly listen?: string;
  readonly socketGroup?: string;
}

export const define: DefineCommand = (command, context) => {
  command
    .option('--foreground', 'stay, and write the log to the terminal; for service managers')
    .option('--config <file>', 'use this networks.yaml (also VMLAN_CONFIG)')
    .option(
      '--listen <address>',
      'serve the API over loopback TCP, too, e.g. at 127.0.0.1:7117; asks for `vmlan token`',
    )
    .option('--socket-group <group>', 'members of this group may use the daemon, too')
    .action(async ({ foreground = false, ...options }: UpOptions) => {
      checkListen(options.listen);
      const running = await statusIfRunning(context);
      if (running !== null) return showRunning(context, running, 'runs already', options);
      const env = daemonEnvironment(context, options);
      if (foreground) {
        context.exitCode = await runProgram(daemonCommand(), env);
        return;
      }
      context.output.progress('starting the daemon …');
      const status = await startDetached(context, env);
      await showRunning(context, status, 'is up', options);
    });
  addExamples(command, [
    ['start vmlan', 'vmlan up'],
    ['with networks of your own', 'vmlan up --config networks.yaml'],
    ['for a program that speaks TCP', 'vmlan up --listen 127.0.0.1:7117'],
    ['under systemd or in a container', 'vmlan up --foreground'],
  ]);
};

async function statusIfRunning(context: Context): Promise<StatusView | null> {
  try {
    return await context.client.call('status');
  } catch (error) {
    if (error instanceof VmlanError && error.code === 'daemon-unreachable') return null;
    throw error;
  }
}

function checkListen(listen: string | undefined): void {
  if (listen === undefined || parseListenAddress(listen) !== null) return;
  throw new VmlanError('usage', `--listen ${listen}: the API is served at loopback addresses alone`, {
    hint: 'write 127.0.0.1:7117; from elsewhere it is reached through ssh -L',
  });
}

async function showRunning(context: Context, status: StatusView, how: string, options: UpOptions): Promise<void> {
  const networks = status.networks.filter(({ state }) => state !== 'stopped');
  const heading = `vmlan ${status.version} ${how}, pid ${status.pid}`;
  await context.output.show(status, {
    table: (coloured) => (networks.length === 0 ? `${heading}\n` : `${heading}\n\n${networkTable(networks, coloured)}`),
    ids: () => networks.map(({ name }) => name),
  });
  for (const warning of status.warnings) context.output.warn(warning);
  if (how === 'runs already' && (options.listen ?? options.socketGroup) !== undefined) {
    context.output.warn('--listen and --socket-group hold from the next start: vmlan down --keep-networks, then up');
  }
}

/** Flags win over the environment by becoming part of it. */
function daemonEnvironment(context: Context, { config, listen, socketGroup }: UpOptions): NodeJS.ProcessEnv {
  const { endpoint } = context.client;
  if (endpoint.kind !== 'unix') {
    throw new VmlanError('usage', `a daemon cannot be started at ${describeEndpoint(endpoint)}`, {
      hint: 'it listens on a unix socket: --host unix:///path',
    });
  }
  return {
    ...context.io.env,
    VMLAN_HOST: `unix://${endpoint.path}`,
    ...(config === undefined ? {} : { VMLAN_CONFIG: resolve(config) }),
    ...(listen === undefined ? {} : { VMLAN_LISTEN: listen }),
    ...(socketGroup === undefined ? {} : { VMLAN_SOCKET_GROUP: socketGroup }),
  };
}

async function startDetached(context: Context, env: NodeJS.ProcessEnv): Promise<StatusView> {
  const { state, runtime } = resolvePaths(env, { uid: context.io.uid, home: homedir() });
  const { log, fd } = openLog([state, runtime]);
  const logStart = statSync(log).size;
  const [program = '', ...args] = daemonCommand();
  const child = spawn(program, args, { detached: true, stdio: ['ignore', fd, fd], env, cwd: '/' });
  closeSync(fd);
  let failure: Error | null = null;
  child.once('error', (error) => (failure = error));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const status = await statusIfRunning(context);
    if (status !== null) {
      child.unref();
      return status;
    }
    if (failure !== null || child.exitCode !== null || child.signalCode !== null)
      throw startError(child, log, logStart);
    await delay(POLL_INTERVAL_MS);
  }
  throw new VmlanError('timeout', `the daemon does not answer after ${START_TIMEOUT_MS / 1000} s`, {
    hint: `its log: ${log}`,
  });
}

/** In the first directory that takes it: a state directory that is read-only is no reason not to start. */
function openLog(directories: readonly string[]): { readonly log: string; readonly fd: number } {
  for (const [i, directory] of directories.entries()) {
    const log = join(directory, 'daemon.log');
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      return { log, fd: openSync(log, 'a', 0o600) };
    } catch (cause) {
      if (i < directories.length - 1) continue;
      throw new VmlanError('not-permitted', `${log} cannot be written: ${(cause as Error).message}`, {
        hint: 'set VMLAN_STATE_DIR and VMLAN_RUNTIME_DIR to directories of your own',
        cause,
      });
    }
  }
  throw new VmlanError('internal', 'a daemon needs a directory for its log');
}

/** The daemon ended: its own last words, which name the object and the next step. */
function startError(child: ChildProcess, log: string, logStart: number): VmlanError {
  const written = readFileSync(log).subarray(logStart).toString('utf8').trim();
  const lines = written.split('\n');
  const start = lines.findLastIndex((line) => line.startsWith('vmlan: '));
  const words = start < 0 ? [] : lines.slice(start);
  const hint = words.find((line) => line.startsWith('hint: '))?.slice('hint: '.length);
  const said = words
    .filter((line) => !line.startsWith('hint: '))
    .join('\n')
    .slice('vmlan: '.length);
  const message = said === '' ? `the daemon ended at once\n${lines.slice(-LOG_TAIL_LINES).join('\n')}` : said;
  const code = exitCodeName(child.exitCode);
  return new VmlanError(code, message, { hint: hint ?? `its log: ${log}` });
}

/** The code of the table that has the daemon's exit code, so that ours is the same. */
function exitCodeName(exitCode: number | null): 'internal' | 'invalid-config' | 'conflict' | 'not-permitted' {
  switch (exitCode) {
    case 2:
      return 'invalid-config';
    case 4:
      return 'conflict';
    case 5:
      return 'not-permitted';
    default:
      return 'internal';
  }
}
