/**
 * Errors as problem+json (RFC 9457), by the one table of error codes.
 *
 * Zone: control.
 */
import { ERROR_CODES, VmlanError, toErrorData } from '../core/errors.ts';
import type { ErrorData } from '../core/errors.ts';
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

/** What the HTTP server itself refuses: no JSON, too long, unknown media type. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof VmlanError) && isHttpError(error) && error.statusCode >= 400 && error.statusCode < 500) {
    return { ...toProblem({ code: 'invalid', message: error.message }), status: error.statusCode };
  }
  return toProblem(toErrorData(error));
}
