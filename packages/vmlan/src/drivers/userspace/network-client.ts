/**
 * The daemon's end of a network process: starting one, taking over one that runs, ending one.
 *
 * Zone: control.  The process is known by its file (pid and start time) and its control socket.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fromErrorData } from '../../core/errors.ts';
import { isRunning } from '../../sys/process-identity.ts';
import type { ProcessIdentity } from '../../sys/process-identity.ts';
import type { NetworkPaths } from '../network-paths.ts';
import { PROTOCOL_VERSION } from './protocol.ts';
import type { HelloResult, Methods, StartAnswer, StartRequest } from './protocol.ts';
import { RpcPeer } from './rpc.ts';

/** A small nursery, for two threads whose packets leave hardly any garbage: it saves 4 to 13 MB (docs/datapath.md). */
export const NODE_OPTIONS: readonly string[] = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1'];
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 6000;
const KILL_TIMEOUT_MS = 2000;
const POLL_INTERVAL_MS = 10;
const LAST_LINES = 40;
const STARTED = /^\d{4}-\S+ info network \S+ runs$/;
/** A log that has grown beyond is put aside at the next start. */
export const MAX_LOG_BYTES = 4_194_304;

export interface ClientListener {
  onNotification(method: string, params: unknown): void;
  /** The connection is lost: the process ended, or is about to. */
  onLost(reason: string): void;
}

export class NetworkClient {
  readonly pid: number;
  readonly startedMs: number;
  readonly #peer: RpcPeer;
  readonly #paths: NetworkPaths;
  #isReleased = false;

  private constructor(peer: RpcPeer, paths: NetworkPaths, hello: HelloResult) {
    this.#peer = peer;
    this.#paths = paths;
    this.pid = hello.pid;
    this.startedMs = hello.startedMs;
  }

  /** Starts a process and connects to it; throws what it says when it cannot start. */
  static async start(program: string, request: StartRequest, listener: ClientListener): Promise<NetworkClient> {
    const { paths } = request;
    mkdirSync(dirname(paths.state), { recursive: true, mode: request.user === null ? 0o700 : 0o711 });
    mkdirSync(paths.state, { recursive: true, mode: 0o700 });
    rmSync(paths.directory, { recursive: true, force: true }); // what a process left that was killed
    const child = spawnDetached(program, paths.log);
    child.stdin!.on('error', () => undefined).end(JSON.stringify(request));
    const answer = await readAnswer(child, paths.log);
    child.unref();
    if ('error' in answer) {
      rmSync(paths.directory, { recursive: true, force: true });
      throw fromErrorData(answer.error);
    }
    return NetworkClient.#connect(paths, listener);
  }

  /** Takes over what an earlier daemon started; null when nothing (of this protocol) runs. */
  static async adopt(paths: NetworkPaths, listener: ClientListener): Promise<NetworkClient | null> {
    const identity = readProcessFile(paths.process);
    if (identity === null || !isRunning(identity)) return null;
    try {
      return await NetworkClient.#connect(paths, listener);
    } catch {
      await endProcess(identity);
      return null;
    }
  }

  static async #connect(paths: NetworkPaths, listener: ClientListener): Promise<NetworkClient> {
    const socket = await connectTo(paths.control);
    let client: NetworkClient | null = null;
    const peer = new RpcPeer(socket, {
      onNotification: (method, params) => listener.onNotification(method, params),
      onClose: () => {
        if (client !== null && !client.#isReleased) listener.onLost(lastWords(paths.log));
      },
    });
    try {
      client = new NetworkClient(
        peer,
        paths,
        (await peer.request('hello', { protocol: PROTOCOL_VERSION })) as HelloResult,
      );
      return client;
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  async call<M extends keyof Methods>(
    method: M,
    params: Methods[M]['params'],
    timeoutMs?: number,
  ): Promise<Methods[M]['result']> {
    return (await this.#peer.request(method, params, timeoutMs)) as Methods[M]['result'];
  }

  /** Ends the process and takes its directory away; by force when it does not end by itself. */
  async stop(): Promise<void> {
    this.#isReleased = true;
    const identity = readProcessFile(this.#paths.process) ?? { pid: this.pid, startTime: '' };
    await this.#peer.request('stop', {}, STOP_TIMEOUT_MS).catch(() => undefined);
    if (!(await hasEnded(identity, STOP_TIMEOUT_MS))) await endProcess(identity);
    this.#peer.close();
    rmSync(this.#paths.directory, { recursive: true, force: true });
  }

  /** Lets go of the process, which runs on. */
  release(): void {
    this.#isReleased = true;
    this.#peer.close();
  }
}

function spawnDetached(program: string, log: string): ChildProcess {
  const fd = openLog(log);
  try {
    return spawn(process.execPath, [...NODE_OPTIONS, program], {
      detached: true,
      cwd: '/',
      stdio: ['pipe', fd, fd, 'pipe'],
    });
  } finally {
    closeSync(fd);
  }
}

function openLog(path: string): number {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

async function readAnswer(child: ChildProcess, log: string): Promise<StartAnswer> {
  const pipe = child.stdio[3] as Readable;
  const failed = new Promise<never>((_resolve, reject) => child.once('error', reject));
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  try {
    const line = await Promise.race([text(pipe), failed]);
    if (line !== '') return JSON.parse(line) as StartAnswer;
    const message = `the network process ended while it started: ${firstFault(log)}`;
    return { error: { code: 'unavailable', message, hint: `its log: ${log}` } };
  } finally {
    clearTimeout(timer);
    pipe.destroy();
  }
}

/** The lines that a process writes when it ends; the runtime may add its own behind them. */
const FAREWELL = /^\d{4}-\S+ (?:error (.*)|info (network \S+ stopped))$/;

/** Why a process ended, as its log tells. */
function lastWords(log: string): string {
  const farewell = lastLines(log).findLast((line) => FAREWELL.test(line));
  const [, failure, stopped] = FAREWELL.exec(farewell ?? '') ?? [];
  return failure ?? stopped ?? 'it was killed';
}

/** Why a process never came to speak: what the runtime says. */
function firstFault(log: string): string {
  const lines = lastLines(log);
  return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? 'it said nothing';
}

/** What was logged since the process started. */
function lastLines(log: string): readonly string[] {
  try {
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
    return lines.slice(lines.findLastIndex((line) => STARTED.test(line)) + 1).slice(-LAST_LINES);
  } catch {
    return []; // it has no log any more
  }
}

function readProcessFile(path: string): ProcessIdentity | null {
  try {
    const { pid, startTime } = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessIdentity>;
    return typeof pid === 'number' && typeof startTime === 'string' ? { pid, startTime } : null;
  } catch {
    return null;
  }
}

function connectTo(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once('error', reject);
  });
}

async function hasEnded(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isRunning(identity)) {
    if (Date.now() >= deadline) return false;
    await delay(POLL_INTERVAL_MS);
  }
  return true;
}

async function endProcess(identity: ProcessIdentity): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isRunning(identity)) return;
    try {
      process.kill(identity.pid, signal);
    } catch {
      return; // it ended meanwhile, or is another user's
    }
    if (await hasEnded(identity, KILL_TIMEOUT_MS)) return;
  }
}
