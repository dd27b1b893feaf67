/**
 * The two load programs, from the outside: an agent in a guest's namespace, and the server at the far end.
 *
 *   const rate = await agent.run('requestResponse', { server, port, seconds: 2, size: 64 });
 *   const before = await server.counters();
 *
 * Zone: control.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { within } from '../../packages/vmlan/test/support/deadline.ts';
import type { Namespace } from '../../packages/vmlan/test/support/netns.ts';
import type { Process } from '../../packages/vmlan/test/support/process.ts';
import type { Loads } from './agent.ts';
import type { ServerCounters } from './server.ts';

export const NODE: readonly string[] = [process.execPath, '--disable-warning=ExperimentalWarning'];
const RAISE_FILES = ['prlimit', '--nofile=262144:262144'];
/** Put before a program that holds many connections; empty where this machine refuses to raise the limit. */
export const MANY_FILES: readonly string[] =
  spawnSync('prlimit', [...RAISE_FILES.slice(1), 'true']).status === 0 ? RAISE_FILES : [];
const AGENT = join(import.meta.dirname, 'agent.ts');
const SERVER = join(import.meta.dirname, 'server.ts');
const PATIENCE_MS = 60_000; // of a load that has no time of its own
const OVERTIME_MS = 10_000; // beyond one and a half times what a load is meant to take
const COUNTER_PATIENCE_MS = 10_000;

type LoadOf<K extends keyof Loads> = Parameters<Loads[K]>[1];
type ResultOf<K extends keyof Loads> = ReturnType<Loads[K]>;

interface Answer {
  readonly result?: unknown;
  readonly error?: string;
}

function patienceMs(load: unknown): number {
  const seconds = (load as { seconds?: unknown } | undefined)?.seconds;
  return typeof seconds === 'number' ? seconds * 1500 + OVERTIME_MS : PATIENCE_MS;
}

export class LoadAgent {
  readonly #process: Process;
  readonly #waiting: ((line: string) => void)[] = [];

  private constructor(process: Process) {
    this.#process = process;
    process.onLine((line) => this.#waiting.shift()?.(line));
  }

  static async start(namespace: Namespace): Promise<LoadAgent> {
    const child = namespace.start([...MANY_FILES, ...NODE, AGENT]);
    await child.waitFor(/^ready$/m);
    return new LoadAgent(child);
  }

  async run<K extends keyof Loads>(kind: K, load?: LoadOf<K>): Promise<ResultOf<K>> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiting.push(resolve);
    void this.#process.exited.then(({ stderr }) => reject(new Error(`the load program ended: ${stderr}`)));
    this.#process.write(`${JSON.stringify({ kind, load })}\n`);
    const answer = JSON.parse(await within(`the load ${kind}`, patienceMs(load), promise)) as Answer;
    if (answer.error !== undefined) throw new Error(`${kind}: ${answer.error}`);
    return answer.result as ResultOf<K>;
  }

  stop(): Promise<unknown> {
    return this.#process.stop('SIGKILL');
  }
}

export class LoadServer {
  readonly #process: Process;
  readonly #control: string;

  private constructor(process: Process, control: string) {
    this.#process = process;
    this.#control = control;
  }

  /** `control`: a path for its unix socket, not yet there. */
  static async start(namespace: Namespace, address: string, control: string): Promise<LoadServer> {
    const child = namespace.start([...MANY_FILES, ...NODE, SERVER, address, control]);
    await child.waitFor(/^listening$/m);
    return new LoadServer(child, control);
  }

  async counters(): Promise<ServerCounters> {
    const socket = connect(this.#control);
    try {
      socket.write('?');
      const [line] = (await within('counters', COUNTER_PATIENCE_MS, once(socket, 'data'))) as [Buffer];
      return JSON.parse(line.toString()) as ServerCounters;
    } finally {
      socket.destroy();
    }
  }

  stop(): Promise<unknown> {
    return this.#process.stop('SIGKILL');
  }
}
