/**
 * Names that the daemon knows, as candidates: what the placeholders of arguments and options stand for.
 *
 * Zone: control.  Without a daemon there are none: the caller takes a failure for an empty answer.
 */
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { plain } from './suggest-words.ts';
import type { Candidate } from './suggest-words.ts';
import type { Field } from './views/field.ts';
import { PORT_FIELDS, networkFields, summaryFields } from './views/guest-details.ts';
import { firstAddress4 } from './views/guests.ts';
import { networkDetails } from './views/networks.ts';

/** Who presses a key waits no longer. */
const ANSWER = { timeoutMs: 1000 };

/** What `vmlan wait --for` waits for; a port's number is to follow. */
const CONDITIONS = ['ip', 'ip6', 'dns', 'link', 'down', 'port:', 'running'];

export async function knownNames(
  context: Context,
  placeholder: string,
  command: Command,
  given: readonly string[],
): Promise<Candidate[]> {
  switch (placeholder) {
    case 'guest':
    case 'address|guest':
      return guests(context);
    case 'guest-or-network':
      return [...(await guests(context)), ...(await networks(context))];
    case 'reserved':
      return reservations(context, given);
    case 'condition':
      return CONDITIONS.map(plain);
    case 'target': // GUEST:PORT
      return (await guests(context)).map((each) => ({ ...each, word: `${each.word}:` }));
    case 'peer':
      return [...(await guests(context)), { word: 'gateway', description: 'all beyond the network' }];
    case 'network':
      return networks(context);
    case 'forward':
      return forwards(context);
    case 'record':
      return records(context);
    case 'section':
      return [...new Set(['network', 'port', ...(await guestFields(context, given))])].map(plain);
    case 'field':
      return (await fieldsOf(context, command, given)).map(plain);
    default:
      return [];
  }
}

async function guests({ client }: Context): Promise<Candidate[]> {
  const found = await client.call('listGuests', {}, ANSWER);
  return found.map(({ name, nics: [nic] }) => ({
    word: name,
    description: nic === undefined ? '' : [firstAddress4(nic), nic.network].filter((part) => part !== null).join(', '),
  }));
}

async function networks({ client }: Context): Promise<Candidate[]> {
  const found = await client.call('listNetworks', undefined, ANSWER);
  return found.map(({ name, mode, subnet }) => ({
    word: name,
    description: subnet === null ? mode : `${mode}, ${subnet}`,
  }));
}

async function forwards({ client }: Context): Promise<Candidate[]> {
  const found = await client.call('listForwards', {}, ANSWER);
  return found.map(({ id, direction, host, guest }) => ({
    word: id,
    description: direction === 'host' ? `${host} -> ${guest}` : `${guest} -> ${host}`,
  }));
}

async function records({ client }: Context): Promise<Candidate[]> {
  const found = await client.call('listRecords', {}, ANSWER);
  return found.map(({ id, name, type, value }) => ({ word: id, description: `${name} ${type} ${value}` }));
}

/** Of the network that is the first argument. */
async function reservations({ client }: Context, [name = '']: readonly string[]): Promise<Candidate[]> {
  const found = await client.call('listReservations', { params: { name } }, ANSWER);
  return found.map(({ ip, guest, mac }) => ({ word: ip, description: guest ?? mac ?? '' }));
}

const namesOf = (fields: readonly Field[]): string[] => fields.map(([name]) => name);

async function guestFields({ client }: Context, [name = '']: readonly string[]): Promise<string[]> {
  const guest = await client.call('getGuest', { params: { name } }, ANSWER);
  const [nic] = guest.nics;
  if (nic === undefined) return [];
  return [...namesOf(summaryFields(guest, nic, null, 0)), 'shape'];
}

/** `vmlan show GUEST network|port FIELD` and `vmlan network show NETWORK FIELD`. */
async function fieldsOf({ client }: Context, command: Command, given: readonly string[]): Promise<string[]> {
  const [name = '', section] = given;
  if (command.parent?.name() === 'network') {
    return namesOf(networkDetails(await client.call('getNetwork', { params: { name } }, ANSWER), 0));
  }
  if (section === 'port') return PORT_FIELDS.map(([field]) => field);
  if (section !== 'network') return [];
  const guest = await client.call('getGuest', { params: { name } }, ANSWER);
  const [nic] = guest.nics;
  if (nic === undefined) return [];
  return namesOf(networkFields(guest, nic, await client.call('getNetwork', { params: { name: nic.network } }, ANSWER)));
}
