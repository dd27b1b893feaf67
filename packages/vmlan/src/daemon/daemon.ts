/**
 * The daemon, from start to end: locks its runtime directory, loads the configuration, takes over what runs, serves.
 *
 * Zone: control.  Ends by signal or by request; networks go on without it unless they are to stop too.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '../client/client.ts';
import { VmlanError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Driver } from '../drivers/driver.ts';
import { clearForgotten } from '../drivers/userspace/network-directory.ts';
import type { ConfigEntry } from '../model/api.ts';
import { listenUrl, parseListenAddress } from '../model/listen-address.ts';
import type { ListenAddress } from '../model/listen-address.ts';
import type { Paths } from '../model/paths.ts';
import type { HostRoute } from '../model/subnet.ts';
import { openFileLimit } from '../sys/open-file-limit.ts';
import { AccessToken } from './access-token.ts';
import { Configuration } from './configuration.ts';
import type { Context } from './context.ts';
import { connectionsWithin } from './descriptor-limit.ts';
import { prepareDirectories } from './directories.ts';
import { EventHub } from './events.ts';
import { makeHandlers } from './handlers.ts';
import { readHostRoutes } from './host-routes.ts';
import { loadIdentity } from './identity.ts';
import { removeLitter } from './litter.ts';
import { DaemonLock, clearSocketPath } from './lock.ts';
import { Logs } from './logs.ts';
import { Networks } from './networks.ts';
import { finishRestore } from './restore-steps.ts';
import { groupId, openDirectoryTo } from './socket-group.ts';
import { Store } from './store.ts';

/** Long enough for the networks' processes to be under way before the server's code keeps this thread busy. */
const HEAD_START_MS = 5;
/** What the daemon has to answer itself, before a watchdog may end it. */
const ANSWER_TIMEOUT_MS = 5000;
const SILENT: readonly ErrorCode[] = ['timeout', 'daemon-unreachable'];

export interface DaemonOptions {
  readonly version: string;
  readonly paths: Paths;
  readonly uid: number;
  readonly logger: Logger;
  /** Loopback address and port of a further listener; a token is needed there. */
  readonly listen?: string | undefined;
  /** Whose members may use the daemon, too; goes before `group` of networks.yaml. */
  readonly socketGroup?: string | undefined;
  readonly makeDriver: (paths: Paths) => Driver;
  /** Where the settings of the daemon itself come from; nothing is told of them without it. */
  readonly settings?: readonly ConfigEntry[];
  readonly hostRoutes?: () => readonly HostRoute[];
}

export class Daemon {
  /** Resolves when the daemon has ended. */
  readonly ended: Promise<void>;
  /** Resolves when it is about to end. */
  readonly stopping: Promise<void>;
  readonly socket: string;
  readonly #reload: () => Promise<unknown>;
  readonly #stop: (stopNetworks: boolean) => Promise<void>;
  #end: Promise<void> | null = null;
  #markStopping: () => void = () => undefined;
  #markEnded: () => void = () => undefined;

  private constructor(socket: string, reload: () => Promise<unknown>, stop: (stopNetworks: boolean) => Promise<void>) {
    this.socket = socket;
    this.#reload = reload;
    this.#stop = stop;
    this.stopping = new Promise((resolve) => (this.#markStopping = resolve));
    this.ended = new Promise((resolve) => (this.#markEnded = resolve));
  }

  /** Serves when it resolves. Whatever fails leaves nothing behind. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { paths } = options;
    prepareDirectories(paths, options.uid);
    const lock = DaemonLock.acquire(paths);
    try {
      await clearSocketPath(paths.socket);
      const { aside } = (await finishRestore(paths.state)) ?? {};
      if (aside !== undefined) options.logger.warn(`a restore that was cut off is finished; what was: ${aside}`);
      await removeLitter(paths);
      return await Daemon.#serve(options, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  static async #serve(options: DaemonOptions, lock: DaemonLock): Promise<Daemon> {
    const { paths, logger } = options;
    const listenAddress = wantedListener(options.listen);
    const context = await makeContext(options);
    const networks = new Networks(context);
    const logs = new Logs({ state: paths.state, networks: () => networks.all.map(({ name }) => name) });
    const bounds = logs.keepBounded();
    const begun = networks.begin();
    // Code of 100 ms, read while the processes of the networks read theirs.
    await Promise.race([begun.catch(() => undefined), delay(HEAD_START_MS)]);
    const { buildServer } = await import('../api/server.ts');
    const { reload, ...made } = makeHandlers({
      context,
      networks,
      cutTcp: () => server.listeners.cutTcp(),
      shutdown: (stopNetworks) => setImmediate(() => void daemon.stop(stopNetworks)),
    });
    const server = await buildServer({
      ...made,
      events: context.events,
      logs,
      logger,
      version: context.version,
      token: () => context.token.text(),
      limits: { maxConnections: connectionsWithin(openFileLimit()) },
    });
    const daemon = new Daemon(paths.socket, reload, async (stopNetworks) => {
      if (stopNetworks) await networks.stopAll().catch((error: unknown) => logger.error('networks stay', { error }));
      networks[Symbol.dispose]();
      bounds[Symbol.dispose]();
      await server.close();
      await context.driver.close();
      lock.release();
      if (stopNetworks) await clearForgotten(paths.runtime);
    });
    try {
      // Before the socket: who can connect finds everything as it is going to be.
      await begun;
      await server.listeners.listenAt(paths.socket, socketGroup(options, context));
      if (listenAddress !== null) {
        await context.token.text();
        context.listening.address = listenUrl(await server.listeners.listenOnLoopback(listenAddress));
      }
    } catch (error) {
      networks[Symbol.dispose]();
      bounds[Symbol.dispose]();
      await server.close();
      await context.driver.close();
      throw error;
    }
    logger.info('vmlan serves', {
      socket: paths.socket,
      address: context.listening.address,
      networks: networks.all.length,
    });
    return daemon;
  }

  /** It answers at its socket, whatever it has to say. */
  async isAnswering(): Promise<boolean> {
    const client = new Client({ kind: 'unix', path: this.socket });
    return client.call('health', {}, { timeoutMs: ANSWER_TIMEOUT_MS }).then(
      () => true,
      (error: unknown) => error instanceof VmlanError && !SILENT.includes(error.code),
    );
  }

  /** Loads networks.yaml again; rejects when it has a fault, and nothing has changed then. */
  async reload(): Promise<void> {
    await this.#reload();
  }

  /** Ends the daemon; the networks too if so wanted. Further calls wait for the first. */
  stop(stopNetworks: boolean): Promise<void> {
    this.#markStopping();
    this.#end ??= this.#stop(stopNetworks).finally(() => this.#markEnded());
    return this.#end;
  }
}

async function makeContext(options: DaemonOptions): Promise<Context> {
  const { paths, logger } = options;
  const hostRoutes = options.hostRoutes ?? ((): readonly HostRoute[] => readHostRoutes());
  const store = await Store.open(paths.state);
  const { identify, id: identity, warning } = await loadIdentity(paths.state);
  if (warning !== null) store.warnings.push(`${warning}; MAC addresses that are derived from it may change`);
  const driver = options.makeDriver(paths);
  const { config: file, configRequired: required } = paths;
  const configuration = await Configuration.load({ file, required, identify, hostRoutes, store, driver });
  const startedMs = Date.now();
  const events = new EventHub(startedMs);
  for (const text of store.warnings) {
    logger.warn(text);
    events.publish('warning', {}, text);
  }
  return {
    version: options.version,
    startedMs,
    paths,
    settings: options.settings ?? [],
    configuration,
    get config() {
      return configuration.current;
    },
    store,
    driver,
    events,
    logger,
    privileged: options.uid === 0,
    identity,
    identify,
    hostRoutes,
    listening: { address: null },
    token: new AccessToken(paths.state, logger),
  };
}

function wantedListener(text: string | undefined): ListenAddress | null {
  if (text === undefined) return null;
  const address = parseListenAddress(text);
  if (address !== null) return address;
  throw new VmlanError(
    'usage',
    `the API cannot listen at ${JSON.stringify(text)}: it is no loopback address with a port`,
    {
      hint: 'write 127.0.0.1:7117; from elsewhere it is reached through ssh -L',
    },
  );
}

/** A group that networks.yaml names, as a file of Lima's does, and that cannot be had, leaves the socket to its owner. */
function socketGroup({ socketGroup: wanted }: DaemonOptions, { config, paths, logger }: Context): number | null {
  const group = wanted ?? config.group;
  if (group === null) return null;
  try {
    const gid = groupId(group);
    openDirectoryTo(gid, paths.socket);
    return gid;
  } catch (error) {
    if (wanted !== undefined) throw error;
    logger.warn(`the socket stays its owner's alone: ${(error as Error).message}`);
    return null;
  }
}
