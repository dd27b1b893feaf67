/**
 * The outside of the command line: streams, environment and user, so that it can run inside a test.
 *
 * Zone: control.
 */
import type { Writable } from 'node:stream';
import { isatty } from 'node:tty';

export interface TerminalStream extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface Io {
  readonly stdout: TerminalStream;
  readonly stderr: TerminalStream;
  readonly stdinIsTerminal: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly uid: number;
}

export function processIo(): Io {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdinIsTerminal: isatty(0),
    env: process.env,
    uid: process.getuid?.() ?? -1,
  };
}

/**
 * https://no-color.org and https://bixense.com/clicolors: any value of NO_COLOR but the empty one forbids colours,
 * CLICOLOR_FORCE wants them in a pipe too, CLICOLOR=0 nowhere. A dumb terminal has none.
 */
export function wantsColour(io: Io, flag: boolean): boolean {
  const { NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM } = io.env;
  if (!flag || NO_COLOR) return false;
  if (CLICOLOR_FORCE && CLICOLOR_FORCE !== '0') return true;
  return io.stdout.isTTY === true && CLICOLOR !== '0' && TERM !== 'dumb';
}
