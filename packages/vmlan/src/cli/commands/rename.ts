/**
 * `vmlan rename GUEST NAME`: another name for a guest that goes on as it is.
 *
 * Zone: control.
 */
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { guestTable } from '../views/guests.ts';

export const define: DefineCommand = (command, context) => {
  command
    .description('Give a guest another name. Its link, addresses, forwards and shapes stay; DNS knows the new name.')
    .argument('<guest>', 'name of the guest')
    .argument('<name>', 'the new one')
    .action(async (before: string, name: string) => {
      const guest = await context.client.call('updateGuest', { params: { name: before }, body: { name } });
      await context.output.show(guest, { table: (coloured) => guestTable([guest], coloured), ids: () => [guest.name] });
    });
  addExamples(command, [['web is called www from now on', 'vmlan rename web www']]);
};
