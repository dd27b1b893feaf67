/**
 * The command tree as plain data, for whatever is made from it: docs/cli.md and the manual pages.
 *
 * Zone: control.  What `--help` shows and what the pages show is the same text, since both come from here.
 */
import type { Command } from 'commander';
import { examplesOf } from './examples.ts';
import type { Example } from './examples.ts';
import { processIo } from './io.ts';
import { createProgram } from './program.ts';
import { argumentTerm, optionTerm } from './term.ts';
import type { Term } from './term.ts';

export interface CommandPage {
  /** Without `vmlan`: `['network', 'list']`; empty for the root. */
  readonly path: readonly string[];
  /** `vmlan network list [options]`. */
  readonly usage: string;
  readonly summary: string;
  readonly description: string;
  readonly alias: string | null;
  readonly terms: readonly Term[];
  readonly examples: readonly Example[];
  readonly commands: readonly CommandPage[];
}

/** The root, with all that is below it; hidden commands and options are left out. */
export async function readCommandTree(): Promise<CommandPage> {
  const { root, define } = createProgram(processIo(), '');
  const commands = visibleCommands(root);
  for (const command of commands) await define(command);
  return pageOf(root, []);
}

const visibleCommands = (command: Command): readonly Command[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help');

function pageOf(command: Command, path: readonly string[]): CommandPage {
  return {
    path,
    usage: ['vmlan', ...path, command.usage()].join(' '),
    summary: command.summary(),
    description: command.description(),
    alias: command.alias() ?? null,
    terms: [
      ...command.registeredArguments.map(argumentTerm),
      ...command.options.filter(({ hidden }) => !hidden).map(optionTerm),
    ],
    examples: examplesOf(command),
    commands: visibleCommands(command).map((each) => pageOf(each, [...path, each.name()])),
  };
}
