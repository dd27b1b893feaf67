/**
 * `vmlan __complete -- WORDS`: what the completion scripts ask; the last word is the unfinished one.
 *
 * Zone: control.  Never prints an error: a shell would show it in the middle of the user's line.
 */
import type { DefineCommand } from '../context.ts';
import { findCommand } from '../find-command.ts';
import { knownNames } from '../known-names.ts';
import { printable } from '../output/width.ts';
import { createProgram } from '../program.ts';
import { subCommands, suggestWords } from '../suggest-words.ts';
import type { Candidate } from '../suggest-words.ts';

export const define: DefineCommand = (command, context) => {
  command.argument('[words...]', 'the command line so far').action(async (typed: string[]) => {
    const lines = (await suggest(typed)).map(({ word, description }) =>
      description === '' ? word : `${word}\t${printable(description)}`,
    );
    context.output.write(lines.map((line) => `${line}\n`).join(''));
  });

  async function suggest(typed: readonly string[]): Promise<Candidate[]> {
    const [before, unfinished] = [typed.slice(0, -1), typed.at(-1) ?? ''];
    const helping = before[0] === 'help';
    const found = await findCommand(createProgram(context.io, ''), helping ? before.slice(1) : before);
    if (helping) return subCommands(found.command).filter(({ word }) => word.startsWith(unfinished));
    try {
      return await suggestWords(found.command, found.rest, unfinished, (...asked) => knownNames(context, ...asked));
    } catch {
      return [];
    }
  }
};
