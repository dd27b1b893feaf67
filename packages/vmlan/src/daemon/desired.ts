/**
 * What a network shall be: its configuration and what was registered, added and attached live, as one document.
 *
 * Zone: control.  Pure.
 */
import { createHash } from 'node:crypto';
import type { WantedLink, WantedNetwork } from '../drivers/driver.ts';
import { nicSockets } from '../drivers/network-paths.ts';
import type { NetworkPaths } from '../drivers/network-paths.ts';
import type { DnsRecord, ForwardSpec, NicConfig, ShapeSpec } from '../engine/control-messages.ts';
import { isForwardProblem, parseForward } from '../model/forward.ts';
import type { Forward } from '../model/forward.ts';
import { guestId, nicKey } from '../model/guest.ts';
import type { StoredGuest, StoredNic } from '../model/guest.ts';
import { MAX_INTERFACE_CHARS } from '../model/names.ts';
import type { ListenSocket, Network } from '../model/network.ts';
import { closedDestinations } from '../model/resolve.ts';
import type { StoredShape } from '../model/stored-shape.ts';
import type { StoredForward, StoredRecord } from './store.ts';

/** host-routes.ts knows our interfaces by this. */
const HOST_INTERFACE_PREFIX = 'vml-';
/** Locally administered. */
const HOST_MAC_PREFIX = '02:76:68';

export interface DesiredInput {
  readonly network: Network;
  readonly others: readonly Network[];
  readonly paths: NetworkPaths;
  readonly guests: readonly StoredGuest[];
  readonly forwards: readonly StoredForward[];
  readonly records: readonly StoredRecord[];
  readonly shapes: readonly StoredShape[];
  /** A TAP of the host itself may be made. */
  readonly privileged: boolean;
  /** Whether the namespace of this NIC's attachment still exists. */
  readonly namespaceExists: (nic: StoredNic) => boolean;
  /** NICs whose links are to be closed for now. */
  readonly cut: ReadonlySet<string>;
}

interface GuestNic {
  readonly guest: string;
  /** Of the guest. */
  readonly id: string;
  readonly key: string;
  readonly nic: StoredNic;
}

export function desiredNetwork(input: DesiredInput): WantedNetwork {
  const { network } = input;
  const nics = nicsOf(input.guests, network.name);
  return {
    network,
    closed: closedDestinations(network, input.others),
    reservations: network.reservations,
    nics: nics.map(nicConfig),
    links: desiredLinks(input, nics),
    records: desiredRecords(input),
    forwards: desiredForwards(input),
    shapes: desiredShapes(input, nics),
  };
}

export const nicsOf = (guests: readonly StoredGuest[], network: string): readonly GuestNic[] =>
  guests.flatMap((guest) =>
    guest.nics
      .filter((nic) => nic.network === network)
      .map((nic) => ({ guest: guest.name, id: guestId(guest), key: nicKey(guestId(guest), nic.index), nic })),
  );

/** What was made of a NIC before, as with forwards below. */
const $nics = new WeakMap<StoredNic, NicConfig>();

function nicConfig({ guest, key, nic }: GuestNic): NicConfig {
  const known = $nics.get(nic);
  if (known?.key === key) return known;
  const config = { key, guest, mac: nic.mac, connected: nic.connected, ip: nic.ip };
  $nics.set(nic, config);
  return config;
}

function desiredLinks(input: DesiredInput, nics: readonly GuestNic[]): readonly WantedLink[] {
  const { network, paths } = input;
  const hostSide = input.privileged ? hostSideLinks(network) : [];
  return [
    { id: 'qemu', link: { kind: 'stream-listen', address: { unix: paths.qemu }, nic: null } },
    { id: 'dgram', link: { kind: 'dgram', path: paths.dgram, peer: null, nic: null } },
    ...network.listen.map(listenLink),
    ...hostSide,
    ...nics.filter(({ key }) => !input.cut.has(key)).flatMap((nic) => nicLinks(input, nic)),
  ];
}

/** The host as a neighbour on the segment: one TAP with the addresses that the network keeps for the host. */
function hostSideLinks({ name, ipv4, ipv6, mtu }: Network): readonly WantedLink[] {
  const addresses = [
    ...(ipv4?.hostAddress ? [`${ipv4.hostAddress}/${ipv4.prefix}`] : []),
    ...(ipv6?.hostAddress ? [`${ipv6.hostAddress}/64`] : []),
  ];
  if (addresses.length === 0) return [];
  const mac = `${HOST_MAC_PREFIX}:${shortHash(name).slice(0, 6).match(/../g)!.join(':')}`;
  return [{ id: 'host', link: { kind: 'host-side', interface: hostInterfaceName(name), mac, mtu, addresses } }];
}

/** `vml-NAME`; a name that is too long for an interface is replaced by its hash. */
export function hostInterfaceName(network: string): string {
  const name = `${HOST_INTERFACE_PREFIX}${network}`;
  return name.length <= MAX_INTERFACE_CHARS ? name : `${HOST_INTERFACE_PREFIX}${shortHash(network)}`;
}

function listenLink(socket: ListenSocket): WantedLink {
  if (socket.kind === 'dgram') {
    return { id: `listen dgram:${socket.path}`, link: { kind: 'dgram', path: socket.path, peer: null, nic: null } };
  }
  const address = socket.kind === 'unix' ? { unix: socket.path } : { host: socket.host, port: socket.port };
  const name = socket.kind === 'unix' ? socket.path : `${socket.host}:${socket.port}`;
  return { id: `listen ${name}`, link: { kind: 'stream-listen', address, nic: null } };
}

const $streams = new WeakMap<StoredNic, { readonly path: string; readonly wanted: WantedLink }>();

function streamLink(key: string, path: string, nic: StoredNic): WantedLink {
  const known = $streams.get(nic);
  if (known?.path === path) return known.wanted;
  const wanted: WantedLink = {
    id: `nic ${key}`,
    link: { kind: 'stream-listen', address: { unix: path }, nic: key },
  };
  $streams.set(nic, { path, wanted });
  return wanted;
}

/** Every registered NIC has its stream socket; other ways of attaching come on top. */
function nicLinks(input: DesiredInput, { id: guest, key, nic }: GuestNic): readonly WantedLink[] {
  const sockets = nicSockets(input.paths.guests, guest, nic.index);
  const stream = streamLink(key, sockets.stream, nic);
  const { attachment } = nic;
  const id = `attach ${key}`;
  switch (attachment?.kind) {
    case 'qemu-dgram':
    case 'vfkit': {
      // QEMU is bound before it starts to talk; vfkit is known by its first datagram.
      const peer = attachment.kind === 'qemu-dgram' ? sockets.peer : null;
      return [stream, { id, link: { kind: 'dgram', path: sockets.dgram, peer, nic: key } }];
    }
    case 'qemu-socket-tcp':
      return attachment.port === null
        ? [stream]
        : [
            stream,
            { id, link: { kind: 'stream-listen', address: { host: '127.0.0.1', port: attachment.port }, nic: key } },
          ];
    case 'qemu-server':
      return attachment.server === undefined
        ? [stream]
        : [stream, { id, link: { kind: 'stream-connect', address: attachment.server, nic: key } }];
    case 'netns': {
      if (attachment.netns === null || !input.namespaceExists(nic)) return [stream];
      const { inode: _inode, ...target } = attachment.netns;
      return [stream, { id, link: { kind: 'netns', nic: key, mac: nic.mac, mtu: input.network.mtu, target } }];
    }
    default:
      return [stream];
  }
}

function desiredRecords({ network, records }: DesiredInput): readonly DnsRecord[] {
  const live = records.filter((record) => record.network === network.name);
  return [
    ...network.dns.records,
    ...live.map(({ name, type, value, ttl }) => ({ name, type, value, ...(ttl === null ? {} : { ttl }) })),
  ];
}

export interface NamedForward {
  readonly id: string;
  readonly origin: 'config' | 'api';
  readonly forward: Forward;
  /** Its pairs of sockets, as the datapath has them. */
  readonly specs: readonly ForwardSpec[];
}

/** What was made of a forward before: one among thousands is added without looking at the others again. */
const $named = new WeakMap<StoredForward | Forward, NamedForward | null>();

/** The store's list is the same until it changes, and so is what follows from it. */
const $ofNetwork = new WeakMap<readonly StoredForward[], WeakMap<Network, readonly NamedForward[]>>();

/** The forwards of a network, whichever way they came. What no longer parses is left out. */
export function forwardsOf(network: Network, stored: readonly StoredForward[]): readonly NamedForward[] {
  let known = $ofNetwork.get(stored);
  if (known === undefined) $ofNetwork.set(stored, (known = new WeakMap()));
  let named = known.get(network);
  if (named === undefined) known.set(network, (named = namedForwards(network, stored)));
  return named;
}

function namedForwards(network: Network, stored: readonly StoredForward[]): readonly NamedForward[] {
  const named: NamedForward[] = network.forwards.map(
    (forward) => $named.get(forward) ?? configuredForward(network.name, forward),
  );
  for (const entry of stored) {
    if (entry.network !== network.name) continue;
    const known = $named.get(entry);
    const forward = known === undefined ? storedForward(entry) : known;
    if (forward !== null) named.push(forward);
  }
  return named;
}

function configuredForward(network: string, forward: Forward): NamedForward {
  const named = namedForward(forwardId(network, forward), 'config', forward);
  $named.set(forward, named);
  return named;
}

function storedForward(entry: StoredForward): NamedForward | null {
  const forward = parseForward(entry);
  const named = isForwardProblem(forward) ? null : namedForward(entry.id, 'api', forward);
  $named.set(entry, named);
  return named;
}

function namedForward(id: string, origin: NamedForward['origin'], forward: Forward): NamedForward {
  const { protocol, direction, pairs } = forward;
  const specs = pairs.map(({ listen, target }, i) => ({
    id: partIdOf({ id, forward }, i),
    protocol,
    direction,
    listen,
    target,
  }));
  return { id, origin, forward, specs };
}

const desiredForwards = ({ network, forwards }: DesiredInput): readonly ForwardSpec[] =>
  forwardsOf(network, forwards).flatMap(({ specs }) => specs);

/** Of NICs that still are on this network. */
function desiredShapes({ network, shapes }: DesiredInput, nics: readonly GuestNic[]): readonly ShapeSpec[] {
  const keys = new Set(nics.map(({ key }) => key));
  const isHere = (nic: string | null): boolean => nic === null || !nic.includes('/') || keys.has(nic);
  return shapes
    .filter((shape) => shape.network === network.name && isHere(shape.nic) && isHere(shape.peerNic))
    .map(({ id, nic, peerNic, fromGuest, toGuest }) => ({ id, nic, peer: peerNic, fromGuest, toGuest }));
}

/** The id that a pair of sockets of a forward has in the datapath. */
export const partIdOf = ({ id, forward }: Pick<NamedForward, 'id' | 'forward'>, index: number): string =>
  forward.pairs.length === 1 ? id : `${id}.${index}`;

/** The id of a forward whose parts carry `id.0`, `id.1` … in the datapath. */
export function forwardOfPart(partId: string): string {
  const end = partId.indexOf('.');
  return end < 0 ? partId : partId.slice(0, end);
}

const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 10);

export const forwardId = (network: string, { protocol, direction, host, guest }: Forward): string =>
  `fwd-${shortHash(JSON.stringify([network, protocol, direction, host, guest]))}`;

export const recordId = (network: string, { name, type, value }: Pick<DnsRecord, 'name' | 'type' | 'value'>): string =>
  `rec-${shortHash(JSON.stringify([network, name, type, value]))}`;
