/**
 * A vmlan of its own for a test or the demo: private folders, any user, any network namespace.
 *
 *   await using vmlan = await Vmlan.create({ namespace: lab.host, user: NOBODY });
 *   await vmlan.ok('up');
 *   const guests = await vmlan.json<GuestView[]>('list');
 *
 * Zone: control. Closing it ends daemon, networks and machines, and removes the folders.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StatusView } from '../../src/model/api.ts';
import { asUser, type Namespace, type User } from './netns.ts';
import { output, Process, run, type RunOptions, type RunResult } from './process.ts';

export interface VmlanOptions {
  /** The text of networks.yaml; without it the default networks apply. */
  readonly config?: string;
  /** Where it runs; the machine's own network without it. */
  readonly namespace?: Namespace;
  /** Who runs it, without any capability; whoever runs the test without it. */
  readonly user?: User;
  /** An installed vmlan to run; the checkout's own without it. */
  readonly program?: string;
}

const CHECKOUT = join(import.meta.dirname, '../../../..');
const PROGRAM = join(CHECKOUT, 'bin/vmlan');

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return; // it ended by itself
  }
}

/** Machines in the background have left every process group; their command line names our folder. */
function processesNaming(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(join('/proc', pid, 'cmdline'), 'utf8').includes(`${folder}/`);
      } catch {
        return false; // it ended just now
      }
    })
    .map(Number);
}

export class Vmlan implements AsyncDisposable {
  /** Private, and the owner's: for sockets and files of a test that vmlan must be able to open. */
  readonly folder: string;
  /** For programs that are to find this daemon. */
  readonly env: Readonly<Record<string, string>>;
  readonly #options: VmlanOptions;
  readonly #pids = new Set<number>();

  private constructor(folder: string, options: VmlanOptions) {
    this.folder = folder;
    this.#options = options;
    this.env = {
      VMLAN_RUNTIME_DIR: join(folder, 'run'),
      VMLAN_STATE_DIR: join(folder, 'state'),
      VMLAN_HOST: `unix://${join(folder, 'run', 'vmlan.sock')}`,
      ...(options.config === undefined ? { XDG_CONFIG_HOME: folder } : { VMLAN_CONFIG: join(folder, 'networks.yaml') }),
      HOME: folder,
      NO_COLOR: '1',
    };
  }

  static async create(options: VmlanOptions = {}): Promise<Vmlan> {
    const folder = await mkdtemp(join(tmpdir(), 'vmlan-'));
    const vmlan = new Vmlan(folder, options);
    // Network processes of root run as somebody else, who has to get to what lies below.
    if (options.user === undefined && process.getuid?.() === 0) await chmod(folder, 0o711);
    for (const name of ['run', 'state']) await mkdir(join(folder, name), { mode: 0o700 });
    if (options.config !== undefined) await vmlan.configure(options.config);
    if (options.user !== undefined) {
      for (const path of [folder, join(folder, 'run'), join(folder, 'state')])
        await chown(path, options.user.uid, options.user.gid);
    }
    return vmlan;
  }

  /** The vmlan that lives in a folder which an earlier program left. */
  static adoptFolder(folder: string, options: Pick<VmlanOptions, 'program'> = {}): Vmlan {
    return new Vmlan(folder, { ...options, config: '' });
  }

  /** Rewrites networks.yaml. */
  configure(text: string): Promise<void> {
    return writeFile(join(this.folder, 'networks.yaml'), text);
  }

  /** The whole argument vector of a command line. */
  argv(...args: readonly string[]): string[] {
    const { namespace, user, program = PROGRAM } = this.#options;
    const command = user === undefined ? [program, ...args] : asUser(user, [program, ...args]);
    return namespace === undefined ? command : namespace.argv(command);
  }

  /** A command, whatever its exit status. */
  run(args: readonly string[], options: Omit<RunOptions, 'env'> = {}): Promise<RunResult> {
    return run(this.argv(...args), { ...options, env: this.env });
  }

  /** A command that stays, for example `run` in the foreground. */
  start(...args: readonly string[]): Process {
    return Process.start(this.argv(...args), { env: this.env });
  }

  /** stdout of a command that must succeed. */
  async ok(...args: readonly string[]): Promise<string> {
    const text = await output(this.argv(...args), { env: this.env, timeoutMs: 60_000 });
    if (args[0] === 'up' || args[1] === 'start') await this.#rememberPids();
    return text;
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    // What follows `--` is another program's.
    const end = args.includes('--') ? args.indexOf('--') : args.length;
    return JSON.parse(await this.ok(...args.slice(0, end), '--output', 'json', ...args.slice(end))) as T;
  }

  /** Also of a vmlan in which something is broken. */
  async status(): Promise<StatusView> {
    const { code, stdout, stderr } = await this.run(['status', '--output', 'json']);
    if (stdout === '') throw new Error(`vmlan status ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as StatusView;
  }

  /** A process that ends with this vmlan though neither its status nor its command line tells of it. */
  adopt(pid: number): void {
    this.#pids.add(pid);
  }

  async close(): Promise<void> {
    await this.#rememberPids().catch(() => undefined);
    await this.run(['down']).catch(() => undefined);
    for (const pid of [...this.#pids, ...processesNaming(this.folder)]) kill(pid);
    await rm(this.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** So that even a daemon that does not answer any more leaves nothing behind. */
  async #rememberPids(): Promise<void> {
    const { pid, networks } = await this.status();
    for (const each of [pid, ...networks.map((network) => network.pid)]) if (each !== null) this.#pids.add(each);
  }
}
