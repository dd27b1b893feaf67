/**
 * UDP loads: a window of requests outstanding, a flood without any answer, and a flood that comes back. Datagrams that
 * the kernel may cut or join (UDP_SEGMENT, UDP_GRO; man 7 udp) go many to a call.
 *
 * Zone: control. Everything blocks until it is over.
 */
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import { SockAddr } from '../../packages/vmlan/src/sys/sockaddr.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { FLOOD_REQUEST_LEN, segmentedLength } from './ports.ts';
import { CallError, ipv4Of, ok, scratch, SCRATCH_BYTES, setReceiveTimeout, udpConnect } from './sockets.ts';

export interface UdpLoad {
  readonly server: string;
  readonly port: number;
  readonly seconds: number;
  /** Bytes of a datagram. */
  readonly size: number;
}

export interface FloodLoad extends UdpLoad {
  /** Many datagrams in one call. */
  readonly segmented: boolean;
}

export interface FloodCount {
  readonly bytes: number;
  readonly seconds: number;
}

const BUFFER_BYTES = 8 << 20; // of sockets
const LOSS_MS = 20; // silence after which the window counts as lost
const FIRST_MS = 2000;

/** Exchanges per second with `window` of them under way. */
export function udpWindow(sys: Sys, load: UdpLoad & { window: number }): { perSecond: number; lostShare: number } {
  const { size, window, seconds } = load;
  const buffer = scratch(sys);
  const fd = udpConnect(sys, new SockAddr(sys.arena).setIpv4(ipv4Of(load.server), load.port), BUFFER_BYTES);
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) ok('send', sys.send(fd, buffer, size, 0));
  };
  setReceiveTimeout(sys, fd, FIRST_MS);
  send(1);
  ok('the first answer', sys.recv(fd, buffer, size, 0));
  setReceiveTimeout(sys, fd, LOSS_MS);

  const start = performance.now() + seconds * 200; // a fifth of the time to warm up
  const end = start + seconds * 1000;
  let answered = 0;
  let lost = 0;
  let now = 0;
  send(window);
  while (now < end) {
    const n = sys.recv(fd, buffer, size, 0);
    now = performance.now();
    if (n >= 0) {
      if (now >= start) answered++;
      send(1);
    } else if (n === -C.EAGAIN) {
      if (now >= start) lost += window;
      send(window);
    } else throw new CallError('recv', -n);
  }
  sys.close(fd);
  return { perSecond: answered / seconds, lostShare: lost / Math.max(1, lost + answered) };
}

/** Sends as fast as the kernel takes it; what arrives is counted by the server. */
export function udpFlood(sys: Sys, load: FloodLoad): FloodCount {
  const fd = udpConnect(sys, new SockAddr(sys.arena).setIpv4(ipv4Of(load.server), load.port), BUFFER_BYTES);
  const buffer = scratch(sys);
  const length = load.segmented ? segmentedLength(load.size) : load.size;
  if (load.segmented) ok('UDP_SEGMENT', sys.setsockopt(fd, C.SOL_UDP, C.UDP_SEGMENT, load.size));
  const start = performance.now();
  const end = start + load.seconds * 1000;
  let bytes = 0;
  let now = start;
  for (; now < end; now = performance.now()) {
    const n = sys.send(fd, buffer, length, 0);
    if (n >= 0) bytes += n;
    else if (n !== -C.ENOBUFS && n !== -C.EAGAIN && n !== -C.ECONNREFUSED) throw new CallError('send', -n);
  }
  sys.close(fd);
  return { bytes, seconds: (now - start) / 1000 };
}

/** Asks the server for a flood, and counts what comes. */
export function udpDrain(sys: Sys, load: FloodLoad): FloodCount {
  const fd = udpConnect(sys, new SockAddr(sys.arena).setIpv4(ipv4Of(load.server), load.port), BUFFER_BYTES);
  const buffer = scratch(sys);
  const { view } = sys.arena;
  ok('UDP_GRO', sys.setsockopt(fd, C.SOL_UDP, C.UDP_GRO, 1));
  view.setUint32(buffer, load.seconds * 1000, true);
  view.setUint16(buffer + 4, load.size, true);
  view.setUint16(buffer + 6, load.segmented ? 1 : 0, true);
  ok('send', sys.send(fd, buffer, FLOOD_REQUEST_LEN, 0));
  setReceiveTimeout(sys, fd, FIRST_MS);
  let bytes = ok('the first datagram', sys.recv(fd, buffer, SCRATCH_BYTES, 0));
  setReceiveTimeout(sys, fd, 200);
  const start = performance.now();
  let last = start;
  for (;;) {
    const n = sys.recv(fd, buffer, SCRATCH_BYTES, 0);
    if (n === -C.EAGAIN) break;
    bytes += ok('recv', n);
    last = performance.now();
  }
  sys.close(fd);
  return { bytes, seconds: Math.max((last - start) / 1000, load.seconds) };
}
