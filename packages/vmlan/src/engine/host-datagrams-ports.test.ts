/**
 * Host ports of UDP flows on the real system: one guest endpoint shares its port, two never do.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters } from '../core/counters.ts';
import { openLibc } from '../sys/libc.ts';
import { HostDatagrams } from './host-datagrams.ts';
import { EventLoop } from './loop.ts';

const SOCKETS = 700; // if ports were chosen blindly, about nine pairs would share one
const DISCARD = 9;

for (const { name, remote } of [
  { name: 'IPv4', remote: [0, 0, 0xffff, 0x7f00_0001] },
  { name: 'IPv6', remote: [0, 0, 0, 1] },
] as const) {
  test(`no two endpoints have one port of the host, ${name}`, (t) => {
    const sys = openLibc({ arenaBytes: 4 << 20 });
    const sockets = new HostDatagrams(sys, new EventLoop(sys, sys.epollCreate(), new Counters()), true);
    const [w0, w1, w2, w3] = remote;
    const fds: number[] = [];
    t.after(() => fds.forEach((fd) => sockets.close(fd, -1)));
    const ports = new Set<number>();
    for (let i = 0; i < SOCKETS; i++) {
      const fd = sockets.openUdp(w0, w1, w2, w3, DISCARD, 0);
      assert.ok(fd >= 0, `errno ${-fd}`);
      fds.push(fd);
      ports.add(sockets.localPort(fd));
    }
    assert.equal(ports.size, SOCKETS);
    // The same endpoint towards another server.
    const [port = 0] = ports;
    const same = sockets.openUdp(w0, w1, w2, w3, DISCARD + 1, port);
    assert.ok(same >= 0, `errno ${-same}`);
    fds.push(same);
    assert.equal(sockets.localPort(same), port);
  });
}
