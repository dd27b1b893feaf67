/**
 * The host's end of the command channel into a test guest (the other end is guest/agent, where the framing is told):
 * any number of shell scripts at a time, each with its exit status and all of its output.
 *
 * Zone: control.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { until, within } from './deadline.ts';

export interface CommandResult {
  readonly code: number;
  /** stdout and stderr together, as they came. */
  readonly stdout: string;
}

/** What udhcpc told the guest; see guest/dhcp-event. Empty strings where the server said nothing. */
export interface GuestLease {
  readonly ip: string;
  readonly prefixLength: number;
  readonly router: string;
  readonly dns: string;
  readonly domain: string;
  readonly search: string;
  readonly serverId: string;
  readonly leaseSeconds: number;
  readonly mtu: string;
}

export const DEFAULT_COMMAND_TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 16 << 20;

interface Pending {
  resolve(result: CommandResult): void;
  reject(error: Error): void;
}

export class GuestAgent implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #received: Buffer = Buffer.alloc(0);
  #nextId = Math.floor(Math.random() * 1_000_000) * 1000; // a second client of the same guest must not reuse an id
  #closed: Error | undefined;

  /** `path` is QEMU's chardev socket; QEMU may still be about to create it. Gives up when `alive` says so. */
  static async connect(path: string, { timeoutMs = 10_000, alive = (): boolean => true } = {}): Promise<GuestAgent> {
    const socket = await until(`the guest's agent socket ${path}`, timeoutMs, async () => {
      if (!alive()) throw new Error('QEMU has ended');
      const attempt = connect(path);
      return once(attempt, 'connect').then(
        () => attempt,
        () => undefined,
      );
    });
    return new GuestAgent(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the guest is gone: its agent channel closed')));
  }

  async run(script: string, { timeoutMs = DEFAULT_COMMAND_TIMEOUT_MS } = {}): Promise<CommandResult> {
    if (this.#closed !== undefined) throw this.#closed;
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
    this.#pending.set(id, { resolve, reject });
    this.#socket.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    try {
      return await within(`in the guest: ${script}`, timeoutMs, promise);
    } catch (error) {
      // Its answer, when it comes, finds nobody waiting and is dropped.
      if (this.#closed === undefined) this.#socket.write(`kill ${id}\n`);
      throw error;
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Output of a script that must succeed. */
  async sh(script: string, options: { timeoutMs?: number } = {}): Promise<string> {
    const { code, stdout } = await this.run(script, options);
    if (code !== 0) throw new Error(`in the guest: ${script}: exit status ${code}\n${stdout}`);
    return stdout;
  }

  async waitLease(timeoutMs = 30_000): Promise<GuestLease> {
    const text = await this.sh('until [ -s /run/lease ]; do usleep 50000; done; cat /run/lease', { timeoutMs });
    const field = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? '';
    return {
      ip: field('ip'),
      prefixLength: Number(field('mask')),
      router: field('router'),
      dns: field('dns'),
      domain: field('domain'),
      search: field('search'),
      serverId: field('serverid'),
      leaseSeconds: Number(field('lease')),
      mtu: field('mtu'),
    };
  }

  /** The first global or unique local IPv6 address on eth0 that has passed duplicate address detection. */
  async waitIpv6(timeoutMs = 20_000): Promise<string> {
    const line = 'ip -6 addr show dev eth0 scope global | grep inet6 | grep -v tentative | head -n 1';
    const text = await this.sh(`until ${line} | grep -q inet6; do usleep 100000; done; ${line}`, { timeoutMs });
    return /inet6 ([0-9a-f:]+)/.exec(text)?.[1] ?? '';
  }

  close(): void {
    this.#socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      const newline = this.#received.indexOf(0x0a);
      if (newline < 0) return;
      const [id = NaN, code = NaN, size = NaN] = this.#received.toString('latin1', 0, newline).split(' ').map(Number);
      if (!(size >= 0 && size <= MAX_OUTPUT_BYTES)) {
        this.#fail(new Error(`the guest's agent sent nonsense: ${this.#received.toString('latin1', 0, 200)}`));
        this.#socket.destroy();
        return;
      }
      const end = newline + 1 + size;
      if (this.#received.length < end) return;
      const stdout = this.#received.toString('utf8', newline + 1, end);
      this.#received = this.#received.subarray(end);
      this.#pending.get(id)?.resolve({ code, stdout });
    }
  }

  #fail(error: Error): void {
    this.#closed ??= error;
    for (const pending of this.#pending.values()) pending.reject(this.#closed);
    this.#pending.clear();
  }
}
