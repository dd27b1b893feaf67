/**
 * Who answers a network's questions for names that are not its own.
 *
 * Zone: control.
 */
import type { EngineConfig } from '../../engine/control-messages.ts';
import type { Resolver } from './network-service.ts';
import { UpstreamDns } from './upstream-dns.ts';

/** Names of the host's loopback mean, to a guest, the gateway, as far as the host is open to guests. */
export function makeResolver(
  { ipv4, ipv6, hostAccess, dns }: Pick<EngineConfig, 'ipv4' | 'ipv6' | 'hostAccess' | 'dns'>,
  onChange: () => void,
): Resolver {
  if (dns.upstream === 'none') return { resolve: () => Promise.resolve(null), close: () => undefined };
  const ownAddresses = [ipv4?.gateway, ipv4?.dns, ipv6?.gateway].filter((address) => address !== undefined);
  const loopback = hostAccess === 'none' ? {} : { address4: ipv4?.gateway, address6: ipv6?.gateway };
  return new UpstreamDns({ ownAddresses, loopback, onChange });
}
