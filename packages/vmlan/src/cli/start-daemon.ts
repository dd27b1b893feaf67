/**
 * Starting a daemon: beside this program, with our environment, detached or in our place.
 *
 * Zone: control.  What a detached one writes goes to daemon.log in the state directory.  A daemon that fails to start is
 * quoted, and its exit code is ours.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describeEndpoint } from '../client/endpoint.ts';
import { VmlanError } from '../client/errors.ts';
import type { StatusView } from '../model/api.ts';
import { resolvePaths } from '../model/paths.ts';
import type { Context } from './context.ts';
import { daemonCommand } from './daemon-command.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 10;
const LOG_TAIL_LINES = 20;

export interface DaemonOptions {
  readonly config?: string;
  readonly listen?: string;
  readonly socketGroup?: string;
}

export async function statusIfRunning(context: Context): Promise<StatusView | null> {
  try {
    return await context.client.call('status');
  } catch (error) {
    if (error instanceof VmlanError && error.code === 'daemon-unreachable') return null;
    throw error;
  }
}

/** Tells the daemon to end, and returns when it has ended: the next one may start. */
export async function stopDaemon(context: Context, networks: boolean): Promise<void> {
  const { pid } = await context.client.call('health');
  await context.client.call('shutdown', { body: { networks } });
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (!(await answers(context)) && !isAlive(pid)) return;
    await delay(POLL_INTERVAL_MS);
  }
  throw new VmlanError('timeout', `the daemon (pid ${pid}) still runs after ${STOP_TIMEOUT_MS / 1000} s`, {
    hint: `its log tells why: vmlan logs --daemon; kill ${pid} ends it, and its networks run on`,
  });
}

/** One that ended and waits for its parent holds nothing any more. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

async function answers(context: Context): Promise<boolean> {
  try {
    await context.client.call('health', undefined, { timeoutMs: 1000 });
    return true;
  } catch (error) {
    if (!(error instanceof VmlanError)) throw error;
    // Whatever it says, somebody says it.
    return error.code !== 'daemon-unreachable';
  }
}

/** What a daemon is started with. */
export interface DaemonStart {
  readonly env: NodeJS.ProcessEnv;
  readonly flags: readonly string[];
}

export const daemonStart = (context: Context, options: DaemonOptions): DaemonStart => ({
  env: daemonEnvironment(context),
  flags: daemonFlags(options),
});

/** Becomes the daemon, with our pid and terminal; does not return. */
export function becomeDaemon({ env, flags }: DaemonStart): never {
  const [program = '', ...args] = [...daemonCommand(), ...flags];
  process.chdir('/');
  if (process.execve === undefined) {
    throw new VmlanError('unsupported', 'a process cannot become another one here', { hint: 'leave out --foreground' });
  }
  return process.execve(program, [program, ...args], env);
}

export function daemonEnvironment(context: Context): NodeJS.ProcessEnv {
  const { endpoint } = context.client;
  if (endpoint.kind !== 'unix') {
    throw new VmlanError('usage', `a daemon cannot be started at ${describeEndpoint(endpoint)}`, {
      hint: 'it listens on a unix socket: --host unix:///path',
    });
  }
  const { env } = context.io;
  return { ...env, ...absolutePaths(env), VMLAN_HOST: `unix://${resolve(endpoint.path)}` };
}

/** The daemon works elsewhere. */
function absolutePaths(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const names = ['VMLAN_CONFIG', 'VMLAN_STATE_DIR', 'VMLAN_RUNTIME_DIR'].filter((name) => env[name]);
  return Object.fromEntries(names.map((name) => [name, resolve(env[name]!)]));
}

/** As flags, so that `vmlan config show --origin` tells of them as what they are. */
const daemonFlags = ({ config, listen, socketGroup }: DaemonOptions): string[] => [
  ...(config === undefined ? [] : ['--config', resolve(config)]),
  ...(listen === undefined ? [] : ['--listen', listen]),
  ...(socketGroup === undefined ? [] : ['--socket-group', socketGroup]),
];

export async function startDetached(context: Context, { env, flags }: DaemonStart): Promise<StatusView> {
  const { state, runtime } = resolvePaths(env, { uid: context.io.uid, home: homedir() });
  const { log, fd } = openLog([state, runtime]);
  const logStart = statSync(log).size;
  const [program = '', ...args] = [...daemonCommand(), ...flags];
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
  return new VmlanError(code, message, { hint: hint ?? (code === 'invalid-config' ? undefined : `its log: ${log}`) });
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
