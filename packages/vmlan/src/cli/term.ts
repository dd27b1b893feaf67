/**
 * An argument or an option of a command in words: on help pages, in docs/cli.md and in the manual.
 *
 * Zone: control.
 */
import type { Argument, Option } from 'commander';

export interface Term {
  /** `<name>`, `[name...]` or `-o, --output <format>`. */
  readonly term: string;
  readonly description: string;
  readonly choices: readonly string[];
  readonly preset: string | null;
}

export function argumentTerm(argument: Argument): Term {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return {
    term: argument.required ? `<${name}>` : `[${name}]`,
    description: argument.description,
    choices: argument.argChoices ?? [],
    preset: presetText(argument.defaultValue),
  };
}

export const optionTerm = (option: Option): Term => ({
  term: option.flags,
  description: option.description,
  choices: option.argChoices ?? [],
  preset: option.negate ? null : presetText(option.defaultValue),
});

const presetText = (value: unknown): string | null =>
  value === undefined ? null : JSON.stringify(value).replaceAll('"', '');

/** The description with what may be written and what holds otherwise; `literal` marks what is written as it stands. */
export function describeTerm({ description, choices, preset }: Term, literal: (word: string) => string): string {
  const notes = [
    ...(choices.length === 0 ? [] : [`one of ${choices.map(literal).join(', ')}`]),
    ...(preset === null ? [] : [`default ${literal(preset)}`]),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`;
}

export const inBackticks = (word: string): string => `\`${word}\``;
