/**
 * What a virtual machine monitor is told so that its guest's card leads to the socket of an attachment.
 *
 * Zone: control.  QEMU: `-netdev` and `-device` (qemu-options.hx); vfkit: `--device virtio-net`.  QEMU splits option
 * values at commas, and a comma inside one is written twice.
 */
import { VmlanError } from '../../client/errors.ts';
import type { AttachResult } from '../../model/api.ts';
import { reconnectOption } from './qemu-version.ts';
import type { QemuVersion } from './qemu-version.ts';

const NETDEV_ID = 'vmlan0';

export const escapeComma = (value: string): string => value.replaceAll(',', ',,');

/** `version` null: unknown, so nothing that an older QEMU would refuse. */
export function qemuNetworkArguments(attached: AttachResult, version: QemuVersion | null): string[] {
  return [
    '-netdev',
    netdevOption(attached, version),
    '-device',
    `virtio-net-pci,netdev=${NETDEV_ID},mac=${attached.mac},host_mtu=${attached.mtu}`,
  ];
}

function netdevOption(attached: AttachResult, version: QemuVersion | null): string {
  switch (attached.kind) {
    case 'qemu-stream': {
      const parts = [
        `stream,id=${NETDEV_ID},server=off`,
        `addr.type=unix,addr.path=${escapeComma(unixPath(attached))}`,
      ];
      const reconnect = reconnectOption(version);
      return (reconnect === null ? parts : [...parts, reconnect]).join(',');
    }
    case 'qemu-dgram': {
      const local = `local.type=unix,local.path=${escapeComma(attached.localSocket ?? '')}`;
      return `dgram,id=${NETDEV_ID},${local},remote.type=unix,remote.path=${escapeComma(unixPath(attached))}`;
    }
    case 'qemu-server':
      return serverOption(attached);
    case 'qemu-socket-tcp':
      return `socket,id=${NETDEV_ID},connect=${tcpAddress(attached)}`;
    default:
      throw new VmlanError('usage', `an attachment of kind ${attached.kind} has no QEMU arguments`);
  }
}

/** QEMU listens, vmlan connects and connects again. */
function serverOption(attached: AttachResult): string {
  const { socket } = attached;
  if (socket !== null && 'unix' in socket) {
    return `stream,id=${NETDEV_ID},server=on,addr.type=unix,addr.path=${escapeComma(socket.unix)}`;
  }
  return `socket,id=${NETDEV_ID},listen=${tcpAddress(attached)}`;
}

export function vfkitNetworkArguments(attached: AttachResult): string[] {
  return ['--device', `virtio-net,unixSocketPath=${unixPath(attached)},mac=${attached.mac}`];
}

/** The line that a person should read when the guest would stay cut off after a restart; null where it would not. */
export function reconnectWarning(attached: AttachResult, version: QemuVersion | null): string | null {
  if (attached.kind === 'qemu-socket-tcp') {
    return 'QEMU never reconnects a socket netdev: the guest loses its link when its network restarts';
  }
  if (attached.kind !== 'qemu-stream' || reconnectOption(version) !== null) return null;
  const who =
    version === null ? 'the version of QEMU is unknown' : `QEMU ${version.major}.${version.minor} cannot reconnect`;
  return `${who}: the guest loses its link when its network restarts; QEMU 8.0 and later connect again`;
}

/** The socket for documents: a path, or HOST:PORT. */
export function socketText(attached: AttachResult): string | null {
  const { socket } = attached;
  if (socket === null) return null;
  return 'unix' in socket ? socket.unix : tcpAddress(attached);
}

function unixPath({ socket, kind }: AttachResult): string {
  if (socket !== null && 'unix' in socket) return socket.unix;
  throw new VmlanError('internal', `the daemon gave no unix socket for kind ${kind}`);
}

function tcpAddress({ socket, kind }: AttachResult): string {
  if (socket === null || 'unix' in socket)
    throw new VmlanError('internal', `the daemon gave no TCP address for kind ${kind}`);
  return socket.host.includes(':') ? `[${socket.host}]:${socket.port}` : `${socket.host}:${socket.port}`;
}
