/**
 * Asks the daemon's program for what it does without serving: it answers one JSON document and ends.
 *
 * Zone: control.
 */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { VmlanError } from '../client/errors.ts';
import type { ErrorCode } from '../client/errors.ts';
import type { Context } from './context.ts';
import { daemonCommand } from './daemon-command.ts';
import { daemonEnvironment } from './start-daemon.ts';

interface Answer {
  readonly result: unknown;
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint?: string } | null;
}

/** It has our stdin. */
export async function askDaemonProgram<T>(context: Context, args: readonly string[]): Promise<T> {
  const [program = '', ...rest] = [...daemonCommand(), ...args];
  const env = daemonEnvironment(context);
  const child = spawn(program, rest, { env, stdio: ['inherit', 'pipe', 'pipe'] });
  const failed = new Promise<never>((_resolve, reject) => child.once('error', reject));
  const [stdout, stderr] = await Promise.race([Promise.all([text(child.stdout), text(child.stderr)]), failed]);
  const { result, error } = parseAnswer(stdout, stderr);
  if (error !== null) throw new VmlanError(error.code, error.message, { hint: error.hint });
  return result as T;
}

function parseAnswer(stdout: string, stderr: string): Answer {
  try {
    return JSON.parse(stdout) as Answer;
  } catch (cause) {
    throw new VmlanError('internal', `the daemon's program gave no answer: ${stderr.trim() || 'it ended'}`, { cause });
  }
}
