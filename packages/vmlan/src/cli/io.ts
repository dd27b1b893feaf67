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

/** https://no-color.org: any value but the empty one; a dumb terminal has no colours either. */
export function wantsColour(io: Io, flag: boolean): boolean {
  return flag && io.stdout.isTTY === true && !io.env['NO_COLOR'] && io.env['TERM'] !== 'dumb';
}
