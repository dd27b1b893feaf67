/**
 * What is broken: networks that should run and do not, parts of running ones that could not be had, state that cannot be
 * stored.
 *
 * Zone: control.  Asks each network process whether it is there, and no more: a monitor asks often.  Those who ask while
 * an answer is being made get the same one.
 */
import { VmlanError, toErrorData } from '../core/errors.ts';
import type { ErrorData } from '../core/errors.ts';
import { describeStep } from '../drivers/plan.ts';
import type { HealthProblem } from '../model/api.ts';
import type { Network } from '../model/network.ts';
import type { Context } from './context.ts';
import type { Networks } from './networks.ts';

export class Health {
  readonly #context: Context;
  readonly #networks: Networks;
  #asked: Promise<readonly HealthProblem[]> | null = null;

  constructor(context: Context, networks: Networks) {
    this.#context = context;
    this.#networks = networks;
  }

  problems(): Promise<readonly HealthProblem[]> {
    this.#asked ??= this.#ask().finally(() => (this.#asked = null));
    return this.#asked;
  }

  async #ask(): Promise<readonly HealthProblem[]> {
    const wanted = this.#networks.all.filter((network) => this.#shouldRun(network));
    return (await Promise.all(wanted.map((network) => this.#problemsOf(network)))).flat();
  }

  /** Also one that was to start by itself and could not; not one that somebody stopped. */
  #shouldRun({ name, autostart }: Network): boolean {
    return this.#networks.shallRun(name) || (autostart && this.#networks.problem(name) !== null);
  }

  async #problemsOf({ name }: Network): Promise<readonly HealthProblem[]> {
    const down = (error: ErrorData): readonly HealthProblem[] => [problem(name, null, error)];
    try {
      const { applied, trouble, warnings } = await this.#context.driver.observe(name);
      if (trouble !== null) return down(trouble);
      if (applied === null) return down(this.#networks.problem(name) ?? notRunning(name));
      return [
        ...this.#networks.failedParts(name).map(({ step, error }) => problem(name, describeStep(step), error)),
        ...warnings.map((message) => problem(name, null, { code: 'unavailable', message })),
      ];
    } catch (error) {
      return down(error instanceof VmlanError ? toErrorData(error) : notRunning(name));
    }
  }
}

const notRunning = (network: string): ErrorData => ({
  code: 'unavailable',
  message: `network "${network}" does not run`,
  hint: `it is started again by itself; why it ended: vmlan logs ${network}`,
});

const problem = (network: string, part: string | null, { code, message, hint }: ErrorData): HealthProblem => ({
  network,
  part,
  code,
  detail: message,
  ...(hint === undefined ? {} : { hint }),
});
