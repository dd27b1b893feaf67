/**
 * Replies that we make ourselves, from the hosts file and from the system's name service.
 *
 * Zone: control.
 */
import { parseIpv4, parseIpv6 } from '../../wire/address.ts';
import {
  FLAG_CHECKING_DISABLED,
  FLAG_RECURSION_AVAILABLE,
  FLAG_RECURSION_DESIRED,
  FLAG_RESPONSE,
  HEADER_OCTETS,
  MAX_MESSAGE_OCTETS,
  RCODE,
  TYPE,
} from '../../wire/dns.ts';
import type { DnsQuery } from '../../wire/dns-query.ts';
import { parseRdata } from '../../wire/dns-rdata.ts';
import { DnsWriter } from '../../wire/dns-writer.ts';

/** What guests shall reach under names that are the host's loopback to the host itself. */
export interface LoopbackStandIn {
  readonly address4?: string | undefined;
  readonly address6?: string | undefined;
}

/** Sources that know no TTL may change at any moment. */
const TTL_S = 5;
const LOOPBACK = /^127\.|^::1$/;

const $writer = new DnsWriter();

/**
 * Addresses as guests must see them: loopback is the guest's own there, so the host's stand-in takes its place, and where
 * there is none nothing does.  Link-local zones have no meaning elsewhere.
 */
export function seenFromGuest(addresses: readonly string[], standIn: LoopbackStandIn): string[] {
  const seen = addresses.flatMap((address) => {
    if (!LOOPBACK.test(address)) return address.includes('%') ? [] : [address];
    const instead = address.includes(':') ? standIn.address6 : standIn.address4;
    return instead === undefined ? [] : [instead];
  });
  return [...new Set(seen)];
}

/** The addresses that fit the question's type; none of them is an answer without data. */
export function addressReply(bytes: Uint8Array, query: DnsQuery, addresses: readonly string[]): Uint8Array {
  const isWanted = (address: string): boolean =>
    query.type === TYPE.A ? parseIpv4(address) !== null : parseIpv6(address) !== null;
  return ownReply(bytes, query, RCODE.NOERROR, addresses.filter(isWanted));
}

/** A reply with one record of the question's type per value. */
export function ownReply(bytes: Uint8Array, query: DnsQuery, rcode: number, values: readonly string[]): Uint8Array {
  const echoed = query.flags & (FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED);
  $writer.begin(query.id, FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | echoed, rcode, MAX_MESSAGE_OCTETS);
  $writer.question(bytes, HEADER_OCTETS, query.questionEnd);
  if (query.hasEdns) $writer.edns(query.dnssecOk);
  for (const value of values) $writer.answer(undefined, query.type, TTL_S, parseRdata(query.type, value)!);
  return $writer.finish().slice();
}
