/**
 * Guests that are there and say nothing: each announces itself once, and throws away whatever it hears.
 *
 * Zone: control. Blocks for the whole time; they leave with its end, or with the program.
 */
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import { SockAddr } from '../../packages/vmlan/src/sys/sockaddr.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { arpFrame } from './frames.ts';
import { ipv4Of, ok, scratch, SCRATCH_BYTES } from './sockets.ts';
import { LENGTH_LEN } from './stream-port.ts';
import { VdePort } from './vde-port.ts';
import type { Wall } from './frame-flood.ts';

export interface IdleLoad {
  readonly wall: Wall;
  readonly run: number;
  readonly count: number;
  readonly seconds: number;
}

const FIRST_ADDRESS = ipv4Of('10.144.128.0');
const EVENTS = 256;
const LOOK_MS = 100;

function plugIn(sys: Sys, { wall, run }: IdleLoad, guest: number): number {
  const mac = { hi: 0x5254, lo: 0x8000_0000 + (run << 16) + guest };
  const frame = arpFrame(mac, FIRST_ADDRESS + guest, FIRST_ADDRESS + guest);
  const buffer = scratch(sys);
  if (wall.kind === 'vde') {
    const { fd } = new VdePort(sys, wall.path, `${wall.path}/idle-${process.pid}-${run}-${guest}`, () => undefined);
    sys.arena.u8.set(frame, buffer);
    ok('send', sys.send(fd, buffer, frame.length, 0));
    return fd;
  }
  const address = new SockAddr(sys.arena).setUnix(wall.path);
  const fd = ok('socket', sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_CLOEXEC, 0));
  ok(`connect guest ${guest}`, sys.connect(fd, address.off, address.len));
  sys.arena.view.setUint32(buffer, frame.length);
  sys.arena.u8.set(frame, buffer + LENGTH_LEN);
  ok('send', sys.send(fd, buffer, LENGTH_LEN + frame.length, 0));
  return fd;
}

export function idleGuests(sys: Sys, load: IdleLoad): { heardBytes: number } {
  const epoll = ok('epoll', sys.epollCreate());
  const fds = Array.from({ length: load.count }, (_, guest) => plugIn(sys, load, guest));
  for (const fd of fds) ok('epoll_ctl', sys.epollCtl(epoll, C.EPOLL_CTL_ADD, fd, C.EPOLLIN, fd));
  const buffer = scratch(sys);
  const end = performance.now() + load.seconds * 1000;
  let heardBytes = 0;
  while (performance.now() < end) {
    const n = sys.epollWait(epoll, EVENTS, LOOK_MS);
    for (let i = 0; i < n; i++) {
      const got = sys.recv(sys.eventData(i), buffer, SCRATCH_BYTES, C.MSG_DONTWAIT);
      if (got > 0) heardBytes += got;
      else if (got === 0) throw new Error('a guest was thrown out');
    }
  }
  for (const fd of [...fds, epoll]) sys.close(fd);
  return { heardBytes };
}
