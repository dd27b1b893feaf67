/**
 * What `vmlan show` tells of one guest: its summary, the network of a card, and the forwards that lead to it.
 *
 * Zone: control.  Names and order of what Anka shows too are Anka's: mode, controller, ip, mac, port_forwarding_rules.
 * An address is one that the guest has now; what it had, or is to have, would send `ssh $(vmlan show …)` elsewhere.
 */
import type { ForwardView, GuestView, NetworkView, NicView } from '../../model/api.ts';
import { formatGrid } from '../output/grid.ts';
import type { GridStyle } from '../output/grid.ts';
import type { Column } from '../output/table.ts';
import type { Field } from './field.ts';
import { firstAddress6, stateColour } from './guests.ts';
import { formatAge } from './time.ts';

const ownAddress4 = ({ state, address4 }: NicView): string | null =>
  state === 'connected' ? (address4[0] ?? null) : null;

const ownAddress6 = (nic: NicView): string | null => (nic.state === 'connected' ? firstAddress6(nic) : null);

/** What the guest sees as its card, as far as vmlan chooses it. */
function controllerOf({ registered }: GuestView, { attachment }: NicView): string | null {
  if (attachment === 'netns') return 'tap';
  return registered ? 'virtio-net' : null;
}

/** What `vmlan show NAME` prints, in this order; each name may follow as FIELD. `mode` null: of a network that is gone. */
export function summaryFields(guest: GuestView, nic: NicView, mode: string | null, nowMs: number): Field[] {
  const { counters } = nic;
  return [
    ['name', guest.name],
    ['state', nic.state],
    ['network', [mode, ownAddress4(nic)].filter((part) => part !== null).join(' ')],
    ['nics', guest.nics.map(({ key, network }) => `${key} on ${network}`).join(', ')],
    ['ip', ownAddress4(nic)],
    ['ipv6', ownAddress6(nic)],
    ['mac', nic.mac],
    ['hostname', nic.hostname],
    ['names', guest.names.join(' ')],
    ['link', nic.link],
    ['attachment', nic.attachment],
    ['age', formatAge(nic.sinceMs, nowMs)],
    ['sent', counters && counters.bytesFromGuest],
    ['received', counters && counters.bytesToGuest],
    ['dropped', counters && counters.dropsFromGuest + counters.dropsToGuest],
  ];
}

/** What `vmlan show NAME network` prints above the forwards. */
export function networkFields(guest: GuestView, nic: NicView, network: NetworkView): Field[] {
  return [
    ['mode', network.mode],
    ['controller', controllerOf(guest, nic)],
    ['ip', ownAddress4(nic)],
    ['mac', nic.mac],
    ['network', network.name],
    ['driver', network.driver],
    ['state', nic.state],
    ['ipv6', ownAddress6(nic)],
    ['gateway', network.gateway],
    ['gateway6', network.gateway6],
    ['dns', network.dns],
    ['domain', network.domain],
    ['mtu', network.mtu],
  ];
}

/** The document of `vmlan show NAME network`: as in Anka there is no `ip` before there is one. */
export function networkDocument(fields: readonly Field[], forwards: readonly ForwardView[]): object {
  const known = fields.filter(([name, value]) => name !== 'ip' || value !== null);
  return { ...Object.fromEntries(known), port_forwarding_rules: forwards.map(ruleDocument) };
}

function ruleDocument(forward: ForwardView): object {
  const port = portOf(forward.host);
  return {
    name: forward.id,
    protocol: forward.protocol,
    guest_port: numbered(portOf(forward.guest)),
    ...(isSocket(forward.host) ? {} : { host_port: numbered(port) }),
    host: forward.host,
    state: forward.state,
  };
}

const isSocket = (endpoint: string): boolean => endpoint.startsWith('/');

/** `8080`, the range `8000-8010`, or the path of a socket. */
const portOf = (endpoint: string): string =>
  isSocket(endpoint) ? endpoint : endpoint.slice(endpoint.lastIndexOf(':') + 1);

const hostAddressOf = (endpoint: string): string | null =>
  isSocket(endpoint) ? null : endpoint.slice(0, endpoint.lastIndexOf(':')).replaceAll(/[[\]]/g, '');

const numbered = (port: string): number | string => (/^\d+$/.test(port) ? Number(port) : port);

const RULE_COLUMNS: readonly Column<ForwardView>[] = [
  { title: 'name', value: ({ id }) => id },
  { title: 'protocol', value: ({ protocol }) => protocol },
  { title: 'guest_port', value: ({ guest }) => portOf(guest) },
  { title: 'host_port', value: ({ host }) => portOf(host) },
];

const PORT_COLUMNS: readonly Column<ForwardView>[] = [
  ...RULE_COLUMNS,
  { title: 'host_ip', value: ({ host }) => hostAddressOf(host) },
  { title: 'network', value: ({ network }) => network },
  { title: 'open', value: ({ connections }) => connections },
  { title: 'state', value: ({ state }) => state, colour: ({ state }) => stateColour(state) },
];

/** The fields that `vmlan show NAME port FIELD` knows: the columns, and both ends in full. */
export const PORT_FIELDS: readonly (readonly [
  name: string,
  value: (forward: ForwardView) => string | number | null,
])[] = [
  ...PORT_COLUMNS.map(({ title, value }) => [title, value] as const),
  ['id', ({ id }) => id],
  ['host', ({ host }) => host],
  ['guest', ({ guest }) => guest],
];

/** `vmlan show NAME network`, below the fields; nothing without a forward. */
export const rulesText = (forwards: readonly ForwardView[], style: GridStyle): string =>
  forwards.length === 0 ? '' : `\nport_forwarding_rules:\n${formatGrid(RULE_COLUMNS, forwards, style)}`;

/** `vmlan show NAME port`. */
export const portsText = (forwards: readonly ForwardView[], style: GridStyle): string =>
  formatGrid(PORT_COLUMNS, forwards, style);
