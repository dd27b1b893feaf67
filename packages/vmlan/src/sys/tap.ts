/**
 * TAP interfaces: /dev/net/tun and its ioctls (Documentation/networking/tuntap.rst, linux/if_tun.h).
 *
 * Zone: control.  A TAP here always carries struct virtio_net_hdr_v1 (12 bytes) before each frame, with checksum and
 * segmentation left to whoever takes the frame; the engine finishes both when a frame leaves by another link.
 * The interface lives as long as its descriptor is open, which the caller owns.  Failures become errors with the fix.
 */
import { VmlanError } from '../core/errors.ts';
import type { Arena } from '../core/arena.ts';
import { EACCES, EBUSY, EINVAL, ENOENT, EPERM, O_CLOEXEC, O_NONBLOCK, O_RDWR } from './constants.ts';
import type { Sys } from './sys.ts';

/** struct virtio_net_hdr_v1, bytes before each frame. */
export const VNET_HDR_LEN = 12;

const DEVICE = '/dev/net/tun';
const ENXIO = 6;
const ENODEV = 19;

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const SIOCSIFHWADDR = 0x8924;
const IFREQ_LEN = 40; // bytes, struct ifreq
const IFNAMSIZ = 16; // bytes, name with its final NUL
const ARPHRD_ETHER = 1;

const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
/** Fails with EBUSY instead of joining an interface that exists. */
const IFF_TUN_EXCL = 0x8000;

const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const TUN_F_TSO_ECN = 0x08;
/** Linux 6.2 and later; both or none. */
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;
const TCP_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

export interface TapOptions {
  readonly name: string;
  /** aa:bb:cc:dd:ee:ff */
  readonly mac: string;
}

/** Creates the interface in the caller's network namespace; the descriptor is non-blocking and closes on exec. */
export function openTap(sys: Sys, options: TapOptions): number {
  const fd = sys.open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw openError(-fd);
  try {
    const request = ifreqFor(sys.arena, options.name);
    sys.arena.view.setUint16(request + IFNAMSIZ, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL, true);
    const created = sys.ioctl(fd, TUNSETIFF, request, 0);
    if (created < 0) throw createError(-created, options.name);
    setHeaderAndOffloads(sys, fd, request);
    setMac(sys, fd, request, options.mac);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

const requestOf = new WeakMap<Arena, number>();

/** The one struct ifreq of this arena, cleared, with the interface's name in it; an int lies behind it. */
function ifreqFor(arena: Arena, name: string): number {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length >= IFNAMSIZ) {
    throw new VmlanError('invalid', `interface name "${name}" must have 1 to ${IFNAMSIZ - 1} bytes`);
  }
  const offset = requestOf.get(arena) ?? arena.alloc(IFREQ_LEN + 4);
  requestOf.set(arena, offset);
  arena.u8.fill(0, offset, offset + IFREQ_LEN);
  arena.u8.set(bytes, offset);
  return offset;
}

function setHeaderAndOffloads(sys: Sys, fd: number, request: number): void {
  const size = request + IFREQ_LEN;
  sys.arena.view.setInt32(size, VNET_HDR_LEN, true);
  const sized = sys.ioctl(fd, TUNSETVNETHDRSZ, size, 0);
  if (sized < 0) throw ioctlError('TUNSETVNETHDRSZ', -sized);
  const set = sys.ioctl(fd, TUNSETOFFLOAD, -1, TCP_OFFLOADS);
  if (set < 0) throw ioctlError('TUNSETOFFLOAD', -set);
}

/**
 * Lets the kernel hand over runs of UDP datagrams that are still to be cut; it then also takes them. False where it has no
 * such thing (before Linux 6.2).  Needs no privilege: who has the descriptor may ask.
 */
export function segmentUdp(sys: Sys, fd: number): boolean {
  return sys.ioctl(fd, TUNSETOFFLOAD, -1, TCP_OFFLOADS | TUN_F_USO4 | TUN_F_USO6) >= 0;
}

function setMac(sys: Sys, fd: number, request: number, mac: string): void {
  const octets = mac.split(':').map((octet) => Number.parseInt(octet, 16));
  if (octets.length !== 6 || octets.some((octet) => !(octet >= 0 && octet <= 255))) {
    throw new VmlanError('invalid', `"${mac}" is not a MAC address`);
  }
  // struct sockaddr in ifr_hwaddr: family, then the address.
  sys.arena.view.setUint16(request + IFNAMSIZ, ARPHRD_ETHER, true);
  sys.arena.u8.set(octets, request + IFNAMSIZ + 2);
  const set = sys.ioctl(fd, SIOCSIFHWADDR, request, 0);
  if (set < 0) throw ioctlError(`setting the MAC address ${mac}`, -set);
}

function openError(errno: number): VmlanError {
  switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return new VmlanError('unsupported', `${DEVICE} is missing`, {
        hint: 'load it with: modprobe tun (in a container, pass the device in)',
      });
    case EACCES:
    case EPERM:
      return new VmlanError('not-permitted', `${DEVICE} may not be opened by this user`, {
        hint: `as root: chmod 666 ${DEVICE}`,
      });
    default:
      return ioctlError(`opening ${DEVICE}`, errno);
  }
}

function createError(errno: number, name: string): VmlanError {
  switch (errno) {
    case EBUSY:
    case EINVAL:
      return new VmlanError('conflict', `an interface named "${name}" exists already`, { hint: 'choose another name' });
    case EPERM:
      return new VmlanError('not-permitted', `interface "${name}" may not be created: CAP_NET_ADMIN is missing here`);
    default:
      return ioctlError(`creating interface "${name}"`, errno);
  }
}

function ioctlError(what: string, errno: number): VmlanError {
  return new VmlanError('unavailable', `${what} failed with errno ${errno}`);
}
