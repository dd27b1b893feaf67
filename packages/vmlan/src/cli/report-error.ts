/**
 * How an error is told: `vmlan: …`, then `hint: …`, on stderr.
 *
 * Zone: control.
 */
import { VmlanError } from '../client/errors.ts';
import type { Io } from './io.ts';
import { printable } from './output/width.ts';

const FAILURE_EXIT_CODE = 1;

/** Tells what went wrong, never where in the program; the exit code. */
export function reportError(error: unknown, io: Io): number {
  if (error instanceof VmlanError) {
    writeError(io, error.message, error.hint);
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
