/**
 * What may follow on a command line: sub-commands, options, fixed choices, and names that the daemon knows.
 *
 * Zone: control.  Reads the command tree itself, so that a new option completes without another list.
 */
import type { Argument, Command, Option } from 'commander';

export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** What names the daemon knows; by the placeholder of an argument or option, `<guest>` or `<network>`. */
export type NameSource = (placeholder: string) => Promise<readonly string[]>;

/** `command` is the innermost one, with its options; `before` are its words so far. */
export async function suggestWords(
  command: Command,
  before: readonly string[],
  unfinished: string,
  names: NameSource,
): Promise<Candidate[]> {
  const options = [...command.options, ...inheritedOptions(command)].filter(({ hidden }) => !hidden);
  const [, flag, value] = /^(--[^=]+)=(.*)$/.exec(unfinished) ?? [];
  if (flag !== undefined && value !== undefined) {
    const values = await suggestWords(command, [...before, flag], value, names);
    return values.map(({ word, description }) => ({ word: `${flag}=${word}`, description }));
  }
  const pending = optionWaitingForValue(options, before);
  const candidates =
    pending !== null ? await valuesOf(pending, names) : await wordsOf(command, options, before, unfinished, names);
  return candidates.filter(({ word }) => word.startsWith(unfinished));
}

function inheritedOptions(command: Command): readonly Option[] {
  return command.parent === null ? [] : [...command.parent.options, ...inheritedOptions(command.parent)];
}

function optionWaitingForValue(options: readonly Option[], before: readonly string[]): Option | null {
  const last = before.at(-1) ?? '';
  return options.find((option) => takesValue(option) && (option.short === last || option.long === last)) ?? null;
}

const takesValue = (option: Option): boolean => option.required || option.optional;

async function valuesOf(option: Option, names: NameSource): Promise<Candidate[]> {
  if (option.argChoices !== undefined) return option.argChoices.map(plain);
  const placeholder = /<([^>]+)>/.exec(option.flags)?.[1] ?? '';
  return (await names(placeholder)).map(plain);
}

async function wordsOf(
  command: Command,
  options: readonly Option[],
  before: readonly string[],
  unfinished: string,
  names: NameSource,
): Promise<Candidate[]> {
  if (unfinished.startsWith('-'))
    return options.map(({ long, flags, description }) => ({ word: long ?? flags, description }));
  if (command.commands.length > 0) {
    const visible = command.createHelp().visibleCommands(command);
    return visible.map((each) => ({ word: each.name(), description: each.summary() }));
  }
  const argument = argumentAt(command, positionals(options, before));
  if (argument === undefined) return [];
  return (argument.argChoices ?? (await names(argument.name()))).map(plain);
}

/** How many words of `before` are neither options nor their values. */
function positionals(options: readonly Option[], before: readonly string[]): number {
  return before.filter((word, index) => {
    const waiting = optionWaitingForValue(options, before.slice(0, index));
    return waiting === null && !word.startsWith('-');
  }).length;
}

function argumentAt(command: Command, position: number): Argument | undefined {
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  return registeredArguments[position] ?? (last?.variadic === true ? last : undefined);
}

const plain = (word: string): Candidate => ({ word, description: '' });
