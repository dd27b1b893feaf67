/**
 * The daemon's log: one JSON line per message on stderr, which `vmlan up` points at a file and systemd at the journal.
 *
 * Zone: control.
 */
import { pino } from 'pino';
import type { Logger } from '../core/logger.ts';

/** What waits for a disk that takes nothing; what comes then is lost. */
const MAX_WAITING_BYTES = 1_048_576;

export function makeLogger(level: string): Logger {
  const destination = pino.destination({ fd: 2, sync: true, maxLength: MAX_WAITING_BYTES });
  destination.on('error', () => undefined); // a log that cannot be written is no reason to stop
  const log = pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  const fieldsOf = (fields: object = {}): object =>
    'error' in fields ? { ...fields, error: undefined, err: fields.error } : fields;
  return {
    debug: (message, fields) => log.debug(fieldsOf(fields), message),
    info: (message, fields) => log.info(fieldsOf(fields), message),
    warn: (message, fields) => log.warn(fieldsOf(fields), message),
    error: (message, fields) => log.error(fieldsOf(fields), message),
  };
}
