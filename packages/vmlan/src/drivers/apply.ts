/**
 * Carries a plan out step by step, and takes back what was done when a step fails.
 *
 * Zone: control.  Undoing goes on past failures of its own; the error of the step that failed is the one that is thrown.
 */
import { toErrorData } from '../core/errors.ts';
import type { ApplyOptions, FailedStep, Plan, Step } from './driver.ts';

/** What a network can do without: it runs, and these are reported. */
const OPTIONAL_ACTIONS: readonly Step['action'][] = ['add-link', 'add-forward', 'remove-link', 'remove-forward'];

export async function applySteps(
  plan: Plan,
  run: (step: Step) => Promise<void>,
  options: ApplyOptions = {},
): Promise<readonly FailedStep[]> {
  const done: Step[] = [];
  const failed: FailedStep[] = [];
  for (const step of plan.steps) {
    try {
      options.signal?.throwIfAborted();
      await run(step);
      done.push(step);
    } catch (error) {
      if (mayFail(step, options)) {
        failed.push({ step, error: toErrorData(error) });
        continue;
      }
      await undo(done, run);
      throw error;
    }
  }
  return failed;
}

/** A host without the rights for a TAP of its own still has the network, with forwards. */
const isHostSide = (step: Step): boolean => step.action === 'add-link' && step.link.link.kind === 'host-side';

const mayFail = (step: Step, options: ApplyOptions): boolean =>
  isHostSide(step) || (options.onFailure === 'keep' && OPTIONAL_ACTIONS.includes(step.action));

async function undo(done: readonly Step[], run: (step: Step) => Promise<void>): Promise<void> {
  for (const step of done.toReversed()) {
    const inverse = inverseOf(step);
    if (inverse === null) continue;
    try {
      await run(inverse);
    } catch {
      // The step that failed is what the caller hears of; what could not be taken back shows when observed again.
    }
  }
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
