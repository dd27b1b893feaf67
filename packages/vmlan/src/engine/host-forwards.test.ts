/**
 * The sockets of forwards on the real kernel: a muted one refuses, keeps its port, and listens again.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { Counters } from '../core/counters.ts';
import { MAPPED } from '../stack/path.ts';
import * as C from '../sys/constants.ts';
import { openLibc } from '../sys/libc.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import { HostForwards } from './host-forwards.ts';
import { EventLoop } from './loop.ts';

const LOOPBACK = Int32Array.of(0, 0, MAPPED, 0x7f00_0001);

class Bench {
  readonly sys = openLibc({ arenaBytes: 4 << 20 });
  readonly loop = new EventLoop(this.sys, this.sys.epollCreate(), new Counters());
  readonly forwards = new HostForwards(this.sys, this.loop);
  readonly fd: number;
  readonly port: number;

  constructor() {
    this.port = this.#freePort();
    this.fd = this.forwards.openTcp({ words: LOOPBACK, port: this.port, path: null });
    assert.ok(this.fd >= 0);
    this.forwards.watch(this.fd, () => {});
  }

  mute(muted: boolean): number {
    return this.forwards.setMuted(this.fd, 'tcp', muted);
  }

  /** Connects and accepts; the connection stays open. */
  async converse(): Promise<() => void> {
    const client = connect(this.port, '127.0.0.1');
    await once(client, 'connect');
    const accepted = this.forwards.accept(this.fd, 0);
    assert.ok(accepted >= 0);
    return () => {
      client.destroy();
      this.sys.close(accepted);
    };
  }

  close(): void {
    this.forwards.close(this.fd);
    this.loop.close();
  }

  #freePort(): number {
    const addr = new SockAddr(this.sys.arena);
    const fd = this.sys.socket(2, 1, 0);
    this.sys.bind(fd, addr.setIpv4(0x7f00_0001, 0).off, addr.len);
    this.sys.getsockname(fd, addr.off);
    this.sys.close(fd);
    return addr.port;
  }
}

async function refused(port: number): Promise<string> {
  const client = connect(port, '127.0.0.1');
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  return error.code!;
}

describe('the socket of a TCP forward', () => {
  test('rests while no descriptor is left, and takes who waited', async () => {
    const bench = new Bench();
    const looks: number[] = [];
    bench.forwards.watch(bench.fd, (nowMs) => {
      looks.push(bench.forwards.accept(bench.fd, nowMs));
    });
    bench.mute(false);
    bench.sys.accept = () => -C.EMFILE;
    const client = connect(bench.port, '127.0.0.1');
    await once(client, 'connect');
    const idle = { pollAt: () => Infinity, poll: () => {} };
    for (let i = 0; i < 5; i++) bench.loop.turn(idle, 5);
    assert.deepEqual(looks, [-C.EMFILE]);
    Reflect.deleteProperty(bench.sys, 'accept');
    for (let i = 0; i < 100 && looks.length < 2; i++) bench.loop.turn(idle, 10);
    assert.ok(looks[1]! >= 0);
    client.destroy();
    bench.sys.close(looks[1]!);
    bench.close();
  });

  test('refuses while muted, listens, and refuses again', async () => {
    const bench = new Bench();
    assert.equal(await refused(bench.port), 'ECONNREFUSED');
    assert.equal(bench.mute(false), 0);
    (await bench.converse())();
    assert.equal(bench.mute(true), 0);
    assert.equal(await refused(bench.port), 'ECONNREFUSED');
    bench.close();
  });

  test('listens again although an earlier connection is open', async () => {
    const bench = new Bench();
    assert.equal(bench.mute(false), 0);
    const hangUp = await bench.converse();
    assert.equal(bench.mute(true), 0);
    assert.equal(bench.mute(false), 0);
    (await bench.converse())();
    hangUp();
    bench.close();
  });

  test('keeps its port while muted, before and after it listened', async () => {
    const bench = new Bench();
    for (const round of ['never listened', 'has listened']) {
      const thief = createServer().listen(bench.port, '127.0.0.1'); // Node sets SO_REUSEADDR, as most servers do
      const [error] = (await once(thief, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'EADDRINUSE', round);
      assert.equal(bench.mute(false), 0);
      assert.equal(bench.mute(true), 0);
    }
    bench.close();
  });
});
