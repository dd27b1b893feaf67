/**
 * Port forwards: the text that people write and the pairs of sockets that it means.
 *
 * Zone: control.  Ranges are expanded here, port by port, so that the datapath knows single ports only.
 */
import { formatIpv6, parseIpv4, parseIpv6 } from '../wire/address.ts';
import { isGuestName } from './names.ts';

/** Most ports that one forward may span. */
export const MAX_FORWARD_PORTS = 1024;
/** `sun_path` (man 7 unix) holds 108 bytes with the closing zero. */
export const MAX_SOCKET_PATH_BYTES = 107;
const DEFAULT_LISTEN = '127.0.0.1';
const ANY_ADDRESS = '0.0.0.0';
/** How reverse forwards may name the gateway. */
const GATEWAY_NAMES = ['gateway', 'host'];

export type SocketAddress = { readonly unix: string } | { readonly host: string; readonly port: number };

export type ForwardProtocol = 'tcp' | 'udp';
export type ForwardDirection = 'host' | 'reverse';

export interface ForwardText {
  readonly protocol?: ForwardProtocol | undefined;
  readonly direction?: ForwardDirection | undefined;
  readonly host: string;
  readonly guest: string;
}

export interface ForwardPair {
  readonly listen: SocketAddress;
  readonly target: SocketAddress;
}

export interface Forward {
  readonly protocol: ForwardProtocol;
  readonly direction: ForwardDirection;
  /** Both sides written in full. */
  readonly host: string;
  readonly guest: string;
  /** The guest's name; null when it is given by address or the forward is reverse. */
  readonly guestName: string | null;
  readonly pairs: readonly ForwardPair[];
}

/** What is wrong, and on which side. */
export interface ForwardProblem {
  readonly field: 'host' | 'guest' | 'protocol';
  readonly message: string;
}

interface PortRange {
  readonly host: string;
  readonly first: number;
  readonly last: number;
}

type Endpoint = { readonly unix: string } | PortRange;

const isProblem = (value: Endpoint | ForwardProblem): value is ForwardProblem => 'message' in value;
const isUnix = (endpoint: Endpoint): endpoint is { readonly unix: string } => 'unix' in endpoint;

export function parseForward(text: ForwardText): Forward | ForwardProblem {
  const protocol = text.protocol ?? 'tcp';
  const direction = text.direction ?? 'host';
  const host = parseHostSide(text.host, protocol);
  if (isProblem(host)) return host;
  const guest = direction === 'host' ? parseGuestSide(text.guest) : parseGatewaySide(text.guest);
  if (isProblem(guest)) return guest;
  const pairs = pairUp(direction === 'host' ? host : guest, direction === 'host' ? guest : host);
  if (pairs === null) return { field: 'guest', message: rangeMessage(text) };
  return {
    protocol,
    direction,
    host: formatEndpoint(host),
    guest: formatEndpoint(guest),
    guestName: direction === 'host' && !isUnix(guest) && isGuestName(guest.host) ? guest.host : null,
    pairs,
  };
}

/** Of the host side `auto` or `ADDRESS:auto`, where any free port will do: the address; of every other null. */
export function anyPortAt(text: string): string | null {
  const match = /^(?:(?:\[([^\]]*)\]|([^:]*)):)?auto$/.exec(text.trim());
  return match === null ? null : literalAddress((match[1] ?? match[2]) || DEFAULT_LISTEN);
}

export const isForwardProblem = (value: Forward | ForwardProblem): value is ForwardProblem => 'message' in value;

function rangeMessage(text: ForwardText): string {
  return `the two sides of a forward span the same number of ports; ${text.host} and ${text.guest} do not`;
}

function parseHostSide(text: string, protocol: ForwardProtocol): Endpoint | ForwardProblem {
  const path = text.startsWith('unix:') ? text.slice('unix:'.length) : text;
  if (path.startsWith('/')) return parseSocketPath(path, protocol);
  const endpoint = parseRange(text, 'host', DEFAULT_LISTEN);
  if (isProblem(endpoint)) return endpoint;
  const host = literalAddress(endpoint.host);
  if (host !== null) return { ...endpoint, host };
  return {
    field: 'host',
    message: `${JSON.stringify(text)}: the host side is PORT, ADDRESS:PORT, *:PORT or the absolute path of a socket`,
  };
}

function parseSocketPath(path: string, protocol: ForwardProtocol): Endpoint | ForwardProblem {
  if (protocol === 'udp') return { field: 'host', message: 'a forward of a unix socket is tcp, not udp' };
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    return { field: 'host', message: `socket path of ${bytes} bytes; the system allows ${MAX_SOCKET_PATH_BYTES}` };
  }
  return path.includes('\0') ? { field: 'host', message: 'a socket path holds no zero byte' } : { unix: path };
}

/** An IP address in its canonical form; null for names that are not known to mean an address of this host. */
function literalAddress(host: string): string | null {
  if (host === '*') return ANY_ADDRESS;
  if (host === 'localhost') return DEFAULT_LISTEN;
  if (parseIpv4(host) !== null) return host;
  const words = parseIpv6(host);
  return words === null ? null : formatIpv6(words);
}

function parseGuestSide(text: string): Endpoint | ForwardProblem {
  const endpoint = parseRange(text, 'guest', null);
  if (isProblem(endpoint)) return endpoint;
  const name = endpoint.host.toLowerCase();
  if (isGuestName(name)) return { ...endpoint, host: name };
  const address = endpoint.host === '*' ? null : literalAddress(endpoint.host);
  if (address !== null) return { ...endpoint, host: address };
  return { field: 'guest', message: `${JSON.stringify(text)}: the guest side is GUEST:PORT or ADDRESS:PORT` };
}

/** The port of the gateway at which guests find a service of the host. */
function parseGatewaySide(text: string): Endpoint | ForwardProblem {
  const endpoint = parseRange(text, 'guest', 'gateway');
  if (isProblem(endpoint) || GATEWAY_NAMES.includes(endpoint.host)) return endpoint;
  return { field: 'guest', message: `${JSON.stringify(text)}: the guest side of a reverse forward is a port` };
}

function parseRange(text: string, field: 'host' | 'guest', defaultHost: string | null): PortRange | ForwardProblem {
  const match = /^(?:(?:\[([^\]]*)\]|([^:]*)):)?(\d{1,5})(?:-(\d{1,5}))?$/.exec(text.trim());
  const host = match === null ? null : (match[1] ?? (match[2] || defaultHost));
  if (match === null || host === null || host === undefined) {
    const example = field === 'host' ? '127.0.0.1:8080' : 'web:80';
    return { field, message: `${JSON.stringify(text)} is no address with a port, such as ${example}` };
  }
  const first = Number(match[3]);
  const last = match[4] === undefined ? first : Number(match[4]);
  if (first < 1 || last > 65_535) return { field, message: `${JSON.stringify(text)}: a port is 1 to 65535` };
  if (last < first) return { field, message: `${JSON.stringify(text)}: the range ends before it begins` };
  if (last - first >= MAX_FORWARD_PORTS) {
    return { field, message: `${JSON.stringify(text)}: a forward spans at most ${MAX_FORWARD_PORTS} ports` };
  }
  return { host, first, last };
}

/** Port by port; a single target port or socket serves a single listener only. Null: the sides differ in length. */
function pairUp(listen: Endpoint, target: Endpoint): readonly ForwardPair[] | null {
  if (portCount(listen) !== portCount(target)) return null;
  return Array.from({ length: portCount(listen) }, (_, i) => ({ listen: at(listen, i), target: at(target, i) }));
}

const portCount = (endpoint: Endpoint): number => (isUnix(endpoint) ? 1 : endpoint.last - endpoint.first + 1);

const at = (endpoint: Endpoint, i: number): SocketAddress =>
  isUnix(endpoint) ? endpoint : { host: endpoint.host, port: endpoint.first + i };

function formatEndpoint(endpoint: Endpoint): string {
  if (isUnix(endpoint)) return endpoint.unix;
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return `${host}:${endpoint.first}${endpoint.last === endpoint.first ? '' : `-${endpoint.last}`}`;
}

export function formatSocketAddress(address: SocketAddress): string {
  return 'unix' in address
    ? address.unix
    : formatEndpoint({ host: address.host, first: address.port, last: address.port });
}

/** The first listening socket that both want; null when they can live side by side. */
export function clashingListen(a: Forward, b: Forward): string | null {
  if (a.direction !== 'host' || b.direction !== 'host' || a.protocol !== b.protocol) return null;
  const clash = a.pairs.find((one) => b.pairs.some((other) => listensClash(one.listen, other.listen)));
  return clash === undefined ? null : formatSocketAddress(clash.listen);
}

function listensClash(a: SocketAddress, b: SocketAddress): boolean {
  if ('unix' in a || 'unix' in b) return 'unix' in a && 'unix' in b && a.unix === b.unix;
  if (a.port !== b.port) return false;
  // The IPv6 wildcard takes IPv4 in as well (RFC 3493 §3.7).
  if (a.host === '::' || b.host === '::' || a.host === b.host) return true;
  if (a.host.includes(':') || b.host.includes(':')) return false;
  return a.host === ANY_ADDRESS || b.host === ANY_ADDRESS;
}
