/**
 * `vmlan detach NAME`: cuts the guest's link; the guest stays known and keeps its lease.
 *
 * Zone: control.
 */
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';

export const define: DefineCommand = (command, context) => {
  command
    .argument('<guest>', 'name of the guest')
    .option('--network <network>', 'only the link to this network')
    .option('--forget', 'also forget the guest')
    .action(async (name: string, { network, forget = false }: { network?: string; forget?: boolean }) => {
      const params = { name };
      await context.client.call('detachGuest', { params, body: { network } });
      if (forget) await context.client.call('deleteGuest', { params });
      const what = forget ? 'detached and forgotten' : 'detached';
      context.output.done(`guest "${name}" ${what}`);
    });
  addExamples(command, [
    ['unplug a guest', 'vmlan detach web'],
    ['and remove it from the list', 'vmlan detach web --forget'],
  ]);
};
