/**
 * The sub-command that stands for its group when none is named: `vmlan shape web` is `vmlan shape set web`.
 *
 * Zone: control.  Commander knows it too, but tells nobody.
 */
import type { Command } from 'commander';

const defaults = new WeakSet<Command>();

/** Makes a sub-command the one of its group; it is defined with `isDefault`, too. */
export function asDefault(command: Command): Command {
  defaults.add(command);
  return command;
}

export const defaultOf = (group: Command): Command | undefined => group.commands.find((each) => defaults.has(each));
