/**
 * What a network of the library is made from: the keys of networks.yaml, as an object.
 *
 * Zone: control.  The same schema and the same rules as for the file; what has no meaning without a daemon is unknown here.
 */
import { createHash } from 'node:crypto';
import { VmlanError } from '../core/errors.ts';
import { describe } from '../daemon/config-issues.ts';
import { readHostRoutes } from '../daemon/host-routes.ts';
import { ConfigIssue } from '../model/issue.ts';
import { networkNameSchema } from '../model/names.ts';
import type { Network as ResolvedNetwork } from '../model/network.ts';
import { resolveNetwork } from '../model/resolve.ts';
import { networkInputSchema } from '../model/schema.ts';
import type { NetworkInput } from '../model/schema.ts';
import { freeSubnet } from '../model/subnet.ts';

/**
 * How a network is made. Everything has a default; the keys are those of `networks.yaml`, with the same meaning.
 */
export interface NetworkOptions {
  /** Names the network in messages, and its DNS domain: `NAME.internal`. Default `lab`. */
  readonly name?: string;
  /** What guests may reach. Default `user-v2`: each other, and the host's network through NAT. */
  readonly mode?: 'user' | 'user-v2' | 'shared' | 'nat' | 'host' | 'isolated';
  /** IPv4 subnet, e.g. `10.1.0.0/24`. Default: one that no route of the host is in the way of. */
  readonly subnet?: string;
  /** The gateway's address, where it is not the subnet's first one. */
  readonly gateway?: string;
  /** With `gateway`, in place of `subnet`. */
  readonly netmask?: string;
  /** Last address that is leased. */
  readonly dhcpEnd?: string;
  /** `auto` (a unique local prefix), `off`, or a /64. Default `auto`. */
  readonly subnet6?: string;
  /** IP MTU, bytes. Default 1500. */
  readonly mtu?: number;
  /** Range of the pool, lease time (`12h`), reservations. */
  readonly dhcp?: {
    readonly range?: readonly [first: string, last: string];
    readonly leaseTime?: string | number;
    readonly reservations?: readonly { readonly guest?: string; readonly mac?: string; readonly ip: string }[];
  };
  /** Domain, search list, what is asked for other names (`host` or `none`), and names of your own. */
  readonly dns?: {
    readonly domain?: string;
    readonly search?: readonly string[];
    readonly upstream?: 'host' | 'none';
    readonly hosts?: Readonly<Record<string, string | readonly string[]>>;
  };
  /** Which ports of the host's loopback guests reach at the gateway's address. Default `all`. */
  readonly hostAccess?: 'all' | 'none' | readonly number[];
  /** `guests`: they do not reach each other; `host`: they do not reach the host. */
  readonly isolation?: { readonly guests?: boolean; readonly host?: boolean };
  /** Port forwards from the start; `Network.forward` adds others. */
  readonly forwards?: readonly {
    readonly host: string;
    readonly guest: string;
    readonly protocol?: 'tcp' | 'udp';
    readonly direction?: 'host' | 'reverse';
  }[];
  /** Further sockets that machines attach to: `/path`, `dgram:/path`, `tcp://127.0.0.1:5000`. */
  readonly listen?: readonly string[];
}

const DEFAULT_NAME = 'lab';
const NOT_HERE = ['driver', 'interface', 'vlan', 'filter', 'autostart', 'socket'];

/** Throws VmlanError `invalid-config` that names the key. */
export function resolveOptions(options: NetworkOptions): ResolvedNetwork {
  const { name = DEFAULT_NAME, mode = 'user-v2', ...rest } = options;
  const named = networkNameSchema.safeParse(name);
  if (!named.success) throw invalid(`name: ${JSON.stringify(name)}: ${named.error.issues[0]!.message}`);
  const foreign = Object.keys(rest).find((key) => NOT_HERE.includes(key));
  if (foreign !== undefined)
    throw invalid(`network "${name}": \`${foreign}\` belongs to networks.yaml, not to a library`);
  return resolve(name, checkShape(name, { ...rest, mode }));
}

function checkShape(name: string, input: object): NetworkInput {
  const result = networkInputSchema.safeParse(input);
  if (result.success) return result.data;
  const document = { networks: { [name]: input } };
  const found = result.error.issues
    .map((issue) => describe({ ...issue, path: ['networks', name, ...issue.path] }, document))
    .sort((a, b) => Number(b.at === 'key') - Number(a.at === 'key'));
  const { message, hint } = found[0]!;
  throw invalid(message, hint);
}

function resolve(name: string, input: NetworkInput): ResolvedNetwork {
  try {
    return resolveNetwork(name, input, { identify, pickSubnet: () => freeSubnet(hostSubnets()) });
  } catch (error) {
    if (!(error instanceof ConfigIssue)) throw error;
    const key = String(error.path[0] ?? '');
    throw invalid(
      error.message.includes(key) ? error.message : `network "${name}": ${key}: ${error.message}`,
      error.hint,
    );
  }
}

const hostSubnets = (): readonly string[] => readHostRoutes().map((route) => route.subnet);

/** The same in every run, so that a failing test can be run again with the same addresses. */
export const identify = (text: string): Uint8Array => createHash('sha256').update(`vmlan library ${text}`).digest();

const invalid = (message: string, hint?: string): VmlanError => new VmlanError('invalid-config', message, { hint });
