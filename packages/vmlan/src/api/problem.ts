/**
 * Errors as problem+json (RFC 9457), by the one table of error codes.
 *
 * Zone: control.
 */
import { ERROR_CODES, VmlanError, toErrorData } from '../core/errors.ts';
import type { ErrorCode, ErrorData } from '../core/errors.ts';
import type { Problem } from '../model/api.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export function toProblem(error: ErrorData): Problem {
  const { status, title } = ERROR_CODES[error.code];
  return {
    type: `urn:vmlan:error:${error.code}`,
    title,
    status,
    code: error.code,
    detail: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
}

interface HttpError {
  readonly statusCode: number;
  readonly message: string;
}

const isHttpError = (error: unknown): error is HttpError =>
  error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number';

/** The row of the code table for what the HTTP server itself refuses. */
const SERVER_CODES: Readonly<Record<number, ErrorCode>> = {
  404: 'not-found',
  405: 'method-not-allowed',
  408: 'timeout',
  413: 'too-large',
  414: 'too-large',
  415: 'unsupported-media-type',
  431: 'too-large',
};

export const httpProblem = (status: number, message: string): Problem => ({
  ...toProblem({ code: SERVER_CODES[status] ?? 'invalid', message }),
  status,
});

export function problemOf(error: unknown): Problem {
  if (!(error instanceof VmlanError) && isHttpError(error) && error.statusCode >= 400 && error.statusCode < 500) {
    return httpProblem(error.statusCode, error.message);
  }
  return toProblem(toErrorData(error));
}
