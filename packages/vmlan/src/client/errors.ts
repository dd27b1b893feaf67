/**
 * What a caller of the daemon may have to handle: problem+json (RFC 9457) as errors with code, hint and exit code.
 *
 * Zone: control.  The code table is the daemon's own, so that each failure has one name everywhere.
 */
import { ERROR_CODES, VmlanError } from '../core/errors.ts';
import type { ErrorCode, ErrorData } from '../core/errors.ts';
import type { Problem } from '../model/views.ts';

export { ERROR_CODES, VmlanError };
export type { ErrorCode, ErrorData };

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code);

/** The error of a failed response; a body that is no problem document still gives a readable one. */
export function errorFromResponse(status: number, body: string): VmlanError {
  const problem = parseProblem(body);
  if (problem === null) {
    return new VmlanError('internal', `the daemon answered HTTP ${status} without a reason`, {
      hint: 'is it vmlan that listens there? Look at --host and VMLAN_HOST',
    });
  }
  return problemError(problem);
}

/** A problem that a document carries (`NetworkView.problem`) or that a response is. */
export function problemError(problem: Problem): VmlanError {
  const code = isErrorCode(problem.code) ? problem.code : 'internal';
  return new VmlanError(code, problem.detail, { hint: problem.hint });
}

function parseProblem(body: string): Problem | null {
  try {
    const value = JSON.parse(body) as Partial<Problem> | null;
    return typeof value?.code === 'string' && typeof value.detail === 'string' ? (value as Problem) : null;
  } catch {
    return null;
  }
}

/** Errors of the connection itself: nobody answers, or the answer never comes. */
export function errorFromTransport(error: NodeJS.ErrnoException, where: string): VmlanError {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new VmlanError('daemon-unreachable', `no vmlan daemon answers at ${where}`, {
        hint: 'start it with: vmlan up',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new VmlanError('daemon-unreachable', `the vmlan daemon's socket ${where} may not be opened by this user`, {
        hint: 'it belongs to another user; start your own with: vmlan up',
        cause: error,
      });
    case 'EAGAIN':
      return new VmlanError('daemon-unreachable', `the vmlan daemon at ${where} has too many connections waiting`, {
        hint: 'it is busy, or halted: try again',
        cause: error,
      });
    default:
      return new VmlanError(
        'daemon-unreachable',
        `the connection to the vmlan daemon at ${where} broke: ${error.message}`,
        {
          hint: 'look at it with: vmlan status',
          cause: error,
        },
      );
  }
}
