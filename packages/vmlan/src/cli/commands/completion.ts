/**
 * `vmlan completion SHELL`: a script that asks `vmlan __complete` for the words that may follow.
 *
 * Zone: control.
 */
import { Argument } from 'commander';
import { COMPLETION_SCRIPTS } from '../completion-scripts.ts';
import type { Shell } from '../completion-scripts.ts';
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';

export const define: DefineCommand = (command, context) => {
  command
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(COMPLETION_SCRIPTS)))
    .action((shell: Shell) => context.output.write(COMPLETION_SCRIPTS[shell]));
  addExamples(command, [
    ['in this bash', 'source <(vmlan completion bash)'],
    ['in every zsh', 'vmlan completion zsh > "${fpath[1]}/_vmlan"'],
    ['in every fish', 'vmlan completion fish > ~/.config/fish/completions/vmlan.fish'],
  ]);
};
