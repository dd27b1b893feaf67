/**
 * A network's engine in the lab's host namespace, with guests that are namespaces, and without a daemon: what TCP, UDP and
 * IPv6 tests stand on. Guests have fixed addresses unless they ask for automatic ones.
 *
 *   await using bed = await EngineBed.create({ mtu: 65_520 });
 *   const web = await bed.tapGuest('web');
 *   await bed.shapes(web, null, { lossPercent: 1 });
 *
 * Zone: control. Closing it ends guests, engine and lab.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ErrorData, fromErrorData } from '../../src/core/errors.ts';
import { CONFIG } from '../../src/engine/config.fixture.ts';
import type {
  EngineCapabilities,
  EngineConfig,
  EngineRequest,
  EngineSnapshot,
  LineShape,
} from '../../src/engine/control-messages.ts';
import { within } from '../support/deadline.ts';
import { needs, needsRoot } from '../support/needs.ts';
import { Lab, type Namespace } from '../support/netns.ts';
import { Process, type RunResult } from '../support/process.ts';

export const GATEWAY: { readonly address4: string; readonly address6: string } = {
  address4: CONFIG.ipv4!.gateway,
  address6: CONFIG.ipv6!.gateway,
};
const HOST_PROGRAM = join(import.meta.dirname, '../support/engine-host.ts');
const STREAM_GUEST = join(import.meta.dirname, '../support/stream-guest.ts');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
const ANSWER_MS = 20_000;

/** For hooks, which cannot be skipped; each test says why it is. */
export const root: boolean = process.getuid?.() === 0;

export function ready(t: TestContext, ...more: readonly string[]): boolean {
  return needsRoot(t) && needs(t, 'ip', 'nsenter', 'ping', 'ss', ...more);
}

export interface BedOptions {
  readonly mtu?: number;
  /** Whether the lab's host has IPv6. */
  readonly ipv6?: boolean;
  readonly config?: Partial<EngineConfig>;
  /** Before the engine starts. */
  readonly prepare?: (lab: Lab) => Promise<void>;
}

export interface GuestOptions {
  /** Addresses by DHCP, SLAAC and DHCPv6 are the guest's own affair: none is set. */
  readonly automatic?: boolean;
}

/** A guest's namespace, and what it is called on the network. */
export interface BedGuest {
  readonly namespace: Namespace;
  readonly nic: string;
  readonly mac: string;
  readonly address4: string;
  readonly address6: string;
}

const engineConfig = (mtu: number, more: Partial<EngineConfig>): EngineConfig => ({
  ...CONFIG,
  mtu,
  gatewayMac: '02:76:6c:00:00:01',
  ipv4: { ...CONFIG.ipv4!, poolEnd: '192.168.104.254' },
  ...more,
});

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class EngineBed implements AsyncDisposable {
  readonly lab: Lab;
  readonly mtu: number;
  /** Every message of the engine that answers nothing: events and logs. */
  readonly messages: { type: string; [key: string]: unknown }[] = [];
  readonly #engine: Process;
  readonly #folder: string;
  readonly #streams = new Map<string, Process>();
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #guests = 0;

  private constructor(lab: Lab, engine: Process, folder: string, mtu: number) {
    this.lab = lab;
    this.#engine = engine;
    this.#folder = folder;
    this.mtu = mtu;
    engine.onLine((line) => this.#onLine(line));
    void engine.exited.then((result) => this.#onEnd(result));
  }

  static async create({ mtu = 1500, ipv6 = true, config = {}, prepare }: BedOptions = {}): Promise<EngineBed> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await Lab.create({ ipv6 }));
    await prepare?.(lab);
    const folder = await mkdtemp(join(tmpdir(), 'vmlan-bed-'));
    stack.defer(() => rm(folder, { recursive: true }));
    const engine = lab.host.start([...NODE, HOST_PROGRAM, JSON.stringify(engineConfig(mtu, config))]);
    await engine.waitFor(/^\{"ready":/m);
    stack.move();
    return new EngineBed(lab, engine, folder, mtu);
  }

  /** Shapes all traffic of a guest; two nulls end it. */
  async shapes(guest: BedGuest, fromGuest: LineShape | null, toGuest: LineShape | null): Promise<void> {
    const shape = { id: guest.nic, nic: guest.nic, peer: null, fromGuest, toGuest };
    const isOver = fromGuest === null && toGuest === null;
    await this.request(isOver ? { type: 'remove-shape', shapeId: shape.id } : { type: 'set-shape', shape });
  }

  request(request: EngineRequest): Promise<unknown> {
    return this.#command({ request });
  }

  async snapshot(): Promise<EngineSnapshot> {
    return (await this.request({ type: 'snapshot' })) as EngineSnapshot;
  }

  async counter(name: string): Promise<number> {
    return (await this.snapshot()).counters[name] ?? 0;
  }

  async capabilities(): Promise<EngineCapabilities> {
    return (await this.snapshot()).capabilities;
  }

  /** Resident memory of the engine's process, bytes. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.#engine.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }

  /** The engine is alive and answers. */
  async assertAlive(): Promise<void> {
    assert.ok(this.#engine.running, this.#engine.stderr);
    await this.snapshot();
  }

  /** A namespace with eth0, a TAP whose frames the engine reads as the kernel gives them. */
  async tapGuest(name: string, options: GuestOptions = {}): Promise<BedGuest> {
    const guest = await this.#register(name, options);
    await this.#command({ tap: { nic: guest.nic, path: guest.namespace.path, request: this.#tap(guest, options) } });
    await this.#settle(guest, options);
    return guest;
  }

  /** A namespace with eth0 behind a stream socket, as a machine of QEMU is. */
  async streamGuest(name: string, options: GuestOptions = {}): Promise<BedGuest> {
    const guest = await this.#register(name, options);
    const unix = this.path(`${name}.sock`);
    const link = { kind: 'stream-listen', address: { unix }, nic: guest.nic } as const;
    await this.request({ type: 'add-link', linkId: guest.nic, link });
    const target = JSON.stringify({ pid: null, path: guest.namespace.path });
    const child = Process.start([...NODE, STREAM_GUEST, JSON.stringify(this.#tap(guest, options)), target, unix]);
    this.#streams.set(guest.nic, child);
    await child.waitFor(/^open$/m);
    await this.#settle(guest, options);
    return guest;
  }

  guest(kind: 'tap' | 'stream', name: string, options: GuestOptions = {}): Promise<BedGuest> {
    return kind === 'tap' ? this.tapGuest(name, options) : this.streamGuest(name, options);
  }

  /** Pulls a guest's plug: its card, or the program at the other end of its socket, is gone without a word. */
  async vanish(guest: BedGuest): Promise<void> {
    const stream = this.#streams.get(guest.nic);
    if (stream !== undefined) return void (await stream.stop('SIGKILL'));
    await guest.namespace.ip('link', 'del', 'eth0');
  }

  /** The program at the other end of a stream guest's socket stands still, as a machine that is paused. */
  pause({ nic }: BedGuest): void {
    this.#streams.get(nic)?.signal('SIGSTOP');
  }

  resume({ nic }: BedGuest): void {
    this.#streams.get(nic)?.signal('SIGCONT');
  }

  /** A path in the bed's own folder. */
  path(name: string): string {
    return join(this.#folder, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#streams.values()].map((child) => child.stop('SIGKILL')));
    this.#engine.endInput();
    await within('the engine to end', ANSWER_MS, this.#engine.exited).catch(() => undefined);
    await this.#engine.stop();
    await this.lab.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #command(command: object): Promise<unknown> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#engine.write(`${JSON.stringify({ id, ...command })}\n`);
    return within(`an answer to ${JSON.stringify(command).slice(0, 200)}`, ANSWER_MS, promise);
  }

  #onLine(text: string): void {
    const line = JSON.parse(text) as { id?: number; error?: ErrorData | null; result?: unknown; type?: string };
    if (line.id === undefined) {
      if (line.type !== undefined) this.messages.push(line as { type: string });
      return;
    }
    const waiting = this.#waiting.get(line.id);
    this.#waiting.delete(line.id);
    if (line.error === null || line.error === undefined) waiting?.resolve(line.result);
    else waiting?.reject(fromErrorData(line.error));
  }

  #onEnd({ code, stderr }: RunResult): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(`the engine ended with ${code}: ${stderr}`));
  }

  async #register(name: string, { automatic = false }: GuestOptions): Promise<BedGuest> {
    const namespace = await this.lab.guest(name);
    // An address by SLAAC beside the fixed one would come later, and be tentative when servers want to bind it.
    if (!automatic) await namespace.sysctl('net.ipv6.conf.default.autoconf', 0);
    const number = 10 + this.#guests++;
    const mac = `52:54:00:00:01:${number.toString(16).padStart(2, '0')}`;
    const nic = `${name}/0`;
    await this.request({ type: 'set-nic', nic: { key: nic, guest: name, mac, connected: true } });
    return { namespace, nic, mac, address4: `192.168.104.${number}`, address6: `fd00:1:2:3::${number.toString(16)}` };
  }

  #tap({ mac, address4, address6 }: BedGuest, { automatic = false }: GuestOptions): object {
    return {
      socket: this.path(`${mac.replaceAll(':', '')}.tap`),
      interface: 'eth0',
      mac,
      mtuBytes: this.mtu,
      addresses: automatic ? [] : [`${address4}/24`, `${address6}/64`],
      gateways: automatic ? [] : [GATEWAY.address4, GATEWAY.address6],
      loopback: true,
      routerAdverts: true,
    };
  }

  /** The link-local address answers neighbor solicitations: nothing over IPv6 works before it is there. */
  async #settle({ namespace }: BedGuest, { automatic = false }: GuestOptions): Promise<void> {
    await namespace.waitForLinkLocal('eth0');
    if (automatic) return;
    await namespace.setResolver([GATEWAY.address4]);
    // Who has never said anything has no address that the network knows of.
    for (const gateway of [GATEWAY.address4, GATEWAY.address6])
      await namespace.output(['ping', '-c', '1', '-W', '5', gateway]);
  }
}
