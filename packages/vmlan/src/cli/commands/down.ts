/**
 * `vmlan down`: the daemon and, unless told otherwise, its networks stop.
 *
 * Zone: control.  Returns when nobody answers any more.
 */
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { stopDaemon } from '../start-daemon.ts';

export const define: DefineCommand = (command, context) => {
  command
    .option('--keep-networks', 'let the networks run; the next daemon takes them over')
    .action(async ({ keepNetworks = false }: { keepNetworks?: boolean }) => {
      context.output.progress('stopping …');
      await stopDaemon(context, !keepNetworks);
      context.output.done(keepNetworks ? 'vmlan stopped; its networks run on' : 'vmlan stopped');
    });
  addExamples(command, [
    ['stop everything', 'vmlan down'],
    ['stop the daemon, and interrupt no guest', 'vmlan down --keep-networks'],
  ]);
};
