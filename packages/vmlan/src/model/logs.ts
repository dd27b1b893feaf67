/**
 * Logs as the API is asked for them, and the lines it answers with.
 *
 * Zone: control.  A query is text throughout; what is left out has the default that stands beside it.
 */
import * as z from 'zod';
import { LOG_LEVELS, MAX_LOG_LINES } from './log-words.ts';
import type { LogLevel } from './log-words.ts';

export * from './log-words.ts';

export interface LogsQuery {
  /** Of this network alone; omitted: of all, and of the daemon. */
  readonly network?: string | undefined;
  /** `true`: of the daemon alone. */
  readonly daemon?: 'true' | 'false' | undefined;
  /** The newest ones, so many, of those that are wanted: 0 to 100000; 100. */
  readonly lines?: string | undefined;
  /** Not older than this moment. */
  readonly sinceMs?: string | undefined;
  /** Of this weight, and heavier. */
  readonly level?: LogLevel | undefined;
  /** `true`: goes on with what comes. */
  readonly follow?: 'true' | 'false' | undefined;
}

export const logsQuerySchema: z.ZodType<LogsQuery, LogsQuery> = z
  .strictObject({
    network: z.string().max(128).optional(),
    daemon: z.enum(['true', 'false']).optional(),
    lines: z
      .string()
      .regex(/^\d{1,6}$/, 'must be a whole number')
      .refine((text) => Number(text) <= MAX_LOG_LINES, `must be at most ${MAX_LOG_LINES}`)
      .optional(),
    sinceMs: z
      .string()
      .regex(/^\d{1,15}$/, 'must be milliseconds since 1970')
      .optional(),
    level: z.enum(LOG_LEVELS).optional(),
    follow: z.enum(['true', 'false']).optional(),
  })
  .refine(
    ({ network, daemon }) => network === undefined || daemon !== 'true',
    'a network and the daemon exclude each other',
  );

/** One line of a log. */
export interface LogEntry {
  readonly timeMs: number;
  /** `daemon`, or the name of a network. */
  readonly source: string;
  readonly level: LogLevel;
  readonly message: string;
}

export const logEntrySchema: z.ZodType<LogEntry> = z.object({
  timeMs: z.number(),
  source: z.string(),
  level: z.enum(LOG_LEVELS),
  message: z.string(),
});
