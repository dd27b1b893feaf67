/**
 * The command line inside a test: what it printed, and its exit code.
 *
 * Zone: control.
 */
import { Writable } from 'node:stream';
import type { Io, TerminalStream } from './io.ts';
import { runCli } from './run-cli.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CaptureOptions {
  readonly terminal?: boolean;
  readonly stdinIsTerminal?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

class Capture extends Writable implements TerminalStream {
  readonly isTTY: boolean;
  readonly columns = 100;
  text = '';

  constructor(isTTY: boolean) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: string | Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

export async function vmlan(argv: readonly string[], options: CaptureOptions = {}): Promise<Ran> {
  const stdout = new Capture(options.terminal ?? false);
  const stderr = new Capture(options.terminal ?? false);
  const env = options.env ?? {};
  const io: Io = { stdout, stderr, stdinIsTerminal: options.stdinIsTerminal ?? false, env, uid: 1000 };
  const code = await runCli(argv, io, '1.2.3');
  return { code, stdout: stdout.text, stderr: stderr.text };
}
