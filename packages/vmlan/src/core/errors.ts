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
  /** What has happened, for docs/errors.md. */
  readonly meaning: string;
  /** What to do about it, where the error's own hint says nothing closer. */
  readonly remedy: string;
}

export type ErrorCode =
  | 'internal'
  | 'usage'
  | 'invalid'
  | 'invalid-config'
  | 'unauthorized'
  | 'not-permitted'
  | 'misdirected'
  | 'not-found'
  | 'method-not-allowed'
  | 'conflict'
  | 'address-in-use'
  | 'already-running'
  | 'precondition-failed'
  | 'too-large'
  | 'unsupported-media-type'
  | 'too-many-requests'
  | 'unsupported'
  | 'incompatible'
  | 'exhausted'
  | 'unavailable'
  | 'timeout'
  | 'daemon-unreachable';

export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorCodeInfo>> = {
  internal: {
    status: 500,
    exitCode: 1,
    title: 'Internal error',
    meaning: 'vmlan met something that it did not expect.',
    remedy: "Look into the daemon's log; report it with what it says there.",
  },
  usage: {
    status: 400,
    exitCode: 2,
    title: 'Wrong usage',
    meaning: 'A command was written in a way that it does not know.',
    remedy: 'Read the `--help` of the command.',
  },
  invalid: {
    status: 400,
    exitCode: 2,
    title: 'Invalid value',
    meaning: 'A value, a key, a query or a header of the request makes no sense; the message names it.',
    remedy: 'Correct what the message names; nothing was changed.',
  },
  'invalid-config': {
    status: 422,
    exitCode: 2,
    title: 'Invalid configuration',
    meaning: 'networks.yaml, or a change of it, contradicts itself, another network or the host.',
    remedy: 'Correct the line that the message names; what ran before runs on.',
  },
  unauthorized: {
    status: 401,
    exitCode: 5,
    title: 'No valid token',
    meaning: 'The daemon was asked over TCP without its token, or with another.',
    remedy: 'Set VMLAN_TOKEN to what `vmlan token` prints, or send `Authorization: Bearer TOKEN`.',
  },
  'not-permitted': {
    status: 403,
    exitCode: 5,
    title: 'Not permitted',
    meaning: 'This user, this page or this process may not do that.',
    remedy: 'Ask whoever owns the object that the message names.',
  },
  misdirected: {
    status: 421,
    exitCode: 5,
    title: 'Not this host',
    meaning: 'The `Host` of the request is not the loopback address that the daemon listens at.',
    remedy: 'Use the address as `vmlan status` shows it; a name that merely leads there is refused.',
  },
  'not-found': {
    status: 404,
    exitCode: 3,
    title: 'Not found',
    meaning: 'There is no such network, guest, forward, record or route.',
    remedy: 'Look for its name with the `list` command of its kind.',
  },
  'method-not-allowed': {
    status: 405,
    exitCode: 2,
    title: 'Method not allowed',
    meaning: 'The path is one of the API, the method is not one of its own.',
    remedy: 'Use one of the methods that the `Allow` header lists.',
  },
  conflict: {
    status: 409,
    exitCode: 4,
    title: 'Conflict',
    meaning: 'The change stands against something that is there already; the message names it.',
    remedy: 'Choose another name, address or port, or change the other side first.',
  },
  'address-in-use': {
    status: 409,
    exitCode: 4,
    title: 'Address in use',
    meaning: 'Another program of the host has the port or the socket.',
    remedy: 'Choose another port, or end the other program (`ss -ltnp` names it).',
  },
  'already-running': {
    status: 409,
    exitCode: 4,
    title: 'Already running',
    meaning: 'Another daemon works with the same directory.',
    remedy: '`vmlan status` shows it, `vmlan down` stops it.',
  },
  'precondition-failed': {
    status: 412,
    exitCode: 4,
    title: 'Changed meanwhile',
    meaning: 'The `If-Match` of the request names another version than the present one.',
    remedy: 'Read it again, and repeat the change where it still makes sense.',
  },
  'too-large': {
    status: 413,
    exitCode: 2,
    title: 'Too large',
    meaning: 'The body or the headers of the request are longer than the daemon reads (docs/limits.md).',
    remedy: 'Send less at once.',
  },
  'unsupported-media-type': {
    status: 415,
    exitCode: 2,
    title: 'Not JSON',
    meaning: 'The body of the request is not declared as `application/json`.',
    remedy: 'Send `Content-Type: application/json`.',
  },
  'too-many-requests': {
    status: 429,
    exitCode: 1,
    title: 'Too many requests',
    meaning: 'Too many wrong tokens came within a minute.',
    remedy: 'Wait for as many seconds as `Retry-After` says; the unix socket is not concerned.',
  },
  unsupported: {
    status: 422,
    exitCode: 1,
    title: 'Not supported',
    meaning: 'This host, this driver or this mode cannot do that.',
    remedy: 'The message says what is needed.',
  },
  incompatible: {
    status: 409,
    exitCode: 4,
    title: 'Incompatible version',
    meaning: 'The network is run by a process of another version of vmlan, which this daemon cannot speak to.',
    remedy: 'Its guests go on as they are; when they can bear it, stop the network and start it again.',
  },
  exhausted: {
    status: 507,
    exitCode: 1,
    title: 'Limit reached',
    meaning: 'One of the bounds of docs/limits.md is reached.',
    remedy: 'Remove what is no longer needed.',
  },
  unavailable: {
    status: 503,
    exitCode: 1,
    title: 'Unavailable',
    meaning: 'The network does not run, or the daemon is stopping.',
    remedy: '`vmlan status` tells why; a network that died is started again by itself.',
  },
  timeout: {
    status: 504,
    exitCode: 1,
    title: 'Timed out',
    meaning: 'Something did not happen in time.',
    remedy: 'Try again; `vmlan status` shows what is slow.',
  },
  'daemon-unreachable': {
    status: 503,
    exitCode: 6,
    title: 'Daemon unreachable',
    meaning: 'No daemon answers at the address.',
    remedy: 'Start it with `vmlan up`, or name another with `--host`.',
  },
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
