/**
 * DHCP servers' configuration out of the engine's.
 *
 * Zone: control.  DHCPv6 numbers hosts as IPv4 does: the guest at .10 of the subnet has ::10 … of the prefix, in
 * hexadecimal as the pool counts.
 */
import type { Dhcp6Config, Dhcp6Reservation } from '../services/dhcpv6.ts';
import type { DhcpConfig, DhcpReservation } from '../services/dhcp.ts';
import * as address from '../wire/address.ts';
import { ipv4, ipv6, mac } from './config.ts';
import type { EngineConfig, Reservation } from './control-messages.ts';

/** Pool of a network without IPv4: host numbers 0x100 to 0xffff. */
const FIRST_HOST = 0x100;
const LAST_HOST = 0xffff;

export function dhcp4Config(config: EngineConfig): DhcpConfig {
  const own = config.ipv4!;
  const subnet = address.parseCidr4(own.subnet)!;
  const isolated = config.mode === 'isolated';
  return {
    network: subnet.network,
    prefix: subnet.prefix,
    gateway: own.announceRouter ? ipv4(own.gateway) : null,
    serverId: ipv4(own.gateway),
    dns: isolated ? [] : [ipv4(own.dns)],
    domain: isolated ? null : config.dns.domain,
    searchDomains: isolated ? [] : config.dns.searchDomains,
    mtu: config.mtu,
    leaseSeconds: own.leaseSeconds,
    poolStart: ipv4(own.poolStart),
    poolEnd: ipv4(own.poolEnd),
    excluded: [...own.excluded, own.gateway, own.dns].map(ipv4),
    reservations: reservations4(config.reservations),
    ...(own.fixedGuest === null ? {} : { fixedAddress: ipv4(own.fixedGuest) }),
  };
}

export function dhcp6Config(config: EngineConfig): Dhcp6Config {
  const own = config.ipv6!;
  const four = config.ipv4;
  const hostOf = (text: string): number => hostNumber(four!.subnet, text);
  return {
    prefix: address.parseCidr6(own.prefix)!.network,
    duid: Uint8Array.from(Buffer.from(config.duid, 'hex')),
    dns: [ipv6(own.gateway)],
    searchDomains: config.dns.searchDomains,
    leaseSeconds: four?.leaseSeconds ?? 86_400,
    poolFirst: four === null ? FIRST_HOST : hostOf(four.poolStart),
    poolLast: four === null ? LAST_HOST : hostOf(four.poolEnd),
    excluded: four === null ? [1] : [...four.excluded, four.gateway, four.dns].map(hostOf),
    reservations: four === null ? [] : reservations6(four.subnet, config.reservations),
    ...(four === null || four.fixedGuest === null ? {} : { fixedHost: hostOf(four.fixedGuest) }),
  };
}

const ownerOf = ({ guest, mac: address }: Reservation): Pick<DhcpReservation, 'guest' | 'mac'> => ({
  ...(guest === undefined ? {} : { guest }),
  ...(address === undefined ? {} : { mac: mac(address) }),
});

export const reservations4 = (all: readonly Reservation[]): readonly DhcpReservation[] =>
  all.map((reservation) => ({ ip: ipv4(reservation.ip), ...ownerOf(reservation) }));

export const reservations6 = (subnet: string, all: readonly Reservation[]): readonly Dhcp6Reservation[] =>
  all.map((reservation) => ({ host: hostNumber(subnet, reservation.ip), ...ownerOf(reservation) }));

/** Where an address lies in its subnet. */
export const hostNumber = (subnet: string, ip: string): number =>
  (ipv4(ip) - address.parseCidr4(subnet)!.network) >>> 0;
