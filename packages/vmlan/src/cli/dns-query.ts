/**
 * A name asked of the networks that run, as their guests would ask.
 *
 * Zone: control.  Networks that may know the name come first; the first that has an answer is heard.
 */
import { isIP } from 'node:net';
import { VmlanError } from '../client/errors.ts';
import type { Client } from '../client/client.ts';
import type { LookupView, NetworkView } from '../model/api.ts';
import type { Answer } from './dns-lookup.ts';
import { lookUp } from './dns-lookup.ts';

/** More networks than that do not answer a person in time. */
const MAX_ASKED = 8;

export interface Question {
  readonly name: string;
  readonly type: string | undefined;
  /** Only this one is asked. */
  readonly network: string | undefined;
}

/** The answers; where no network runs, those of its records and of this host's resolver. */
export async function askNetworks(client: Client, { name, type, network }: Question): Promise<Answer[]> {
  const wanted = (type ?? (isIP(name) === 0 ? 'A' : 'PTR')).toUpperCase();
  const networks =
    network === undefined
      ? await client.call('listNetworks')
      : [await client.call('getNetwork', { params: { name: network } })];
  let empty: LookupView | null = null;
  for (const each of byChance(networks, name)) {
    const view = await ask(client, each.name, name, wanted);
    if (view === null) continue;
    if (view.answers.length > 0) return view.answers.map((answer) => ({ ...answer, from: sourceOf(view) }));
    if (empty === null || view.status === 'NOERROR') empty = view;
  }
  if (empty !== null) throw noAnswer(empty);
  return lookUp(await client.call('listRecords', { query: { network } }), name, wanted);
}

const sourceOf = ({ authoritative }: LookupView): Answer['from'] => (authoritative ? 'vmlan' : 'host');

/** null: it does not run, or is run by an older process that cannot be asked. */
async function ask(client: Client, network: string, name: string, type: string): Promise<LookupView | null> {
  try {
    return await client.call('lookUp', { params: { name: network }, query: { name, type } });
  } catch (error) {
    if (error instanceof VmlanError && ['unavailable', 'unsupported'].includes(error.code)) return null;
    throw error;
  }
}

/** Running ones, that whose domain has the name first. */
function byChance(networks: readonly NetworkView[], name: string): readonly NetworkView[] {
  const plain = name.toLowerCase().replace(/\.$/, '');
  const share = ({ domain }: NetworkView): number =>
    domain !== null && (plain === domain || plain.endsWith(`.${domain}`)) ? domain.length : 0;
  return networks
    .filter(({ state }) => state === 'running')
    .sort((a, b) => share(b) - share(a))
    .slice(0, MAX_ASKED);
}

function noAnswer({ network, name, type, status }: LookupView): VmlanError {
  const hint = 'the names that vmlan knows: vmlan dns list';
  if (status === 'NOERROR') return new VmlanError('not-found', `${name} exists and has no ${type} record`, { hint });
  if (status === 'NXDOMAIN') return new VmlanError('not-found', `${name} ${type}: no such name`, { hint });
  return new VmlanError('unavailable', `${name} ${type}: the DNS of network "${network}" answers ${status}`, {
    hint: `the resolver of this host may be the reason: vmlan logs ${network}`,
  });
}
