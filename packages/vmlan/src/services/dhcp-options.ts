/**
 * What a DHCP server is configured with, and the options that its replies carry (RFC 2132, 3397, 4702, 6842).
 * Zone: control to build, flow per reply. Addresses are uint32, times in the names' units.
 */
import { formatIpv4, mask4 } from '../wire/address.ts';
import type { MacAddress } from '../wire/address.ts';
import * as wire from '../wire/dhcpv4.ts';
import type { Dhcp4Message, Dhcp4Option } from '../wire/dhcpv4.ts';
import { encodeDomainList, splitDomainName } from '../wire/domain-list.ts';
import { hostLabel } from './dhcp-hostname.ts';
import { INFINITE_SECONDS } from './lease-binding.ts';

export interface DhcpReservation {
  readonly guest?: string;
  readonly mac?: MacAddress;
  readonly ip: number;
}

export interface DhcpConfig {
  /** First address of the subnet and its prefix length. */
  readonly network: number;
  readonly prefix: number;
  /** Announced as router; null where guests have no way out. */
  readonly gateway: number | null;
  /** Our own address: option 54. */
  readonly serverId: number;
  readonly dns: readonly number[];
  readonly domain: string | null;
  readonly searchDomains: readonly string[];
  readonly mtu: number;
  /** INFINITE_SECONDS for leases without end. */
  readonly leaseSeconds: number;
  /** The first and the last address that may be leased. */
  readonly poolStart: number;
  readonly poolEnd: number;
  readonly excluded: readonly number[];
  readonly reservations: readonly DhcpReservation[];
  /** Mode `user`: every guest has this address, on a segment of its own. */
  readonly fixedAddress?: number;
  readonly ntp?: readonly number[];
  readonly pxe?: { readonly tftpServer?: number; readonly bootfile?: string };
  /** Answer a DISCOVER that asks for it with an ACK at once (RFC 4039). Default true. */
  readonly rapidCommit?: boolean;
}

/** What one reply adds to the configuration. */
export interface ReplyDetails {
  readonly type: number;
  /** Null in replies without a lease (INFORM). */
  readonly leaseSeconds: number | null;
  /** The name to tell the guest, or null. */
  readonly name: string | null;
  readonly rapidCommit: boolean;
}

/** Sent even when the client's list does not name them: clients forget, and then miss them. */
const ALWAYS: readonly number[] = [
  wire.OPT_ROUTER,
  wire.OPT_DNS,
  wire.OPT_DOMAIN,
  wire.OPT_MTU,
  wire.OPT_BROADCAST,
  wire.OPT_FQDN,
];
const FQDN_SERVER_UPDATES = 0x01; // S: we keep the address record
const FQDN_OVERRIDE = 0x02; // O
const FQDN_ENCODED = 0x04; // E
const FQDN_NO_RCODE = 255;

/** The options that are the same for all clients, by code. */
export function staticOptions(config: DhcpConfig): ReadonlyMap<number, Dhcp4Option> {
  const mask = mask4(config.prefix);
  const options: Dhcp4Option[] = [
    wire.u32Option(wire.OPT_SUBNET_MASK, mask),
    wire.u16Option(wire.OPT_MTU, config.mtu),
    wire.u32Option(wire.OPT_BROADCAST, (config.network | ~mask) >>> 0),
  ];
  const search = encodeDomainList(config.searchDomains, true);
  if (config.gateway !== null) options.push(wire.u32Option(wire.OPT_ROUTER, config.gateway));
  if (config.dns.length > 0) options.push(wire.u32Option(wire.OPT_DNS, ...config.dns));
  if (config.domain !== null) options.push(wire.textOption(wire.OPT_DOMAIN, config.domain));
  if (search.length > 0) options.push([wire.OPT_SEARCH, search]);
  if (config.ntp !== undefined && config.ntp.length > 0) options.push(wire.u32Option(wire.OPT_NTP, ...config.ntp));
  const { tftpServer, bootfile } = config.pxe ?? {};
  if (tftpServer !== undefined) options.push(wire.textOption(wire.OPT_TFTP_SERVER, formatIpv4(tftpServer)));
  if (bootfile !== undefined) options.push(wire.textOption(wire.OPT_BOOTFILE, bootfile));
  return new Map(options.map((option) => [option[0], option]));
}

/** RFC 4702 §4: we say that we keep the name ourselves, in the encoding the client used. */
function fqdnOption(request: Uint8Array, name: string, domain: string): Dhcp4Option {
  const full = `${name}.${domain}`;
  const asked = request[0] ?? 0;
  const encoded = (asked & FQDN_ENCODED) !== 0 && splitDomainName(full) !== null;
  const override = (asked & FQDN_SERVER_UPDATES) === 0 ? FQDN_OVERRIDE : 0;
  const flags = FQDN_SERVER_UPDATES | override | (encoded ? FQDN_ENCODED : 0);
  const value = encoded ? encodeDomainList([full], false) : wire.textOption(0, full)[1];
  return [wire.OPT_FQDN, Uint8Array.of(flags, FQDN_NO_RCODE, FQDN_NO_RCODE, ...value)];
}

/** The options that depend on the client. */
function ownOptions(config: DhcpConfig, request: Dhcp4Message, name: string | null): Dhcp4Option[] {
  const label = name === null ? null : hostLabel(name);
  if (label === null) return [];
  const fqdn = request.options.get(wire.OPT_FQDN);
  const host = wire.textOption(wire.OPT_HOSTNAME, label);
  return fqdn === undefined || config.domain === null ? [host] : [host, fqdnOption(fqdn, label, config.domain)];
}

function leaseOptions(seconds: number): Dhcp4Option[] {
  const infinite = seconds === INFINITE_SECONDS;
  return [
    wire.u32Option(wire.OPT_LEASE_TIME, seconds),
    wire.u32Option(wire.OPT_T1, infinite ? seconds : Math.floor(seconds / 2)), // RFC 2131 §4.4.5
    wire.u32Option(wire.OPT_T2, infinite ? seconds : Math.floor((seconds * 7) / 8)),
  ];
}

/** Options of the request that come back in every reply: RFC 6842 §3, RFC 3046 §2.2. */
export function echoedOptions(request: Dhcp4Message): Dhcp4Option[] {
  return [wire.OPT_CLIENT_ID, wire.OPT_RELAY_AGENT].flatMap((code) => {
    const value = request.options.get(code);
    return value === undefined ? [] : [[code, value] as const];
  });
}

/**
 * The options of an OFFER or ACK, most important first: what the protocol needs, then what the client asked for in
 * its own order (RFC 2132 §9.8), then what no client should be without. A client without a list gets everything.
 */
export function replyOptions(
  config: DhcpConfig,
  fixed: ReadonlyMap<number, Dhcp4Option>,
  request: Dhcp4Message,
  details: ReplyDetails,
): Dhcp4Option[] {
  const wanted = request.options.get(wire.OPT_PARAMETER_LIST);
  const own = ownOptions(config, request, details.name).map((option) => [option[0], option] as const);
  const available = new Map([...fixed, ...own]);
  // RFC 2132 §3.3: the mask comes before the router.
  const codes = new Set([wire.OPT_SUBNET_MASK, ...(wanted ?? []), ...ALWAYS, ...(wanted ? [] : available.keys())]);
  return [
    wire.u8Option(wire.OPT_MESSAGE_TYPE, details.type),
    wire.u32Option(wire.OPT_SERVER_ID, config.serverId),
    ...(details.leaseSeconds === null ? [] : leaseOptions(details.leaseSeconds)),
    ...(details.rapidCommit ? [[wire.OPT_RAPID_COMMIT, new Uint8Array(0)] as const] : []),
    ...echoedOptions(request),
    ...[...codes].flatMap((code) => {
      const option = available.get(code);
      return option === undefined ? [] : [option];
    }),
  ];
}
