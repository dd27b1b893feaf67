/**
 * Carries a plan out, and takes back what was done when a step fails.
 *
 * Zone: control.  Steps that are alike and follow each other are carried out together: a network of thousands of guests
 * and forwards starts in a few questions instead of one for each.  Undoing goes on past failures of its own; the error of
 * the step that failed is the one that is thrown.
 */
import { toErrorData } from '../core/errors.ts';
import type { ApplyOptions, FailedStep, Plan, Step } from './driver.ts';

/** What a network can do without: it runs, and these are reported. */
const OPTIONAL_ACTIONS: readonly Step['action'][] = ['add-link', 'add-forward', 'remove-link', 'remove-forward'];
/** Of which there may be thousands, none of them in need of another of its kind. */
const MANY_ACTIONS: readonly Step['action'][] = [...OPTIONAL_ACTIONS, 'set-nic', 'remove-nic'];
/** Steps that are carried out together. */
export const MAX_TOGETHER = 128;

/** Carries out steps of one action; says for each what went wrong, or null. Never rejects. */
export type RunSteps = (steps: readonly Step[]) => Promise<readonly unknown[]>;

/** For a driver that has nothing to gain by taking several at once. */
export const oneByOne =
  (run: (step: Step) => Promise<void>): RunSteps =>
  async (steps) => {
    const errors: unknown[] = [];
    for (const step of steps) {
      errors.push(
        await run(step).then(
          () => null,
          (error: unknown) => error,
        ),
      );
    }
    return errors;
  };

export async function applySteps(
  plan: Plan,
  run: RunSteps,
  options: ApplyOptions = {},
): Promise<readonly FailedStep[]> {
  const done: Step[] = [];
  const failed: FailedStep[] = [];
  for (const steps of together(plan.steps)) {
    const errors = options.signal?.aborted === true ? steps.map(() => options.signal!.reason) : await run(steps);
    const problems = steps.flatMap((step, i) => ((errors[i] ?? null) === null ? [] : [{ step, error: errors[i] }]));
    done.push(...steps.filter((_step, i) => (errors[i] ?? null) === null));
    const fatal = problems.find(({ step }) => !mayFail(step, options));
    if (fatal !== undefined) {
      await undo(done, run);
      throw fatal.error;
    }
    failed.push(...problems.map(({ step, error }) => ({ step, error: toErrorData(error) })));
  }
  return failed;
}

/** The steps in their order; those that are alike by the hundred. */
function* together(steps: readonly Step[]): Generator<readonly Step[]> {
  for (let first = 0; first < steps.length;) {
    const { action } = steps[first]!;
    const limit = first + (MANY_ACTIONS.includes(action) ? MAX_TOGETHER : 1);
    let end = first + 1;
    while (end < Math.min(limit, steps.length) && steps[end]!.action === action) end++;
    yield steps.slice(first, end);
    first = end;
  }
}

/** A host without the rights for a TAP of its own still has the network, with forwards. */
const isHostSide = (step: Step): boolean => step.action === 'add-link' && step.link.link.kind === 'host-side';

const mayFail = (step: Step, options: ApplyOptions): boolean =>
  isHostSide(step) || (options.onFailure === 'keep' && OPTIONAL_ACTIONS.includes(step.action));

/** The step that failed is what the caller hears of; what could not be taken back shows when observed again. */
async function undo(done: readonly Step[], run: RunSteps): Promise<void> {
  const inverses = done.toReversed().flatMap((step) => inverseOf(step) ?? []);
  for (const steps of together(inverses)) await run(steps);
}

function inverseOf(step: Step): Step | null {
  switch (step.action) {
    case 'start':
      return { action: 'stop' };
    case 'stop':
      return null;
    case 'set-nic':
      return step.before === null
        ? { action: 'remove-nic', nic: step.nic }
        : { action: 'set-nic', nic: step.before, before: step.nic };
    case 'remove-nic':
      return { action: 'set-nic', nic: step.nic, before: null };
    case 'add-link':
      return { action: 'remove-link', link: step.link };
    case 'remove-link':
      return { action: 'add-link', link: step.link };
    case 'set-reservations':
      return { action: 'set-reservations', reservations: step.before, before: step.reservations };
    case 'set-closed':
      return { action: 'set-closed', closed: step.before, before: step.closed };
    case 'set-records':
      return { action: 'set-records', records: step.before, before: step.records };
    case 'add-forward':
      return { action: 'remove-forward', forward: step.forward };
    case 'set-shape':
      return step.before === null
        ? { action: 'remove-shape', shape: step.shape }
        : { action: 'set-shape', shape: step.before, before: step.shape };
    case 'remove-shape':
      return { action: 'set-shape', shape: step.shape, before: null };
    default:
      return { action: 'add-forward', forward: step.forward };
  }
}
