/**
 * The engine's configuration in the numbers the datapath works with.
 *
 * Zone: control.  EngineConfig was validated before it came here; what still does not parse is a mistake in the program
 * and throws VmlanError `internal`.
 */
import { VmlanError } from '../core/errors.ts';
import type { Cidr } from '../nat/policy.ts';
import { MAPPED } from '../stack/path.ts';
import * as address from '../wire/address.ts';
import type { SocketAddress } from './control-messages.ts';

export function ipv4(text: string): number {
  return address.parseIpv4(text) ?? fail('IPv4 address', text);
}

export function ipv6(text: string): Uint32Array {
  return address.parseIpv6(text) ?? fail('IPv6 address', text);
}

export function mac(text: string): { hi: number; lo: number } {
  return address.parseMac(text) ?? fail('MAC address', text);
}

/** Mapped int32 words of an address of either family, or null. */
export function words(text: string): Int32Array | null {
  const v4 = address.parseIpv4(text);
  if (v4 !== null) return Int32Array.of(0, 0, MAPPED, v4);
  const v6 = address.parseIpv6(text);
  return v6 === null ? null : Int32Array.from(v6);
}

export function formatWords(w: ArrayLike<number>): string {
  if ((w[0]! | w[1]!) === 0 && w[2] === MAPPED) return address.formatIpv4(w[3]! >>> 0);
  return address.formatIpv6(Uint32Array.from(w));
}

/** A prefix of either family, counted in the 128 bits of the mapped form. */
export function cidr(text: string): Cidr {
  const v4 = address.parseCidr4(text);
  if (v4 !== null) return { words: Int32Array.of(0, 0, MAPPED, v4.network), prefix: 96 + v4.prefix };
  const v6 = address.parseCidr6(text);
  return v6 === null ? fail('prefix', text) : { words: Int32Array.from(v6.network), prefix: v6.prefix };
}

export function describe(listen: SocketAddress): string {
  if ('unix' in listen) return listen.unix;
  return listen.host.includes(':') ? `[${listen.host}]:${listen.port}` : `${listen.host}:${listen.port}`;
}

function fail(what: string, text: string): never {
  throw new VmlanError('internal', `not a valid ${what}: "${text}"`);
}
