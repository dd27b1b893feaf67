/**
 * What may follow on a command line: sub-commands, options, fixed choices, and names that the daemon knows.
 *
 * Zone: control.  Reads the command tree itself, so that a new option completes without another list.
 */
import type { Argument, Command, Option } from 'commander';
import { FILES_CANDIDATE } from './completion-scripts.ts';
import { defaultOf } from './default-command.ts';

export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** What a placeholder, `guest` or `network`, may stand for; `given` are the arguments before it. */
export type NameSource = (placeholder: string, command: Command, given: readonly string[]) => Promise<Candidate[]>;

/** Placeholders that are names of files; whoever wants another kind of name calls it otherwise. */
const FILE = /^(file|disk|image|folder|directory|path|socket|qemu-arguments|command)\b/;

/** `command` is the innermost one, with its options; `before` are its words so far. */
export async function suggestWords(
  command: Command,
  before: readonly string[],
  unfinished: string,
  names: NameSource,
): Promise<Candidate[]> {
  const unnamed = defaultOf(command);
  if (unnamed !== undefined) {
    const groups = subCommands(command).filter(({ word }) => word.startsWith(unfinished));
    return [...groups, ...(await suggestWords(unnamed, before, unfinished, names))];
  }
  const options = [...command.options, ...inheritedOptions(command)].filter(({ hidden }) => !hidden);
  const [, flag, value] = /^(--[^=]+)=(.*)$/.exec(unfinished) ?? [];
  if (flag !== undefined && value !== undefined && !before.includes('--')) {
    const values = await suggestWords(command, [...before, flag], value, names);
    return values.map((each) => (each.word === FILES_CANDIDATE ? each : { ...each, word: `${flag}=${each.word}` }));
  }
  const given = argumentsIn(options, before);
  const pending = before.includes('--') ? null : optionWaitingForValue(options, before);
  const candidates =
    pending === null
      ? await wordsOf(command, options, before, unfinished, names)
      : await valuesOf(pending.argChoices, placeholderOf(pending), command, given, names);
  return candidates.filter(({ word }) => word === FILES_CANDIDATE || word.startsWith(unfinished));
}

function inheritedOptions(command: Command): readonly Option[] {
  return command.parent === null ? [] : [...command.parent.options, ...inheritedOptions(command.parent)];
}

function optionWaitingForValue(options: readonly Option[], before: readonly string[]): Option | null {
  const last = before.at(-1) ?? '';
  return options.find((option) => takesValue(option) && named(option, last)) ?? null;
}

const takesValue = (option: Option): boolean => option.required || option.optional;

const named = (option: Option, word: string): boolean => option.short === word || option.long === word;

const placeholderOf = (option: Option): string => /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? '';

async function valuesOf(
  choices: readonly string[] | undefined,
  placeholder: string,
  command: Command,
  given: readonly string[],
  names: NameSource,
): Promise<Candidate[]> {
  if (choices !== undefined) return choices.map(plain);
  return FILE.test(placeholder) ? [plain(FILES_CANDIDATE)] : names(placeholder, command, given);
}

async function wordsOf(
  command: Command,
  options: readonly Option[],
  before: readonly string[],
  unfinished: string,
  names: NameSource,
): Promise<Candidate[]> {
  if (unfinished.startsWith('-') && !before.includes('--')) return optionsLeft(options, before);
  if (command.commands.length > 0) return subCommands(command);
  const given = argumentsIn(options, before);
  const argument = argumentAt(command, given.length);
  if (argument === undefined) return [];
  const found = await valuesOf(argument.argChoices, argument.name(), command, given, names);
  return argument.variadic ? found.filter(({ word }) => !given.includes(word)) : found;
}

/** Commander's own `help` of each group is one word too many; `vmlan help GROUP` does the same. */
export const subCommands = (command: Command): Candidate[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => command.parent === null || each.name() !== 'help')
    .map((each) => ({ word: each.name(), description: each.summary() }));

/** What was given is given once, unless it may be repeated. */
const optionsLeft = (options: readonly Option[], before: readonly string[]): Candidate[] =>
  options
    .filter((option) => option.variadic || !before.some((word) => named(option, word.split('=')[0] ?? '')))
    .map(({ long, flags, description }) => ({ word: long ?? flags, description }));

/** The words of `before` that are neither options nor their values. */
function argumentsIn(options: readonly Option[], before: readonly string[]): string[] {
  const end = before.includes('--') ? before.indexOf('--') : before.length;
  return before.filter((word, index) => {
    if (index >= end) return index > end;
    const waiting = optionWaitingForValue(options, before.slice(0, index));
    return waiting === null && !word.startsWith('-');
  });
}

function argumentAt(command: Command, position: number): Argument | undefined {
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  return registeredArguments[position] ?? (last?.variadic === true ? last : undefined);
}

export const plain = (word: string): Candidate => ({ word, description: '' });
