/**
 * Guests: registering them, changing their NICs, opening and closing their links.
 *
 * Zone: control.  A change is stored and carried into the running network, or the guest is as it was.  Changes of one
 * guest are made one after the other.
 */
import { VmlanError } from '../core/errors.ts';
import { checkSocketPath, networkPaths, nicSockets } from '../drivers/network-paths.ts';
import type { AttachInput, AttachKind, GuestInput, GuestPatch, NetnsInput } from '../model/api.ts';
import { MAX_NICS_PER_GUEST, deriveMac, freeGuestId, guestId, nicKey } from '../model/guest.ts';
import type { StoredAttachment, StoredGuest, StoredNetns, StoredNic } from '../model/guest.ts';
import type { Network } from '../model/network.ts';
import { reservedAddressProblem } from '../model/resolve-ipv4.ts';
import type { Context } from './context.ts';
import { nicsOf } from './desired.ts';
import { renamedForwards, renamedShapes } from './guest-renames.ts';
import { freePort } from '../sys/free-port.ts';
import { checkGuestName } from './guest-name.ts';
import { serverAddress } from './server-address.ts';
import { namespaceInode } from './namespace.ts';
import type { Networks } from './networks.ts';
import type { StateChange } from './store.ts';
import { Serial } from '../core/serial.ts';
import { suggest } from './suggest.ts';

const DEFAULT_NETNS_INTERFACE = 'eth0';

export interface Attached {
  readonly guest: StoredGuest;
  readonly nic: StoredNic;
  readonly network: Network;
}

export class Guests {
  readonly #context: Context;
  readonly #networks: Networks;
  readonly #serial = new Serial();
  /** Addresses by network that changes under way promise to a guest: others must not, though nothing is stored yet. */
  readonly #claims = new Map<string, string>();

  constructor(context: Context, networks: Networks) {
    this.#context = context;
    this.#networks = networks;
  }

  get all(): readonly StoredGuest[] {
    return [...this.#context.store.guests.values()];
  }

  find(name: string): StoredGuest | null {
    return this.#context.store.guests.get(name) ?? null;
  }

  get(name: string): StoredGuest {
    const guest = this.find(name);
    if (guest !== null) return guest;
    const meant = suggest(name, [...this.#context.store.guests.keys()]);
    throw new VmlanError('not-found', `no guest "${name}" is registered`, {
      hint: meant === null ? 'vmlan list shows all guests' : `did you mean "${meant}"?`,
    });
  }

  create(input: GuestInput): Promise<StoredGuest> {
    return this.#claiming(input.name, async () => {
      if (this.find(input.name) !== null) {
        throw new VmlanError('conflict', `guest "${input.name}" is registered already`, {
          hint: `vmlan show ${input.name} tells where`,
        });
      }
      return this.#register(input);
    });
  }

  async #register(input: GuestInput): Promise<StoredGuest> {
    checkGuestName(input.name);
    const network = this.#networks.getOrDefault(input.network);
    const id = freeGuestId(input.name, new Set(this.all.map(guestId)));
    const nic = this.#newNic(network, { name: input.name, id, nics: [] }, 0, input);
    const guest = { name: input.name, ...(id === input.name ? {} : { id }), nics: [nic] };
    await this.#put(guest, [network.name]);
    this.#context.events.publish(
      'guest-registered',
      { network: network.name, guest: guest.name },
      `${guest.name} was registered`,
    );
    return guest;
  }

  #newNic(network: Network, owner: StoredGuest, index: number, input: Omit<GuestInput, 'name' | 'network'>): StoredNic {
    const { name: guest } = owner;
    const key = nicKey(guestId(owner), index);
    const { paths } = this.#context;
    checkSocketPath(
      nicSockets(networkPaths(paths.runtime, paths.state, network.name).guests, guestId(owner), index).dgram,
      `guest "${guest}"`,
    );
    const mac = input.mac ?? deriveMac(this.#context.identify, network.name, key, (taken) => this.#hasMac(taken));
    if (mac === null)
      throw new VmlanError('exhausted', `no MAC address is left for guest "${guest}"`, {
        hint: 'give it one, e.g. --mac 52:54:00:12:34:56',
      });
    const ip = input.ip ?? null;
    if (ip !== null) this.#checkAddress(network, guest, key, ip);
    return { index, network: network.name, mac, ip, connected: input.connected ?? true, attachment: null };
  }

  #hasMac(mac: string): boolean {
    return this.all.some((guest) => guest.nics.some((nic) => nic.mac === mac));
  }

  /** A reserved address is one that the network has, and that nobody else was promised. */
  #checkAddress(network: Network, guest: string, key: string, ip: string): void {
    const fail = (code: 'invalid' | 'conflict', message: string): never => {
      throw new VmlanError(code, `network "${network.name}": ${message}`, { hint: addressHint(network) });
    };
    const { ipv4 } = network;
    if (ipv4 === null) return fail('invalid', 'it leases no IPv4 addresses');
    if (ipv4.fixedGuest !== null) return fail('invalid', `every guest has ${ipv4.fixedGuest}`);
    const problem = reservedAddressProblem(ipv4, ip);
    if (problem !== null) fail('invalid', problem);
    const holder = nicsOf(this.all, network.name).find((other) => other.key !== key && other.nic.ip === ip);
    if (holder !== undefined) fail('conflict', `address ${ip} is kept for guest "${holder.guest}"`);
    const claim = `${network.name} ${ip}`;
    const claimant = this.#claims.get(claim) ?? guest;
    if (claimant !== guest) fail('conflict', `address ${ip} is being given to guest "${claimant}"`);
    const reservation = network.reservations.find((entry) => entry.ip === ip && entry.guest !== guest);
    if (reservation !== undefined) {
      fail('conflict', `address ${ip} is reserved for ${reservation.guest ?? reservation.mac!} in networks.yaml`);
    }
    this.#claims.set(claim, guest);
    return undefined;
  }

  update(name: string, patch: GuestPatch): Promise<StoredGuest> {
    return this.#claiming(name, async () => {
      const guest = this.get(name);
      const nic = this.#nicOf(guest, patch.network);
      const network = this.#networks.get(nic.network);
      if (patch.ip !== undefined && patch.ip !== null) {
        this.#checkAddress(network, name, nicKey(guestId(guest), nic.index), patch.ip);
      }
      const changed = {
        ...nic,
        mac: patch.mac ?? nic.mac,
        ip: patch.ip === undefined ? nic.ip : patch.ip,
        connected: patch.connected ?? nic.connected,
      };
      return this.#put(withNic(guest, changed), [nic.network]);
    });
  }

  #nicOf(guest: StoredGuest, network: string | undefined): StoredNic {
    const nic = network === undefined ? guest.nics[0] : guest.nics.find((one) => one.network === network);
    if (nic !== undefined) return nic;
    const has = guest.nics.map((one) => one.network).join(', ');
    throw new VmlanError('not-found', `guest "${guest.name}" has no NIC on network "${network ?? ''}"`, {
      hint: `it has one on: ${has}`,
    });
  }

  /** Its NICs are the same under another name: link, addresses and leases go on. */
  rename(before: string, name: string): Promise<StoredGuest> {
    return this.#alone([before, name], async () => {
      const guest = this.get(before);
      if (name === before) return guest;
      checkGuestName(name);
      if (this.find(name) !== null) {
        throw new VmlanError('conflict', `guest "${name}" is registered already`, {
          hint: `choose another name; who it is: vmlan show ${name}`,
        });
      }
      this.#checkConfiguration(before);
      const { store } = this.#context;
      const renamed = { ...guest, name, id: guestId(guest), renames: (guest.renames ?? 0) + 1 };
      const networks = new Set(networksOf(guest));
      const change = (): StateChange => {
        const forwards = renamedForwards(store.forwards, before, name);
        for (const { network } of forwards) networks.add(network);
        return {
          guests: { put: [renamed], remove: [before] },
          forwards: { put: forwards },
          shapes: { put: renamedShapes(store.shapes, before, name) },
        };
      };
      await store.change(change, () => this.#carry([...networks]));
      this.#context.events.publish('guest-renamed', { guest: name }, `${before} is called ${name}`);
      return renamed;
    });
  }

  /** A change of one guest that may promise it addresses. */
  #claiming<T>(name: string, change: () => Promise<T>): Promise<T> {
    return this.#serial.run(name, async () => {
      try {
        return await change();
      } finally {
        for (const [address, claimant] of this.#claims) if (claimant === name) this.#claims.delete(address);
      }
    });
  }

  /** In the queues of all these names, entered in one order, so that nobody waits for somebody who waits for him. */
  #alone<T>(names: readonly string[], action: () => Promise<T>): Promise<T> {
    const [name, ...rest] = [...new Set(names)].sort();
    return name === undefined ? action() : this.#serial.run(name, () => this.#alone(rest, action));
  }

  /** What networks.yaml says of a guest, it says by its name, and the file is its owner's. */
  #checkConfiguration(name: string): void {
    for (const network of this.#networks.all) {
      const reserved = network.reservations.find((entry) => entry.guest === name);
      const forwarded = network.forwards.find((forward) => forward.guestName === name);
      const what = reserved === undefined ? forwarded && 'a forward' : `the reservation of ${reserved.ip}`;
      if (what === undefined) continue;
      throw new VmlanError('conflict', `network "${network.name}": ${what} names guest "${name}" in networks.yaml`, {
        hint: `remove it first, and add it again for the new name: vmlan network edit ${network.name}`,
      });
    }
  }

  /** The guest that has this NIC, whatever it was called when something was noted of it. */
  nameOfNic(key: string): string | null {
    return this.all.find((guest) => key.startsWith(`${guestId(guest)}/`))?.name ?? null;
  }

  remove(name: string): Promise<void> {
    return this.#serial.run(name, async () => {
      const guest = this.get(name);
      const networks = networksOf(guest);
      await this.#context.store.change({ guests: { remove: [name] } }, () => this.#carry(networks));
      this.#context.events.publish('guest-removed', { network: networks[0]!, guest: name }, `${name} was removed`);
    });
  }

  /** Registers the guest if it is new, starts the network if it does not run, and opens the link. */
  attach(name: string, input: AttachInput): Promise<Attached> {
    return this.#claiming(name, async () => {
      const known = this.find(name);
      if (known === null) checkGuestName(name);
      // Where it leads is settled first: an address that makes no sense registers nobody.
      const target = resolveTarget(input);
      const network =
        input.network === undefined && known !== null
          ? this.#networks.get(known.nics[0]!.network)
          : this.#networks.getOrDefault(input.network);
      await this.#networks.start(network.name);
      const guest = known ?? (await this.#register({ ...input, name, network: network.name }));
      const nic = guest.nics.find((one) => one.network === network.name) ?? this.#addNic(guest, network, input);
      if (known !== null) checkUnchanged(name, nic, input);
      const attached = { ...nic, attachment: await this.#attachment(nic, input.kind ?? 'qemu-stream', target) };
      const changed = withNic(guest, attached);
      // A namespace that is attached again gets a new TAP, whether or not the old one is still there.
      if (nic.attachment?.kind === 'netns')
        await this.#put(withNic(guest, { ...nic, attachment: null }), [network.name]);
      await this.#put(changed, [network.name]);
      return { guest: changed, nic: attached, network };
    });
  }

  #addNic(guest: StoredGuest, network: Network, input: AttachInput): StoredNic {
    if (guest.nics.length >= MAX_NICS_PER_GUEST) {
      throw new VmlanError('exhausted', `guest "${guest.name}" has ${MAX_NICS_PER_GUEST} NICs already`);
    }
    const index = Math.max(...guest.nics.map((nic) => nic.index)) + 1;
    return this.#newNic(network, guest, index, input);
  }

  async #attachment(nic: StoredNic, kind: AttachKind, target: Target): Promise<StoredAttachment> {
    if (kind !== 'qemu-socket-tcp') return { kind, port: null, ...target };
    return { kind, port: nic.attachment?.port ?? (await freePort('tcp', '127.0.0.1')), ...target };
  }

  detach(name: string, network: string | undefined): Promise<void> {
    return this.#serial.run(name, async () => {
      const guest = this.get(name);
      const nics = network === undefined ? guest.nics : [this.#nicOf(guest, network)];
      const indexes = new Set(nics.map((nic) => nic.index));
      const detached = guest.nics.map((nic) => (indexes.has(nic.index) ? { ...nic, attachment: null } : nic));
      const networks = nics.map((nic) => nic.network);
      await this.#context.store.change({ guests: { put: [{ ...guest, nics: detached }] } }, async () => {
        for (const nic of nics) await this.#networks.update(nic.network, new Set([nicKey(guestId(guest), nic.index)]));
        await this.#carry(networks);
      });
    });
  }

  /** Takes the NICs on a network that is no more; a guest without any left is forgotten. */
  async dropNetwork(network: string): Promise<void> {
    for (const name of new Set(nicsOf(this.all, network).map(({ guest }) => guest))) {
      await this.#serial.run(name, async () => {
        const guest = this.find(name);
        const nics = guest?.nics.filter((nic) => nic.network !== network) ?? [];
        if (guest !== null && nics.length > 0) {
          return this.#context.store.change({ guests: { put: [{ ...guest, nics }] } });
        }
        await this.#context.store.change({ guests: { remove: [name] } });
        this.#context.events.publish('guest-removed', { network, guest: name }, `${name} was removed`);
      });
    }
  }

  async #put(guest: StoredGuest, networks: readonly string[]): Promise<StoredGuest> {
    await this.#context.store.change({ guests: { put: [guest] } }, () => this.#carry(networks));
    return guest;
  }

  /** Makes the networks that run be as the store says. */
  async #carry(networks: readonly string[]): Promise<void> {
    for (const network of networks) await this.#networks.update(network);
  }
}

/** Which address a guest may keep. */
function addressHint({ name, ipv4 }: Network): string {
  if (ipv4 === null || ipv4.fixedGuest !== null) return 'leave the address out';
  return `choose another address of ${ipv4.subnet}; taken are: vmlan network leases ${name}, vmlan network reservation list ${name}`;
}

function checkUnchanged(name: string, nic: StoredNic, input: AttachInput): void {
  const differs = (input.mac !== undefined && input.mac !== nic.mac) || (input.ip !== undefined && input.ip !== nic.ip);
  if (!differs) return;
  throw new VmlanError(
    'conflict',
    `guest "${name}" is registered with ${nic.mac}${nic.ip === null ? '' : ` and ${nic.ip}`}`,
    {
      hint: `leave --mac and --ip out, or register it anew: vmlan detach ${name} --forget, and attach it again`,
    },
  );
}

/** What an attachment leads to besides vmlan's own sockets. */
type Target = Pick<StoredAttachment, 'netns' | 'server'>;

function resolveTarget({ netns, server }: AttachInput): Target {
  return {
    netns: netns === undefined ? null : resolveNetns(netns),
    ...(server === undefined ? {} : { server: serverAddress(server) }),
  };
}

function resolveNetns(input: NetnsInput): StoredNetns {
  const target = { pid: input.pid ?? null, path: input.path ?? null };
  const inode = namespaceInode(target);
  const what = target.path ?? `process ${target.pid}`;
  if (inode === null) {
    throw new VmlanError('not-found', `${what} has no network namespace that can be seen here`, {
      hint:
        target.path === null
          ? 'is the process still there, and yours? See: lsns --type net'
          : 'ip netns list shows the named ones',
    });
  }
  if (inode === namespaceInode({ pid: null, path: '/proc/self/ns/net' })) {
    throw new VmlanError('invalid', `${what} is in the network namespace of vmlan itself`, {
      hint: 'name another one: ip netns list, or lsns --type net, shows them',
    });
  }
  return {
    ...target,
    interface: input.interface ?? DEFAULT_NETNS_INTERFACE,
    configure: input.configure ?? true,
    inode,
  };
}

function withNic(guest: StoredGuest, nic: StoredNic): StoredGuest {
  const others = guest.nics.filter((one) => one.index !== nic.index);
  return { ...guest, nics: [...others, nic].sort((a, b) => a.index - b.index) };
}

const networksOf = (guest: StoredGuest): readonly string[] => [...new Set(guest.nics.map((nic) => nic.network))];
