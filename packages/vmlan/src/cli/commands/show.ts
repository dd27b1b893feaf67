/**
 * `vmlan show NAME [network|port] [FIELD]`: one guest, or one field of it and nothing else.
 *
 * Zone: control.
 */
import { VmlanError } from '../../client/errors.ts';
import type { ForwardView, GuestView, NicView } from '../../model/api.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { formatDetails } from '../output/table.ts';
import { pickField, unknownField } from '../views/field.ts';
import { FORWARD_FIELDS, forwardTable } from '../views/forwards.ts';
import { networkFields, summaryFields } from '../views/guests.ts';
import type { Field } from '../views/guests.ts';
import { shapeLine } from '../views/shapes.ts';

export const define: DefineCommand = (command, context) => {
  command
    .argument('<guest>', 'name of the guest')
    .argument('[section]', '"network", "port", or a field of the summary')
    .argument('[field]', 'print the value of this field alone')
    .option('--network <network>', 'which of several networks of the guest')
    .action(
      async (name: string, section: string | undefined, field: string | undefined, options: { network?: string }) => {
        const guest = await context.client.call('getGuest', { params: { name } });
        if (section === 'port') return showPorts(context, guest, field);
        const nic = pickNic(guest, options.network);
        if (section === 'network') return showNetwork(context, guest, nic, field);
        if (field !== undefined) throw unknownField(section ?? '', ['network', 'port']);
        const shapes = await context.client.call('listShapes', { query: { network: nic.network } });
        const shaped = ['shape', shapeLine(shapes, guest.name)] as const;
        return showFields(context, guest, [...summaryFields(guest, nic, Date.now()), shaped], section, guest);
      },
    );
  addExamples(command, [
    ['everything about one guest', 'vmlan show web'],
    ['log in without knowing the address', 'ssh root@$(vmlan show web network ip)'],
    ['its port forwards', 'vmlan show web port'],
  ]);
};

function pickNic(guest: GuestView, network: string | undefined): NicView {
  const nic = network === undefined ? guest.nics[0] : guest.nics.find((candidate) => candidate.network === network);
  if (nic !== undefined) return nic;
  const where = network === undefined ? 'any network' : `network "${network}"`;
  throw new VmlanError('not-found', `guest "${guest.name}" is not on ${where}`);
}

async function showNetwork(context: Context, guest: GuestView, nic: NicView, field: string | undefined): Promise<void> {
  const network = await context.client.call('getNetwork', { params: { name: nic.network } });
  const fields = networkFields(nic, network);
  await showFields(context, guest, fields, field, Object.fromEntries(fields));
}

async function showFields(
  context: Context,
  guest: GuestView,
  fields: readonly Field[],
  field: string | undefined,
  document: unknown,
): Promise<void> {
  if (field !== undefined) return context.output.write(`${pickField(fields, field, `guest "${guest.name}"`)}\n`);
  await context.output.show(document, { table: () => formatDetails(fields), ids: () => [guest.name] });
}

async function showPorts(context: Context, guest: GuestView, field: string | undefined): Promise<void> {
  const forwards = (await context.client.call('listForwards')).filter((forward) => leadsTo(forward, guest));
  const getter = FORWARD_FIELDS.find(([name]) => name === field)?.[1];
  if (field !== undefined && getter === undefined) {
    throw unknownField(
      field,
      FORWARD_FIELDS.map(([name]) => name),
    );
  }
  if (getter !== undefined) return context.output.write(forwards.map((forward) => `${getter(forward)}\n`).join(''));
  await context.output.show(forwards, {
    table: (coloured) => forwardTable(forwards, coloured),
    ids: () => forwards.map(({ id }) => id),
  });
}

/** Whether the guest's end of a forward, `web:80` or `[fd00::5]:80`, is this guest. */
function leadsTo({ direction, guest: end }: ForwardView, guest: GuestView): boolean {
  if (direction !== 'host') return false;
  const target = end.slice(0, end.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  return target === guest.name || guest.nics.some((nic) => [...nic.address4, ...nic.address6].includes(target));
}
