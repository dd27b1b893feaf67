/**
 * Reads the live state of networks and guests, and shows it as the API does.
 *
 * Zone: control.  A network that dies while it is asked is shown as not running.
 */
import { VmlanError } from '../core/errors.ts';
import { networkPaths, nicSockets } from '../drivers/network-paths.ts';
import { chooseDriver } from '../drivers/registry.ts';
import type { AttachResult, ForwardView, GuestView, NetworkView, RecordView, StatusView } from '../model/api.ts';
import { guestId, nicKey } from '../model/guest.ts';
import type { SnapshotScope } from '../engine/control-messages.ts';
import type { Network } from '../model/network.ts';
import type { Context } from './context.ts';
import { nicsOf, partIdOf } from './desired.ts';
import type { Forwards, Records } from './forwards.ts';
import type { Attached, Guests } from './guests.ts';
import type { Health } from './health.ts';
import type { Networks } from './networks.ts';
import { anonymousGuestViews, forwardView, guestNames, leaseViews, networkView, registeredGuestView } from './views.ts';
import type { LiveNetwork } from './views.ts';

export interface PresentedParts {
  readonly guests: Guests;
  readonly forwards: Forwards;
  readonly records: Records;
  readonly health: Health;
}

/** Reads the live state and shows it. */
export class Presenter {
  readonly #context: Context;
  readonly #networks: Networks;
  readonly #guests: Guests;
  readonly #forwards: Forwards;
  readonly #records: Records;

  readonly #health: Health;

  constructor(context: Context, networks: Networks, parts: PresentedParts) {
    this.#context = context;
    this.#networks = networks;
    this.#guests = parts.guests;
    this.#forwards = parts.forwards;
    this.#records = parts.records;
    this.#health = parts.health;
  }

  async status(): Promise<StatusView> {
    const context = this.#context;
    const { config, state, runtime, socket } = context.paths;
    return {
      version: context.version,
      pid: process.pid,
      startedMs: context.startedMs,
      privileged: context.privileged,
      paths: { config: context.config.file === null ? null : config, state, runtime, socket },
      address: context.listening.address,
      defaultNetwork: context.config.defaultNetwork,
      networks: await Promise.all(this.#networks.all.map((network) => this.network(network))),
      guests: await this.guests(undefined),
      problems: await this.#health.problems(),
      warnings: context.store.warnings,
    };
  }

  /** The live side of a network. One that dies while it is asked is shown as not running. */
  async #live(network: Network, only: SnapshotScope): Promise<LiveNetwork> {
    if (!this.#networks.shallRun(network.name)) return { network, observed: null, snapshot: null };
    try {
      const observed = await this.#context.driver.observe(network.name);
      if (observed.applied === null) return { network, observed, snapshot: null };
      const snapshot = await this.#context.driver.snapshot(network.name, only).catch(noAnswer);
      // One that fell silent in between is observed once more, which tells so at once.
      return {
        network,
        observed: snapshot === null ? await this.#context.driver.observe(network.name) : observed,
        snapshot,
      };
    } catch {
      return { network, observed: null, snapshot: null };
    }
  }

  #allLive(filter: string | undefined, only: SnapshotScope): Promise<readonly LiveNetwork[]> {
    const chosen = filter === undefined ? this.#networks.all : [this.#networks.get(filter)];
    return Promise.all(chosen.map((network) => this.#live(network, only)));
  }

  async network(network: Network): Promise<NetworkView> {
    const { paths, driver } = this.#context;
    const live = await this.#live(network, { guests: true, leases: true });
    const leases = live.snapshot?.leases ?? (await driver.leases(network.name).catch(() => []));
    return networkView({
      ...live,
      paths: networkPaths(paths.runtime, paths.state, network.name),
      driver: driverOf(network),
      problem: this.#networks.problem(network.name),
      restarts: this.#networks.restarts(network.name),
      warnings: [
        ...new Set([
          ...(live.observed?.notices ?? []),
          ...(live.observed?.warnings ?? []),
          ...this.#networks.warnings(network.name),
        ]),
      ],
      leases: leaseViews(network.name, leases, Date.now()).filter((lease) => lease.state === 'active').length,
    });
  }

  async guests(filter: string | undefined): Promise<readonly GuestView[]> {
    const live = await this.#allLive(filter, { guests: true });
    const names = new Set(live.map(({ network }) => network.name));
    const registered = this.#guests.all.filter(
      (guest) => filter === undefined || guest.nics.some((nic) => names.has(nic.network)),
    );
    const keys = new Set(
      this.#guests.all.flatMap((guest) => guest.nics.map((nic) => nicKey(guestId(guest), nic.index))),
    );
    return [
      ...registered.map((guest) => registeredGuestView(guest, live)).sort((a, b) => (a.name < b.name ? -1 : 1)),
      ...live.flatMap((one) => anonymousGuestViews(one, keys)),
    ];
  }

  async guest(name: string): Promise<GuestView> {
    if (this.#guests.find(name) === null) {
      const anonymous = (await this.guests(undefined)).find((guest) => guest.name === name);
      if (anonymous !== undefined) return anonymous;
    }
    const guest = this.#guests.get(name);
    const own = new Set(guest.nics.map((nic) => nic.network));
    const networks = this.#networks.all.filter((network) => own.has(network.name));
    return registeredGuestView(
      guest,
      await Promise.all(networks.map((network) => this.#live(network, { guests: true }))),
    );
  }

  async attached({ guest, nic, network }: Attached): Promise<AttachResult> {
    const { paths, driver } = this.#context;
    const id = guestId(guest);
    const key = nicKey(id, nic.index);
    const kind = nic.attachment!.kind;
    const sockets = nicSockets(networkPaths(paths.runtime, paths.state, network.name).guests, id, nic.index);
    const isDatagram = kind === 'qemu-dgram' || kind === 'vfkit';
    const own = kind === 'qemu-stream' ? { unix: sockets.stream } : null;
    const stream = nic.attachment!.server ?? own;
    const known = kind === 'netns' && network.ipv4 !== null ? await driver.allocate(network.name, key, nic.mac) : null;
    const seen = known === null ? await this.#addressOf(network, key) : null;
    return {
      guest: guest.name,
      nic: key,
      network: network.name,
      kind,
      mac: nic.mac,
      mtu: network.mtu,
      socket: isDatagram
        ? { unix: sockets.dgram }
        : kind === 'qemu-socket-tcp'
          ? { host: '127.0.0.1', port: nic.attachment!.port! }
          : stream,
      localSocket: isDatagram ? sockets.peer : null,
      interface: nic.attachment!.netns?.interface ?? null,
      address4: known?.address4 ?? nic.ip ?? network.ipv4?.fixedGuest ?? seen,
      prefix4: network.ipv4?.prefix ?? null,
      gateway4: network.ipv4?.announceRouter === true ? network.ipv4.gateway : null,
      dns: network.ipv4?.dns ?? null,
      gateway6: network.ipv6?.gateway ?? null,
      prefix6: network.ipv6?.prefix ?? null,
      searchDomains: network.dns.searchDomains,
    };
  }

  /** The address that a guest had last. */
  async #addressOf(network: Network, key: string): Promise<string | null> {
    const leases = leaseViews(network.name, await this.#context.driver.leases(network.name), Date.now());
    return leases.find((lease) => lease.nic === key && lease.family === 4)?.address ?? null;
  }

  async forwards(filter: string | undefined): Promise<readonly ForwardView[]> {
    const live = await this.#allLive(filter, { forwardStates: true });
    return live.flatMap((one) => {
      const failed = this.#networks.failedParts(one.network.name);
      return this.#forwards.of(one.network).map((entry) => forwardView(entry, one, failed));
    });
  }

  async forward(id: string): Promise<ForwardView> {
    const { network, ...entry } = this.#forwards.get(id);
    return forwardView(
      entry,
      await this.#live(network, { forwards: entry.forward.pairs.map((_pair, i) => partIdOf(entry, i)) }),
      this.#networks.failedParts(network.name),
    );
  }

  async records(filter: string | undefined): Promise<readonly RecordView[]> {
    const live = await this.#allLive(filter, { guests: true });
    return live.flatMap((one): readonly RecordView[] => [
      ...this.#records.configured(one.network).map((record): RecordView => ({ ...record, origin: 'config' })),
      ...this.#context.store.records
        .filter((record) => record.network === one.network.name)
        .map((record): RecordView => ({ ...record, origin: 'api' })),
      ...this.#guestRecords(one),
    ]);
  }

  async record(id: string): Promise<RecordView> {
    const view = (await this.records(undefined)).find((record) => record.id === id);
    if (view === undefined)
      throw new VmlanError('not-found', `no record "${id}"`, { hint: 'vmlan dns list shows their ids' });
    return view;
  }

  /** Names that come and go with the guests. */
  #guestRecords({ network, snapshot }: LiveNetwork): readonly RecordView[] {
    const registered = new Map(nicsOf(this.#guests.all, network.name).map(({ key, guest }) => [key, guest]));
    return (snapshot?.guests ?? [])
      .filter((guest) => guest.state === 'connected')
      .flatMap((guest) => {
        const name = guestNames(registered.get(guest.nic) ?? guest.guest, [network.dns.domain])[0]!;
        const shared = { network: network.name, name, ttl: null, origin: 'guest' } as const;
        return [
          ...guest.address4.map((value) => ({ ...shared, id: `${guest.nic}/${value}`, type: 'A', value })),
          ...guest.address6.map((value) => ({ ...shared, id: `${guest.nic}/${value}`, type: 'AAAA', value })),
        ];
      });
  }
}

function noAnswer(error: unknown): null {
  if (error instanceof VmlanError && error.code === 'timeout') return null;
  throw error;
}

function driverOf(network: Network): { readonly type: string; readonly reason: string } {
  try {
    return chooseDriver(network);
  } catch (error) {
    return { type: 'none', reason: (error as Error).message };
  }
}
