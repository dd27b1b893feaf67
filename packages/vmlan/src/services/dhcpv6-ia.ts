/**
 * Parts of DHCPv6 replies: identity associations, status codes, and addresses by host number (RFC 8415 §21).
 * Zone: flow. Addresses are four uint32 words, times seconds.
 */
import * as wire from '../wire/dhcpv6.ts';
import type { Dhcp6Message, Dhcp6Option, Ia, Words } from '../wire/dhcpv6.ts';
import { INFINITE_SECONDS } from './lease-binding.ts';

/** Identity associations of one message that are answered; more are left out. */
export const MAX_ASSOCIATIONS = 8;

/** IA_NA, IA_TA or IA_PD, by `code`. */
export interface Association extends Ia {
  readonly code: number;
}

/** The address of host number 0…99 999 999: its decimal digits as the last hexadecimal ones. */
export function hostAddress(prefix: Words, host: number): Uint32Array {
  return Uint32Array.of(prefix[0] ?? 0, prefix[1] ?? 0, 0, Number.parseInt(String(host), 16));
}

/** The host number of an address of the prefix, or -1 where the identifier is not of this kind. */
export function hostNumber(address: Words): number {
  const digits = (address[3] ?? 0).toString(16);
  return (address[2] ?? 0) === 0 && /^\d+$/.test(digits) ? Number(digits) : -1;
}

/** RFC 8415 §21.4: T1 and T2 are 0.5 and 0.8 of the preferred lifetime. */
export function renewalTimes(seconds: number): { t1: number; t2: number } {
  if (seconds === INFINITE_SECONDS) return { t1: seconds, t2: seconds };
  return { t1: Math.floor(seconds * 0.5), t2: Math.floor(seconds * 0.8) };
}

/** The IA_NA, IA_TA and IA_PD of a message, or null when one of them is cut short. */
export function readAssociations(request: Dhcp6Message): Association[] | null {
  const codes = [wire.OPT_IA_NA, wire.OPT_IA_TA, wire.OPT_IA_PD];
  const found = request.options.filter(({ code }) => codes.includes(code)).slice(0, MAX_ASSOCIATIONS);
  const associations: Association[] = [];
  for (const option of found) {
    const ia = wire.parseIa(option);
    if (ia === null) return null;
    associations.push({ ...ia, code: option.code });
  }
  return associations;
}

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  [wire.STATUS_SUCCESS]: 'done',
  [wire.STATUS_NO_ADDRS_AVAIL]: 'no address available',
  [wire.STATUS_NO_BINDING]: 'no such binding',
  [wire.STATUS_NOT_ON_LINK]: 'address of another link',
  [wire.STATUS_USE_MULTICAST]: 'use multicast',
  [wire.STATUS_NO_PREFIX_AVAIL]: 'no prefix delegation',
};

export function status(code: number): Dhcp6Option {
  return wire.statusOption(code, STATUS_TEXTS[code] ?? '');
}

export function refusal(ia: Association, code: number): Dhcp6Option {
  return wire.iaOption(ia.code, { iaid: ia.iaid, t1: 0, t2: 0, options: [status(code)] });
}

export function toHex(bytes: Uint8Array | null): string {
  return Array.from(bytes ?? [], (byte) => byte.toString(16).padStart(2, '0')).join('');
}
