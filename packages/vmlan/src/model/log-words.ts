/**
 * The words of logs, free of the validator: the command line offers them too.
 *
 * Zone: control.
 */
export const LOG_LEVELS: readonly ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
];
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The source of what the daemon itself writes; no network may have this name in a log. */
export const DAEMON_SOURCE = 'daemon';
/** Most lines of one answer, the newest. */
export const MAX_LOG_LINES = 100_000;
