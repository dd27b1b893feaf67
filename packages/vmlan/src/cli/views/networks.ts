/**
 * Networks and leases as rows and fields.
 *
 * Zone: control.
 */
import type { LeaseView, NetworkView } from '../../model/api.ts';
import { formatTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { stateColour } from './guests.ts';
import type { Field } from './field.ts';
import { formatAge, formatSpan } from './time.ts';

const COLUMNS: readonly Column<NetworkView>[] = [
  { title: 'name', value: (network) => network.name },
  { title: 'mode', value: (network) => network.mode },
  { title: 'driver', value: (network) => network.driver },
  { title: 'subnet', value: (network) => network.subnet },
  { title: 'ipv6', value: (network) => network.subnet6 },
  { title: 'guests', value: (network) => network.guests, align: 'right' },
  { title: 'state', value: (network) => network.state, colour: (network) => stateColour(network.state) },
];

export const networkTable = (networks: readonly NetworkView[], coloured: boolean): string =>
  formatTable(COLUMNS, networks, coloured);

/** What `vmlan network show NAME` prints, in this order; each name may follow as FIELD. */
export function networkDetails(network: NetworkView, nowMs: number): Field[] {
  const { flows, sockets } = network;
  return [
    ['name', network.name],
    ['mode', network.mode],
    ['driver', network.driver],
    ['why', network.driverReason],
    ['state', network.state],
    ['problem', network.problem && network.problem.detail],
    ['subnet', network.subnet],
    ['gateway', network.gateway],
    ['dns', network.dns],
    ['pool', network.poolStart && `${network.poolStart}-${network.poolEnd}`],
    ['host', network.hostAddress],
    ['subnet6', network.subnet6],
    ['gateway6', network.gateway6],
    ['ipv6', network.ipv6Reachable === null ? null : network.ipv6Reachable ? 'reaches the internet' : 'local only'],
    ['ping', network.ping === true ? 'yes' : network.ping],
    ['domain', network.domain],
    ['mtu', network.mtu],
    ['interface', network.interface],
    ['access', typeof network.hostAccess === 'string' ? network.hostAccess : network.hostAccess.join(' ')],
    ['autostart', network.autostart ? 'yes' : 'no'],
    ['socket', sockets && sockets.qemu],
    ['dgram', sockets && sockets.dgram],
    ['listen', sockets && sockets.listen.join(' ')],
    ['pid', network.pid],
    ['age', formatAge(network.startedMs, nowMs)],
    ['restarts', network.restarts],
    ['guests', network.guests],
    ['leases', network.leases],
    ['flows', flows && `${flows.tcp} TCP, ${flows.udp} UDP, ${flows.icmp} ICMP`],
    ['warnings', network.warnings.join('; ')],
  ];
}

export function leaseTable(leases: readonly LeaseView[], coloured: boolean, nowMs: number): string {
  const columns: readonly Column<LeaseView>[] = [
    { title: 'address', value: (lease) => lease.address },
    { title: 'guest', value: (lease) => lease.guest },
    { title: 'mac', value: (lease) => lease.mac },
    { title: 'hostname', value: (lease) => lease.hostname },
    { title: 'network', value: (lease) => lease.network },
    { title: 'expires', value: (lease) => expiry(lease, nowMs) },
    { title: 'state', value: (lease) => lease.state },
  ];
  return formatTable(columns, leases, coloured);
}

function expiry({ expiresMs }: LeaseView, nowMs: number): string {
  if (expiresMs === null) return 'never';
  return expiresMs <= nowMs ? `${formatSpan(nowMs - expiresMs)} ago` : `in ${formatSpan(expiresMs - nowMs)}`;
}
