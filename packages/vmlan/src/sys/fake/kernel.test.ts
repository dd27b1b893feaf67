import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as c from '../constants.ts';
import { ipv6DefaultRoute, peekOffsetWorks, pingSocketWorks, udpGsoWorks } from '../probe.ts';
import { Client } from './client.fixture.ts';
import { FRAME_QUEUE_MAX } from './frame-file.ts';
import { FakeKernel } from './kernel.ts';
import * as services from './services.ts';

const WEB = '198.51.100.7';

function setUp(options: ConstructorParameters<typeof FakeKernel>[0] = {}): { kernel: FakeKernel; client: Client } {
  const kernel = new FakeKernel(options);
  return { kernel, client: new Client(kernel) };
}

describe('time', () => {
  test('epoll_wait jumps to the next event or to its own end, and sleeps never', () => {
    const { kernel, client } = setUp({ startMs: 5000, startEpochMs: 1_000_000 });
    const { sys } = client;
    const event = sys.eventfd();
    const epoll = sys.epollCreate();
    sys.epollCtl(epoll, c.EPOLL_CTL_ADD, event, c.EPOLLIN, 42);
    const started = performance.now();
    assert.equal(sys.epollWait(epoll, 8, 3_600_000), 0);
    assert.equal(sys.monotonicMs(), 3_605_000);
    assert.equal(sys.epochMs(), 4_600_000);
    kernel.after(250, () => {
      sys.arena.view.setUint32(client.out, 1, true);
      sys.write(event, client.out, 8);
    });
    assert.equal(sys.epollWait(epoll, 8, -1), 1);
    assert.deepEqual([sys.eventData(0), sys.eventMask(0)], [42, c.EPOLLIN]);
    assert.equal(kernel.now, 3_605_250);
    assert.equal(sys.eventMask(7), 0);
    assert.equal(sys.eventData(7), 0);
    assert.ok(performance.now() - started < 1000);
  });

  test('to wait for ever for nothing is an error, unless the test takes it', () => {
    const { kernel, client } = setUp();
    const epoll = client.sys.epollCreate();
    assert.throws(() => client.sys.epollWait(epoll, 1, -1), /sleep for ever/);
    let idle = 0;
    kernel.onIdle = () => idle++;
    assert.equal(client.sys.epollWait(epoll, 1, -1), 0);
    assert.equal(idle, 1);
  });

  test('the same program runs the same way twice', () => {
    const run = (): string[] => {
      const { kernel, client } = setUp();
      const log: string[] = [];
      kernel.host(WEB).listenTcp(80, services.source(200_000));
      kernel.host(WEB).delayMs = 7;
      for (let i = 0; i < 5; i++) {
        const fd = client.dial(WEB, 80);
        log.push(`${fd} ${client.readAll(fd).length} at ${kernel.now}`, ...kernel.openFds());
      }
      return log;
    };
    assert.deepEqual(run(), run());
  });
});

describe('descriptors', () => {
  test('are the lowest free ones, and end at the limit', () => {
    const { kernel, client } = setUp({ maxFds: 8 });
    const { sys } = client;
    const fds = [sys.eventfd(), sys.eventfd(), sys.eventfd()];
    assert.deepEqual(fds, [3, 4, 5]);
    sys.close(4);
    assert.equal(sys.eventfd(), 4);
    assert.deepEqual([sys.epollCreate(), sys.eventfd(), sys.eventfd()], [6, 7, -c.EMFILE]);
    assert.equal(sys.socket(c.AF_INET, c.SOCK_STREAM, 0), -c.EMFILE);
    assert.equal(sys.dup(3), -c.EMFILE);
    sys.close(7);
    assert.equal(sys.socketpair(c.AF_UNIX, c.SOCK_STREAM), -c.EMFILE);
    assert.equal(kernel.openCount, 4);
    assert.equal(sys.open('/dev/net/tun', c.O_RDWR), 7);
  });

  test('a connection stays in the queue while there is no descriptor for it', () => {
    const { kernel, client } = setUp({ maxFds: 5 });
    const listener = client.listen('127.0.0.1', 80);
    kernel.connectTcp({ from: '127.0.0.1', to: '127.0.0.1', port: 80 }, services.sink());
    const spare = client.sys.eventfd();
    assert.equal(client.sys.accept(listener, 0), -c.EMFILE);
    client.sys.close(spare);
    assert.ok(client.sys.accept(listener, 0) >= 0);
  });

  test('left open ones are named', () => {
    const { kernel, client } = setUp();
    client.listen('127.0.0.1', 80);
    client.dial('127.0.0.1', 80);
    client.sys.epollCreate();
    client.sys.eventfd();
    client.sys.socketpair(c.AF_UNIX, c.SOCK_STREAM);
    client.bind(client.socket('::1', c.SOCK_DGRAM), '::1', 53);
    kernel.openFrames();
    assert.deepEqual(kernel.openFds(), [
      '3: tcp 127.0.0.1:80 -> * listening',
      '4: tcp 127.0.0.1:32768 -> 127.0.0.1:80 established',
      '5: epoll of 0 files',
      '6: eventfd at 0',
      '7: unix (unnamed) connected',
      '8: unix (unnamed) connected',
      '9: udp [::1]:53 -> *',
      '10: frames ',
    ]);
  });

  test('flags', () => {
    const { client } = setUp();
    const fd = client.socket(WEB);
    assert.equal(client.sys.fcntl(fd, c.F_GETFL, 0), c.O_RDWR | c.O_NONBLOCK);
    assert.equal(client.sys.fcntl(fd, c.F_SETFL, c.O_RDWR), 0);
    assert.equal(client.sys.fcntl(fd, c.F_GETFL, 0), c.O_RDWR);
    assert.equal(client.sys.fcntl(fd, c.F_GETFD, 0), 1);
    assert.equal(client.sys.fcntl(fd, c.F_SETFD, 1), 0);
    assert.equal(client.sys.fcntl(fd, c.F_DUPFD_CLOEXEC, 0), fd + 1);
    assert.equal(client.sys.fcntl(fd, 99, 0), -c.EINVAL);
    assert.equal(client.sys.open('/etc/passwd', 0), -c.ENOENT);
  });
});

describe('failures on order', () => {
  test('the nth call, so many times', () => {
    const { kernel, client } = setUp();
    kernel.host(WEB).listenTcp(80, services.sink());
    const fd = client.dial(WEB, 80);
    client.wait(fd, c.EPOLLOUT);
    kernel.fail('send', { errno: c.ENOBUFS, nth: 3, times: 2 });
    const results = [1, 2, 3, 4, 5].map(() => client.send(fd, 'x'));
    assert.deepEqual(results, [1, 1, -c.ENOBUFS, -c.ENOBUFS, 1]);
  });

  test('every call can be made to fail', () => {
    const { kernel, client } = setUp();
    const { sys } = client;
    const fd = client.socket(WEB);
    const calls = {
      epollCreate: () => sys.epollCreate(),
      epollCtl: () => sys.epollCtl(3, c.EPOLL_CTL_ADD, fd, 0, 0),
      epollWait: () => sys.epollWait(3, 1, 0),
      eventfd: () => sys.eventfd(),
      read: () => sys.read(fd, client.in, 1),
      write: () => sys.write(fd, client.out, 1),
      readv: () => sys.readv(fd, client.in, 1),
      writev: () => sys.writev(fd, client.out, 1),
      socket: () => client.socket(WEB),
      socketpair: () => sys.socketpair(c.AF_UNIX, c.SOCK_STREAM),
      bind: () => client.bind(fd, '127.0.0.1', 0),
      connect: () => client.connect(fd, WEB, 80),
      listen: () => sys.listen(fd, 1),
      accept: () => sys.accept(fd, 0),
      getsockname: () => sys.getsockname(fd, client.addr.off),
      getpeername: () => sys.getpeername(fd, client.addr.off),
      recv: () => sys.recv(fd, client.in, 1, 0),
      send: () => sys.send(fd, client.out, 1, 0),
      recvfrom: () => sys.recvfrom(fd, client.in, 1, 0, 0),
      sendto: () => sys.sendto(fd, client.out, 1, 0, 0, 0),
      recvmsg: () => sys.recvmsg(fd, client.in, 0),
      sendmsg: () => sys.sendmsg(fd, client.out, 0),
      setsockopt: () => sys.setsockopt(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, 1),
      getsockopt: () => sys.getsockopt(fd, c.SOL_SOCKET, c.SO_KEEPALIVE),
      setsockoptBytes: () => sys.setsockoptBytes(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, client.out, 4),
      getsockoptBytes: () => sys.getsockoptBytes(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, client.out, 4),
      setLingerZero: () => sys.setLingerZero(fd),
      shutdown: () => sys.shutdown(fd, c.SHUT_WR),
      close: () => sys.close(fd),
      dup: () => sys.dup(fd),
      fcntl: () => sys.fcntl(fd, c.F_GETFL, 0),
      ioctl: () => sys.ioctl(fd, c.FIONREAD, client.in, 0),
      open: () => sys.open('/dev/net/tun', 0),
    } as const;
    for (const [name, call] of Object.entries(calls)) {
      kernel.fail(name as keyof typeof calls, { errno: c.EIO });
      assert.equal(call(), -c.EIO, name);
    }
    const epoll = sys.epollCreate();
    kernel.fail('epollWait', { errno: c.EINTR });
    assert.equal(sys.epollWait(epoll, 1, 0), 0);
  });
});

describe('frames', () => {
  test('one read or write is one frame, both queues are bounded', () => {
    const { kernel, client } = setUp();
    const { fd, frames } = kernel.openFrames();
    assert.equal(client.sys.read(fd, client.in, 100), -c.EAGAIN);
    frames.push(Uint8Array.from([1, 2, 3]));
    frames.push(Uint8Array.from([4, 5]));
    assert.equal(client.wait(fd, c.EPOLLIN), c.EPOLLIN);
    assert.equal(client.sys.read(fd, client.in, 2), 2);
    assert.equal(client.sys.read(fd, client.in, 100), 2);
    assert.equal(client.sys.write(fd, client.out, client.put('frame')), 5);
    assert.equal(client.sys.write(fd, client.out, 0), -c.EINVAL);
    assert.deepEqual(
      frames.take().map((frame) => new TextDecoder().decode(frame)),
      ['frame'],
    );
    assert.deepEqual(frames.take(), []);
    for (let i = 0; i < FRAME_QUEUE_MAX; i++) assert.ok(frames.push(new Uint8Array(1)));
    assert.equal(frames.push(new Uint8Array(1)), false);
    for (let i = 0; i < FRAME_QUEUE_MAX + 2; i++) client.sys.write(fd, client.out, 1);
    assert.equal(frames.take().length, FRAME_QUEUE_MAX);
    assert.equal(frames.dropped, 3);
    const seen: number[] = [];
    frames.onFrame = (frame) => seen.push(frame.length);
    client.sys.write(fd, client.out, 9);
    assert.deepEqual(seen, [9]);
  });

  test('a device that takes nothing for a while', () => {
    const { kernel, client } = setUp();
    const { fd, frames } = kernel.openFrames();
    frames.setWritable(false);
    assert.equal(client.sys.write(fd, client.out, 1), -c.EAGAIN);
    assert.equal(client.wait(fd, c.EPOLLOUT), 0);
    kernel.after(50, () => frames.setWritable(true));
    assert.equal(client.wait(fd, c.EPOLLOUT), c.EPOLLOUT);
  });

  test('/dev/net/tun takes its name', () => {
    const { kernel, client } = setUp();
    const fd = client.sys.open('/dev/net/tun', c.O_RDWR);
    client.sys.arena.u8.fill(0, client.out, client.out + 40);
    client.put('vmlan0');
    client.sys.arena.view.setUint16(client.out + 16, 0x5002, true); // IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
    assert.equal(client.sys.ioctl(fd, 0x400454ca, client.out, 0), 0);
    assert.match(kernel.openFds()[0]!, /frames vmlan0/);
    assert.equal(client.sys.ioctl(fd, 0x400454d0, -1, 7), 0);
  });
});

describe('odds and ends', () => {
  test('the probes work on it', () => {
    const { kernel } = setUp();
    assert.equal(peekOffsetWorks(kernel.sys), true);
    assert.equal(udpGsoWorks(kernel.sys), true);
    assert.equal(pingSocketWorks(kernel.sys), true);
    assert.match(String(pingSocketWorks(setUp({ pingAllowed: false }).kernel.sys)), /ping_group_range/);
    assert.equal(ipv6DefaultRoute(kernel.sys), true);
    kernel.setRoute('ipv6', false);
    assert.equal(ipv6DefaultRoute(kernel.sys), false);
    assert.deepEqual(kernel.openFds(), []);
  });

  test('unix paths stay until they are removed, abstract names do not', () => {
    const { kernel, client } = setUp();
    const bind = (path: string): number => {
      const fd = client.sys.socket(c.AF_UNIX, c.SOCK_STREAM, 0);
      client.addr.setUnix(path);
      const len = path.startsWith('\0') ? client.addr.len - 1 : client.addr.len;
      const result = client.sys.bind(fd, client.addr.off, len);
      client.sys.close(fd);
      return result;
    };
    assert.deepEqual([bind('/run/a'), bind('/run/a')], [0, -c.EADDRINUSE]);
    kernel.unlink('/run/a');
    assert.deepEqual([bind('/run/a'), bind('\0a'), bind('\0a')], [0, 0, 0]);
  });

  test('low ports are for the privileged', () => {
    const { client } = setUp({ unprivilegedPortStart: 1024 });
    assert.equal(client.bind(client.socket('127.0.0.1'), '127.0.0.1', 80), -c.EACCES);
    assert.equal(client.bind(client.socket('127.0.0.1'), '127.0.0.1', 1024), 0);
  });

  test('options: known ones are kept, buffers doubled and bounded, others refused', () => {
    const { client } = setUp();
    const { sys } = client;
    const fd = client.socket(WEB);
    const buffer = (bytes: number): number => {
      sys.setsockopt(fd, c.SOL_SOCKET, c.SO_RCVBUF, bytes);
      return sys.getsockopt(fd, c.SOL_SOCKET, c.SO_RCVBUF);
    };
    assert.deepEqual([buffer(10_000), buffer(1), buffer(1 << 30)], [20_000, 4608, 425_984]);
    assert.equal(sys.setsockopt(fd, 77, 77, 1), -c.ENOPROTOOPT);
    assert.equal(sys.getsockopt(fd, c.SOL_UDP, c.UDP_SEGMENT), -c.ENOPROTOOPT);
    sys.arena.view.setInt32(client.out, 1, true);
    sys.arena.view.setInt32(client.out + 4, 0, true);
    assert.equal(sys.setsockoptBytes(fd, c.SOL_SOCKET, c.SO_LINGER, client.out, 8), 0);
    assert.equal(sys.setsockoptBytes(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, client.out, 4), 0);
    assert.equal(sys.setsockoptBytes(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, client.out, 1), -c.EINVAL);
    assert.equal(sys.getsockoptBytes(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, client.in, 4), 4);
    assert.equal(sys.arena.view.getInt32(client.in, true), 1);
    assert.equal(sys.getsockoptBytes(fd, 77, 77, client.in, 4), -c.ENOPROTOOPT);
    const udp = client.socket(WEB, c.SOCK_DGRAM);
    assert.equal(sys.getsockoptBytes(udp, c.IPPROTO_TCP, c.TCP_INFO, client.in, 104), -c.ENOPROTOOPT);
  });

  test('TCP_INFO tells the state', () => {
    const { kernel, client } = setUp();
    kernel.host(WEB).listenTcp(80, services.sink());
    const fd = client.socket(WEB);
    const state = (): number => {
      assert.equal(client.sys.getsockoptBytes(fd, c.IPPROTO_TCP, c.TCP_INFO, client.in, 104), 104);
      return client.sys.arena.u8[client.in]!;
    };
    const states = [state()];
    client.connect(fd, WEB, 80);
    states.push(state());
    client.wait(fd, c.EPOLLOUT);
    states.push(state());
    client.sys.shutdown(fd, c.SHUT_WR);
    states.push(state());
    kernel.advance(100);
    states.push(state());
    assert.deepEqual(states, [7, 2, 1, 4, 7]); // CLOSE, SYN_SENT, ESTABLISHED, FIN_WAIT1, over
    const listener = client.listen('127.0.0.1', 80);
    client.sys.getsockoptBytes(listener, c.IPPROTO_TCP, c.TCP_INFO, client.in, 1);
    assert.equal(client.sys.arena.u8[client.in], 10);
  });

  test('vectors: more than one, larger than any buffer', () => {
    const { kernel, client } = setUp({ arenaBytes: 2 << 20 });
    const { sys } = client;
    const fd = sys.socketpair(c.AF_UNIX, c.SOCK_STREAM);
    const iov = sys.arena.alloc(48);
    const big = sys.arena.alloc(300_000);
    services.fillPattern(sys.arena.u8.subarray(big, big + 300_000), 0);
    sys.setIovec(iov, 0, big, 100_000);
    sys.setIovec(iov, 1, big + 100_000, 50_000);
    assert.equal(sys.writev(fd, iov, 2), 150_000);
    sys.setIovec(iov, 0, big + 200_000, 1);
    sys.setIovec(iov, 1, big + 200_001, 50_000);
    assert.equal(sys.readv(sys.pairSecond(), iov, 2), 50_001);
    assert.deepEqual(sys.arena.u8.slice(big + 200_000, big + 250_001), services.pattern(50_001));
    assert.equal(sys.readv(99, iov, 2), -c.EBADF);
    assert.equal(sys.writev(99, iov, 2), -c.EBADF);
    assert.ok(kernel.openCount === 2);
  });
});
