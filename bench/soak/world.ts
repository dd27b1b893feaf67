/**
 * The network of a soak: one engine, steady guests behind TAPs and stream sockets, sockets for guests that come and go,
 * and the servers, all on the host's loopback.
 *
 * Zone: control. Closing it ends everything it started.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lab, Namespace } from '../../packages/vmlan/test/support/netns.ts';
import type { Process } from '../../packages/vmlan/test/support/process.ts';
import { openLab, SERVER, tune } from '../bed.ts';
import { LoadServer } from '../load/load-client.ts';
import { engineConfig, EngineProcess, NETWORK } from '../peers/engine-process.ts';
import { startCard } from '../peers/stream-card.ts';

export interface SoakGuest {
  readonly name: string;
  readonly namespace: Namespace;
}

/** A guest whose card can be pulled and plugged in again. */
export interface ChurningGuest extends SoakGuest {
  plug(): Promise<Process>;
}

const NAMES = 100;
const DOMAIN = 'bench.internal';

export class SoakWorld implements AsyncDisposable {
  readonly lab: Lab;
  readonly engine: EngineProcess;
  readonly folder: string;
  readonly mtuBytes: number;
  /** File for dnsperf. */
  readonly queries: string;
  /** The socket that guests without a name plug into. */
  readonly wall: string;
  readonly #stack: AsyncDisposableStack;
  #guests = 0;

  private constructor(
    parts: Pick<SoakWorld, 'lab' | 'engine' | 'folder' | 'mtuBytes' | 'queries' | 'wall'>,
    stack: AsyncDisposableStack,
  ) {
    this.lab = parts.lab;
    this.engine = parts.engine;
    this.folder = parts.folder;
    this.mtuBytes = parts.mtuBytes;
    this.queries = parts.queries;
    this.wall = parts.wall;
    this.#stack = stack;
  }

  static async open(mtuBytes: number): Promise<SoakWorld> {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'vmlan-soak-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const lab = stack.use(await openLab('near'));
    const names = Array.from({ length: NAMES }, (_, i) => `h${i}.${DOMAIN}`);
    const config = engineConfig(mtuBytes);
    const records = names.map((name, i) => ({ name, type: 'A', value: `10.9.0.${i + 1}` }));
    const engine = stack.use(await EngineProcess.start(lab.host, { ...config, dns: { ...config.dns, records } }));
    const queries = join(folder, 'queries');
    await writeFile(queries, names.map((name) => `${name} A\n`).join(''));
    const wall = join(folder, 'wall.sock');
    const link = { kind: 'stream-listen', address: { unix: wall }, nic: null } as const;
    await engine.request({ type: 'add-link', linkId: 'wall', link });
    const server = await LoadServer.start(lab.host, SERVER, join(folder, 'control'));
    stack.defer(() => void server.stop());
    return new SoakWorld({ lab, engine, folder, mtuBytes, queries, wall }, stack.move());
  }

  async tapGuest(name: string): Promise<SoakGuest> {
    const namespace = await this.lab.guest(name);
    await this.engine.tap(namespace, join(this.folder, `${name}.tap`), this.mtuBytes, this.#next());
    await tune(namespace);
    return { name, namespace };
  }

  async streamGuest(name: string): Promise<SoakGuest> {
    const guest = await this.churningGuest(name);
    await guest.plug();
    return guest;
  }

  /** Not plugged in yet. */
  async churningGuest(name: string): Promise<ChurningGuest> {
    const namespace = await this.lab.guest(name);
    await tune(namespace);
    const number = this.#next();
    const mac = `52:54:00:00:02:${number.toString(16).padStart(2, '0')}`;
    const socket = join(this.folder, `${name}.sock`);
    await this.engine.request({ type: 'set-nic', nic: { key: `${name}/0`, guest: name, mac, connected: true } });
    const link = { kind: 'stream-listen', address: { unix: socket }, nic: `${name}/0` } as const;
    await this.engine.request({ type: 'add-link', linkId: name, link });
    let plugged = 0;
    const plug = (): Promise<Process> => {
      const tapSocket = join(this.folder, `${name}-${plugged++}.tap`);
      const address = `10.144.0.${number}/${NETWORK.prefix}`;
      const place = { tapSocket, mac, mtuBytes: this.mtuBytes, address, gateway: NETWORK.gateway, socket };
      return startCard(this.lab.host, namespace, place);
    };
    return { name, namespace, plug };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  #next(): number {
    return 2 + this.#guests++;
  }
}
