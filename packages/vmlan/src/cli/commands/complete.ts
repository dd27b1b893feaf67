/**
 * `vmlan __complete -- WORDS`: what the completion scripts ask; the last word is the unfinished one.
 *
 * Zone: control.  Never prints an error: a shell would show it in the middle of the user's line.
 */
import type { Context, DefineCommand } from '../context.ts';
import { findCommand } from '../find-command.ts';
import { createProgram } from '../program.ts';
import { suggestWords } from '../suggest-words.ts';
import { FORWARD_FIELDS } from '../views/forwards.ts';

const ANSWER_TIMEOUT_MS = 1000;

export const define: DefineCommand = (command, context) => {
  command.argument('[words...]', 'the command line so far').action(async (typed: string[]) => {
    const words = typed.filter((word) => word !== '='); // bash makes three words of --network=lab
    const before = words.slice(0, -1);
    const { command: innermost, rest } = await findCommand(createProgram(context.io, ''), before);
    const candidates = await suggestWords(innermost, rest, words.at(-1) ?? '', (kind) => namesOf(context, kind));
    const lines = candidates.map(({ word, description }) => (description === '' ? word : `${word}\t${description}`));
    context.output.write(lines.map((line) => `${line}\n`).join(''));
  });
};

async function namesOf(context: Context, placeholder: string): Promise<readonly string[]> {
  const { client } = context;
  const options = { timeoutMs: ANSWER_TIMEOUT_MS };
  try {
    switch (placeholder) {
      case 'guest':
        return (await client.call('listGuests', {}, options)).map(({ name }) => name);
      case 'network':
        return (await client.call('listNetworks', undefined, options)).map(({ name }) => name);
      case 'forward':
        return (await client.call('listForwards', {}, options)).map(({ id }) => id);
      case 'record':
        return (await client.call('listRecords', {}, options)).map(({ id }) => id);
      case 'section':
        return ['network', 'port'];
      case 'field':
        return FORWARD_FIELDS.map(([name]) => name);
      default:
        return [];
    }
  } catch {
    return [];
  }
}
