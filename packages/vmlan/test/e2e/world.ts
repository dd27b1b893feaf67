/**
 * What an end-to-end test starts with: the lab of namespaces, a resolver on its internet, and a vmlan in its host
 * namespace, with guests that are namespaces behind a TAP device or machines under QEMU.
 *
 *   await using world = await World.create({ config: 'networks: …' });
 *   const alice = await world.namespaceGuest('alice', { network: 'lab' });
 *   const bob = await world.qemuGuest('bob', { network: 'lab' });
 *
 * Zone: control. Closing it ends guests, vmlan and lab, in this order.
 */
import { join } from 'node:path';
import { Client } from '../../src/client/client.ts';
import { networkPaths } from '../../src/drivers/network-paths.ts';
import { NetworkClient } from '../../src/drivers/userspace/network-client.ts';
import type { EngineSnapshot } from '../../src/engine/control-messages.ts';
import type { AttachKind, NetworkView } from '../../src/model/api.ts';
import { dnsmasq } from '../support/dns-tools.ts';
import { INTERNET, Lab, type Namespace, type User } from '../support/netns.ts';
import type { Process } from '../support/process.ts';
import { QemuGuest } from '../support/qemu-guest.ts';
import { Vmlan } from '../support/vmlan.ts';

export interface WorldOptions {
  /** networks.yaml; without it the default networks. */
  readonly config?: string;
  /** Who runs vmlan; root without it. */
  readonly user?: User;
  /** false: the host has no IPv6. */
  readonly ipv6?: boolean;
  /** More for the resolver, in dnsmasq's words. */
  readonly records?: readonly string[];
  /** What has to be there before vmlan starts. */
  readonly prepare?: (vmlan: Vmlan, lab: Lab) => Promise<void>;
}

export interface GuestOnNetwork {
  readonly network?: string;
  readonly mac?: string;
  readonly ip?: string;
}

/** Both families; only one; an alias; and text of every kind that guests ask for. */
const RECORDS = [
  '--local=/test/',
  `--host-record=web.test,${INTERNET.server4},${INTERNET.server6}`,
  `--host-record=four.test,${INTERNET.server4}`,
  `--host-record=six.test,${INTERNET.server6}`,
  '--cname=alias.test,web.test',
  '--txt-record=text.test,hello there',
  '--mx-host=mail.test,web.test,10',
  '--srv-host=_sip._udp.test,web.test,5060,1,2',
  '--caa-record=caa.test,0,issue,ca.test',
];

const nicOptions = ({ network, mac, ip }: GuestOnNetwork): string[] => [
  ...(network === undefined ? [] : ['--network', network]),
  ...(mac === undefined ? [] : ['--mac', mac]),
  ...(ip === undefined ? [] : ['--ip', ip]),
];

export class World implements AsyncDisposable {
  readonly lab: Lab;
  readonly vmlan: Vmlan;
  /** The resolver of the lab's internet; its stdout is its log of queries. */
  readonly upstream: Process;
  /** The daemon, without a command line in between. */
  readonly api: Client;
  readonly #stack: AsyncDisposableStack;

  private constructor(lab: Lab, vmlan: Vmlan, upstream: Process, stack: AsyncDisposableStack) {
    this.lab = lab;
    this.vmlan = vmlan;
    this.upstream = upstream;
    this.api = new Client({ kind: 'unix', path: join(vmlan.folder, 'run', 'vmlan.sock') });
    this.#stack = stack;
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await Lab.create({ ipv6: options.ipv6 ?? true }));
    const upstream = stack.use(await dnsmasq(lab.internet, [...RECORDS, ...(options.records ?? [])]));
    const { config, user } = options;
    const vmlan = stack.use(
      await Vmlan.create({
        namespace: lab.host,
        ...(config === undefined ? {} : { config }),
        ...(user === undefined ? {} : { user }),
      }),
    );
    await options.prepare?.(vmlan, lab);
    await vmlan.ok('up');
    return new World(lab, vmlan, upstream, stack.move());
  }

  network(name: string): Promise<NetworkView> {
    return this.api.call('getNetwork', { params: { name } });
  }

  /** What the datapath of a running network says of itself. */
  async snapshot(network: string): Promise<EngineSnapshot> {
    const paths = networkPaths(join(this.vmlan.folder, 'run'), join(this.vmlan.folder, 'state'), network);
    const process = await NetworkClient.adopt(paths, { onNotification: () => undefined, onLost: () => undefined });
    if (process === null) throw new Error(`network ${network} does not run`);
    try {
      return await process.call('snapshot', {});
    } finally {
      process.release();
    }
  }

  /** How often something was counted; 0 for what never was. */
  async counter(network: string, name: string): Promise<number> {
    return (await this.network(network)).counters?.[name] ?? 0;
  }

  /**
   * A namespace with an interface eth0 on the network. With `configure` vmlan sets its addresses; without, the interface
   * waits for a DHCP client.
   */
  async namespaceGuest(name: string, options: GuestOnNetwork & { configure?: boolean } = {}): Promise<Namespace> {
    const namespace = await this.lab.guest(name);
    const configure = options.configure === true ? ['--config-net'] : [];
    await this.vmlan.ok('run', name, ...nicOptions(options), '--netns', namespace.path, ...configure);
    await namespace.waitForLink('eth0');
    await namespace.ip('link', 'set', 'eth0', 'up');
    return namespace;
  }

  /** What QEMU needs to bring this guest onto the network. */
  async attach(name: string, options: GuestOnNetwork & { kind?: AttachKind } = {}): Promise<string[]> {
    const kind = options.kind === undefined ? [] : ['--kind', options.kind];
    return (await this.vmlan.json<{ qemu: string[] }>('attach', name, ...nicOptions(options), ...kind)).qemu;
  }

  async qemuGuest(
    name: string,
    options: GuestOnNetwork & { kind?: AttachKind; dhcp?: boolean } = {},
  ): Promise<QemuGuest> {
    const netArgs = await this.attach(name, options);
    // In the host's namespace: a TCP link leads to its loopback.
    const wrap = this.lab.host.argv([]);
    const dhcp = options.dhcp === undefined ? {} : { dhcp: options.dhcp };
    return this.#stack.use(await QemuGuest.boot({ name, netArgs, wrap, ...dhcp }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
