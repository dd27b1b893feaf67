/**
 * The daemon's log: one JSON line per message on stderr, which `vmlan up` points at a file and systemd at the journal.
 *
 * Zone: control.
 */
import { pino } from 'pino';
import type { Logger } from '../core/logger.ts';

export function makeLogger(level: string): Logger {
  const log = pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(2),
  );
  const fieldsOf = (fields: object = {}): object =>
    'error' in fields ? { ...fields, error: undefined, err: fields.error } : fields;
  return {
    debug: (message, fields) => log.debug(fieldsOf(fields), message),
    info: (message, fields) => log.info(fieldsOf(fields), message),
    warn: (message, fields) => log.warn(fieldsOf(fields), message),
    error: (message, fields) => log.error(fieldsOf(fields), message),
  };
}
