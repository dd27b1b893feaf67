/**
 * A namespace on a stream socket: what QEMU does between a guest's network card and `-netdev stream`, without a machine.
 * A TAP without any offload gives whole frames with checksums; each goes with its length in front to the socket, and
 * back.
 *
 *   node stream-guest.ts REQUEST TARGET SOCKET     the first two as tap-holder.ts has them; prints `open`
 *
 * Zone: control.
 */
import { openNamespaceTap, type NamespaceTarget, type TapRequest } from '../../src/drivers/userspace/netns-attach.ts';
import * as C from '../../src/sys/constants.ts';
import { openLibc } from '../../src/sys/libc.ts';
import { SockAddr } from '../../src/sys/sockaddr.ts';

const TUNSETOFFLOAD = 0x400454d0;
const VNET_HDR_LEN = 12;
const LENGTH_LEN = 4;
const FRAMES_PER_TURN = 64;
const STREAM_ROOM = 1 << 20; // bytes
const [request = '{}', target = 'null', path = ''] = process.argv.slice(2);

const sys = openLibc({ arenaBytes: 8 << 20 });
const { view, u8 } = sys.arena;
const frame = sys.arena.alloc(128 << 10) + 64;
const stream = sys.arena.alloc(STREAM_ROOM);
const tap = await openNamespaceTap(
  sys,
  JSON.parse(request) as TapRequest,
  JSON.parse(target) as NamespaceTarget | null,
);
check('TUNSETOFFLOAD', sys.ioctl(tap, TUNSETOFFLOAD, -1, 0));
const address = new SockAddr(sys.arena).setUnix(path);
const socket = check('socket', sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_CLOEXEC, 0)); // blocks, as QEMU's card does
check('connect', sys.connect(socket, address.off, address.len));
const epoll = check('epoll', sys.epollCreate());
check('epoll_ctl', sys.epollCtl(epoll, C.EPOLL_CTL_ADD, tap, C.EPOLLIN, 0));
check('epoll_ctl', sys.epollCtl(epoll, C.EPOLL_CTL_ADD, socket, C.EPOLLIN, 1));
process.stdout.write('open\n', pump);

function check(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: errno ${-result}`);
  return result;
}

function pump(): void {
  for (;;) {
    const n = sys.epollWait(epoll, 2, -1);
    for (let i = 0; i < n; i++) if (sys.eventData(i) === 0) fromTap();
    for (let i = 0; i < n; i++) if (sys.eventData(i) === 1) fromStream();
  }
}

function fromTap(): void {
  for (let i = 0; i < FRAMES_PER_TURN; i++) {
    const n = sys.read(tap, frame - VNET_HDR_LEN, 100_000);
    if (n === -C.EAGAIN) return;
    if (n < 0) process.exit(0); // the namespace is gone
    const len = n - VNET_HDR_LEN;
    const start = frame - LENGTH_LEN; // over the end of the header
    view.setUint32(start, len);
    for (let sent = 0; sent < len + LENGTH_LEN;) {
      const part = sys.send(socket, start + sent, len + LENGTH_LEN - sent, C.MSG_NOSIGNAL);
      if (part <= 0) process.exit(0); // the network is gone
      sent += part;
    }
  }
}

let filled = 0;

function fromStream(): void {
  const n = sys.recv(socket, stream + filled, STREAM_ROOM - filled, C.MSG_DONTWAIT);
  if (n === -C.EAGAIN) return;
  if (n <= 0) process.exit(0);
  filled += n;
  let at = 0;
  while (filled - at >= LENGTH_LEN) {
    const len = view.getUint32(stream + at);
    if (filled - at - LENGTH_LEN < len) break;
    u8.fill(0, frame - VNET_HDR_LEN, frame);
    u8.copyWithin(frame, stream + at + LENGTH_LEN, stream + at + LENGTH_LEN + len);
    sys.write(tap, frame - VNET_HDR_LEN, len + VNET_HDR_LEN); // a full guest loses frames, as a machine does
    at += LENGTH_LEN + len;
  }
  u8.copyWithin(stream, stream + at, stream + filled);
  filled -= at;
}
