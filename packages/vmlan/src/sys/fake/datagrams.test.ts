import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as c from '../constants.ts';
import { ErrorQueue } from '../error-queue.ts';
import { Client } from './client.fixture.ts';
import type { ScriptedDatagram } from './host.ts';
import { FakeKernel } from './kernel.ts';
import * as services from './services.ts';

const HOST = '198.51.100.7';
const HOST6 = '2001:db8:1::7';
const families = [
  { ip: HOST, level: c.IPPROTO_IP, recvErr: c.IP_RECVERR, hops: c.IP_TTL, discover: c.IP_MTU_DISCOVER },
  {
    ip: HOST6,
    level: c.IPPROTO_IPV6,
    recvErr: c.IPV6_RECVERR,
    hops: c.IPV6_UNICAST_HOPS,
    discover: c.IPV6_MTU_DISCOVER,
  },
] as const;

function setUp(): { kernel: FakeKernel; client: Client; queue: ErrorQueue } {
  const kernel = new FakeKernel({ arenaBytes: 1 << 20 });
  const client = new Client(kernel);
  return { kernel, client, queue: new ErrorQueue(kernel.sys) };
}

for (const { ip, level, recvErr, hops, discover } of families) {
  const isV4 = ip === HOST;
  const router = isV4 ? '10.0.0.1' : 'fd00::1';
  const second = isV4 ? '10.0.0.2' : 'fd00::2';

  describe(`datagrams to ${ip}`, () => {
    test('echo, after one round trip', () => {
      const { kernel, client } = setUp();
      kernel.host(ip).listenUdp(7, services.udpEcho()).delayMs = 5;
      const fd = client.socket(ip, c.SOCK_DGRAM);
      const start = kernel.now;
      assert.equal(client.sendTo(fd, 'hello', ip, 7), 5);
      assert.equal(client.wait(fd, c.EPOLLIN), c.EPOLLIN);
      assert.equal(kernel.now - start, 10);
      assert.equal(client.text(fd), 'hello');
      assert.equal(kernel.host(ip).datagrams, 1);
    });

    test('a connected socket does not hear another port of the same host', () => {
      const { kernel, client } = setUp();
      kernel.host(ip).listenUdp(7, (datagram: ScriptedDatagram) => {
        datagram.replyFrom(8, datagram.payload);
        datagram.reply(new Uint8Array(3));
      });
      const fd = client.socket(ip, c.SOCK_DGRAM);
      client.connect(fd, ip, 7);
      client.send(fd, 'hello');
      client.wait(fd, c.EPOLLIN);
      assert.deepEqual(client.recv(fd), new Uint8Array(3));
      assert.equal(client.recv(fd), -c.EAGAIN);
    });

    test('a closed port: refused, with the details on the error queue', () => {
      const { kernel, client, queue } = setUp();
      kernel.host(ip).listenUdp(9, services.udpSink()).closeUdp(9);
      const fd = client.socket(ip, c.SOCK_DGRAM);
      client.sys.setsockopt(fd, level, recvErr, 1);
      assert.equal(client.sendTo(fd, 'hello', ip, 9), 5);
      assert.equal(client.wait(fd, c.EPOLLIN), c.EPOLLERR);
      assert.equal(queue.read(fd), 0);
      const { errno, type, code, payloadLen, destinationPort } = queue;
      assert.deepEqual([errno, payloadLen, destinationPort], [c.ECONNREFUSED, 5, 9]);
      assert.deepEqual([type, code], isV4 ? [3, 3] : [1, 4]);
      assert.equal(queue.read(fd), -c.EAGAIN);
    });

    test('without IP_RECVERR only hard errors reach a connected socket', () => {
      const { kernel, client } = setUp();
      const fd = client.socket(ip, c.SOCK_DGRAM);
      client.connect(fd, ip, 9);
      kernel.host(ip).reach = 'host-unreachable';
      client.send(fd, 'x');
      assert.equal(client.wait(fd, c.EPOLLIN), 0);
      kernel.host(ip).reach = 'prohibited';
      client.send(fd, 'x');
      assert.equal(client.wait(fd, c.EPOLLIN), c.EPOLLERR);
      assert.equal(client.error(fd), isV4 ? c.EHOSTUNREACH : c.EACCES);
      kernel.host(ip).reach = 'silent';
      client.send(fd, 'x');
      assert.equal(client.wait(fd, c.EPOLLIN), 0);
      const loose = client.socket(ip, c.SOCK_DGRAM);
      kernel.host(ip).reach = 'prohibited';
      client.sendTo(loose, 'x', ip, 9);
      assert.equal(client.wait(loose, c.EPOLLIN), 0);
    });

    test('hop by hop: time exceeded from each router, then the host', () => {
      const { kernel, client, queue } = setUp();
      kernel.host(ip).behind(router, second).listenUdp(33_434, services.udpEcho());
      const fd = client.socket(ip, c.SOCK_DGRAM);
      client.sys.setsockopt(fd, level, recvErr, 1);
      for (const [ttl, want] of [
        [1, router],
        [2, second],
      ] as const) {
        client.sys.setsockopt(fd, level, hops, ttl);
        client.sendTo(fd, 'probe', ip, 33_434);
        client.wait(fd, c.EPOLLIN);
        assert.equal(queue.read(fd), 0);
        assert.deepEqual([queue.errno, queue.type], [c.EHOSTUNREACH, isV4 ? 11 : 3]);
        const words = isV4 ? [queue.offender[0]! & 255] : [queue.offender[3]];
        assert.deepEqual(words, [Number(want.at(-1))]);
      }
      client.sys.setsockopt(fd, level, hops, 3);
      client.sendTo(fd, 'probe', ip, 33_434);
      assert.equal(client.wait(fd, c.EPOLLIN), c.EPOLLIN);
    });

    test('path MTU: told once by a router, known from then on', () => {
      const { kernel, client, queue } = setUp();
      const host = kernel.host(ip).behind(router).listenUdp(7, services.udpEcho());
      host.mtu = 1400;
      const fd = client.socket(ip, c.SOCK_DGRAM);
      client.sys.setsockopt(fd, level, recvErr, 1);
      const fits = new Uint8Array(isV4 ? 1372 : 1352);
      const tooBig = new Uint8Array(fits.length + 1);
      assert.equal(client.sendTo(fd, tooBig, ip, 7), tooBig.length); // fragmented on the way
      client.wait(fd, c.EPOLLIN);
      assert.equal(client.sys.recv(fd, client.in, 2000, 0), tooBig.length);
      client.sys.setsockopt(fd, level, discover, c.IP_PMTUDISC_DO);
      assert.equal(client.sendTo(fd, tooBig, ip, 7), tooBig.length);
      client.wait(fd, c.EPOLLIN);
      queue.read(fd);
      assert.deepEqual([queue.errno, queue.info, queue.origin], [c.EMSGSIZE, 1400, isV4 ? 2 : 3]);
      assert.equal(client.sendTo(fd, tooBig, ip, 7), -c.EMSGSIZE);
      queue.read(fd);
      assert.deepEqual([queue.errno, queue.info, queue.origin], [c.EMSGSIZE, 1400, 1]);
      assert.equal(client.sendTo(fd, fits, ip, 7), fits.length);
      assert.equal(client.wait(fd, c.EPOLLIN), c.EPOLLIN);
    });

    test('ping: answered with its own identifier, TTL less the hops', () => {
      const { kernel, client, queue } = setUp();
      kernel.host(ip).behind(router).delayMs = 4;
      const fd = client.socket(ip, c.SOCK_DGRAM, isV4 ? c.IPPROTO_ICMP : c.IPPROTO_ICMPV6);
      const request = Uint8Array.from([isV4 ? 8 : 128, 0, 0, 0, 0xaa, 0xaa, 0, 1, 1, 2, 3, 4]);
      assert.equal(client.sendTo(fd, request.subarray(0, 7), ip, 0), -c.EINVAL);
      assert.equal(client.sendTo(fd, new Uint8Array(8), ip, 0), -c.EINVAL);
      assert.equal(client.sendTo(fd, request, ip, 0), 12);
      assert.equal(client.wait(fd, c.EPOLLIN), c.EPOLLIN);
      const reply = client.recv(fd);
      assert.ok(typeof reply !== 'number');
      client.sys.getsockname(fd, client.addr.off);
      const { port } = client.addr;
      reply.fill(0, 2, 4); // its checksum, which the differential test compares with Linux
      assert.deepEqual([...reply], [isV4 ? 0 : 129, 0, 0, 0, port >> 8, port & 255, 0, 1, 1, 2, 3, 4]);
      client.sys.setsockopt(fd, level, recvErr, 1);
      client.sys.setsockopt(fd, level, hops, 1);
      client.sendTo(fd, request, ip, 0);
      client.wait(fd, c.EPOLLIN);
      assert.equal(queue.read(fd), 0);
      assert.deepEqual([queue.errno, queue.payloadLen], [c.EHOSTUNREACH, 12]);
      client.sys.setsockopt(fd, level, hops, 64);
      kernel.host(ip).answersPing = false;
      client.sendTo(fd, request, ip, 0);
      assert.equal(client.wait(fd, c.EPOLLIN), 0);
      client.sendTo(fd, request, isV4 ? '127.0.0.1' : '::1', 0);
      assert.equal(client.wait(fd, c.EPOLLIN), c.EPOLLIN);
      assert.match(kernel.openFds()[0]!, /ping/);
    });
  });
}

describe('datagrams at this host', () => {
  test('from elsewhere', () => {
    const { kernel, client } = setUp();
    const fd = client.socket('0.0.0.0', c.SOCK_DGRAM);
    client.bind(fd, '0.0.0.0', 5353);
    const payload = new TextEncoder().encode('hi');
    assert.equal(kernel.sendUdp('203.0.113.1', 99, '192.0.2.10', 5353, payload), true);
    assert.equal(kernel.sendUdp('203.0.113.1', 99, '192.0.2.10', 5354, payload), false);
    assert.equal(client.text(fd), 'hi');
  });

  test('what does not fit into the receive buffer is dropped', () => {
    const { kernel, client } = setUp();
    const fd = client.socket('127.0.0.1', c.SOCK_DGRAM);
    client.bind(fd, '127.0.0.1', 7000);
    client.sys.setsockopt(fd, c.SOL_SOCKET, c.SO_RCVBUF, 5000);
    for (let i = 0; i < 100; i++) kernel.sendUdp('127.0.0.1', 1, '127.0.0.1', 7000, new Uint8Array(1000));
    let count = 0;
    while (typeof client.recv(fd) !== 'number') count++;
    assert.equal(count, 6);
  });

  test('broadcast is a right that is asked for; nobody hears it', () => {
    const { client } = setUp();
    const fd = client.socket('192.0.2.10', c.SOCK_DGRAM);
    assert.equal(client.sendTo(fd, 'x', '255.255.255.255', 67), -c.EACCES);
    client.sys.setsockopt(fd, c.SOL_SOCKET, c.SO_BROADCAST, 1);
    assert.equal(client.sendTo(fd, 'x', '255.255.255.255', 67), 1);
  });

  test('ephemeral ports end one day, and come back', () => {
    const kernel = new FakeKernel({ maxFds: 40_000 });
    const client = new Client(kernel);
    const fds: number[] = [];
    for (;;) {
      const fd = client.socket('127.0.0.1', c.SOCK_DGRAM);
      const result = client.bind(fd, '127.0.0.1', 0);
      fds.push(fd);
      if (result === 0) continue;
      assert.equal(result, -c.EADDRINUSE);
      break;
    }
    assert.equal(fds.length, 60_999 - 32_768 + 2);
    assert.equal(client.connect(client.socket('127.0.0.1'), '127.0.0.1', 1), -c.EINPROGRESS); // TCP has its own
    client.sys.close(fds[17]!);
    assert.equal(client.bind(fds.at(-1)!, '127.0.0.1', 0), 0);
  });
});
