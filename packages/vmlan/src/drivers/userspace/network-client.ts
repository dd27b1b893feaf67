/**
 * The daemon's end of a network process: starting one, taking over one that runs, ending one.
 *
 * Zone: control.  The process is known by its file (pid and start time) and its control socket; whom they name is
 * looked at before he is believed (process-file.ts).  One that does not answer is left alone, for its guests may still
 * be served, or be served again: calls fail at once until it answers.  Whether it does is asked again and again (`beat`),
 * so that it is noticed when nobody else asks.  One that speaks another protocol is left alone too.  Both are ended when
 * somebody stops the network.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { VmlanError, fromErrorData } from '../../core/errors.ts';
import { makeStateDirectory } from '../../sys/durable-file.ts';
import { identityOf, isPid, isRunning } from '../../sys/process-identity.ts';
import type { ProcessIdentity } from '../../sys/process-identity.ts';
import { openLog } from '../../sys/bounded-log.ts';
import type { NetworkPaths } from '../network-paths.ts';
import { clearDirectory } from './network-directory.ts';
import { firstFault, lastWords } from './network-log.ts';
import {
  endProcess,
  hasEnded,
  isOfNetwork,
  readProcessFile,
  runningProcess,
  writeProcessFile,
} from './process-file.ts';
import type { NetworkProcess } from './process-file.ts';
import { PROTOCOL_MINOR, PROTOCOL_VERSION } from './protocol.ts';
import type { HelloResult, Methods, StartAnswer, StartRequest } from './protocol.ts';
import { NoAnswerError, RpcPeer } from './rpc.ts';

/** A small nursery, for two threads whose packets leave hardly any garbage: it saves 4 to 13 MB (docs/datapath.md). */
export const NODE_OPTIONS: readonly string[] = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1'];
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 6000;
/** What a process that was started and never adopted gets to open its control socket. */
const APPEAR_TIMEOUT_MS = 5000;
const POLL_INTERVAL_MS = 10;
/** A question that changes nothing is answered within this time, or the process counts as silent. */
export const ANSWER_TIMEOUT_MS = 5000;
/** As long as a timer can be. */
const FOREVER_MS = 2 ** 31 - 1;

const GREETING: Methods['hello']['params'] = { protocol: PROTOCOL_VERSION, minor: PROTOCOL_MINOR };
const QUESTIONS: ReadonlySet<keyof Methods> = new Set(['hello', 'observe', 'pulse', 'snapshot'] as const);

export interface ClientListener {
  onNotification(method: string, params: unknown): void;
  /** The connection is lost: the process ended, or is about to. */
  onLost(reason: string): void;
  /** false: it does not answer; true: it does again. */
  onAnswering?(answers: boolean): void;
  /** The file names a process that is none of the network. */
  onStranger?(pid: number): void;
}

export class NetworkClient {
  readonly #identity: ProcessIdentity;
  readonly #peer: RpcPeer;
  readonly #paths: NetworkPaths;
  readonly #listener: ClientListener;
  #isSilent = false;
  /** Its end is told: it was taken over, and not let go since. */
  #isWatched = false;

  private constructor(socket: Socket, paths: NetworkPaths, identity: ProcessIdentity, listener: ClientListener) {
    this.#peer = new RpcPeer(socket, {
      onNotification: (method, params) => listener.onNotification(method, params),
      onClose: () => this.#isWatched && listener.onLost(lastWords(paths.log)),
    });
    this.#paths = paths;
    this.#listener = listener;
    this.#identity = identity;
  }

  get pid(): number {
    return this.#identity.pid;
  }

  /** Starts a process and connects to it; throws what it says when it cannot start. */
  static async start(program: string, request: StartRequest, listener: ClientListener): Promise<NetworkClient> {
    const { paths } = request;
    await makeDirectories(request);
    const child = spawnDetached(program, paths);
    // Known before it is told anything: whoever kills us now leaves nobody that is not found.
    if (child.pid !== undefined) writeProcessFile(paths.process, child.pid);
    const identity = identityOf(child.pid ?? 0);
    child.stdin!.on('error', () => undefined).end(JSON.stringify(request));
    const answer = await readAnswer(child, paths.log);
    child.unref();
    if ('error' in answer) {
      await clearDirectory(paths);
      throw fromErrorData(answer.error);
    }
    return NetworkClient.#connect(paths, identity, listener);
  }

  /**
   * Takes over what an earlier daemon started, be it silent; null when nothing runs.  Throws `incompatible` when it
   * speaks another protocol.
   */
  static async adopt(paths: NetworkPaths, listener: ClientListener): Promise<NetworkClient | null> {
    const named = readProcessFile(paths.process);
    const isStranger = named !== null && isRunning(named) && !isOfNetwork(named, paths.directory);
    if (isStranger) listener.onStranger?.(named.pid);
    const found = runningProcess(paths) ?? (await processAtSocket(paths));
    if (found === null) return null;
    if (found.protocol !== PROTOCOL_VERSION) throw incompatible(paths, found);
    const deadline = performance.now() + APPEAR_TIMEOUT_MS;
    while (isRunning(found)) {
      try {
        return await NetworkClient.#connect(paths, found, listener);
      } catch (error) {
        if (error instanceof VmlanError && error.code === 'unsupported') throw incompatible(paths, found);
        if (!isAbsence(error) && !isLoss(error)) throw error;
        // Somebody is there and lets go at once: out of descriptors, as it may be, its guests are still served.
        if (performance.now() >= deadline && isLoss(error)) throw silent(paths, found.pid);
        // It has not come to its socket yet; one without a socket is of no use to anybody.
        if (performance.now() >= deadline) await endProcess(found);
        await delay(POLL_INTERVAL_MS);
      }
    }
    return null;
  }

  /** Ends what runs there, whether or not it can be spoken to. */
  static async end(paths: NetworkPaths): Promise<void> {
    const found = runningProcess(paths) ?? (await processAtSocket(paths));
    if (found !== null) await endProcess(found);
    await clearDirectory(paths);
  }

  static async #connect(
    paths: NetworkPaths,
    identity: ProcessIdentity,
    listener: ClientListener,
  ): Promise<NetworkClient> {
    const client = new NetworkClient(await connectTo(paths.control), paths, identity, listener);
    try {
      await client.#peer.request('hello', GREETING, ANSWER_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof NoAnswerError)) {
        client.release();
        throw error;
      }
      client.#onSilence();
    }
    client.#isWatched = true;
    return client;
  }

  async call<M extends keyof Methods>(
    method: M,
    params: Methods[M]['params'],
    timeoutMs: number | undefined = QUESTIONS.has(method) ? ANSWER_TIMEOUT_MS : undefined,
  ): Promise<Methods[M]['result']> {
    if (this.#isSilent) throw silent(this.#paths, this.pid);
    try {
      return (await this.#peer.request(method, params, timeoutMs)) as Methods[M]['result'];
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error;
      this.#onSilence();
      throw silent(this.#paths, this.pid);
    }
  }

  /** Asks whether it is there, both its threads; its silence is told as any other. */
  beat(): void {
    if (!this.#isSilent) this.call('pulse', {}).catch(() => undefined); // also by one that knows no such question
  }

  /** Asks once more, and waits for as long as it takes. */
  #onSilence(): void {
    if (this.#isSilent) return;
    this.#isSilent = true;
    this.#listener.onAnswering?.(false);
    const answers = (): void => {
      this.#isSilent = false;
      if (this.#isWatched) this.#listener.onAnswering?.(true);
    };
    const refused = (error: unknown): void => {
      if (error instanceof VmlanError && error.code === 'unsupported') answers();
      else this.#peer.close();
    };
    this.#peer.request('pulse', {}, FOREVER_MS).then(answers, refused);
  }

  /** Ends the process and takes its directory away; by force when it does not end by itself. */
  async stop(): Promise<void> {
    this.#isWatched = false;
    const identity = this.#identity;
    if (!this.#isSilent) {
      await this.#peer.request('stop', {}, STOP_TIMEOUT_MS).catch(() => undefined);
      await hasEnded(identity, STOP_TIMEOUT_MS);
    }
    await endProcess(identity);
    this.#peer.close();
    await clearDirectory(this.#paths);
  }

  /** Lets go of the process, which runs on. */
  release(): void {
    this.#isWatched = false;
    this.#peer.close();
  }
}

const nameOf = (paths: NetworkPaths): string => `network "${basename(paths.directory)}"`;

function silent(paths: NetworkPaths, pid: number): VmlanError {
  return new VmlanError('timeout', `${nameOf(paths)} does not answer (process ${pid})`, {
    hint: `it is left alone and may come back; \`vmlan network stop ${basename(paths.directory)}\` ends it by force`,
  });
}

function incompatible(paths: NetworkPaths, { pid, protocol }: NetworkProcess): VmlanError {
  const name = basename(paths.directory);
  return new VmlanError(
    'incompatible',
    `${nameOf(paths)} is run by another version of vmlan (process ${pid}, protocol ${protocol} instead of ${PROTOCOL_VERSION})`,
    {
      hint: `its guests go on as they are; when they can bear it: vmlan network stop ${name}, vmlan network start ${name}`,
    },
  );
}

/** Nobody listens there, or nobody any more. */
const isAbsence = (error: unknown): boolean => ['ECONNREFUSED', 'ENOENT'].includes(codeOf(error));

/** Somebody listened, and the connection was lost. */
const isLoss = (error: unknown): boolean => ['ECONNRESET', 'EPIPE', 'unavailable'].includes(codeOf(error));

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code);

/** What a process left that was killed goes first. */
async function makeDirectories({ paths, user }: StartRequest): Promise<void> {
  const outerMode = user === null ? 0o700 : 0o711;
  for (const path of [paths.state, paths.directory]) await makeStateDirectory(dirname(path), outerMode);
  await clearDirectory(paths);
  for (const path of [paths.state, paths.directory]) await makeStateDirectory(path);
}

/** The process whose file was lost, damaged or names another, if one answers; its file is written anew. */
async function processAtSocket(paths: NetworkPaths): Promise<NetworkProcess | null> {
  try {
    const peer = new RpcPeer(await connectTo(paths.control), {});
    try {
      const { pid, protocol } = (await peer.request('hello', GREETING, ANSWER_TIMEOUT_MS)) as HelloResult;
      const identity = identityOf(pid);
      if (!isPid(pid) || !isOfNetwork(identity, paths.directory)) return null;
      writeProcessFile(paths.process, identity.pid);
      return { ...identity, protocol };
    } finally {
      peer.close();
    }
  } catch {
    return null; // nobody is there, or somebody who says nothing of himself
  }
}

function spawnDetached(program: string, { log, directory }: NetworkPaths): ChildProcess {
  const fd = openOrDiscard(log);
  try {
    return spawn(process.execPath, [...NODE_OPTIONS, program, directory], {
      detached: true,
      cwd: '/',
      stdio: ['pipe', fd, fd, 'pipe'],
    });
  } finally {
    closeSync(fd);
  }
}

/** A disk that takes no log stops no network: then nobody hears what it says. */
function openOrDiscard(log: string): number {
  try {
    return openLog(log);
  } catch {
    return openSync(devNull, 'w');
  }
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

function connectTo(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once('error', reject);
  });
}
