/**
 * Lima's default networks, and the values that stand where networks.yaml says nothing.
 *
 * Zone: control.
 */
import type { Mode } from './network.ts';
import type { NetworkInput } from './schema.ts';

export const DEFAULT_MTU = 1500; // bytes
export const DEFAULT_LEASE_SECONDS = 86_400;
export const DEFAULT_NETMASK = '255.255.255.0';
/** Every IPv4 link-local address is closed to guests, for the sake of the metadata services that live there. */
export const ALWAYS_CLOSED: readonly string[] = ['169.254.0.0/16'];

/** Mode `user` (libslirp's layout): the gateway is the subnet's .2, DNS .3, each guest .15. */
export const USER_GATEWAY_OFFSET = 2;
export const USER_DNS_OFFSET = 3;
export const USER_GUEST_OFFSET = 15;

/** What there is without a file. */
export const DEFAULT_NETWORKS: Readonly<Record<string, NetworkInput>> = {
  user: { mode: 'user', subnet: '192.168.5.0/24' },
  'user-v2': { mode: 'user-v2', gateway: '192.168.104.1', netmask: DEFAULT_NETMASK },
  shared: { mode: 'shared', gateway: '192.168.105.1', dhcpEnd: '192.168.105.254', netmask: DEFAULT_NETMASK },
  host: { mode: 'host', gateway: '192.168.106.1', dhcpEnd: '192.168.106.254', netmask: DEFAULT_NETMASK },
};

/** Networks that exist beside those of a file, as in Lima, unless the file has its own. */
export const IMPLICIT_NETWORKS: readonly string[] = ['user', 'user-v2'];

/** Where a guest goes that names no network: the first of these that exists, else the first network of all. */
export const PREFERRED_NETWORKS: readonly string[] = ['user-v2', 'shared', 'user'];

/** A network of a default name and mode that gives no addresses has the default ones. */
export function withDefaultAddresses(name: string, input: NetworkInput): NetworkInput {
  const preset = DEFAULT_NETWORKS[name];
  if (preset === undefined || preset.mode !== input.mode) return input;
  if (input.subnet !== undefined || input.gateway !== undefined) return input;
  return { ...preset, ...input };
}

/** `lima.internal` and `vmlan.internal` hold names of our own, so that no network may be called by them. */
const TAKEN_DOMAIN_LABELS = ['lima', 'vmlan', 'docker'];

/** `NAME.internal`, with the name made into labels that DNS allows (RFC 1035 §2.3.1). */
export function defaultDomain(network: string): string {
  const labels = network
    .toLowerCase()
    .split('.')
    .map((label) => label.replaceAll('_', '-').slice(0, 63).replace(/-+$/, ''));
  const first =
    labels.length === 1 && TAKEN_DOMAIN_LABELS.includes(labels[0]!) ? `${labels[0]!}-net` : labels.join('.');
  return `${first}.internal`;
}

export const usesAddresses = (mode: Mode): boolean => mode !== 'bridged' && mode !== 'unmanaged';
