/**
 * How an error is told: `vmlan: …`, then `hint: …`, on stderr.
 *
 * Zone: control.
 */
import { VmlanError } from '../client/errors.ts';
import type { Io } from './io.ts';
import { nextStep } from './next-step.ts';
import { printable } from './output/width.ts';

const FAILURE_EXIT_CODE = 1;

/** Tells what went wrong, never where in the program; the exit code.  `called`: the command, as `vmlan network create`. */
export function reportError(error: unknown, io: Io, called = 'vmlan'): number {
  if (error instanceof VmlanError) {
    writeError(io, error.message, nextStep(error, called));
    return error.info.exitCode;
  }
  writeError(io, error instanceof Error ? error.message : String(error), undefined);
  return FAILURE_EXIT_CODE;
}

export function writeError(io: Io, message: string, hint: string | undefined): void {
  const lines = message.split('\n').map(printable).join('\n');
  io.stderr.write(`vmlan: ${lines}\n`);
  if (hint !== undefined) io.stderr.write(`hint: ${printable(hint)}\n`);
}
