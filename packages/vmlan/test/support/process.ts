/**
 * Child processes for tests: argument vectors only, never a shell string. `run` waits for the end; `Process` is one that
 * stays, with its output to wait on. A process started here leads its own process group, and the group ends with the
 * test program, however that ends short of SIGKILL.
 *
 * Zone: control.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { within } from './deadline.ts';

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly cwd?: string;
  /** Added to the environment of the test. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const TERM_GRACE_MS = 3000;
const MAX_WORD_CHARACTERS = 60; // of a command in a message
const MAX_COMMAND_CHARACTERS = 240;
const MAX_OUTPUT_CHARACTERS = 4 << 20; // the newest are kept

/** A command as a message shows it: programs hand JSON to each other, and nobody wants to read it there. */
function shown(argv: readonly string[]): string {
  const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);
  return cut(argv.map((word) => cut(word, MAX_WORD_CHARACTERS)).join(' '), MAX_COMMAND_CHARACTERS);
}

const groups = new Set<number>();
let guarded = false;

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function rememberGroup(pid: number): void {
  groups.add(pid);
  if (guarded) return;
  guarded = true;
  process.on('exit', endProcesses);
  for (const [signal, exitCode] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    // A program with a handler of its own ends in its own way.
    process.once(signal, () => process.listenerCount(signal) === 0 && process.exit(exitCode));
  }
}

/** Kills every process started here that still runs, with its group. */
export function endProcesses(): void {
  for (const pid of groups) killGroup(pid, 'SIGKILL');
}

export class Process implements AsyncDisposable {
  readonly argv: readonly string[];
  readonly exited: Promise<RunResult>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #watchers = new Set<() => void>();
  #stdout = '';
  #stderr = '';
  #result: RunResult | undefined;

  static start(argv: readonly string[], options: Omit<RunOptions, 'timeoutMs' | 'input'> = {}): Process {
    return new Process(argv, options);
  }

  private constructor(argv: readonly string[], options: Omit<RunOptions, 'timeoutMs' | 'input'>) {
    const [command = '', ...args] = argv;
    this.argv = argv;
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    if (this.#child.pid !== undefined) rememberGroup(this.#child.pid);
    this.#child.stdin.on('error', () => undefined); // it may end without reading
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-MAX_OUTPUT_CHARACTERS);
      this.#wake();
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_OUTPUT_CHARACTERS);
      this.#wake();
    });
    this.exited = new Promise((resolve) => {
      const end = (code: number | null): void => {
        if (this.#child.pid !== undefined) groups.delete(this.#child.pid);
        this.#result ??= { code, stdout: this.#stdout, stderr: this.#stderr };
        resolve(this.#result);
        this.#wake();
      };
      this.#child.on('close', end);
      this.#child.on('error', (error) => {
        this.#stderr += `${error.message}\n`;
        end(127);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return this.#result === undefined;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Hears every line of stdout from here on. */
  onLine(listener: (line: string) => void): void {
    createInterface(this.#child.stdout).on('line', listener);
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  endInput(text = ''): void {
    this.#child.stdin.end(text);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until `pattern` matches in stdout or stderr; fails at once when the process ends before. */
  async waitFor(pattern: RegExp, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<RegExpExecArray> {
    const match = (): RegExpExecArray | null => pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr);
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = (): void => {
      const found = match();
      if (found !== null) resolve(found);
      else if (!this.running) reject(new Error(`${this.#story()} ended before it printed ${String(pattern)}`));
    };
    this.#watchers.add(look);
    look();
    try {
      return await within(`${String(pattern)} from ${shown(this.argv)}`, timeoutMs, promise);
    } catch (error) {
      throw new Error(this.#story(), { cause: error });
    } finally {
      this.#watchers.delete(look);
    }
  }

  /** Ends the whole process group: asked first, forced after a while. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<RunResult> {
    if (this.#child.pid === undefined) return this.exited;
    if (this.running) {
      killGroup(this.#child.pid, signal);
      await within(`${shown(this.argv)} to end`, TERM_GRACE_MS, this.exited).catch(() => undefined);
    }
    // Also for those that it left behind in its group.
    killGroup(this.#child.pid, 'SIGKILL');
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #story(): string {
    return `${shown(this.argv)}\n${this.#stdout.slice(-2000)}\n${this.#stderr.slice(-2000)}\n`;
  }
}

/** Runs a command to its end, whatever its exit status. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = Process.start(argv, options);
  child.endInput(options.input);
  try {
    return await within(shown(argv), options.timeoutMs ?? DEFAULT_TIMEOUT_MS, child.exited);
  } catch (error) {
    await child.stop('SIGKILL');
    throw error;
  }
}

/** stdout of a command that must succeed. */
export async function output(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options);
  if (code !== 0) throw new Error(`${shown(argv)}: exit status ${code ?? 'none'}\n${stderr}${stdout.slice(-2000)}`);
  return stdout;
}
