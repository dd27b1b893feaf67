/**
 * What one can wait for, and whether it holds of what the daemon shows.
 *
 * Zone: control.
 */
import type { Client } from '../client/client.ts';
import { VmlanError } from '../client/errors.ts';
import type { GuestView, NicView } from '../model/api.ts';

/** `holds` null: not yet, and then `why` says what is missing. */
export interface Look {
  readonly holds: Holding | null;
  readonly why: string;
}

export interface Holding {
  readonly network: string | null;
  /** What is printed; null where there is none. */
  readonly address: string | null;
}

export interface Subject {
  readonly name: string;
  readonly network: string | undefined;
}

export interface Condition {
  /** As it was written. */
  readonly text: string;
  /** Nothing tells when it may hold: it is looked at again after this time. 0: events tell. */
  readonly everyMs: number;
  look(client: Client, subject: Subject): Promise<Look>;
}

export const CONDITION_HELP = 'ip, ip6, dns, link, down, port:N, port:N/udp, or running (of a network)';

const PORT_RETRY_MS = 250;
/** A guest tells of a closed UDP port once a second and no more often (Linux net.ipv4.icmp_ratelimit). */
const UDP_RETRY_MS = 1_200;

const yes = (network: string | null, address: string | null): Look => ({ holds: { network, address }, why: '' });
const no = (why: string): Look => ({ holds: null, why });

/** null for what is no condition. */
export function parseCondition(text: string): Condition | null {
  const simple = Object.hasOwn(SIMPLE, text) ? SIMPLE[text] : undefined;
  if (simple !== undefined) return { text, everyMs: 0, look: simple };
  const [, digits, protocol = 'tcp'] = /^port:(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port < 1 || port > 65_535) return null;
  const kind = protocol === 'udp' ? 'udp' : 'tcp';
  return {
    text,
    everyMs: kind === 'udp' ? UDP_RETRY_MS : PORT_RETRY_MS,
    look: (client, subject) => lookAtPort(client, subject, kind, port),
  };
}

const SIMPLE: Readonly<Record<string, Condition['look']>> = {
  link: async (client, subject) => {
    const nic = (await nicsOf(client, subject)).find(({ state }) => state === 'connected');
    return nic === undefined ? no('has no link') : yes(nic.network, nic.address4[0] ?? null);
  },
  down: async (client, subject) => {
    const nic = (await nicsOf(client, subject)).find(({ state }) => state === 'connected');
    return nic === undefined ? yes(null, null) : no(`still has its link to network "${nic.network}"`);
  },
  ip: (client, subject) => lookForAddress(client, subject, 'no IPv4 address', ({ address4 }) => address4[0]),
  ip6: (client, subject) =>
    lookForAddress(client, subject, 'no IPv6 address', ({ address6 }) =>
      address6.find((address) => !address.startsWith('fe80:')),
    ),
  dns: async (client, subject) => {
    const nics = await nicsOf(client, subject);
    const records = await client.call('listRecords', { query: { network: subject.network } });
    const own = records.find(
      ({ id, origin }) => origin === 'guest' && nics.some(({ key }) => id.startsWith(`${key}/`)),
    );
    return own === undefined ? no('has no name in DNS') : yes(own.network, own.value);
  },
  running: async (client, { name }) => {
    try {
      const { state, problem } = await client.call('getNetwork', { params: { name } });
      return state === 'running' ? yes(name, null) : no(problem?.detail ?? `is ${state}`);
    } catch (error) {
      if (error instanceof VmlanError && error.code === 'not-found') return no('is not configured');
      throw error;
    }
  },
};

async function lookForAddress(
  client: Client,
  subject: Subject,
  missing: string,
  pick: (nic: NicView) => string | undefined,
): Promise<Look> {
  for (const nic of await nicsOf(client, subject)) {
    const address = nic.state === 'connected' ? pick(nic) : undefined;
    if (address !== undefined) return yes(nic.network, address);
  }
  return no(`has ${missing}`);
}

async function lookAtPort(client: Client, subject: Subject, protocol: 'tcp' | 'udp', port: number): Promise<Look> {
  if ((await nicsOf(client, subject)).length === 0) return no('is not there');
  const { network } = subject;
  const body = { protocol, port, ...(network === undefined ? {} : { network }) };
  const result = await client.call('probeGuest', { params: { name: subject.name }, body });
  // Who is there and does not refuse a datagram may well be listening.
  const isOpen = result.state === 'open' || (protocol === 'udp' && result.state === 'silent');
  if (isOpen) return yes(result.network, result.address);
  if (result.state === 'closed') return no(`refuses port ${port}/${protocol}`);
  return no(result.state === 'silent' ? `does not answer at port ${port}/${protocol}` : 'is not there');
}

/** Its cards; none while nobody knows it. */
async function nicsOf(client: Client, { name, network }: Subject): Promise<readonly NicView[]> {
  let guest: GuestView;
  try {
    guest = await client.call('getGuest', { params: { name } });
  } catch (error) {
    if (error instanceof VmlanError && error.code === 'not-found') return [];
    throw error;
  }
  return guest.nics.filter((nic) => network === undefined || nic.network === network);
}
