/**
 * hosts(5): addresses of names, and the name of an address.
 *
 * Zone: control.  Pure: text in, table out.  Names are keys (wire/dns-name.ts) and must be host names; what is not is skipped.
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../wire/address.ts';
import { reverseKey4, reverseKey6 } from '../../wire/dns-reverse.ts';

export interface HostsTable {
  /** Addresses in canonical text, of both families, in the file's order. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** The first, canonical name of an address, by its reverse name. */
  readonly names: ReadonlyMap<string, string>;
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_-]{1,63})*$/;

export function parseHosts(text: string): HostsTable {
  const addresses = new Map<string, string[]>();
  const names = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [word = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const host = canonical(word);
    const keys = aliases.map((alias) => alias.toLowerCase().replace(/\.$/, '')).filter((key) => HOST_NAME.test(key));
    if (host === null || keys[0] === undefined) continue;
    if (!names.has(host.reverse)) names.set(host.reverse, keys[0]);
    for (const key of keys) addTo(addresses, key, host.address);
  }
  return { addresses, names };
}

function addTo(addresses: Map<string, string[]>, key: string, address: string): void {
  const known = addresses.get(key);
  if (known === undefined) addresses.set(key, [address]);
  else if (!known.includes(address)) known.push(address);
}

function canonical(text: string): { address: string; reverse: string } | null {
  const ip = parseIpv4(text);
  if (ip !== null) return { address: formatIpv4(ip), reverse: reverseKey4(ip) };
  const words = text.includes(':') ? parseIpv6(text) : null;
  return words === null ? null : { address: formatIpv6(words), reverse: reverseKey6(words) };
}
