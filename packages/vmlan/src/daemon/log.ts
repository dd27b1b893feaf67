/**
 * The daemon's log: one JSON line per message on stderr, which `vmlan up` points at a file and systemd at the journal, and
 * in that file in any case, where `vmlan logs` finds it.
 *
 * Zone: control.
 */
import { fstatSync, statSync } from 'node:fs';
import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import type { Logger } from '../core/logger.ts';
import { openLog } from '../sys/bounded-log.ts';

/** What waits for a disk that takes nothing; what comes then is lost. */
const MAX_WAITING_BYTES = 1_048_576;

/** `file`: a copy is written there, unless stderr is that file. */
export function makeLogger(level: string, file?: string): Logger {
  const destination = file === undefined || isStderr(file) ? toDescriptor(2) : withCopy(file);
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

function toDescriptor(fd: number): ReturnType<typeof pino.destination> {
  const destination = pino.destination({ fd, sync: true, maxLength: MAX_WAITING_BYTES });
  destination.on('error', () => undefined); // a log that cannot be written is no reason to stop
  return destination;
}

function withCopy(file: string): DestinationStream {
  try {
    const copy = toDescriptor(openLog(file));
    return pino.multistream([
      { stream: toDescriptor(2), level: 'trace' },
      { stream: copy, level: 'trace' },
    ]);
  } catch {
    return toDescriptor(2); // no directory for it yet, or none that takes it
  }
}

function isStderr(file: string): boolean {
  const [own, other] = [fstatSync(2), statSync(file, { throwIfNoEntry: false })];
  return own.ino === other?.ino && own.dev === other.dev;
}
