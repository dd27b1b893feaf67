/**
 * Makes a network be what it shall be: observe, plan, apply. And remembers what could not be had.
 *
 * Zone: control.  Parts that failed after a crash (a port that somebody took meanwhile) are left out of later strict
 * changes, so that one lost port does not block everything else, and are tried again by the supervisor.
 */
import { fromErrorData } from '../core/errors.ts';
import type { ApplyOptions, FailedStep, Observed, Plan, Step, WantedNetwork } from '../drivers/driver.ts';
import { networkPaths } from '../drivers/network-paths.ts';
import { describeStep, settingsOf } from '../drivers/plan.ts';
import type { Network } from '../model/network.ts';
import type { Config } from './config.ts';
import type { Context } from './context.ts';
import { desiredNetwork } from './desired.ts';
import { namespaceExists } from './namespace.ts';

export interface ReconcileResult {
  readonly plan: Plan;
  readonly failed: readonly FailedStep[];
}

export interface ChangeOptions extends ApplyOptions {
  /** NICs whose links are closed for now. */
  readonly cut?: ReadonlySet<string>;
  /** A network whose settings changed is started again; else it keeps those it was started with. */
  readonly restart?: boolean;
}

/** What a change would do to a network that runs. */
export interface Preview {
  readonly steps: readonly Step[];
  /** It has settings that hold only once it is started again. */
  readonly isOutdated: boolean;
}

export class Reconciler {
  readonly #context: Context;
  readonly #failed = new Map<string, readonly FailedStep[]>();

  constructor(context: Context) {
    this.#context = context;
  }

  wanted(network: Network, cut: ReadonlySet<string> = new Set(), config: Config = this.#context.config): WantedNetwork {
    const { store, paths, privileged } = this.#context;
    return desiredNetwork({
      network,
      others: [...config.networks.values()].filter((other) => !config.unusable.has(other.name)),
      paths: networkPaths(paths.runtime, paths.state, network.name),
      guests: [...store.guests.values()],
      forwards: store.forwards,
      records: store.records,
      shapes: store.shapes,
      privileged,
      namespaceExists,
      cut,
    });
  }

  /** Everything or nothing, but for parts that are known not to be had at the moment. */
  async change(network: Network, options: ChangeOptions = {}): Promise<ReconcileResult> {
    const wanted = withoutFailed(this.wanted(network, options.cut), this.failedParts(network.name));
    const result = await this.#apply(network.name, wanted, { ...options, onFailure: 'undo' });
    if (result.failed.length > 0) this.#failed.set(network.name, [...this.failedParts(network.name), ...result.failed]);
    return result;
  }

  /** What a change to `network` within `config` would do; nothing is done. */
  async preview(network: Network, config: Config, restart: boolean): Promise<Preview> {
    const { driver } = this.#context;
    const observed = await driver.observe(network.name);
    if (observed.applied === null) return { steps: [], isOutdated: false };
    const wanted = withoutFailed(this.wanted(network, new Set(), config), this.failedParts(network.name));
    const isOutdated = observed.applied.settings !== settingsOf(wanted) && !restart;
    const { steps } = driver.plan(network.name, wanted, restart ? observed : withSettingsOf(wanted, observed));
    return { steps, isOutdated };
  }

  /** A start from nothing: what failed before is tried again. */
  start(network: Network, options: ApplyOptions = {}): Promise<ReconcileResult> {
    this.forget(network.name);
    return this.change(network, options);
  }

  /** As much as can be had. */
  async restore(network: Network, options: ApplyOptions = {}): Promise<ReconcileResult> {
    const result = await this.#apply(network.name, this.wanted(network), { ...options, onFailure: 'keep' });
    if (result.failed.length === 0) this.#failed.delete(network.name);
    else this.#failed.set(network.name, result.failed);
    return result;
  }

  async remove(network: string): Promise<void> {
    this.forget(network);
    await this.#apply(network, null, {});
  }

  failedParts(network: string): readonly FailedStep[] {
    return this.#failed.get(network) ?? [];
  }

  forget(network: string): void {
    this.#failed.delete(network);
  }

  /** Runs, but with settings that networks.yaml no longer has. */
  runsOutdated(network: Network, observed: Observed): boolean {
    return observed.applied !== null && observed.applied.settings !== settingsOf(this.wanted(network));
  }

  async #apply(network: string, wanted: WantedNetwork | null, options: ChangeOptions): Promise<ReconcileResult> {
    const { driver, logger } = this.#context;
    const observed = await driver.observe(network, options.signal);
    if (wanted !== null && observed.trouble !== null) throw fromErrorData(observed.trouble);
    const keepsSettings = wanted !== null && options.restart !== true;
    const plan = driver.plan(network, wanted, keepsSettings ? withSettingsOf(wanted, observed) : observed);
    for (const step of plan.steps) logger.debug(describeStep(step), { network });
    const failed = await driver.apply(plan, options);
    for (const { step, error } of failed) logger.warn(`${describeStep(step)}: ${error.message}`, { network });
    return { plan, failed };
  }
}

/**
 * A running network keeps the settings it was started with, and its guests their links, until somebody stops it; all
 * that can change while it runs does.
 */
function withSettingsOf(wanted: WantedNetwork, observed: Observed): Observed {
  return observed.applied === null
    ? observed
    : { ...observed, applied: { ...observed.applied, settings: settingsOf(wanted) } };
}

function withoutFailed(wanted: WantedNetwork, failed: readonly FailedStep[]): WantedNetwork {
  const ids = new Set(failed.flatMap(({ step }) => partId(step) ?? []));
  return {
    ...wanted,
    links: wanted.links.filter((link) => !ids.has(link.id)),
    forwards: wanted.forwards.filter((forward) => !ids.has(forward.id)),
  };
}

/** The link or forward that a step is about. */
export function partId(step: Step): string | null {
  if ('link' in step) return step.link.id;
  return 'forward' in step ? step.forward.id : null;
}
