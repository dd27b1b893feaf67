import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLogger } from '../core/logger.ts';
import { AF_UNIX, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from '../sys/constants.ts';
import { openLibc } from '../sys/libc.ts';
import { SockAddr } from '../sys/sockaddr.ts';
import { ServiceNotice } from './service-notice.ts';

const directory = mkdtempSync('/tmp/vmlan-notice-');
after(() => rmSync(directory, { recursive: true }));

/** A service manager's end of it: a real datagram socket. */
class Manager implements Disposable {
  readonly #sys = openLibc({ arenaBytes: 1 << 17 });
  readonly #room = this.#sys.arena.alloc(4096);
  readonly #fd: number;

  constructor(path: string) {
    const address = new SockAddr(this.#sys.arena);
    if (path.startsWith('@')) address.setAbstract(path.slice(1));
    else address.setUnix(path);
    this.#fd = this.#sys.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert.equal(this.#sys.bind(this.#fd, address.off, address.len), 0);
  }

  /** What has come since, one text a message. */
  take(): string[] {
    const texts: string[] = [];
    for (;;) {
      const n = this.#sys.recv(this.#fd, this.#room, 4096, MSG_DONTWAIT);
      if (n < 0) return texts;
      texts.push(new TextDecoder().decode(this.#sys.arena.u8.slice(this.#room, this.#room + n)));
    }
  }

  [Symbol.dispose](): void {
    this.#sys.close(this.#fd);
  }
}

describe('a service manager hears', () => {
  for (const path of [join(directory, 'notify'), `@vmlan-test-${process.pid}`]) {
    test(`at ${path.startsWith('@') ? 'an abstract name' : 'a path'}, what sd_notify(3) wants`, async () => {
      using manager = new Manager(path);
      const env = { NOTIFY_SOCKET: path, KEPT: 'yes' };
      using notice = await ServiceNotice.open(env, silentLogger);
      assert.deepEqual(env, { KEPT: 'yes' }, 'nobody else speaks for the daemon');
      notice.starting('starting');
      notice.ready('serving', () => Promise.resolve(true));
      notice.reloading(Promise.resolve());
      await turn();
      notice.stopping();
      const [starting, ready, reloading, reloaded, stopping] = manager.take();
      assert.equal(starting, 'STATUS=starting');
      assert.equal(ready, 'READY=1\nSTATUS=serving');
      assert.match(reloading!, /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      assert.equal(reloaded, 'READY=1');
      assert.match(stopping!, /^STOPPING=1\nSTATUS=stopping/);
    });
  }

  test('that the daemon lives, twice in the time of its watchdog, while it does', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const path = join(directory, 'watchdog');
    using manager = new Manager(path);
    const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '40000', WATCHDOG_PID: String(process.pid) };
    using notice = await ServiceNotice.open(env, silentLogger);
    let isHealthy = true;
    notice.ready('serving', () => (isHealthy ? Promise.resolve(true) : Promise.reject(new Error('no answer'))));
    const heardAfter = async (ms: number): Promise<string[]> => {
      t.mock.timers.tick(ms);
      await turn();
      return manager.take();
    };
    assert.deepEqual(await heardAfter(19), ['READY=1\nSTATUS=serving']);
    assert.deepEqual(await heardAfter(41), ['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
    isHealthy = false;
    assert.deepEqual(await heardAfter(1000), []);
    isHealthy = true;
    notice.stopping();
    assert.equal((await heardAfter(1000)).length, 1, 'nothing after the farewell');
  });

  test("nothing of somebody else's watchdog", async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const path = join(directory, 'other');
    using manager = new Manager(path);
    using notice = await ServiceNotice.open(
      { NOTIFY_SOCKET: path, WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' },
      silentLogger,
    );
    notice.ready('serving', () => Promise.resolve(true));
    t.mock.timers.tick(1000);
    await turn();
    assert.deepEqual(manager.take(), ['READY=1\nSTATUS=serving']);
  });
});

test('without a manager, or with one that is gone, the daemon runs all the same', async () => {
  for (const env of [{}, { NOTIFY_SOCKET: join(directory, 'nobody') }, { NOTIFY_SOCKET: `/${'x'.repeat(200)}` }]) {
    using notice = await ServiceNotice.open(env, silentLogger);
    notice.starting('starting');
    notice.ready('serving', () => Promise.resolve(true));
    notice.stopping();
  }
});
