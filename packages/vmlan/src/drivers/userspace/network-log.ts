/**
 * What a network process said last, read from its log: the reason why it ended, or never came to speak.
 *
 * Zone: control.
 */
import { readLogEnd } from '../../sys/bounded-log.ts';

const LAST_LINES = 40;
const LAST_BYTES = 65_536;
const STARTED = /^\d{4}-\S+ info network \S+ runs$/;
/** The lines that a process writes when it ends; the runtime may add its own behind them. */
const FAREWELL = /^\d{4}-\S+ (?:error (.*)|info (network \S+ stopped))$/;

/** Why a process ended, as its log tells. */
export function lastWords(log: string): string {
  const farewell = lastLines(log).findLast((line) => FAREWELL.test(line));
  const [, failure, stopped] = FAREWELL.exec(farewell ?? '') ?? [];
  return failure ?? stopped ?? 'it was killed';
}

/** Why a process never came to speak: what the runtime says. */
export function firstFault(log: string): string {
  const lines = lastLines(log);
  return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? 'it said nothing';
}

/** What was logged since the process started. */
function lastLines(log: string): readonly string[] {
  try {
    const lines = readLogEnd(log, LAST_BYTES).trimEnd().split('\n');
    return lines.slice(lines.findLastIndex((line) => STARTED.test(line)) + 1).slice(-LAST_LINES);
  } catch {
    return []; // it has no log any more
  }
}
