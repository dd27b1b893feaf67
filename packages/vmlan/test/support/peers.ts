/**
 * Servers and clients in namespaces, as tests use them:
 *
 *   await using web = await serve(lab.internet, [{ kind: 'http', port: 80 }]);
 *   const { ok } = await client(guest, 'http', { url: 'http://web.test/', count: 100, parallel: 10, keepAlive: true });
 *
 * Zone: control.
 */
import { join } from 'node:path';
import type { Namespace, NamespaceRunOptions } from './netns.ts';
import type { Clients } from './peer-clients.ts';
import type { ServerSpec } from './peer-servers.ts';
import type { Side } from './peer-exchange.ts';
import type { Digest } from './peer-stream.ts';
import type { Process } from './process.ts';

const PROGRAM = join(import.meta.dirname, 'peer.ts');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM];
const CLIENT_TIMEOUT_MS = 120_000;

export class Peers implements AsyncDisposable {
  /** In the order of the specs. */
  readonly ports: readonly number[];
  readonly process: Process;

  constructor(process: Process, ports: readonly number[]) {
    this.process = process;
    this.ports = ports;
  }

  get port(): number {
    return this.ports[0] ?? 0;
  }

  /** Lets `stalled` servers read. */
  resume(): void {
    this.process.write('resume\n');
  }

  /** What the `number`th connection to a `witness` brought, and how it ended. */
  async witnessed(number: number, timeoutMs?: number): Promise<Digest & { errno: string | null }> {
    const [, text = ''] = await this.process.waitFor(new RegExp(`(?:witness (.+)\\n[^]*?){${number}}`), timeoutMs);
    return JSON.parse(text) as Digest & { errno: string | null };
  }

  /** What `exchange` servers have reported so far, by the mark of the exchange. */
  exchanged(): Map<number, Side> {
    const lines = this.process.stdout.matchAll(/^exchanged (.+)$/gm);
    return new Map([...lines].map(([, text = '']) => JSON.parse(text) as Side).map((side) => [side.mark, side]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }
}

/** Returns when every server listens. */
export async function serve(namespace: Namespace, specs: readonly ServerSpec[]): Promise<Peers> {
  const child = namespace.start([...NODE, 'serve', JSON.stringify(specs)]);
  const [, ports = '[]'] = await child.waitFor(/^listening (\[.*\])$/m);
  return new Peers(child, JSON.parse(ports) as number[]);
}

/** The argument vector of a client, for one that is started and left running. */
export function clientArgv<K extends keyof Clients>(name: K, argument: Parameters<Clients[K]>[0]): string[] {
  return [...NODE, 'client', name, JSON.stringify(argument)];
}

/** Runs one client to its end; what it throws, this throws. */
export async function client<K extends keyof Clients>(
  namespace: Namespace,
  name: K,
  argument: Parameters<Clients[K]>[0],
  options: NamespaceRunOptions = {},
): Promise<Awaited<ReturnType<Clients[K]>>> {
  const stdout = await namespace.output(clientArgv(name, argument), { timeoutMs: CLIENT_TIMEOUT_MS, ...options });
  return JSON.parse(stdout) as Awaited<ReturnType<Clients[K]>>;
}
