/**
 * `vmlan show NAME [network|port] [FIELD]`: one guest in ruled tables, or one field of it and nothing else.
 *
 * Zone: control.
 */
import { VmlanError } from '../../client/errors.ts';
import type { ForwardView, GuestView, NicView } from '../../model/api.ts';
import type { Context, DefineCommand } from '../context.ts';
import { addExamples } from '../examples.ts';
import { formatFieldGrid } from '../output/grid.ts';
import type { GridStyle } from '../output/grid.ts';
import { pickField, unknownField } from '../views/field.ts';
import type { Field } from '../views/field.ts';
import {
  PORT_FIELDS,
  networkDocument,
  networkFields,
  portsText,
  rulesText,
  summaryFields,
} from '../views/guest-details.ts';
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
        return showSummary(context, guest, nic, section);
      },
    );
  addExamples(command, [
    ['everything about one guest', 'vmlan show web'],
    ['log in without knowing the address', 'ssh root@$(vmlan show web network ip)'],
    ['its network card, and what is forwarded to it', 'vmlan show web network'],
    ['its port forwards', 'vmlan show web port'],
  ]);
};

function pickNic(guest: GuestView, network: string | undefined): NicView {
  const nic = network === undefined ? guest.nics[0] : guest.nics.find((candidate) => candidate.network === network);
  if (nic !== undefined) return nic;
  const where = network === undefined ? 'any network' : `network "${network}"`;
  const its = guest.nics.map((one) => one.network);
  throw new VmlanError('not-found', `guest "${guest.name}" is not on ${where}`, {
    hint:
      its.length === 0 ? `put it on one: vmlan attach ${guest.name} --network NETWORK` : `it is on: ${its.join(', ')}`,
  });
}

async function showSummary(context: Context, guest: GuestView, nic: NicView, field: string | undefined): Promise<void> {
  const [mode, shapes] = await Promise.all([
    modeOf(context, nic),
    context.client.call('listShapes', { query: { network: nic.network } }),
  ]);
  const shaped = ['shape', shapeLine(shapes, guest.name)] as const;
  const fields = [...summaryFields(guest, nic, mode, Date.now()), shaped];
  if (field !== undefined) return showField(context, guest, nic, fields, field);
  await context.output.show(guest, {
    table: (coloured) => formatFieldGrid(fields, styleOf(context, coloured)),
    ids: () => [guest.name],
  });
}

/** null: the guest is on a network that is configured no longer. */
async function modeOf(context: Context, { network }: NicView): Promise<string | null> {
  const networks = await context.client.call('listNetworks');
  return networks.find(({ name }) => name === network)?.mode ?? null;
}

async function showNetwork(context: Context, guest: GuestView, nic: NicView, field: string | undefined): Promise<void> {
  const network = await context.client.call('getNetwork', { params: { name: nic.network } });
  const fields = networkFields(guest, nic, network);
  if (field !== undefined) return showField(context, guest, nic, fields, field);
  const forwards = await forwardsOf(context, guest, nic.network);
  await context.output.show(networkDocument(fields, forwards), {
    table: (coloured) => {
      const style = styleOf(context, coloured);
      return `${formatFieldGrid(fields, style)}${rulesText(forwards, style)}`;
    },
    ids: () => [guest.name],
  });
}

const styleOf = ({ output }: Context, coloured: boolean): GridStyle => ({ coloured, width: output.width });

/** The value alone, or nothing on stdout: `ssh root@$(…)` must not go to another machine. */
function showField(context: Context, guest: GuestView, nic: NicView, fields: readonly Field[], field: string): void {
  const value = pickField(fields, field, `guest "${guest.name}"`, (name) => nextStep(guest, nic, name));
  context.output.write(`${value}\n`);
}

function nextStep({ name }: GuestView, { state }: NicView, field: string): string | undefined {
  if (field !== 'ip' && field !== 'ipv6') return `see what there is: vmlan show ${name}`;
  const wait = `vmlan wait ${name} --for ${field === 'ip' ? 'ip' : 'ip6'}`;
  return state === 'connected' ? `it has not asked for one yet: ${wait}` : `its link is down: start it, then ${wait}`;
}

async function showPorts(context: Context, guest: GuestView, field: string | undefined): Promise<void> {
  const getter = PORT_FIELDS.find(([name]) => name === field)?.[1];
  if (field !== undefined && getter === undefined) {
    throw unknownField(
      field,
      PORT_FIELDS.map(([name]) => name),
    );
  }
  const forwards = await forwardsOf(context, guest, undefined);
  if (getter !== undefined) {
    return context.output.write(forwards.map((forward) => `${getter(forward) ?? '-'}\n`).join(''));
  }
  await context.output.show(forwards, {
    table: (coloured) => portsText(forwards, styleOf(context, coloured)),
    ids: () => forwards.map(({ id }) => id),
  });
}

async function forwardsOf(context: Context, guest: GuestView, network: string | undefined): Promise<ForwardView[]> {
  const forwards = await context.client.call('listForwards', { query: { network } });
  return forwards.filter((forward) => leadsTo(forward, guest));
}

/** Whether the guest's end of a forward, `web:80` or `[fd00::5]:80`, is this guest. */
function leadsTo({ direction, guest: end }: ForwardView, guest: GuestView): boolean {
  if (direction !== 'host') return false;
  const target = end.slice(0, end.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  return target === guest.name || guest.nics.some((nic) => [...nic.address4, ...nic.address6].includes(target));
}
