/**
 * One run of the command line: arguments in, exit code out.  Never ends the process itself.
 *
 * Zone: control.  0 ok, 1 failure, 2 usage, 3 not found, 4 conflict, 5 not permitted, 6 daemon unreachable; a command
 * that runs a program (`attach --exec`) ends with that program's code.  Errors: `vmlan: …`, then `hint: …`.
 */
import { CommanderError } from 'commander';
import type { Command } from 'commander';
import { commandNamed } from './find-command.ts';
import type { Io } from './io.ts';
import { createProgram } from './program.ts';
import { reportError, writeError } from './report-error.ts';

const USAGE_EXIT_CODE = 2;

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
    return reportError(error, io, calledCommand(root, argv));
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

/** Commander writes `error: TEXT`, with a suggestion in brackets on a line of its own. */
function reportUsage(error: CommanderError, io: Io, called: string): number {
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.help') return USAGE_EXIT_CODE; // a noun without a verb: its page has been printed
  const match = /^(?:error: )?([^]*?)(?:\n\((Did you mean [^]*)\))?$/.exec(error.message);
  const suggestion = match?.[2]?.replace(/^Did/, 'did');
  // Commander would name a sub-command that is left out, as `set` of `vmlan shape`.
  const message = (match?.[1] ?? error.message).replace(/^(too many arguments for) '.*?'/, `$1 '${called}'`);
  writeError(io, message, suggestion ?? `see: ${called} --help`);
  return USAGE_EXIT_CODE;
}
