/**
 * `vmlan completion SHELL`: a script that asks `vmlan __complete` for the words that may follow.
 *
 * Zone: control.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Argument } from 'commander';
import { COMPLETION_SCRIPTS } from '../completion-scripts.ts';
import type { Shell } from '../completion-scripts.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';

export const define: DefineCommand = (command, context) => {
  command
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(COMPLETION_SCRIPTS)))
    .option('--install', 'write it where the shell looks for it, for this user')
    .action((shell: Shell, { install = false }: { readonly install?: boolean }) => {
      if (!install) return context.output.write(COMPLETION_SCRIPTS[shell]);
      const { path, more } = placeOf(shell, context);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, COMPLETION_SCRIPTS[shell]);
      context.output.done(`written to ${path}; ${more}`);
    });
  addExamples(command, [
    ['in this bash', 'source <(vmlan completion bash)'],
    ['in every zsh', 'vmlan completion zsh --install'],
    ['in every fish', 'vmlan completion fish --install'],
  ]);
};

interface Place {
  readonly path: string;
  /** What is left to do, or to know. */
  readonly more: string;
}

/** Where bash-completion, fish, and a zsh that is told so look for a user's own. */
function placeOf(shell: Shell, { io }: Context): Place {
  const home = io.env['HOME'] || homedir();
  const data = io.env['XDG_DATA_HOME'] || join(home, '.local/share');
  const config = io.env['XDG_CONFIG_HOME'] || join(home, '.config');
  const functions = join(data, 'zsh/site-functions');
  const places: Readonly<Record<Shell, Place>> = {
    bash: { path: join(data, 'bash-completion/completions/vmlan'), more: 'a new bash with bash-completion reads it' },
    zsh: { path: join(functions, '_vmlan'), more: `.zshrc needs, before compinit: fpath=(${functions} $fpath)` },
    fish: { path: join(config, 'fish/completions/vmlan.fish'), more: 'fish reads it when it is wanted' },
  };
  return places[shell];
}
