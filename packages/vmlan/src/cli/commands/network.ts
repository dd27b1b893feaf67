/**
 * `vmlan network`: list, show, leases, start, stop here; what changes the configuration in modules of its own.
 *
 * Zone: control.
 */
import { problemError } from '../../client/errors.ts';
import type { LeaseView } from '../../model/api.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { formatDetails } from '../output/table.ts';
import { pickField } from '../views/field.ts';
import { leaseTable, networkDetails, networkTable } from '../views/networks.ts';
import { defineAutostart, defineCreate, defineDelete } from './network-create.ts';
import { defineEdit } from './network-edit.ts';
import { defineReservation } from './network-reservation.ts';

export const define: DefineCommand = (command, context) => {
  defineList(command, context);
  defineShow(command, context);
  defineLeases(command, context);
  defineStart(command, context);
  defineStop(command, context);
  defineCreate(command, context);
  defineEdit(command, context);
  defineDelete(command, context);
  defineAutostart(command, context);
  defineReservation(command, context);
  addExamples(command, [
    ['all networks', 'vmlan network list'],
    ['a new one', 'vmlan network create lab --subnet 10.80.0.0/24'],
    ['the gateway of one', 'vmlan network show lab gateway'],
    ['who got which address', 'vmlan network leases lab'],
  ]);
};

const defineList: DefineCommand = (command, context) => {
  const list = command.command('list').alias('ls').description('List the networks.').summary('list the networks');
  list.action(async () => {
    const networks = await context.client.call('listNetworks');
    await context.output.show(networks, {
      table: (coloured) => networkTable(networks, coloured),
      ids: () => networks.map(({ name }) => name),
    });
  });
  addExamples(list, [['names, subnets and state', 'vmlan network list']]);
};

const defineShow: DefineCommand = (command, context) => {
  const show = command.command('show').description('Show one network, or one field of it.').summary('show one network');
  show
    .argument('<network>', 'name of the network')
    .argument('[field]', 'print the value of this field alone')
    .action(async (name: string, field: string | undefined) => {
      const network = await context.client.call('getNetwork', { params: { name } });
      const fields = networkDetails(network, Date.now());
      if (field !== undefined) return context.output.write(`${pickField(fields, field, `network "${name}"`)}\n`);
      await context.output.show(network, { table: () => formatDetails(fields), ids: () => [network.name] });
    });
  addExamples(show, [
    ['everything about one network', 'vmlan network show lab'],
    ['the socket that QEMU connects to', 'vmlan network show lab socket'],
  ]);
};

const defineLeases: DefineCommand = (command, context) => {
  const leases = command.command('leases').description('List the DHCP leases.').summary('list the DHCP leases');
  leases
    .argument('[network]', 'name of the network; all networks without it')
    .action(async (name: string | undefined) => {
      const names = name === undefined ? (await context.client.call('listNetworks')).map((each) => each.name) : [name];
      const lists = await Promise.all(
        names.map((each) => context.client.call('listLeases', { params: { name: each } })),
      );
      const found: LeaseView[] = lists.flat();
      await context.output.show(found, {
        table: (coloured) => leaseTable(found, coloured, Date.now()),
        ids: () => found.map(({ address }) => address),
      });
    });
  addExamples(leases, [['the leases of one network', 'vmlan network leases lab']]);
};

const defineStart: DefineCommand = (command, context) => {
  const start = command
    .command('start')
    .description('Start networks; no change to one that runs.')
    .summary('start networks');
  start.argument('<network...>', 'names of the networks').action(async (names: string[]) => {
    for (const name of names) await startNetwork(context, name);
  });
  addExamples(start, [['start one network', 'vmlan network start lab']]);
};

async function startNetwork(context: Context, name: string): Promise<void> {
  context.output.progress(`starting network "${name}" …`);
  const network = await context.client.call('startNetwork', { params: { name } });
  if (network.problem !== null) throw problemError(network.problem);
  context.output.done(`network "${name}" runs, ${network.subnet ?? network.mode}`);
}

const defineStop: DefineCommand = (command, context) => {
  const stop = command
    .command('stop')
    .description('Stop networks; their guests lose their link.')
    .summary('stop networks');
  stop.argument('<network...>', 'names of the networks').action(async (names: string[]) => {
    for (const name of names) {
      await context.client.call('stopNetwork', { params: { name } });
      context.output.done(`network "${name}" stopped`);
    }
  });
  addExamples(stop, [['stop one network', 'vmlan network stop lab']]);
};
