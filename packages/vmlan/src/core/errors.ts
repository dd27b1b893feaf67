/**
 * Operational errors and the one table that maps their codes to HTTP status and CLI exit code.
 *
 * Zone: control.  A bad packet is never an error (it is a counted verdict); a broken invariant is an assertion.
 * A message names the object and, in `hint`, the next step.
 */

export interface ErrorCodeInfo {
  /** HTTP status of the problem+json document. */
  readonly status: number;
  /** Exit code of the command line: 1 failure, 2 usage, 3 not found, 4 conflict, 5 not permitted, 6 daemon unreachable. */
  readonly exitCode: number;
  readonly title: string;
}

export type ErrorCode =
  | 'internal'
  | 'usage'
  | 'invalid'
  | 'invalid-config'
  | 'not-found'
  | 'conflict'
  | 'address-in-use'
  | 'already-running'
  | 'precondition-failed'
  | 'not-permitted'
  | 'unsupported'
  | 'exhausted'
  | 'unavailable'
  | 'timeout'
  | 'daemon-unreachable';

export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorCodeInfo>> = {
  internal: { status: 500, exitCode: 1, title: 'Internal error' },
  usage: { status: 400, exitCode: 2, title: 'Wrong usage' },
  invalid: { status: 400, exitCode: 2, title: 'Invalid value' },
  'invalid-config': { status: 422, exitCode: 2, title: 'Invalid configuration' },
  'not-found': { status: 404, exitCode: 3, title: 'Not found' },
  conflict: { status: 409, exitCode: 4, title: 'Conflict' },
  'address-in-use': { status: 409, exitCode: 4, title: 'Address in use' },
  'already-running': { status: 409, exitCode: 4, title: 'Already running' },
  'precondition-failed': { status: 412, exitCode: 4, title: 'Changed meanwhile' },
  'not-permitted': { status: 403, exitCode: 5, title: 'Not permitted' },
  unsupported: { status: 422, exitCode: 1, title: 'Not supported' },
  exhausted: { status: 507, exitCode: 1, title: 'Limit reached' },
  unavailable: { status: 503, exitCode: 1, title: 'Unavailable' },
  timeout: { status: 504, exitCode: 1, title: 'Timed out' },
  'daemon-unreachable': { status: 503, exitCode: 6, title: 'Daemon unreachable' },
};

export interface VmlanErrorOptions {
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class VmlanError extends Error {
  readonly code: ErrorCode;
  /** The next step for the user, without a full stop. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: VmlanErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'VmlanError';
    this.code = code;
    this.hint = options.hint;
  }

  get info(): ErrorCodeInfo {
    return ERROR_CODES[this.code];
  }
}

/** The error as plain data, to cross a thread or process border. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}

export function toErrorData(error: unknown): ErrorData {
  if (error instanceof VmlanError) {
    return error.hint === undefined
      ? { code: error.code, message: error.message }
      : { code: error.code, message: error.message, hint: error.hint };
  }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

export function fromErrorData(data: ErrorData): VmlanError {
  return new VmlanError(data.code, data.message, { hint: data.hint });
}
