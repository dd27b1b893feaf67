/**
 * Examples on help pages: what one wants to do, and the line that does it.
 *
 * Zone: control.
 */
import type { Command } from 'commander';

export type Example = readonly [purpose: string, line: string];

const kept = new WeakMap<Command, readonly Example[]>();

export function addExamples(command: Command, examples: readonly Example[]): void {
  kept.set(command, examples);
  const lines = examples.map(([purpose, line]) => `  # ${purpose}\n  $ ${line}`);
  command.addHelpText('after', `\nExamples:\n${lines.join('\n\n')}`);
}

export const examplesOf = (command: Command): readonly Example[] => kept.get(command) ?? [];
