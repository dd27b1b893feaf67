/**
 * Many TCP connections at once: connect–request–close by a number of clients side by side, and connections that are
 * opened and then held.
 *
 * Zone: control. Blocks until it is over; held connections live as long as the program.
 */
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import type { SockAddr } from '../../packages/vmlan/src/sys/sockaddr.ts';
import type { Sys } from '../../packages/vmlan/src/sys/sys.ts';
import { CallError, ok, scratch, tcpSocket } from './sockets.ts';
import { Latencies, targets, type ExchangeLoad, type ExchangeRate } from './tcp-exchanges.ts';

export interface CrowdLoad extends ExchangeLoad {
  readonly parallel: number;
}

export interface HoldLoad {
  readonly server: string;
  readonly ports: readonly number[];
  readonly count: number;
}

const EVENTS = 256;
const STALL_MS = 5000;

/** Starts connecting; the descriptor is in `epoll` with `data`. */
function start(sys: Sys, epoll: number, to: SockAddr, data: number): number {
  const fd = tcpSocket(sys, C.SOCK_NONBLOCK);
  const result = sys.connect(fd, to.off, to.len);
  if (result < 0 && result !== -C.EINPROGRESS) throw new CallError('connect', -result);
  ok('epoll_ctl', sys.epollCtl(epoll, C.EPOLL_CTL_ADD, fd, C.EPOLLOUT, data));
  return fd;
}

export function crowd(sys: Sys, load: CrowdLoad): ExchangeRate {
  const { parallel, size } = load;
  const buffer = scratch(sys);
  const to = targets(sys, load.server, load.ports);
  const epoll = ok('epoll', sys.epollCreate());
  const latencies = new Latencies();
  const fds = new Int32Array(parallel);
  const received = new Int32Array(parallel);
  const asked = new Uint8Array(parallel);
  const startedMs = new Float64Array(parallel);

  const begin = (slot: number): void => {
    startedMs[slot] = performance.now();
    received[slot] = 0;
    asked[slot] = 0;
    fds[slot] = start(sys, epoll, to.next().value, slot);
  };
  const step = (slot: number): void => {
    const fd = fds[slot] ?? -1;
    if (asked[slot] === 0) {
      ok('send', sys.send(fd, buffer, size, 0));
      asked[slot] = 1;
      ok('epoll_ctl', sys.epollCtl(epoll, C.EPOLL_CTL_MOD, fd, C.EPOLLIN, slot));
      return;
    }
    received[slot] = (received[slot] ?? 0) + ok('recv', sys.recv(fd, buffer, size, 0));
    if ((received[slot] ?? 0) < size) return;
    sys.close(fd);
    const now = performance.now();
    if (now > counted) latencies.add((now - (startedMs[slot] ?? now)) * 1000);
    begin(slot);
  };

  const counted = performance.now() + load.seconds * 200; // a fifth of the time to warm up
  const end = counted + load.seconds * 1000;
  for (let slot = 0; slot < parallel; slot++) begin(slot);
  while (performance.now() < end) {
    const n = sys.epollWait(epoll, EVENTS, STALL_MS);
    if (n === 0) throw new Error(`${parallel} connections, and nothing happened for ${STALL_MS} ms`);
    for (let i = 0; i < n; i++) step(sys.eventData(i));
  }
  for (const fd of fds) sys.close(fd);
  sys.close(epoll);
  return latencies.rate(load.seconds);
}

const OPENING_AT_ONCE = 256;
/** What does not stand by then is not waited for: some peers take a minute for ten thousand. */
const OPENING_MS = 20_000;
const held = new Set<number>();

/** Closes what `hold` has opened, or begun to open. */
export function release(sys: Sys): { closed: number } {
  const closed = held.size;
  for (const fd of held) sys.close(fd);
  held.clear();
  return { closed };
}

/** Opens `count` connections, spread over the ports, as far as time allows. Returns how many stand, and how long it took. */
export function hold(sys: Sys, { server, ports, count }: HoldLoad): { open: number; ms: number } {
  const to = targets(sys, server, ports);
  const epoll = ok('epoll', sys.epollCreate());
  const started = performance.now();
  let begun = 0;
  let open = 0;
  let failed = 0;
  const begin = (): void => {
    if (begun >= count) return;
    begun++;
    const fd = start(sys, epoll, to.next().value, 0);
    held.add(fd);
    ok('epoll_ctl', sys.epollCtl(epoll, C.EPOLL_CTL_MOD, fd, C.EPOLLOUT, fd));
  };
  while (begun < Math.min(OPENING_AT_ONCE, count)) begin();
  while (open + failed < count && performance.now() - started < OPENING_MS) {
    const n = sys.epollWait(epoll, EVENTS, STALL_MS);
    if (n === 0) break; // the rest was refused in silence
    for (let i = 0; i < n; i++) {
      const fd = sys.eventData(i);
      const bad = (sys.eventMask(i) & (C.EPOLLERR | C.EPOLLHUP)) !== 0;
      sys.epollCtl(epoll, C.EPOLL_CTL_DEL, fd, 0, 0);
      if (bad) {
        failed++;
        held.delete(fd);
        sys.close(fd);
      } else {
        open++;
      }
      begin();
    }
  }
  sys.close(epoll);
  return { open, ms: performance.now() - started };
}
