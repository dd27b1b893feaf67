import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as c from './constants.ts';
import { ErrorQueue, PAYLOAD_ROOM, SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, SO_EE_ORIGIN_LOCAL } from './error-queue.ts';
import { openLibc } from './libc.ts';
import { SockAddr } from './sockaddr.ts';
import type { Sys } from './sys.ts';

const DATAGRAM = c.SOCK_DGRAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
const LOOPBACK = 0x7f000001;
const WAIT_MS = 1000;

const sys = openLibc({ arenaBytes: 1 << 20 });
const addr = new SockAddr(sys.arena);
const queue = new ErrorQueue(sys);
const out = sys.arena.alloc(70_000);

function setLoopback(family: number, port: number): void {
  if (family === c.AF_INET) addr.setIpv4(LOOPBACK, port);
  else addr.setIpv6(0, 0, 0, 1, port);
}

/** A port nobody listens on: bound once, then left. */
function closedPort(family: number): number {
  const fd = sys.socket(family, DATAGRAM, 0);
  setLoopback(family, 0);
  assert.equal(sys.bind(fd, addr.off, addr.len), 0);
  assert.equal(sys.getsockname(fd, addr.off), 0);
  sys.close(fd);
  return addr.port;
}

function waitForError(fd: number): void {
  const epoll = sys.epollCreate();
  sys.epollCtl(epoll, c.EPOLL_CTL_ADD, fd, 0, 0);
  assert.equal(sys.epollWait(epoll, 1, WAIT_MS), 1);
  assert.equal(sys.eventMask(0) & c.EPOLLERR, c.EPOLLERR);
  sys.close(epoll);
}

const families = [
  {
    name: 'IPv4',
    family: c.AF_INET,
    level: c.IPPROTO_IP,
    recvErr: c.IP_RECVERR,
    discover: c.IP_MTU_DISCOVER,
    words: [LOOPBACK, 0, 0, 0],
    mtu: 65_535, // loopback has 65 536, an IPv4 total length ends here
    want: { origin: SO_EE_ORIGIN_ICMP, type: 3, code: 3 }, // RFC 792: port unreachable
  },
  {
    name: 'IPv6',
    family: c.AF_INET6,
    level: c.IPPROTO_IPV6,
    recvErr: c.IPV6_RECVERR,
    discover: c.IPV6_MTU_DISCOVER,
    words: [0, 0, 0, 1],
    mtu: 65_536,
    want: { origin: SO_EE_ORIGIN_ICMP6, type: 1, code: 4 }, // RFC 4443 §3.1: port unreachable
  },
] as const;

describe('error queue of real sockets', () => {
  for (const { name, family, level, recvErr, discover, words, mtu, want } of families) {
    test(`${name}: port unreachable, with offender, destination and payload`, () => {
      const fd = sys.socket(family, DATAGRAM, 0);
      assert.equal(sys.setsockopt(fd, level, recvErr, 1), 0);
      const port = closedPort(family);
      setLoopback(family, port);
      sys.arena.u8.set([1, 2, 3, 4, 5], out);
      assert.equal(sys.sendto(fd, out, 5, 0, addr.off, addr.len), 5);
      waitForError(fd);
      assert.equal(queue.read(fd), 0);
      const { errno, origin, type, code, info } = queue;
      assert.deepEqual({ errno, origin, type, code, info }, { errno: c.ECONNREFUSED, ...want, info: 0 });
      assert.equal(queue.offenderFamily, family);
      assert.deepEqual([...queue.offender], words);
      assert.equal(queue.destinationFamily, family);
      assert.deepEqual([...queue.destination], words);
      assert.equal(queue.destinationPort, port);
      assert.equal(queue.payloadLen, 5);
      assert.deepEqual([...sys.arena.u8.subarray(queue.payloadOff, queue.payloadOff + 5)], [1, 2, 3, 4, 5]);
      assert.equal(queue.read(fd), -c.EAGAIN);
      sys.close(fd);
    });

    test(`${name}: a datagram above the MTU is a local error that names the MTU`, () => {
      const fd = sys.socket(family, DATAGRAM, 0);
      sys.setsockopt(fd, level, recvErr, 1);
      sys.setsockopt(fd, level, discover, c.IP_PMTUDISC_DO);
      setLoopback(family, 9);
      assert.equal(sys.connect(fd, addr.off, addr.len), 0);
      assert.equal(sys.send(fd, out, 65_530, 0), -c.EMSGSIZE);
      assert.equal(queue.read(fd), 0);
      assert.deepEqual([queue.errno, queue.origin, queue.info], [c.EMSGSIZE, SO_EE_ORIGIN_LOCAL, mtu]);
      sys.close(fd);
    });
  }

  test('a long payload is cut', () => {
    const fd = sys.socket(c.AF_INET, DATAGRAM, 0);
    sys.setsockopt(fd, c.IPPROTO_IP, c.IP_RECVERR, 1);
    const port = closedPort(c.AF_INET);
    setLoopback(c.AF_INET, port);
    assert.equal(sys.sendto(fd, out, 60_000, 0, addr.off, addr.len), 60_000);
    waitForError(fd);
    assert.equal(queue.read(fd), 0);
    assert.ok(queue.payloadLen > 0 && queue.payloadLen <= PAYLOAD_ROOM);
    sys.close(fd);
  });

  test('no such descriptor', () => {
    assert.equal(queue.read(-1), -c.EBADF);
  });
});

describe('error queue entries as bytes', () => {
  /** A table whose recvmsg answers with this control data and no name. */
  function answering(control: string): ErrorQueue {
    const bytes = Buffer.from(control.replaceAll(/\s|\|/g, ''), 'hex');
    let controlOff = 0;
    const scripted: Sys = Object.assign(Object.create(sys) as Sys, {
      arena: sys.arena,
      setIovec: () => undefined,
      setMsghdr: (msg: number, _name: number, _nameLen: number, _iov: number, _count: number, at: number) => {
        controlOff = at;
        sys.arena.view.setUint32(msg + 8, 0, true);
        sys.arena.view.setUint32(msg + 40, bytes.length, true);
      },
      recvmsg: () => {
        sys.arena.u8.set(bytes, controlOff);
        return 0;
      },
    });
    const reader = new ErrorQueue(scripted);
    assert.equal(reader.read(0), 0);
    return reader;
  }

  const TTL = '1400000000000000 | 00000000 | 02000000 | 40000000 00000000'; // len 20, SOL_IP, IP_TTL, 64, padding

  test('time exceeded from a router, behind a TTL message', () => {
    const reader = answering(
      `${TTL}
       3000000000000000 | 00000000 | 0b000000 |
       71000000 02 0b 00 00 00000000 00000000 |
       0200 0000 c0000201 0000000000000000`, // EHOSTUNREACH, ICMP 11/0, offender 192.0.2.1
    );
    assert.deepEqual([reader.errno, reader.origin, reader.type, reader.code], [c.EHOSTUNREACH, 2, 11, 0]);
    assert.deepEqual([reader.offenderFamily, reader.offender[0]], [c.AF_INET, 0xc0000201]);
    assert.equal(reader.destinationFamily, c.AF_UNSPEC);
  });

  for (const [name, control] of [
    ['no control data', ''],
    ['other messages only', TTL],
    ['a length below its header', '0800000000000000 | 00000000 | 0b000000'],
    ['a length beyond the end', 'ff00000000000000 | 00000000 | 0b000000 | 71000000'],
    ['an error cut short', '1400000000000000 | 00000000 | 0b000000 | 71000000'],
  ] as const) {
    test(`${name}: no error`, () => {
      const reader = answering(control);
      assert.deepEqual([reader.errno, reader.origin, reader.offenderFamily], [0, 0, c.AF_UNSPEC]);
    });
  }
});
