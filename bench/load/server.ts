/**
 * The server at the far end of every load but iperf3's: one thread in epoll, all services of ports.ts at once.
 *
 *   node server.ts ADDRESS CONTROL        prints `listening`; CONTROL is a unix socket that answers each byte with one
 *                                         line of JSON, the counters so far
 *
 * Zone: control. It never returns to the event loop, so it can only be asked by that socket.
 */
import * as C from '../../packages/vmlan/src/sys/constants.ts';
import { SockAddr } from '../../packages/vmlan/src/sys/sockaddr.ts';
import {
  ECHO_PORTS,
  FLOOD_REQUEST_LEN,
  segmentedLength,
  SINK_PORT,
  SOURCE_PORT,
  UDP_ECHO_PORT,
  UDP_SINK_PORT,
  UDP_SOURCE_PORT,
} from './ports.ts';
import { bound, ok, openSys, SO_RCVBUFFORCE } from './sockets.ts';

export interface ServerCounters {
  readonly udpDatagrams: number;
  readonly udpBytes: number;
  readonly tcpBytes: number;
}

type Service = (fd: number, mask: number) => void;

const BUFFER_BYTES = 256 << 10;
const UDP_RECEIVE_BUFFER_BYTES = 8 << 20;
const UDP_SEGMENT_CMSG_ROOM = 64; // bytes
const MSGHDR_LEN = 56;
const EVENTS = 512;
const BURST = 64; // datagrams taken before the others have their turn

// UDP answers from the address that was asked only when it is bound to it.
const [address = '', controlPath = ''] = process.argv.slice(2);
const sys = openSys();
const { view, u8 } = sys.arena;
const buffer = sys.arena.alloc(BUFFER_BYTES, 4096);
const cmsg = sys.arena.alloc(UDP_SEGMENT_CMSG_ROOM, 16);
const msghdr = sys.arena.alloc(MSGHDR_LEN, 16);
const iovec = sys.arena.alloc(16, 16);
const peer = new SockAddr(sys.arena);
const epoll = ok('epoll', sys.epollCreate());
const services: (Service | undefined)[] = [];
let udpDatagrams = 0;
let udpBytes = 0;
let tcpBytes = 0;

function watch(fd: number, service: Service, events: number = C.EPOLLIN): void {
  services[fd] = service;
  ok('epoll_ctl', sys.epollCtl(epoll, C.EPOLL_CTL_ADD, fd, events, fd));
}

function drop(fd: number): void {
  services[fd] = undefined;
  sys.close(fd);
}

/** Every connection of `fd` gets this service, with Nagle's algorithm off. */
function accepting(service: Service, events?: number): Service {
  return (fd) => {
    for (;;) {
      const connection = sys.accept(fd, 0);
      if (connection < 0) return;
      sys.setsockopt(connection, C.IPPROTO_TCP, C.TCP_NODELAY, 1);
      watch(connection, service, events);
    }
  };
}

function echo(fd: number): void {
  const n = sys.recv(fd, buffer, BUFFER_BYTES, 0);
  if (n === -C.EAGAIN) return;
  // What does not fit into the send buffer is lost: echoes are small.
  if (n <= 0 || sys.send(fd, buffer, n, 0) < 0) drop(fd);
}

function sink(fd: number): void {
  const n = sys.recv(fd, buffer, BUFFER_BYTES, 0);
  if (n > 0) tcpBytes += n;
  else if (n !== -C.EAGAIN) drop(fd);
}

function source(fd: number, mask: number): void {
  if ((mask & (C.EPOLLHUP | C.EPOLLERR | C.EPOLLRDHUP)) !== 0) return drop(fd);
  const n = sys.send(fd, buffer, BUFFER_BYTES, 0);
  if (n < 0 && n !== -C.EAGAIN) drop(fd);
}

function udpEcho(fd: number): void {
  for (let i = 0; i < BURST; i++) {
    const n = sys.recvfrom(fd, buffer, BUFFER_BYTES, C.MSG_DONTWAIT, peer.off);
    if (n < 0) return;
    sys.sendto(fd, buffer, n, 0, peer.off, sys.addrLen());
  }
}

/** With UDP_GRO a read may hold many datagrams; a control message tells their size (man 7 udp). */
function udpSink(fd: number): void {
  for (let i = 0; i < BURST; i++) {
    sys.setIovec(iovec, 0, buffer, BUFFER_BYTES);
    sys.setMsghdr(msghdr, 0, 0, iovec, 1, cmsg, UDP_SEGMENT_CMSG_ROOM);
    const n = sys.recvmsg(fd, msghdr, C.MSG_DONTWAIT);
    if (n < 0) return;
    const hasSize = view.getUint32(msghdr + 40, true) >= 20 && view.getInt32(cmsg + 12, true) === C.UDP_GRO;
    const size = hasSize ? view.getInt32(cmsg + 16, true) : n;
    udpDatagrams += size > 0 ? Math.ceil(n / size) : 1;
    udpBytes += n;
  }
}

/** Nobody else is served while it lasts. */
function udpSource(fd: number): void {
  const n = sys.recvfrom(fd, buffer, BUFFER_BYTES, C.MSG_DONTWAIT, peer.off);
  if (n !== FLOOD_REQUEST_LEN) return;
  const addressLen = sys.addrLen();
  const size = view.getUint16(buffer + 4, true);
  const segmented = view.getUint16(buffer + 6, true) === 1;
  sys.setsockopt(fd, C.SOL_UDP, C.UDP_SEGMENT, segmented ? size : 0);
  const length = segmented ? segmentedLength(size) : size;
  const end = performance.now() + view.getUint32(buffer, true);
  while (performance.now() < end) sys.sendto(fd, buffer, length, 0, peer.off, addressLen);
}

function control(fd: number): void {
  const n = sys.recv(fd, buffer, BUFFER_BYTES, 0);
  if (n <= 0) return drop(fd);
  const counters: ServerCounters = { udpDatagrams, udpBytes, tcpBytes };
  const answer = new TextEncoder().encode(`${JSON.stringify(counters)}\n`);
  u8.set(answer, buffer);
  sys.send(fd, buffer, answer.length, 0);
}

function listenControl(path: string): number {
  const fd = ok('socket', sys.socket(C.AF_UNIX, C.SOCK_STREAM | C.SOCK_CLOEXEC | C.SOCK_NONBLOCK, 0));
  const own = new SockAddr(sys.arena).setUnix(path);
  ok(`bind ${path}`, sys.bind(fd, own.off, own.len));
  ok('listen', sys.listen(fd, 16));
  return fd;
}

function listenUdp(port: number, service: Service): number {
  const fd = bound(sys, C.SOCK_DGRAM, address, port);
  ok('SO_RCVBUFFORCE', sys.setsockopt(fd, C.SOL_SOCKET, SO_RCVBUFFORCE, UDP_RECEIVE_BUFFER_BYTES));
  watch(fd, service);
  return fd;
}

function serve(): never {
  for (;;) {
    const n = sys.epollWait(epoll, EVENTS, -1);
    for (let i = 0; i < n; i++) {
      const fd = sys.eventData(i);
      services[fd]?.(fd, sys.eventMask(i));
    }
  }
}

for (const port of ECHO_PORTS) watch(bound(sys, C.SOCK_STREAM, address, port), accepting(echo));
watch(bound(sys, C.SOCK_STREAM, address, SINK_PORT), accepting(sink));
watch(bound(sys, C.SOCK_STREAM, address, SOURCE_PORT), accepting(source, C.EPOLLOUT | C.EPOLLRDHUP));
listenUdp(UDP_ECHO_PORT, udpEcho);
ok('UDP_GRO', sys.setsockopt(listenUdp(UDP_SINK_PORT, udpSink), C.SOL_UDP, C.UDP_GRO, 1));
listenUdp(UDP_SOURCE_PORT, udpSource);
watch(listenControl(controlPath), accepting(control));
process.stdout.write('listening\n', serve);
