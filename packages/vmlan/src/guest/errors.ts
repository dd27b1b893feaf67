/**
 * What goes wrong for a program inside a guest, by the names that programs know.
 *
 * Zone: control.
 */

/** As Node.js and C call them; of DNS: ENODATA, ENOTFOUND, ESERVFAIL. */
export type GuestErrorCode =
  | 'EACCES'
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL'
  | 'ECANCELED'
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'EHOSTUNREACH'
  | 'EINVAL'
  | 'EMFILE'
  | 'EMSGSIZE'
  | 'ENETDOWN'
  | 'ENETUNREACH'
  | 'ENODATA'
  | 'ENOTFOUND'
  | 'EPIPE'
  | 'EPROTO'
  | 'ESERVFAIL'
  | 'ETIMEDOUT';

/** An error of a guest's own stack; `code` is what Node.js and C call it. */
export class GuestError extends Error {
  readonly code: GuestErrorCode;

  constructor(code: GuestErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GuestError';
    this.code = code;
  }
}
