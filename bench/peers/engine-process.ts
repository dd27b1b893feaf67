/**
 * A network's engine as a process of its own, in a lab's host namespace: the datapath of the product without its daemon,
 * so that what is measured is the datapath.
 *
 * Zone: control.
 */
import { join } from 'node:path';
import { type ErrorData, fromErrorData } from '../../packages/vmlan/src/core/errors.ts';
import { NODE_OPTIONS } from '../../packages/vmlan/src/drivers/userspace/network-client.ts';
import { CONFIG } from '../../packages/vmlan/src/engine/config.fixture.ts';
import type { EngineConfig, EngineRequest, EngineSnapshot } from '../../packages/vmlan/src/engine/control-messages.ts';
import { within } from '../../packages/vmlan/test/support/deadline.ts';
import type { Namespace } from '../../packages/vmlan/test/support/netns.ts';
import type { Process } from '../../packages/vmlan/test/support/process.ts';
import { MANY_FILES } from '../load/load-client.ts';

const PROGRAM = join(import.meta.dirname, '../../packages/vmlan/test/support/engine-host.ts');
const ANSWER_MS = 30_000;

/** A /16, so that a thousand guests find an address. */
export const NETWORK = {
  gateway: '10.144.0.1',
  gateway6: CONFIG.ipv6!.gateway,
  gatewayMac: '02:76:6c:00:00:01',
  prefix: 16,
} as const;

export const engineConfig = (mtu: number): EngineConfig => ({
  ...CONFIG,
  network: 'bench',
  mtu,
  gatewayMac: NETWORK.gatewayMac,
  ipv4: {
    ...CONFIG.ipv4!,
    subnet: '10.144.0.0/16',
    gateway: NETWORK.gateway,
    dns: NETWORK.gateway,
    poolStart: '10.144.1.0',
    poolEnd: '10.144.255.254',
  },
});

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class EngineProcess implements AsyncDisposable {
  readonly #process: Process;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  private constructor(process: Process) {
    this.#process = process;
    process.onLine((line) => this.#onLine(line));
    void process.exited.then(({ code, stderr }) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the engine ended with ${code}: ${stderr}`));
    });
  }

  static async start(namespace: Namespace, config: EngineConfig): Promise<EngineProcess> {
    const child = namespace.start([...MANY_FILES, process.execPath, ...NODE_OPTIONS, PROGRAM, JSON.stringify(config)]);
    await child.waitFor(/^\{"ready":/m);
    return new EngineProcess(child);
  }

  get pid(): number {
    return this.#process.pid;
  }

  request(request: EngineRequest): Promise<unknown> {
    return this.#command({ request });
  }

  async snapshot(): Promise<EngineSnapshot> {
    return (await this.request({ type: 'snapshot' })) as EngineSnapshot;
  }

  /** An interface eth0 in the guest's namespace, with its addresses and routes. */
  async tap(guest: Namespace, socket: string, mtuBytes: number, number = 2): Promise<void> {
    const nic = `${guest.name}/0`;
    const mac = `52:54:00:00:02:${number.toString(16).padStart(2, '0')}`;
    await this.request({ type: 'set-nic', nic: { key: nic, guest: guest.name, mac, connected: true } });
    const request = {
      ...{ socket, interface: 'eth0', mac, mtuBytes, loopback: true, routerAdverts: true },
      addresses: [`10.144.0.${number}/${NETWORK.prefix}`],
      gateways: [NETWORK.gateway],
    };
    await this.#command({ tap: { nic, path: guest.path, request } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }

  #command(command: object): Promise<unknown> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#process.write(`${JSON.stringify({ id, ...command })}\n`);
    return within(`an answer to ${JSON.stringify(command).slice(0, 200)}`, ANSWER_MS, promise);
  }

  #onLine(text: string): void {
    const line = JSON.parse(text) as { id?: number; error?: ErrorData | null; result?: unknown };
    if (line.id === undefined) return;
    const waiting = this.#waiting.get(line.id);
    this.#waiting.delete(line.id);
    if (line.error === null || line.error === undefined) waiting?.resolve(line.result);
    else waiting?.reject(fromErrorData(line.error));
  }
}
