/**
 * The networks: which shall run, starting and stopping them, and keeping them running.
 *
 * Zone: control.  Changes of one network are made one after the other.  A network shall run from its start until it is
 * stopped, over crashes of its process and restarts of the daemon.
 */
import { VmlanError, fromErrorData, toErrorData } from '../core/errors.ts';
import type { ErrorData } from '../core/errors.ts';
import type { DriverEvent, Observed } from '../drivers/driver.ts';
import { checkSocketPath, networkPaths } from '../drivers/network-paths.ts';
import { describeStep } from '../drivers/plan.ts';
import { chooseDriver } from '../drivers/registry.ts';
import type { Network } from '../model/network.ts';
import { routeProblem } from './config.ts';
import type { Config } from './config.ts';
import type { Context } from './context.ts';
import { Reconciler } from './reconcile.ts';
import type { Preview } from './reconcile.ts';
import { Serial } from '../core/serial.ts';
import { suggest } from './suggest.ts';
import { Supervisor } from './supervise.ts';

export class Networks implements Disposable {
  readonly #context: Context;
  readonly #reconciler: Reconciler;
  readonly #serial = new Serial();
  readonly #supervisor: Supervisor;
  readonly #subscription: Disposable;
  /** Networks that shall run. */
  readonly #intended = new Set<string>();
  readonly #problems = new Map<string, ErrorData>();
  readonly #warnings = new Map<string, readonly string[]>();
  /** Networks that run with settings that networks.yaml no longer has. */
  readonly #outdated = new Set<string>();
  #isClosing = false;

  constructor(context: Context) {
    this.#context = context;
    this.#reconciler = new Reconciler(context);
    this.#supervisor = new Supervisor(
      { restart: (name) => this.#restart(name), retry: (name) => this.#retry(name) },
      context.logger,
    );
    this.#subscription = context.driver.onEvent((name, event) => this.#onDriverEvent(name, event));
  }

  get all(): readonly Network[] {
    return [...this.#context.config.networks.values()];
  }

  get(name: string): Network {
    const { networks } = this.#context.config;
    const network = networks.get(name);
    if (network !== undefined) return network;
    const known = [...networks.keys()];
    const meant = suggest(name, known);
    throw new VmlanError('not-found', `no network "${name}"`, {
      hint: meant === null ? `networks are: ${known.join(', ')}` : `did you mean "${meant}"?`,
    });
  }

  /** The network of a request that may leave it out. */
  getOrDefault(name: string | undefined): Network {
    const chosen = name ?? this.#context.config.defaultNetwork;
    if (chosen === null)
      throw new VmlanError('not-found', 'no network is configured', {
        hint: 'make one: vmlan network create NAME',
      });
    return this.get(chosen);
  }

  shallRun(name: string): boolean {
    return this.#intended.has(name);
  }

  problem(name: string): ErrorData | null {
    const unusable = this.#context.config.unusable.get(name);
    return this.#problems.get(name) ?? (unusable === undefined ? null : toErrorData(unusable));
  }

  restarts(name: string): number {
    return this.#supervisor.restarts(name);
  }

  /** What is wrong with a running network without stopping it. */
  warnings(name: string): readonly string[] {
    const failed = this.#reconciler.failedParts(name);
    return [
      ...(this.#outdated.has(name) ? [outdatedWarning(name)] : []),
      ...(this.#warnings.get(name) ?? []),
      ...failed.map(({ step, error }) => `${describeStep(step)}: ${error.message}`),
    ];
  }

  /** Why a forward or link of a running network is missing. */
  failedParts(name: string): ReturnType<Reconciler['failedParts']> {
    return this.#reconciler.failedParts(name);
  }

  /** Takes over what runs, starts again what was lost, and starts what is to start by itself. */
  async begin(): Promise<void> {
    const running = await this.#context.driver.list();
    await Promise.all(running.map((name) => this.#serial.run(name, () => this.#adopt(name))));
    const own = this.all.filter((network) => network.autostart && !this.shallRun(network.name));
    await Promise.all(own.map((network) => this.start(network.name).catch(() => undefined)));
  }

  start(name: string): Promise<void> {
    this.get(name);
    // As it is configured when its turn comes: it may have been changed or deleted meanwhile.
    return this.#serial.run(name, async () => this.#start(this.get(name)));
  }

  async #start(network: Network): Promise<void> {
    const { name } = network;
    if (this.shallRun(name)) {
      const { trouble } = await this.#context.driver.observe(name);
      if (trouble !== null) throw fromErrorData(trouble);
      if (this.problem(name) === null) return;
    }
    try {
      this.#checkStartable(network);
      this.#supervisor.forget(name);
      this.#warnings.delete(name);
      await this.#reconciler.start(network);
    } catch (error) {
      this.#problems.set(name, toErrorData(error));
      this.#intended.delete(name);
      this.#context.events.publish('network-failed', { network: name }, toErrorData(error).message);
      throw error;
    }
    this.#problems.delete(name);
    this.#outdated.delete(name);
    this.#intended.add(name);
    this.#supervisor.onStarted(name);
    this.#context.events.publish('network-started', { network: name }, `network "${name}" runs`);
    await this.#tellState(name);
  }

  #checkStartable(network: Network): void {
    if (this.#isClosing) throw new VmlanError('unavailable', 'the daemon is stopping');
    chooseDriver(network);
    const route = routeProblem(network, this.#context.hostRoutes());
    if (route !== null) throw new VmlanError('conflict', route.message, { hint: route.hint });
    const { paths } = this.#context;
    checkSocketPath(networkPaths(paths.runtime, paths.state, network.name).control, `network "${network.name}"`);
  }

  stop(name: string): Promise<void> {
    this.get(name);
    return this.#serial.run(name, () => this.#stop(name));
  }

  async #stop(name: string): Promise<void> {
    const ran = this.#intended.delete(name);
    this.#supervisor.forget(name);
    this.#problems.delete(name);
    this.#warnings.delete(name);
    this.#outdated.delete(name);
    await this.#reconciler.remove(name);
    if (ran) this.#context.events.publish('network-stopped', { network: name }, `network "${name}" was stopped`);
  }

  async stopAll(): Promise<void> {
    const results = await Promise.allSettled(
      [...this.#intended].map((name) => this.#serial.run(name, () => this.#stop(name))),
    );
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    if (errors.length > 0) throw new AggregateError(errors, 'not every network could be stopped');
  }

  /** Carries a change of guests, forwards or records into the network, if it runs. All of it or nothing. */
  update(name: string, cut?: ReadonlySet<string>): Promise<void> {
    return this.#serial.run(name, async () => {
      if (!this.shallRun(name)) return;
      await this.#reconciler.change(this.get(name), cut === undefined ? {} : { cut });
    });
  }

  /** What a new configuration would do to a network, if it runs. */
  async preview(network: Network, config: Config, restart: boolean): Promise<Preview> {
    if (!this.shallRun(network.name)) return { steps: [], isOutdated: false };
    return this.#reconciler.preview(network, config, restart);
  }

  /** Carries the configuration that holds now into the network, if it runs. All of it or nothing. */
  reconfigure(name: string, restart: boolean): Promise<void> {
    return this.#serial.run(name, async () => {
      const network = this.get(name);
      if (!this.shallRun(name)) {
        this.#problems.delete(name); // what it failed of may be mended
        return;
      }
      if (restart) this.#checkStartable(network);
      await this.#reconciler.change(network, { restart });
      await this.#judgeOutdated(network);
    });
  }

  /** After a change that failed and was taken back: as much as can be had of what was there before. */
  recover(name: string): Promise<void> {
    return this.#serial.run(name, async () => {
      if (!this.shallRun(name)) return;
      const network = this.get(name);
      await this.#restore(network, null);
      await this.#judgeOutdated(network);
    });
  }

  async #judgeOutdated(network: Network): Promise<void> {
    const observed = await this.#context.driver.observe(network.name);
    if (this.#reconciler.runsOutdated(network, observed)) this.#outdated.add(network.name);
    else this.#outdated.delete(network.name);
  }

  /** Stops a network that is no longer configured. */
  drop(name: string): Promise<void> {
    return this.#serial.run(name, () => this.#stop(name));
  }

  /** The same for what may belong to a network that is no longer configured. */
  async updateConfigured(name: string): Promise<void> {
    if (this.#context.config.networks.has(name)) await this.update(name);
  }

  [Symbol.dispose](): void {
    this.#isClosing = true;
    this.#supervisor[Symbol.dispose]();
    this.#subscription[Symbol.dispose]();
  }

  async #adopt(name: string): Promise<void> {
    const network = this.#context.config.networks.get(name);
    if (network === undefined) {
      this.#warn(`network "${name}" is no longer configured and was stopped`, name);
      return this.#reconciler.remove(name);
    }
    this.#intended.add(name);
    this.#supervisor.onStarted(name);
    try {
      const observed = await this.#context.driver.observe(name);
      if (observed.trouble !== null) return this.#leaveAlone(name, observed.trouble);
      if (this.#reconciler.runsOutdated(network, observed)) {
        this.#outdated.add(name);
        this.#warn(`network "${name}" ${outdatedWarning(name)}`, name);
      }
      await this.#restore(network, observed);
      await this.#tellState(name);
    } catch (error) {
      this.#fail(name, error);
      this.#supervisor.onExited(name);
    }
    return undefined;
  }

  /** Its guests are better off with it than without; one that is only silent may answer yet. */
  #leaveAlone(name: string, trouble: ErrorData): void {
    this.#fail(name, fromErrorData(trouble));
    this.#context.logger.error(trouble.message);
  }

  async #restore(network: Network, observed: Observed | null): Promise<void> {
    if (observed?.applied === null) chooseDriver(network);
    const { failed } = await this.#reconciler.restore(network);
    this.#problems.delete(network.name);
    if (needsRetry(failed)) this.#supervisor.onIncomplete(network.name);
  }

  #restart(name: string): Promise<void> {
    return this.#serial.run(name, async () => {
      if (!this.shallRun(name) || this.#isClosing) return;
      try {
        this.#warnings.delete(name);
        this.#outdated.delete(name);
        await this.#restore(this.get(name), null);
        this.#context.events.publish('network-started', { network: name }, `network "${name}" was started again`);
        await this.#tellState(name);
      } catch (error) {
        this.#fail(name, error);
        throw error;
      }
    });
  }

  #retry(name: string): Promise<boolean> {
    return this.#serial.run(name, async () => {
      if (!this.shallRun(name) || this.#isClosing) return true;
      const { failed } = await this.#reconciler.restore(this.get(name));
      this.#problems.delete(name);
      return !needsRetry(failed);
    });
  }

  #fail(name: string, error: unknown): void {
    const data = toErrorData(error);
    this.#problems.set(name, data);
    this.#context.events.publish('network-failed', { network: name }, data.message);
  }

  #warn(message: string, network: string): void {
    this.#context.logger.warn(message);
    this.#context.events.publish('warning', { network }, message);
  }

  /** What a process has to say that was just started, or taken over. Its end would be noticed by others. */
  async #tellState(name: string): Promise<void> {
    const { warnings, notices } = await this.#context.driver.observe(name).catch(() => NOTHING_TO_SAY);
    for (const notice of notices) this.#warn(notice, name);
    this.#onWarnings(name, warnings);
  }

  /** Each is told when it comes, and when it is over. */
  #onWarnings(name: string, warnings: readonly string[]): void {
    const { events } = this.#context;
    const before = this.#warnings.get(name) ?? [];
    this.#warnings.set(name, warnings);
    for (const warning of warnings)
      if (!before.includes(warning)) events.publish('warning', { network: name }, warning);
    for (const over of before) {
      if (!warnings.includes(over)) events.publish('network-changed', { network: name }, `is over: ${over}`);
    }
  }

  /** What it was told while it was silent may have come to nothing, or to something that nobody wants any more. */
  #onAnswering(name: string, answers: boolean): void {
    this.#warn(`network "${name}" ${answers ? 'answers again' : 'does not answer'}`, name);
    if (!answers) return;
    const incomplete = (): void => this.#supervisor.onIncomplete(name);
    this.#retry(name).then((isComplete) => isComplete || incomplete(), incomplete);
  }

  #onDriverEvent(name: string, event: DriverEvent): void {
    const { events, logger } = this.#context;
    switch (event.kind) {
      case 'exited':
        logger.error(`network "${name}" ended: ${event.reason}`);
        if (!this.shallRun(name) || this.#isClosing) return;
        this.#problems.set(name, { code: 'unavailable', message: `network "${name}" ended: ${event.reason}` });
        events.publish('network-failed', { network: name }, `network "${name}" ended: ${event.reason}`);
        this.#supervisor.onExited(name);
        return;
      case 'warnings':
        this.#onWarnings(name, event.warnings);
        return;
      case 'answering':
        this.#onAnswering(name, event.answers);
        return;
      case 'notice':
        this.#warn(event.message, name);
        return;
      case 'ipv6-reachable':
        events.publish('network-changed', { network: name }, `the host ${event.reachable ? 'has' : 'lost'} IPv6`);
        return;
      default: {
        const { guest, address4, address6 } = event.guest;
        const addresses = [...address4, ...address6].join(', ') || 'no address yet';
        events.publish(event.kind, { network: name, guest }, `${guest}: ${event.guest.state}, ${addresses}`);
      }
    }
  }
}

const NOTHING_TO_SAY: Pick<Observed, 'warnings' | 'notices'> = { warnings: [], notices: [] };

/** A TAP of the host that could not be made is not tried again and again. */
const needsRetry = (failed: ReturnType<Reconciler['failedParts']>): boolean =>
  failed.some(({ step }) => !('link' in step && step.link.link.kind === 'host-side'));

const outdatedWarning = (name: string): string =>
  `runs with older settings; \`vmlan network stop ${name}\` and \`start\` apply the new ones`;
