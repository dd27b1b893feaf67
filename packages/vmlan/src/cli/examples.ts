/**
 * Examples on help pages: what one wants to do, and the line that does it.
 *
 * Zone: control.
 */
import type { Command } from 'commander';

export type Example = readonly [purpose: string, line: string];

export function addExamples(command: Command, examples: readonly Example[]): void {
  const lines = examples.map(([purpose, line]) => `  # ${purpose}\n  $ ${line}`);
  command.addHelpText('after', `\nExamples:\n${lines.join('\n\n')}`);
}
