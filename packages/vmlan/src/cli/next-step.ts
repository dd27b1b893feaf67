/**
 * The next step after an error whose own hint says none: an error never ends without something to type.
 *
 * Zone: control.
 */
import type { ErrorCode, VmlanError } from '../client/errors.ts';

const USAGE_EXIT_CODE = 2;

const STEPS: Readonly<Partial<Record<ErrorCode, string>>> = {
  internal: 'what the daemon did: vmlan logs --daemon',
  'not-permitted': 'who runs the daemon may do it: vmlan status',
  'not-found': 'see what there is: vmlan list, vmlan network list',
  conflict: 'see what there is: vmlan status',
  'address-in-use': 'see who has it: ss -ltnp',
  exhausted: 'remove what is no longer needed, see: vmlan list',
  unavailable: 'see whether it runs: vmlan status',
  timeout: 'see what is slow: vmlan status',
};

/** `called` is the command that was asked for, e.g. `vmlan network create`. */
export function nextStep({ code, hint, info }: VmlanError, called: string): string | undefined {
  if (hint !== undefined) return hint;
  // What a command would write into the file is mended on the command line.
  if (code === 'invalid-config' && !called.startsWith('vmlan network'))
    return 'mend the file, then: vmlan config check';
  return STEPS[code] ?? (info.exitCode === USAGE_EXIT_CODE ? `see: ${called} --help` : undefined);
}
