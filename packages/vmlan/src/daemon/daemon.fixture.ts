/**
 * A whole daemon for tests, in a directory of its own, over the fake driver or another, reached through its real socket.
 *
 * Zone: control.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '../client/client.ts';
import { silentLogger } from '../core/logger.ts';
import type { Driver } from '../drivers/driver.ts';
import { FakeDriver } from '../drivers/fake/driver.ts';
import { resolvePaths } from '../model/paths.ts';
import type { Paths } from '../model/paths.ts';
import type { HostRoute } from '../model/subnet.ts';
import { Daemon } from './daemon.ts';
import type { DaemonOptions } from './daemon.ts';

/** A network of everything, one without the host, and one that no driver carries. */
export const CONFIG: string = `
networks:
  lab:
    mode: shared
    subnet: 10.77.0.0/24
    dhcp: { reservations: [{ guest: db, ip: 10.77.0.10 }] }
    dns: { hosts: { registry.lab.internal: 10.77.0.10 } }
    forwards: [{ host: 8080, guest: web:80 }]
  cut: { mode: isolated }
  lan: { mode: bridged, interface: eth0 }
`;

export class TestDaemon<D extends Driver = FakeDriver> implements AsyncDisposable {
  readonly directory: string;
  readonly paths: Paths;
  readonly driver: D;
  readonly client: Client;
  hostRoutes: readonly HostRoute[] = [];
  /** For the next start. */
  options: Pick<DaemonOptions, 'listen' | 'socketGroup'> = {};
  #daemon: Daemon | null = null;

  constructor(driver: D, directory: string = mkdtempSync('/tmp/vmlan-daemon-')) {
    this.directory = directory;
    const env = {
      VMLAN_CONFIG: '',
      VMLAN_STATE_DIR: join(directory, 'state'),
      VMLAN_RUNTIME_DIR: join(directory, 'run'),
    };
    this.paths = { ...resolvePaths(env, { uid: 1, home: directory }), config: join(directory, 'networks.yaml') };
    this.driver = driver;
    this.client = new Client({ kind: 'unix', path: this.paths.socket });
  }

  static async start(config?: string): Promise<TestDaemon> {
    const daemon = new TestDaemon(new FakeDriver());
    if (config !== undefined) daemon.configure(config);
    await daemon.start();
    return daemon;
  }

  configure(text: string): void {
    writeFileSync(this.paths.config, text);
  }

  async start(): Promise<Daemon> {
    this.#daemon = await Daemon.start({
      ...this.options,
      version: '0.0.0-test',
      paths: this.paths,
      uid: process.getuid!(),
      logger: silentLogger,
      makeDriver: () => this.driver,
      hostRoutes: () => this.hostRoutes,
    });
    return this.#daemon;
  }

  /** As a new daemon of a later version finds things: the networks run on. */
  async restart(): Promise<void> {
    await this.#daemon?.stop(false);
    await this.start();
  }

  async stop(stopNetworks: boolean): Promise<void> {
    await this.#daemon?.stop(stopNetworks);
    this.#daemon = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.stop(true);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What `assert.rejects` compares an error with. */
export const problem =
  (code: string, message: RegExp, hint?: RegExp) =>
  (error: unknown): boolean => {
    const {
      code: actual,
      message: text,
      hint: actualHint,
    } = error as { code?: string; message: string; hint?: string };
    const matches = actual === code && message.test(text) && (hint === undefined || hint.test(actualHint ?? ''));
    if (!matches) throw new Error(`${actual}: ${text} (hint: ${actualHint})`, { cause: error });
    return true;
  };
