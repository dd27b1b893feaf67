/**
 * What the API shows of networks, guests, forwards and leases: configuration and live state put together.
 *
 * Zone: control.  Pure.
 */
import * as z from 'zod';
import { toProblem } from '../api/problem.ts';
import type { ErrorData } from '../core/errors.ts';
import type { FailedStep, Observed } from '../drivers/driver.ts';
import type { NetworkPaths } from '../drivers/network-paths.ts';
import type { EngineSnapshot, GuestSnapshot } from '../engine/control-messages.ts';
import type { ForwardView, GuestView, LeaseView, NetworkView, NicView } from '../model/api.ts';
import { guestId, nicKey } from '../model/guest.ts';
import type { StoredGuest, StoredNic } from '../model/guest.ts';
import type { Network } from '../model/network.ts';
import { forwardOfPart } from './desired.ts';
import type { NamedForward } from './desired.ts';

/** What is known of a network at one moment; `snapshot` null: it does not run. */
export interface LiveNetwork {
  readonly network: Network;
  readonly observed: Observed | null;
  readonly snapshot: EngineSnapshot | null;
}

export interface NetworkFacts extends LiveNetwork {
  readonly paths: NetworkPaths;
  readonly driver: { readonly type: string; readonly reason: string };
  readonly problem: ErrorData | null;
  readonly restarts: number;
  readonly warnings: readonly string[];
  readonly leases: number;
}

export function networkView(facts: NetworkFacts): NetworkView {
  const { network, observed, snapshot, paths } = facts;
  const isRunning = snapshot !== null;
  const problem = observed?.trouble ?? facts.problem;
  return {
    name: network.name,
    mode: network.mode,
    driver: facts.driver.type,
    driverReason: facts.driver.reason,
    state: isRunning ? 'running' : stateWithout(problem, observed),
    problem: problem === null || isRunning ? null : toProblem(problem),
    autostart: network.autostart,
    subnet: network.ipv4?.subnet ?? null,
    gateway: network.ipv4?.gateway ?? null,
    dns: network.ipv4?.dns ?? null,
    poolStart: network.ipv4?.poolStart ?? null,
    poolEnd: network.ipv4?.poolEnd ?? null,
    hostAddress: network.ipv4?.hostAddress ?? null,
    subnet6: network.ipv6?.prefix ?? null,
    gateway6: network.ipv6?.gateway ?? null,
    domain: network.dns.domain,
    mtu: network.mtu,
    interface: network.interface,
    hostAccess: network.hostAccess,
    sockets: isRunning ? { qemu: paths.qemu, dgram: paths.dgram, listen: network.listen.map(listenText) } : null,
    pid: observed?.pid ?? null,
    startedMs: observed?.startedMs ?? null,
    restarts: facts.restarts,
    guests: snapshot?.guests.filter((guest) => guest.state === 'connected').length ?? 0,
    leases: facts.leases,
    flows: snapshot?.flows ?? null,
    counters: snapshot?.counters ?? null,
    ipv6Reachable: snapshot?.ipv6Reachable ?? null,
    ping: snapshot?.capabilities.ping ?? null,
    warnings: facts.warnings,
  };
}

/** The state of a network that has no datapath to show. */
function stateWithout(problem: ErrorData | null, observed: Observed | null): NetworkView['state'] {
  if (problem === null) return 'stopped';
  if (observed === null || observed.trouble === null) return 'failed';
  return problem.code === 'incompatible' ? 'incompatible' : 'unresponsive';
}

function listenText(socket: Network['listen'][number]): string {
  if (socket.kind === 'tcp')
    return `tcp://${socket.host.includes(':') ? `[${socket.host}]` : socket.host}:${socket.port}`;
  return socket.kind === 'dgram' ? `dgram:${socket.path}` : socket.path;
}

/** The names that the gateway's DNS gives a guest. */
export const guestNames = (guest: string, domains: readonly string[]): readonly string[] => [
  ...domains.map((domain) => `${guest}.${domain}`),
  `${guest}.vmlan.internal`,
  `lima-${guest}.internal`,
];

export function registeredGuestView(guest: StoredGuest, live: readonly LiveNetwork[]): GuestView {
  const domains = live.flatMap(({ network }) =>
    guest.nics.some((nic) => nic.network === network.name) ? [network.dns.domain] : [],
  );
  return {
    name: guest.name,
    registered: true,
    names: guestNames(guest.name, [...new Set(domains)]),
    nics: guest.nics.map((nic) => registeredNicView(nicKey(guestId(guest), nic.index), nic, live)),
  };
}

function registeredNicView(key: string, nic: StoredNic, live: readonly LiveNetwork[]): NicView {
  const snapshot = live.find(({ network }) => network.name === nic.network)?.snapshot ?? null;
  const seen = snapshot === null ? null : (partsOf(snapshot).guests.get(key) ?? null);
  return {
    ...liveNic(key, nic.network, seen),
    mac: nic.mac,
    ip: nic.ip,
    connected: nic.connected,
    state: snapshot === null ? 'stopped' : (seen?.state ?? (nic.connected ? 'waiting' : 'disconnected')),
    attachment: nic.attachment?.kind ?? null,
  };
}

/** Guests that came by a common socket and are not registered. */
export function anonymousGuestViews(live: LiveNetwork, registered: ReadonlySet<string>): readonly GuestView[] {
  const guests = live.snapshot?.guests.filter((guest) => !registered.has(guest.nic)) ?? [];
  return guests.map((guest) => ({
    name: guest.guest,
    registered: false,
    names: guestNames(guest.guest, [live.network.dns.domain]),
    nics: [{ ...liveNic(guest.nic, live.network.name, guest), ip: null, connected: true, attachment: null }],
  }));
}

/** What becomes of a forward, which is what becomes of its parts. */
interface ForwardPart {
  isWaiting: boolean;
  connections: number;
}

interface SnapshotParts {
  readonly guests: ReadonlyMap<string, GuestSnapshot>;
  readonly forwards: ReadonlyMap<string, Readonly<ForwardPart>>;
}

const $parts = new WeakMap<EngineSnapshot, SnapshotParts>();

/** Guests by NIC, and what becomes of forwards by their ids, made once for each snapshot. */
function partsOf(snapshot: EngineSnapshot): SnapshotParts {
  const known = $parts.get(snapshot);
  if (known !== undefined) return known;
  const parts = {
    guests: new Map(snapshot.guests.map((guest) => [guest.nic, guest])),
    forwards: partsOfForwards(snapshot),
  };
  $parts.set(snapshot, parts);
  return parts;
}

function partsOfForwards({ forwards, forwardStates }: EngineSnapshot): ReadonlyMap<string, ForwardPart> {
  const parts = new Map<string, ForwardPart>();
  const add = (partId: string, isWaiting: boolean, connections: number): void => {
    const id = forwardOfPart(partId);
    const known = parts.get(id);
    if (known === undefined) return void parts.set(id, { isWaiting, connections });
    known.isWaiting ||= isWaiting;
    known.connections += connections;
  };
  for (const { id, state, connections } of forwards) add(id, state === 'waiting-for-guest', connections);
  for (const [i, id] of forwardStates?.ids.entries() ?? [])
    add(id, forwardStates!.waiting[i]!, forwardStates!.connections[i]!);
  return parts;
}

function liveNic(
  key: string,
  network: string,
  seen: GuestSnapshot | null,
): Omit<NicView, 'ip' | 'connected' | 'attachment'> {
  return {
    key,
    network,
    mac: seen?.mac ?? null,
    aliasMac: seen?.aliasMac ?? null,
    state: seen?.state ?? 'stopped',
    link: seen?.link ?? 'none',
    address4: seen?.address4 ?? [],
    address6: seen?.address6 ?? [],
    hostname: seen?.hostname ?? null,
    sinceMs: seen === null || seen.state !== 'connected' ? null : seen.sinceMs,
    flows: seen?.flows ?? null,
    counters:
      seen === null
        ? null
        : {
            framesFromGuest: seen.framesFromGuest,
            framesToGuest: seen.framesToGuest,
            bytesFromGuest: seen.bytesFromGuest,
            bytesToGuest: seen.bytesToGuest,
            dropsFromGuest: seen.dropsFromGuest,
            dropsToGuest: seen.dropsToGuest,
          },
  };
}

const $failures = new WeakMap<readonly FailedStep[], ReadonlyMap<string, FailedStep>>();

/** The first failure of each forward, by its id. */
function failuresOf(failed: readonly FailedStep[]): ReadonlyMap<string, FailedStep> {
  const known = $failures.get(failed);
  if (known !== undefined) return known;
  const failures = new Map<string, FailedStep>();
  for (const one of failed.toReversed()) {
    if ('forward' in one.step) failures.set(forwardOfPart(one.step.forward.id), one);
  }
  $failures.set(failed, failures);
  return failures;
}

export function forwardView(entry: NamedForward, live: LiveNetwork, failed: readonly FailedStep[]): ForwardView {
  const { id, origin, forward } = entry;
  const part = live.snapshot === null ? undefined : partsOf(live.snapshot).forwards.get(id);
  const failure = failuresOf(failed).get(id);
  return {
    id,
    network: live.network.name,
    protocol: forward.protocol,
    direction: forward.direction,
    host: forward.host,
    guest: forward.guest,
    origin,
    state: failure === undefined ? forwardState(part) : 'failed',
    problem: failure === undefined ? null : toProblem(failure.error),
    connections: part?.connections ?? 0,
  };
}

function forwardState(part: ForwardPart | undefined): ForwardView['state'] {
  if (part === undefined) return 'stopped';
  return part.isWaiting ? 'waiting-for-guest' : 'listening';
}

interface StoredLease {
  readonly family: 4 | 6;
  readonly address: string;
  readonly nic: string;
  readonly guest: string | null;
  readonly mac: string;
  readonly hostname: string | null;
  readonly state: string;
  readonly expiresMs: number;
}

const storedLeaseSchema: z.ZodType<StoredLease> = z.object({
  family: z.union([z.literal(4), z.literal(6)]),
  address: z.string(),
  nic: z.string(),
  guest: z.string().nullable(),
  mac: z.string(),
  hostname: z.string().nullable(),
  state: z.string(),
  expiresMs: z.number(),
});

const LEASE_STATES: Readonly<Record<string, LeaseView['state']>> = { bound: 'active', declined: 'declined' };

/** Leases as the services store them; offers, which nobody was promised, are left out. */
export function leaseViews(network: string, records: readonly unknown[], nowMs: number): readonly LeaseView[] {
  return records.flatMap((record) => {
    const parsed = storedLeaseSchema.safeParse(record);
    if (!parsed.success || parsed.data.state === 'offered') return [];
    const { family, address, nic, guest, mac, hostname, expiresMs, state } = parsed.data;
    const isOver = expiresMs <= nowMs;
    return {
      network,
      address,
      family,
      guest,
      nic,
      mac,
      hostname,
      expiresMs: expiresMs >= Number.MAX_SAFE_INTEGER ? null : expiresMs,
      state: isOver ? 'expired' : (LEASE_STATES[state] ?? 'expired'),
    };
  });
}
