/**
 * `vmlan network reservation`: addresses kept for guests.
 *
 * Zone: control.
 */
import { VmlanError } from '../../client/errors.ts';
import type { ReservationView } from '../../model/api.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { parseOwner } from '../network-options.ts';
import { reservationTable, showChange } from '../views/changes.ts';
import { DRY_RUN, dryRunQuery } from './network-create.ts';

interface ChangeOptions {
  readonly dryRun?: boolean;
}

export const defineReservation: DefineCommand = (command, context) => {
  const reservation = command
    .command('reservation')
    .description('Keep addresses for guests.')
    .summary('list, add and remove reserved addresses');
  defineAdd(reservation, context);
  defineList(reservation, context);
  defineRemove(reservation, context);
  addExamples(reservation, [
    ['guest db always has this address', 'vmlan network reservation add lab db 192.168.105.10'],
    ['all reservations', 'vmlan network reservation list'],
  ]);
};

const defineAdd: DefineCommand = (command, context) => {
  const add = command
    .command('add')
    .description('Keep an address for a guest; it gets it with its next lease.')
    .summary('keep an address for a guest');
  add
    .argument('<network>', 'name of the network')
    .argument('<guest>', 'name of a guest, or a MAC address')
    .argument('[ip]', 'the address; the one that the guest has now without it')
    .option(...DRY_RUN)
    .action(async (name: string, owner: string, ip: string | undefined, { dryRun }: ChangeOptions) => {
      const body = { ...parseOwner(owner), ip: ip ?? (await leasedTo(context, name, owner)) };
      const query = dryRunQuery(dryRun);
      const change = await context.client.call('createReservation', { params: { name }, body, query });
      await showChange(context, change, `${body.ip} is kept for ${owner} on network "${name}"`);
    });
  addExamples(add, [
    ['guest db always has this address', 'vmlan network reservation add lab db 192.168.105.10'],
    ['and keeps the one that it has', 'vmlan network reservation add lab db'],
    ['by MAC address', 'vmlan network reservation add lab 52:54:00:12:34:56 192.168.105.11'],
  ]);
};

async function leasedTo(context: Context, name: string, owner: string): Promise<string> {
  const leases = await context.client.call('listLeases', { params: { name } });
  const own = parseOwner(owner);
  const lease = leases.find(
    ({ family, guest, mac }) => family === 4 && ('mac' in own ? mac === own.mac : guest === own.guest),
  );
  if (lease !== undefined) return lease.address;
  throw new VmlanError('not-found', `${owner} has no address on network "${name}"`, {
    hint: `give it one: vmlan network reservation add ${name} ${owner} ADDRESS`,
  });
}

const defineList: DefineCommand = (command, context) => {
  const list = command
    .command('list')
    .alias('ls')
    .description('List the reserved addresses.')
    .summary('list the reserved addresses');
  list
    .argument('[network]', 'name of the network; all networks without it')
    .action(async (name: string | undefined) => {
      const names = name === undefined ? (await context.client.call('listNetworks')).map((each) => each.name) : [name];
      const lists = await Promise.all(names.map((each) => reservationsOf(context, each)));
      const found = lists.flat();
      await context.output.show(found, {
        table: (coloured) => reservationTable(found, coloured),
        ids: () => found.map(({ ip }) => ip),
      });
    });
  addExamples(list, [['those of one network', 'vmlan network reservation list lab']]);
};

const reservationsOf = (context: Context, name: string): Promise<readonly ReservationView[]> =>
  context.client.call('listReservations', { params: { name } });

const defineRemove: DefineCommand = (command, context) => {
  const remove = command
    .command('remove')
    .alias('rm')
    .description('Keep addresses no longer; a guest keeps what it has until its lease ends.')
    .summary('keep addresses no longer');
  remove
    .argument('<network>', 'name of the network')
    .argument('<reserved...>', 'addresses, guests or MAC addresses')
    .option(...DRY_RUN)
    .action(async (name: string, words: string[], { dryRun }: ChangeOptions) => {
      for (const word of words) {
        const ip = await addressOf(context, name, word);
        const change = await context.client.call('deleteReservation', {
          params: { name, ip },
          query: dryRunQuery(dryRun),
        });
        await showChange(context, change, `${ip} is no longer reserved on network "${name}"`);
      }
    });
  addExamples(remove, [['by guest', 'vmlan network reservation remove lab db']]);
};

async function addressOf(context: Context, name: string, word: string): Promise<string> {
  const reservations = await reservationsOf(context, name);
  const own = parseOwner(word);
  const found = reservations.find(
    ({ ip, guest, mac }) => ip === word || ('mac' in own ? mac === own.mac : guest === word),
  );
  if (found === undefined) {
    throw new VmlanError('not-found', `network "${name}": nothing is reserved for ${word}`, {
      hint: `vmlan network reservation list ${name}`,
    });
  }
  if (found.origin === 'config') return found.ip;
  throw new VmlanError(
    'conflict',
    `${found.ip} belongs to guest "${found.guest ?? word}" itself, not to networks.yaml`,
    {
      hint: `it goes with the guest: vmlan show ${found.guest ?? word}`,
    },
  );
}
