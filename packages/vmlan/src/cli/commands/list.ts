/**
 * `vmlan list`: the guests, one line per network card.
 *
 * Zone: control.
 */
import type { DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { guestTable } from '../views/guests.ts';

export const define: DefineCommand = (command, context) => {
  command
    .option('--network <network>', 'only the guests of this network')
    .action(async ({ network }: { network?: string }) => {
      const guests = await context.client.call('listGuests', { query: { network } });
      await context.output.show(guests, {
        table: (coloured) => guestTable(guests, coloured),
        ids: () => guests.map(({ name }) => name),
      });
    });
  addExamples(command, [
    ['all guests', 'vmlan list'],
    ['their names alone', 'vmlan list -q'],
    ['for a script', 'vmlan list --network lab --output json'],
  ]);
};
