/**
 * Whether a guest may be called so, and have that card and that address.
 *
 * Zone: control.
 */
import { VmlanError } from '../core/errors.ts';
import { checkGuestName } from '../daemon/guest-name.ts';
import { deriveMac, nicKey } from '../model/guest.ts';
import { macSchema } from '../model/names.ts';
import type { Network as ResolvedNetwork } from '../model/network.ts';
import { reservedAddressProblem } from '../model/resolve-ipv4.ts';
import { parseIpv4 } from '../wire/address.ts';
import { identify } from './options.ts';

/** A guest's card, as the engine knows it. */
export interface GuestNic {
  readonly key: string;
  readonly guest: string;
  readonly mac: string;
  readonly ip: string | null;
}

export interface NicOptions {
  /** Default: always the same one for this name. */
  readonly mac?: string;
  /** The IPv4 address that DHCP gives it. Default: one of the pool. */
  readonly ip?: string;
}

/** Throws VmlanError `invalid` or `conflict`. */
export function newNic(
  network: ResolvedNetwork,
  others: readonly GuestNic[],
  name: string,
  { mac, ip }: NicOptions,
): GuestNic {
  checkGuestName(name);
  if (others.some((other) => other.guest === name)) {
    throw new VmlanError('conflict', `network "${network.name}" has a guest "${name}" already`, {
      hint: 'choose another name, or remove that one first',
    });
  }
  if (ip !== undefined) checkAddress(network, others, name, ip);
  const key = nicKey(name, 0);
  const taken = (candidate: string): boolean => others.some((other) => other.mac === candidate);
  const own = mac === undefined ? deriveMac(identify, network.name, key, taken) : checkMac(name, mac);
  if (own === null)
    throw new VmlanError('exhausted', `no MAC address is left for guest "${name}"`, { hint: 'give it one' });
  return { key, guest: name, mac: own, ip: ip ?? null };
}

function checkMac(name: string, mac: string): string {
  const result = macSchema.safeParse(mac);
  if (result.success) return result.data;
  throw new VmlanError('invalid', `guest "${name}": mac ${JSON.stringify(mac)}: ${result.error.issues[0]!.message}`);
}

function checkAddress(network: ResolvedNetwork, others: readonly GuestNic[], name: string, ip: string): void {
  const fail = (code: 'invalid' | 'conflict', why: string): never => {
    throw new VmlanError(code, `guest "${name}": network "${network.name}": ${why}`, {
      hint: 'choose another address',
    });
  };
  const { ipv4 } = network;
  if (parseIpv4(ip) === null) fail('invalid', `ip ${JSON.stringify(ip)} is no IPv4 address`);
  if (ipv4 === null) return fail('invalid', 'it leases no IPv4 addresses');
  if (ipv4.fixedGuest !== null) fail('invalid', `every guest has ${ipv4.fixedGuest}`);
  const problem = reservedAddressProblem(ipv4, ip);
  if (problem !== null) fail('invalid', problem);
  const holder = others.find((other) => other.ip === ip);
  if (holder !== undefined) fail('conflict', `address ${ip} is kept for guest "${holder.guest}"`);
  const reservation = network.reservations.find((entry) => entry.ip === ip && entry.guest !== name);
  if (reservation !== undefined)
    fail('conflict', `address ${ip} is reserved for ${reservation.guest ?? reservation.mac!}`);
}
