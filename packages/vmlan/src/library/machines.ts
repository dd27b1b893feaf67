/**
 * Guests that are no JavaScript: virtual machines on a socket, and network namespaces.
 *
 * Zone: control.
 */
import { join } from 'node:path';
import { VmlanError } from '../core/errors.ts';
import { checkSocketPath } from '../drivers/network-paths.ts';
import { openNamespaceTap } from '../drivers/userspace/netns-attach.ts';
import type { EngineRequest } from '../engine/control-messages.ts';
import type { AllocatedAddress } from '../engine/control-messages.ts';
import { interfaceNameSchema } from '../model/names.ts';
import type { Network as ResolvedNetwork } from '../model/network.ts';
import { systemCalls } from './frame-link.ts';
import type { GuestNic, NicOptions } from './guest-names.ts';
import type { SocketDirectory } from './socket-directory.ts';

const DEFAULT_INTERFACE = 'eth0';

/** A machine's card, and what its monitor is told. */
export interface QemuAttachment extends AsyncDisposable {
  readonly name: string;
  readonly mac: string;
  /** The unix socket, with QEMU's stream framing. */
  readonly socket: string;
  /** To be put behind `qemu-system-x86_64`. */
  readonly arguments: readonly string[];
  /** Takes the card and its socket away. */
  close(): Promise<void>;
}

export interface NamespaceOptions extends NicOptions {
  /** A process inside the namespace; this or `path`. */
  readonly pid?: number;
  /** e.g. `/run/netns/web`. */
  readonly path?: string;
  /** What the interface is called. Default `eth0`. */
  readonly interface?: string;
  /** Give the interface its address and route; without it, it waits for a DHCP client. Default true. */
  readonly configure?: boolean;
}

/** A namespace's interface on the network. */
export interface NamespaceAttachment extends AsyncDisposable {
  readonly name: string;
  readonly mac: string;
  readonly interface: string;
  /** null: not configured, or the network leases none. */
  readonly address4: string | null;
  /** Takes the interface away. */
  close(): Promise<void>;
}

/** What an attachment needs of its network. */
export interface MachineContext {
  readonly network: ResolvedNetwork;
  readonly directory: SocketDirectory;
  readonly ask: (message: EngineRequest) => Promise<unknown>;
  /** Takes NIC and link away again. */
  readonly remove: () => Promise<void>;
}

export async function openQemu(context: MachineContext, nic: GuestNic, linkId: string): Promise<QemuAttachment> {
  const socket = join(context.directory.path, `${nic.guest}.sock`);
  checkSocketPath(socket, `guest "${nic.guest}"`);
  await context.ask({
    type: 'add-link',
    linkId,
    link: { kind: 'stream-listen', address: { unix: socket }, nic: nic.key },
  });
  const close = (): Promise<void> => context.remove();
  const id = `vmlan-${nic.guest}`;
  const path = socket.replaceAll(',', ',,'); // QEMU splits option values at commas
  return {
    name: nic.guest,
    mac: nic.mac,
    socket,
    arguments: [
      ...['-netdev', `stream,id=${id},server=off,addr.type=unix,addr.path=${path}`],
      ...['-device', `virtio-net-pci,netdev=${id},mac=${nic.mac},host_mtu=${context.network.mtu}`],
    ],
    close,
    [Symbol.asyncDispose]: close,
  };
}

export async function openNamespace(
  context: MachineContext,
  nic: GuestNic,
  linkId: string,
  options: NamespaceOptions,
): Promise<NamespaceAttachment> {
  const target = { pid: options.pid ?? null, path: options.path ?? null };
  if ((target.pid === null) === (target.path === null)) {
    throw new VmlanError('invalid', `guest "${nic.guest}": a namespace is given by \`pid\` or by \`path\``);
  }
  const name = interfaceNameSchema.safeParse(options.interface ?? DEFAULT_INTERFACE);
  if (!name.success) throw new VmlanError('invalid', `interface: ${name.error.issues[0]!.message}`);
  const { ipv4, mtu } = context.network;
  const address =
    options.configure === false || ipv4 === null
      ? null
      : ((await context.ask({ type: 'allocate', nic: nic.key, mac: nic.mac })) as AllocatedAddress);
  const address4 = address?.address4 ?? null;
  const sys = systemCalls();
  const fd = await openNamespaceTap(
    sys,
    {
      socket: join(context.directory.path, `${nic.guest}.tap`),
      interface: name.data,
      mac: nic.mac,
      mtuBytes: mtu,
      addresses: address4 === null ? [] : [`${address4}/${address!.prefix4}`],
      gateways: (address?.gateway4 ?? null) === null ? [] : [address!.gateway4!],
      loopback: true,
      routerAdverts: true,
    },
    target,
  );
  try {
    await context.ask({ type: 'add-link', linkId, link: { kind: 'tap', fd, nic: nic.key, hostSide: false } });
  } catch (error) {
    sys.close(fd);
    throw error;
  }
  const close = (): Promise<void> => context.remove();
  return { name: nic.guest, mac: nic.mac, interface: name.data, address4, close, [Symbol.asyncDispose]: close };
}
