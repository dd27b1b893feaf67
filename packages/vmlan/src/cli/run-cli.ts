/**
 * One run of the command line: arguments in, exit code out.  Never ends the process itself.
 *
 * Zone: control.  0 ok, 1 failure, 2 usage, 3 not found, 4 conflict, 5 not permitted, 6 daemon unreachable; a command
 * that runs a program (`attach --exec`) ends with that program's code.  Errors: `vmlan: …`, then `hint: …`.
 */
import { CommanderError } from 'commander';
import type { Command } from 'commander';
import { VmlanError } from '../client/errors.ts';
import { commandNamed } from './find-command.ts';
import type { Io } from './io.ts';
import { printable } from './output/width.ts';
import { createProgram } from './program.ts';

const USAGE_EXIT_CODE = 2;
const FAILURE_EXIT_CODE = 1;

export async function runCli(argv: readonly string[], io: Io, version: string): Promise<number> {
  const { root, context } = createProgram(io, version);
  if (argv.length === 0) {
    root.outputHelp();
    return 0;
  }
  try {
    await root.parseAsync([...argv], { from: 'user' });
    return context.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return reportUsage(error, io, calledCommand(root, argv));
    return reportError(error, io);
  }
}

/** `vmlan`, or `vmlan network list` when that is what was called: where the help is. */
function calledCommand(root: Command, argv: readonly string[]): string {
  let command = root;
  const names = [root.name()];
  for (const word of argv) {
    const next = commandNamed(command, word);
    if (next === undefined || next.name() === 'help') continue;
    command = next;
    names.push(next.name());
  }
  return names.join(' ');
}

/** Tells what went wrong, never where in the program; the exit code. */
export function reportError(error: unknown, io: Io): number {
  if (error instanceof VmlanError) {
    writeError(io, error.message, error.hint);
    return error.info.exitCode;
  }
  writeError(io, error instanceof Error ? error.message : String(error), undefined);
  return FAILURE_EXIT_CODE;
}

/** Commander writes `error: TEXT`, with a suggestion in brackets on a line of its own. */
function reportUsage(error: CommanderError, io: Io, called: string): number {
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.help') return USAGE_EXIT_CODE; // a noun without a verb: its page has been printed
  const match = /^(?:error: )?([^]*?)(?:\n\((Did you mean [^]*)\))?$/.exec(error.message);
  const suggestion = match?.[2]?.replace(/^Did/, 'did');
  writeError(io, match?.[1] ?? error.message, suggestion ?? `see: ${called} --help`);
  return USAGE_EXIT_CODE;
}

function writeError(io: Io, message: string, hint: string | undefined): void {
  const lines = message.split('\n').map(printable).join('\n');
  io.stderr.write(`vmlan: ${lines}\n`);
  if (hint !== undefined) io.stderr.write(`hint: ${printable(hint)}\n`);
}
