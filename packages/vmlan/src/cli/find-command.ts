/**
 * The command that words lead to, loaded on the way.
 *
 * Zone: control.
 */
import type { Command } from 'commander';
import { defaultOf } from './default-command.ts';
import type { Program } from './program.ts';

export const commandNamed = (parent: Command, word: string): Command | undefined =>
  parent.commands.find((each) => each.name() === word || each.aliases().includes(word));

/** The innermost command, and what is left of the words: arguments and options of it and of those above. */
export async function findCommand(
  program: Program,
  words: readonly string[],
): Promise<{ command: Command; rest: string[] }> {
  let command = program.root;
  let rest: string[] = [];
  for (const word of words) {
    const next = commandNamed(command, word);
    if (next === undefined) {
      rest.push(word);
      continue;
    }
    await program.define(next);
    command = next;
    rest = [];
  }
  const unnamed = rest.length > 0 ? defaultOf(command) : undefined;
  return { command: unnamed ?? command, rest };
}
