/**
 * `vmlan help [COMMAND...]`: the page that `vmlan COMMAND --help` shows.
 *
 * Zone: control.
 */
import { VmlanError } from '../../client/errors.ts';
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { findCommand } from '../find-command.ts';
import { createProgram } from '../program.ts';

export const define: DefineCommand = (command, context) => {
  command.argument('[command...]', 'the command to explain').action(async (words: string[]) => {
    const program = createProgram(context.io, '');
    const { command: found, rest } = await findCommand(program, words);
    const [unknown] = rest;
    if (unknown === undefined) return found.outputHelp();
    // Whoever has commands does nothing else, so this can only complain, and says what may have been meant.
    if (found.commands.length > 0) return void (await program.root.parseAsync(words, { from: 'user' }));
    throw new VmlanError('usage', `vmlan ${words.slice(0, -rest.length).join(' ')} has no command '${unknown}'`);
  });
  addExamples(command, [
    ['the page of a command', 'vmlan help run'],
    ['of one below it', 'vmlan help network list'],
  ]);
};
