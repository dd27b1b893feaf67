/**
 * A network inside a process: what `vmlan up` runs, for tests.
 *
 * Zone: control.  The engine is the same one, in a thread of this process; no daemon, no privilege, no file.
 */
import { VmlanError } from '../core/errors.ts';
import type { EngineRequest } from '../engine/control-messages.ts';
import type { EngineSnapshot } from '../engine/control-messages.ts';
import type { Resolver } from '../guest/stack.ts';
import type { Mode, Network as ResolvedNetwork } from '../model/network.ts';
import { systemCalls, FrameLink } from './frame-link.ts';
import type { NetworkEvent, NetworkEventOf, NetworkEventType } from './events.ts';
import { Forwards, ignoreClosed } from './forwards.ts';
import type { Forward, ForwardOptions } from './forwards.ts';
import { newNic } from './guest-names.ts';
import type { GuestNic, NicOptions } from './guest-names.ts';
import { Guest } from './guest.ts';
import type { GuestOptions } from './guest.ts';
import { leaseOf } from './leases.ts';
import type { Lease } from './leases.ts';
import { openNamespace, openQemu } from './machines.ts';
import type { MachineContext, NamespaceAttachment, NamespaceOptions, QemuAttachment } from './machines.ts';
import { NIC_KEYS, checkKeys } from './option-keys.ts';
import { resolveOptions } from './options.ts';
import type { NetworkOptions } from './options.ts';
import { Records } from './records.ts';
import { Session } from './session.ts';
import { Shapes } from './shapes.ts';
import type { GuestNames, Shape, ShapeOptions } from './shapes.ts';
import { SocketDirectory } from './socket-directory.ts';
import type { NetworkStats } from './stats.ts';

/** A name that is taken: by a guest of ours, or by a machine. */
interface Member {
  readonly nic: GuestNic;
  readonly linkId: string;
  guest: Guest | null;
  link: FrameLink | null;
}

/**
 * A virtual network in this process.
 *
 *     await using net = await Network.create();
 *     const web = await net.addGuest('web');
 */
export class Network implements AsyncDisposable {
  /** DNS records of the network. */
  readonly records: Records;
  readonly #network: ResolvedNetwork;
  readonly #session: Session;
  readonly #forwards: Forwards;
  readonly #shapes: Shapes;
  readonly #members = new Map<string, Member>();
  readonly #directory = new SocketDirectory();
  #links = 0;
  #closing: Promise<void> | null = null;

  private constructor(network: ResolvedNetwork, session: Session) {
    this.#network = network;
    this.#session = session;
    const ask = (message: EngineRequest): Promise<unknown> => session.request(message);
    this.#forwards = new Forwards(network, ask);
    this.#shapes = new Shapes(ask, (guest) => this.#member(guest).nic.key);
    this.records = new Records(network.dns.records, ask);
    session.events.on('closed', () => this.#onClosed());
  }

  /** Starts a network.  Rejects with `invalid-config` when an option makes no sense. */
  static async create(options: NetworkOptions = {}): Promise<Network> {
    const resolved = resolveOptions(options);
    const network = new Network(resolved, await Session.start(resolved));
    try {
      await network.#open();
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  get name(): string {
    return this.#network.name;
  }

  get mode(): Mode {
    return this.#network.mode;
  }

  /** e.g. `192.168.107.0/24`; null when the network has no IPv4 addresses of its own. */
  get subnet(): string | null {
    return this.#network.ipv4?.subnet ?? null;
  }

  /** The gateway's IPv4 address: router, DNS server, and the host's loopback as far as `hostAccess` opens it. */
  get gateway(): string | null {
    return this.#network.ipv4?.gateway ?? null;
  }

  /** A /64; null without IPv6. */
  get subnet6(): string | null {
    return this.#network.ipv6?.prefix ?? null;
  }

  get gateway6(): string | null {
    return this.#network.ipv6?.gateway ?? null;
  }

  /** The DNS domain of its guests. */
  get domain(): string {
    return this.#network.dns.domain;
  }

  /** IP MTU, bytes. */
  get mtu(): number {
    return this.#network.mtu;
  }

  /** Its guests that are made of JavaScript. */
  get guests(): readonly Guest[] {
    return [...this.#members.values()].flatMap(({ guest }) => guest ?? []);
  }

  /** The guest of that name.  Throws `not-found`. */
  guest(name: string): Guest {
    const { guest } = this.#member(name);
    if (guest !== null) return guest;
    throw new VmlanError('not-found', `guest "${name}" is not made of JavaScript`);
  }

  /** Puts a guest on the network that is made of JavaScript, and waits until it has its addresses. */
  async addGuest(name: string, options: GuestOptions = {}): Promise<Guest> {
    checkKeys(`guest "${name}"`, options, [...NIC_KEYS, 'configure']);
    return this.#join(name, options, async (member) => {
      let guest: Guest | null = null;
      const { link, theirs } = FrameLink.open({
        onFrame: (frame) => guest?.onFrame(frame),
        onPause: () => guest?.onPause(),
        onClose: () => guest?.onClose(),
      });
      member.link = link;
      const { nic, linkId } = member;
      member.guest = guest = new Guest({
        nic,
        link,
        setConnected: (connected) => this.#setNic(nic, connected),
        hasDhcp: this.#network.ipv4 !== null,
        hasRouter: this.#network.ipv6 !== null && this.#network.mode !== 'isolated',
        resolver: resolverOf(this.#network),
        remove: () => this.#leave(member),
      });
      try {
        await this.#ask({ type: 'add-link', linkId, link: { kind: 'stream-fd', fd: theirs, nic: nic.key } });
      } catch (error) {
        systemCalls().close(theirs);
        throw error;
      }
      await guest.start(options);
      return guest;
    });
  }

  /** A socket for a virtual machine, and what QEMU is told. */
  async attachQemu(name: string, options: NicOptions = {}): Promise<QemuAttachment> {
    checkKeys(`guest "${name}"`, options, NIC_KEYS);
    return this.#join(name, options, (member) => openQemu(this.#machines(member), member.nic, member.linkId));
  }

  /** An interface in a network namespace.  Rejects with `not-permitted` when this process may not enter it. */
  async attachNamespace(name: string, options: NamespaceOptions): Promise<NamespaceAttachment> {
    checkKeys(`guest "${name}"`, options, [...NIC_KEYS, 'pid', 'path', 'interface', 'configure']);
    return this.#join(name, options, (member) =>
      openNamespace(this.#machines(member), member.nic, member.linkId, options),
    );
  }

  /** Opens a port forward. */
  forward(options: ForwardOptions): Promise<Forward> {
    return this.#forwards.add(options);
  }

  /**
   * Delays, loses, repeats, reorders, damages or slows what a guest sends and receives; with `peer` only what goes between
   * the two.  Holds until it is changed or cleared, and for connections that are open already.
   *
   *     await net.shape('web', { delayMs: 50, lossPercent: 1 });
   */
  shape(guest: string, options: ShapeOptions): Promise<void> {
    return this.#shapes.set(guest, options);
  }

  /** Ends the shapes of a guest and of its pairs, or all. */
  clearShapes(guest?: string): Promise<void> {
    return this.#shapes.clear(guest);
  }

  /** Shapes and partitions that are in force. */
  shapes(): readonly Shape[] {
    return this.#shapes.list();
  }

  /**
   * Cuts the line between two guests, or each of some and each of others; `gateway` stands for the host and all beyond it.
   * Without `other` a guest is cut off from everybody.  Frames vanish without a word: nothing is told that a program could
   * notice at once.
   */
  partition(one: GuestNames, other: GuestNames | null = null): Promise<void> {
    return this.#shapes.partition(one, other);
  }

  /** Ends a partition, as `partition` made it; all of them without arguments. */
  heal(one?: GuestNames, other: GuestNames | null = null): Promise<void> {
    return this.#shapes.heal(one, other);
  }

  /** The addresses that DHCP has given away. */
  leases(): readonly Lease[] {
    return this.#session.leases.flatMap((record) => leaseOf(record, Date.now()));
  }

  /** Guests, forwards, flows and counters as they are now. */
  async stats(): Promise<NetworkStats> {
    const { leases: _, capabilities: __, ...stats } = (await this.#ask({ type: 'snapshot' })) as EngineSnapshot;
    return stats;
  }

  /** Calls back for each event of one kind until it is disposed. */
  on<T extends NetworkEventType>(type: T, listener: (event: NetworkEventOf<T>) => void): Disposable {
    return this.#session.events.on(type, listener);
  }

  /** All events from now on, in their order, until the network is closed.  A reader that falls behind loses the oldest. */
  events(): AsyncIterableIterator<NetworkEvent, undefined> {
    return this.#session.events.read();
  }

  /** Ends the network and all that is on it.  Calling it again does no harm. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(): Promise<void> {
    await this.#ask({ type: 'set-records', records: this.#network.dns.records });
    for (const forward of this.#network.forwards) await this.#forwards.open(forward);
    for (const listen of this.#network.listen) {
      const link =
        listen.kind === 'dgram'
          ? ({ kind: 'dgram', path: listen.path, peer: null, nic: null } as const)
          : ({
              kind: 'stream-listen',
              address: listen.kind === 'unix' ? { unix: listen.path } : { host: listen.host, port: listen.port },
              nic: null,
            } as const);
      await this.#ask({ type: 'add-link', linkId: `listen-${++this.#links}`, link });
    }
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member !== undefined) return member;
    throw new VmlanError('not-found', `network "${this.name}" has no guest "${name}"`, {
      hint: `it has: ${[...this.#members.keys()].join(', ') || 'none'}`,
    });
  }

  #ask(message: EngineRequest): Promise<unknown> {
    return this.#session.request(message);
  }

  #machines(member: Member): MachineContext {
    return {
      network: this.#network,
      directory: this.#directory,
      ask: (message) => this.#ask(message),
      remove: () => this.#leave(member),
    };
  }

  /** Takes the name, tells the engine of the card, and brings the link up; or none of it. */
  async #join<T>(name: string, options: NicOptions, open: (member: Member) => Promise<T>): Promise<T> {
    const others = [...this.#members.values()].map(({ nic }) => nic);
    const nic = newNic(this.#network, others, name, options);
    const member: Member = { nic, linkId: `link-${++this.#links}`, guest: null, link: null };
    this.#members.set(name, member);
    try {
      await this.#setNic(nic, true);
      return await open(member);
    } catch (error) {
      await this.#leave(member);
      throw error;
    }
  }

  #setNic({ key, guest, mac, ip }: GuestNic, connected: boolean): Promise<void> {
    return this.#ask({ type: 'set-nic', nic: { key, guest, mac, ip, connected } }).then(() => undefined);
  }

  /** Once: who has the name by then is somebody else. */
  async #leave(member: Member): Promise<void> {
    const { guest: name } = member.nic;
    if (this.#members.get(name) !== member) return;
    this.#members.delete(name);
    member.guest?.stop();
    await member.link?.close();
    await this.#shapes.forget(name).catch(ignoreClosed);
    await this.#ask({ type: 'remove-link', linkId: member.linkId }).catch(ignoreAbsent);
    await this.#ask({ type: 'remove-nic', key: member.nic.key }).catch(ignoreAbsent);
  }

  async #close(): Promise<void> {
    for (const { guest } of this.#members.values()) guest?.stop();
    const links = [...this.#members.values()].flatMap(({ link }) => link ?? []);
    await this.#session.close();
    await Promise.all(links.map((link) => link.close()));
    this.#onClosed();
  }

  #onClosed(): void {
    this.#members.clear();
    this.#directory.remove();
  }
}

const resolverOf = ({ ipv4, ipv6, dns }: ResolvedNetwork): Resolver => ({
  servers: [ipv4?.dns ?? [], ipv6?.gateway ?? []].flat(),
  search: [dns.domain],
});

/** A link that never came to be, or went with its network. */
function ignoreAbsent(error: unknown): void {
  if (!(error instanceof VmlanError) || error.code !== 'not-found') ignoreClosed(error);
}
